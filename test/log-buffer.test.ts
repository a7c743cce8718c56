import assert from "node:assert/strict";
import { describe, test } from "node:test";

import type { RequestRecord } from "../src/http/exchange.ts";
import { createLog, PIPE_BUF } from "../src/log.ts";
import { LineBuffer, type LineKind, type LogSink } from "../src/log-buffer.ts";

const KIB = 1024;
const MIB = 1_048_576;

/** Resolves at the end of this turn of the event loop. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

type Line = Readonly<Record<string, unknown>>;

/** A sink in memory. Its reader can be behind, and its writes can fail. */
class MemorySink implements LogSink {
  readonly writes: string[] = [];
  isClosed = false;
  /** Whether the reader takes what is written. If not, it waits. */
  isRead = true;
  /** Whether writes fail. */
  isFull = false;
  waiting = 0;

  write(lines: Buffer): number {
    const text = lines.toString("latin1");
    assert.match(text, /^(?:[ -~]+\n)+$/);
    if (this.isFull) return text.split("\n").length - 1;
    this.writes.push(text);
    if (!this.isRead) this.waiting += lines.length;
    return 0;
  }

  /** The reader takes `bytes`, or all that waits. */
  take(bytes = this.waiting): void {
    this.waiting -= bytes;
  }

  get lines(): Line[] {
    const lines = this.writes.join("").split("\n").slice(0, -1);
    return lines.map((line) => JSON.parse(line) as Line);
  }

  /** The lengths of the writes. */
  get sizes(): number[] {
    return this.writes.map(({ length }) => length);
  }

  /** The lines with a certain member. */
  having(name: string): Line[] {
    return this.lines.filter((line) => name in line);
  }
}

/** A line of `length` bytes, without its beginning. */
function lineOf(length: number, name = "n", value: number | string = 0): string {
  const rest = (padding: string): string => `"${name}":${JSON.stringify(value)},"a":"${padding}"}`;
  // The beginning is `{"time":"…",` and the end a line feed.
  return rest("a".repeat(length - rest("").length - 36));
}

/** Appends a line if there is room. */
function append(buffer: LineBuffer, line: string, kind: LineKind = "trusted"): void {
  if (buffer.admits(kind)) buffer.append(line);
}

/** Appends `count` lines of 1 KiB, within one turn, with their numbers. */
function appendMany(buffer: LineBuffer, kind: LineKind, count: number): void {
  for (let i = 0; i < count; i += 1) append(buffer, lineOf(KIB, kind, i), kind);
}

/** The numbers from `start` up to `end`, without it. */
function range(start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_, index) => start + index);
}

describe("lines are handed over", () => {
  test("at the end of the turn, in one piece", async () => {
    const sink = new MemorySink();
    const buffer = new LineBuffer(sink, Infinity);
    appendMany(buffer, "trusted", 10);
    assert.equal(sink.writes.length, 0);
    await turn();
    assert.equal(sink.writes.length, 1);
    assert.deepEqual(
      sink.lines.map(({ trusted }) => trusted),
      range(0, 10),
    );
  });

  test("during the turn, as soon as there are 64 KiB", async () => {
    const sink = new MemorySink();
    const buffer = new LineBuffer(sink, Infinity);
    appendMany(buffer, "trusted", 63);
    assert.equal(sink.writes.length, 0);
    appendMany(buffer, "trusted", 1);
    assert.deepEqual(sink.sizes, [64 * KIB]);
    appendMany(buffer, "trusted", 63);
    append(buffer, lineOf(2 * KIB));
    assert.deepEqual(sink.sizes, [64 * KIB, 63 * KIB]);
    await turn();
    assert.deepEqual(sink.sizes, [64 * KIB, 63 * KIB, 2 * KIB]);
  });

  test("by flush(), at once and only once", async () => {
    const sink = new MemorySink();
    const buffer = new LineBuffer(sink, Infinity);
    appendMany(buffer, "trusted", 1);
    const { flush } = buffer;
    flush();
    assert.equal(sink.lines.length, 1);
    flush();
    await turn();
    assert.equal(sink.writes.length, 1);
  });

  test("whole, in order and in pieces that a pipe takes as one, if one line fits", async () => {
    const sink = new MemorySink();
    const buffer = new LineBuffer(sink, PIPE_BUF);
    for (const i of range(0, 1000)) append(buffer, lineOf(60 + i * 4, "i", i));
    await turn();
    assert.deepEqual(
      sink.lines.map(({ i }) => i),
      range(0, 1000),
    );
    assert.ok(sink.sizes.every((size) => size <= PIPE_BUF));
    assert.ok(sink.writes.length < 1000, "several lines share a piece");
  });

  test("even if one is longer than any piece", async () => {
    const sink = new MemorySink();
    const buffer = new LineBuffer(sink, PIPE_BUF);
    for (const length of [100, 2 * MIB, 100]) append(buffer, lineOf(length));
    await turn();
    assert.deepEqual(sink.sizes, [100, 2 * MIB, 100]);
  });
});

