import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { LineBuffer, type LineKind, type LogSink } from "../src/log-buffer.ts";

const MIB = 1_048_576;

/** A sink that counts what it takes. While it is full, it loses each line. */
class CountingSink implements LogSink {
  readonly isClosed = false;
  waiting = 0;
  isFull = false;
  text = "";

  write(lines: Buffer): number {
    const text = String(lines);
    if (this.isFull) return text.split("\n").length - 1;
    this.text += text;
    return 0;
  }
}

/** A buffer and its sink, for which this many bytes wait. */
function bufferWith(waiting: number): { sink: CountingSink; buffer: LineBuffer } {
  const sink = new CountingSink();
  sink.waiting = waiting;
  return { sink, buffer: new LineBuffer(sink, Infinity) };
}

/** Hands over a line of an event. */
function write(buffer: LineBuffer): void {
  assert.ok(buffer.admits("trusted"));
  buffer.append('"event":"e"}');
  buffer.flush();
}

describe("there is room for a line", () => {
  const rows: readonly (readonly [kind: LineKind, capacity: number])[] = [
    ["trusted", MIB],
    ["withoutKey", MIB / 2],
  ];
  for (const [kind, capacity] of rows) {
    test(`while at most ${capacity} bytes wait (${kind})`, () => {
      assert.equal(bufferWith(capacity).buffer.admits(kind), true);
      assert.equal(bufferWith(capacity + 1).buffer.admits(kind), false);
    });

    test(`while the reader and the buffer have that many together (${kind})`, () => {
      const { sink, buffer } = bufferWith(0);
      buffer.append('"event":"e"}');
      // With `{"time":"2026-01-31T12:00:00.000Z",` before it, and a line feed.
      const length = 35 + 12 + 1;
      sink.waiting = capacity - length;
      assert.equal(buffer.admits(kind), true);
      sink.waiting += 1;
      assert.equal(buffer.admits(kind), false);
    });
  }
});

describe("what is missing", () => {
  test("is nothing at first, and then no line says so", () => {
    const { sink, buffer } = bufferWith(0);
    assert.deepEqual(buffer.missing, { trusted: 0, withoutKey: 0, lost: 0 });
    write(buffer);
    assert.match(sink.text, /^\{"time":"[^"]+","event":"e"\}\n$/);
  });

  const rows: readonly (readonly [
    what: string,
    trusted: number,
    strangers: number,
    lost: number,
  ])[] = [
    ["a trusted line", 1, 0, 0],
    ["a stranger's line", 0, 1, 0],
    ["a lost line", 0, 0, 1],
    ["one line of each kind", 1, 1, 0],
    ["a trusted line and a lost one", 1, 0, 1],
    ["a stranger's line and a lost one", 0, 1, 1],
    ["one line of every kind", 1, 1, 1],
    ["more lost lines than others", 1, 1, 2],
  ];
  for (const [what, trusted, withoutKey, lost] of rows) {
    test(`is said once, before the next line, if it is ${what}`, () => {
      const { sink, buffer } = bufferWith(0);
      sink.isFull = true;
      // From the second on there is a report, which is lost too, and is none of the lines.
      for (let i = 0; i < lost; i += 1) write(buffer);
      sink.isFull = false;
      sink.waiting = MIB + 1;
      for (let i = 0; i < trusted; i += 1) assert.equal(buffer.admits("trusted"), false);
      for (let i = 0; i < withoutKey; i += 1) assert.equal(buffer.admits("withoutKey"), false);
      assert.deepEqual(buffer.missing, { trusted, withoutKey, lost });
      sink.waiting = 0;
      write(buffer);
      write(buffer);
      const [report = "", ...events] = sink.text.trimEnd().split("\n");
      const { time: _time, ...counts } = JSON.parse(report) as Record<string, unknown>;
      assert.deepEqual(counts, {
        level: "warn",
        event: "warning",
        dropped_lines: trusted,
        dropped_requests_without_key: withoutKey,
        lost_lines: lost,
      });
      assert.equal(events.length, 2);
      for (const event of events) assert.match(event, /"event":"e"\}$/);
      assert.deepEqual(buffer.missing, { trusted, withoutKey, lost });
    });
  }
});

test("lines of one moment have the same time, and later ones a later time", (t) => {
  t.mock.timers.enable({ apis: ["Date"], now: Date.UTC(2026, 0, 31, 12) });
  const { sink, buffer } = bufferWith(0);
  write(buffer);
  write(buffer);
  t.mock.timers.tick(1);
  write(buffer);
  const times = [...sink.text.matchAll(/"time":"([^"]+)"/g)].map(([, time]) => time);
  const [first, later] = ["2026-01-31T12:00:00.000Z", "2026-01-31T12:00:00.001Z"];
  assert.deepEqual(times, [first, first, later]);
});