describe("nothing is dropped", () => {
  for (const kind of ["trusted", "withoutKey"] as const) {
    test(`if a turn has 10 MiB of lines and nothing waits (${kind})`, async () => {
      const sink = new MemorySink();
      appendMany(new LineBuffer(sink, Infinity), kind, 10_240);
      await turn();
      assert.equal(sink.lines.length, 10_240);
      assert.equal(sink.having("dropped_lines").length, 0);
    });
  }
});

describe("while the reader is behind", () => {
  test("strangers fill half of the capacity, and the rest is left for trusted lines", async () => {
    const sink = new MemorySink();
    sink.isRead = false;
    const buffer = new LineBuffer(sink, Infinity);
    appendMany(buffer, "withoutKey", 5000);
    await turn();
    const half = sink.having("withoutKey").length;
    assert.ok(half >= 512 && half <= 513, `${half} KiB of 512`);
    appendMany(buffer, "trusted", 5000);
    await turn();
    const whole = half + sink.having("trusted").length;
    assert.ok(whole >= 1024 && whole <= 1025, `${whole} KiB of 1024`);
    assert.ok(sink.waiting <= MIB + KIB);
  });

  test("trusted lines may fill all of it, and strangers then have no room", async () => {
    const sink = new MemorySink();
    sink.isRead = false;
    const buffer = new LineBuffer(sink, Infinity);
    appendMany(buffer, "trusted", 700);
    appendMany(buffer, "withoutKey", 700);
    appendMany(buffer, "trusted", 200);
    await turn();
    assert.equal(sink.having("trusted").length, 900);
    assert.equal(sink.having("withoutKey").length, 0);
  });

  for (const turns of [1, 100]) {
    test(`no more than 1 MiB waits, in ${turns} turns`, async () => {
      const sink = new MemorySink();
      sink.isRead = false;
      const buffer = new LineBuffer(sink, PIPE_BUF);
      for (let i = 0; i < turns; i += 1) {
        appendMany(buffer, "withoutKey", 5000 / turns);
        appendMany(buffer, "trusted", 5000 / turns);
        await turn();
      }
      assert.ok(sink.waiting <= MIB + KIB, `${sink.waiting}`);
    });
  }
});

describe("what was dropped is counted", () => {
  test("by kind, in one line, when there is room again", async () => {
    const sink = new MemorySink();
    sink.isRead = false;
    const buffer = new LineBuffer(sink, Infinity);
    appendMany(buffer, "withoutKey", 1000);
    appendMany(buffer, "trusted", 1000);
    await turn();
    assert.equal(sink.having("dropped_lines").length, 0);
    assert.ok(buffer.missing.withoutKey > 400 && buffer.missing.trusted > 400);
    const kept = [sink.having("withoutKey").length, sink.having("trusted").length] as const;
    sink.take();
    appendMany(buffer, "withoutKey", 1);
    await turn();
    const [report, ...others] = sink.having("dropped_lines");
    assert.equal(others.length, 0);
    assert.deepEqual(
      { ...report, time: undefined },
      {
        time: undefined,
        level: "warn",
        event: "warning",
        dropped_lines: 1000 - kept[1],
        dropped_requests_without_key: 1000 - kept[0],
        lost_lines: 0,
      },
    );
    appendMany(buffer, "trusted", 1);
    await turn();
    assert.equal(sink.having("dropped_lines").length, 1);
  });

  test("not in the half that is left for trusted lines", async () => {
    const sink = new MemorySink();
    sink.isRead = false;
    const buffer = new LineBuffer(sink, Infinity);
    for (let i = 0; i < 100; i += 1) {
      appendMany(buffer, "withoutKey", 100);
      appendMany(buffer, "trusted", 1);
      await turn();
    }
    assert.equal(sink.having("trusted").length, 100);
    assert.equal(sink.having("dropped_lines").length, 0);
    sink.take(sink.waiting - MIB / 2);
    appendMany(buffer, "trusted", 1);
    await turn();
    assert.equal(sink.having("dropped_lines").length, 0);
    sink.take(2 * KIB);
    appendMany(buffer, "trusted", 1);
    await turn();
    assert.equal(sink.having("dropped_lines").length, 1);
  });

  test("so that every line is in the log or in a count", async () => {
    const sink = new MemorySink();
    sink.isRead = false;
    const buffer = new LineBuffer(sink, Infinity);
    for (let i = 0; i < 200; i += 1) {
      appendMany(buffer, "withoutKey", (i * 37) % 101);
      appendMany(buffer, "trusted", (i * 53) % 97);
      sink.isFull = i % 7 === 3;
      await turn();
      sink.take(Math.min(sink.waiting, 50 * KIB));
    }
    sink.isFull = false;
    sink.take();
    appendMany(buffer, "trusted", 1);
    await turn();
    const sum = (name: string): number =>
      sink.having(name).reduce((total, line) => total + Number(line[name]), 0);
    const appended = range(0, 200).reduce(
      (total, i) => total + ((i * 37) % 101) + ((i * 53) % 97),
      1,
    );
    const written = sink.having("withoutKey").length + sink.having("trusted").length;
    const missing = sum("dropped_lines") + sum("dropped_requests_without_key") + sum("lost_lines");
    assert.ok(sum("dropped_requests_without_key") > 0 && sum("lost_lines") > 0);
    assert.equal(written + missing, appended);
    assert.deepEqual(buffer.missing, {
      trusted: sum("dropped_lines"),
      withoutKey: sum("dropped_requests_without_key"),
      lost: sum("lost_lines"),
    });
  });
});

describe("a write that fails", () => {
  test("loses its lines, and the log goes on when there is room", async () => {
    const sink = new MemorySink();
    const buffer = new LineBuffer(sink, Infinity);
    appendMany(buffer, "trusted", 1);
    await turn();
    sink.isFull = true;
    for (let i = 0; i < 50; i += 1) {
      appendMany(buffer, "trusted", 10);
      await turn();
    }
    sink.isFull = false;
    appendMany(buffer, "withoutKey", 2);
    await turn();
    appendMany(buffer, "withoutKey", 2);
    await turn();
    const [report, ...others] = sink.having("lost_lines");
    assert.equal(others.length, 0);
    assert.deepEqual([report?.["lost_lines"], report?.["dropped_lines"]], [500, 0]);
    assert.equal(sink.having("trusted").length, 1);
    assert.equal(sink.having("withoutKey").length, 4);
  });
});

test("a closed sink is left alone", async () => {
  const sink = new MemorySink();
  const buffer = new LineBuffer(sink, Infinity);
  sink.isClosed = true;
  appendMany(buffer, "trusted", 5000);
  buffer.flush();
  await turn();
  assert.equal(sink.writes.length, 0);
});

describe("a request is a stranger's", () => {
  const record: RequestRecord = {
    requestId: "id",
    remote: "192.0.2.1",
    method: "GET",
    path: `/${"a".repeat(255)}`,
    status: 404,
    durationMs: 1,
  };
  const rows: readonly [name: string, difference: Partial<RequestRecord>, isStranger: boolean][] = [
    ["without a key", {}, true],
    ["if it is a probe", { status: 200, isProbe: true }, true],
    ["if it is an error without a key", { status: 503 }, true],
    ["if it was denied", { status: 401, denied: "missing" }, true],
    ["if its key has expired", { status: 401, denied: "expired", key: "ci" }, true],
    ["but not with a key", { key: "ci", status: 200 }, false],
    ["but not if it failed with a key", { key: "ci", status: 500 }, false],
    ["but not if it is gone and had a key", { key: "ci", status: null }, false],
  ];
  for (const [name, difference, isStranger] of rows) {
    test(name, async () => {
      const sink = new MemorySink();
      sink.waiting = MIB / 2 + 1;
      const log = createLog("debug", sink);
      log.response?.({ ...record, ...difference });
      log.flush();
      assert.equal(sink.lines.length, isStranger ? 0 : 1);
      sink.waiting = MIB / 2;
      log.response?.({ ...record, ...difference });
      log.flush();
      assert.equal(sink.having("request_id").length, isStranger ? 1 : 2);
    });
  }

  test("but not an event", () => {
    const sink = new MemorySink();
    sink.waiting = MIB / 2 + 1;
    const log = createLog("debug", sink);
    log.event("info", "listening");
    log.warn(["w"]);
    log.error(new Error("e"), "id");
    log.flush();
    assert.equal(sink.lines.length, 3);
  });
});

describe("each level has the lines before it:", () => {
  const responses: readonly Partial<RequestRecord>[] = [
    { status: 500 },
    { status: 401, denied: "unknown" },
    { status: 404 },
    { status: 200, isProbe: true },
  ];
  const rows = [
    ["silent", 0],
    ["error", 1],
    ["warn", 2],
    ["info", 3],
    ["debug", 4],
  ] as const;
  for (const [level, count] of rows) {
    test(level, () => {
      const sink = new MemorySink();
      const log = createLog(level, sink);
      assert.equal(log.response === undefined, level === "silent");
      for (const difference of responses) {
        log.response?.({
          requestId: "r",
          remote: undefined,
          status: 0,
          durationMs: 0,
          ...difference,
        });
      }
      for (const [line] of rows.slice(1)) log.event(line as Exclude<typeof line, "silent">, "e");
      log.flush();
      const levels = rows.slice(1, count + 1).map(([name]) => name);
      assert.deepEqual(
        sink.lines.map((line) => line["level"]),
        [...levels, ...levels],
      );
    });
  }
});
