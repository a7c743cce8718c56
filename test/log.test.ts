import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";

import type { RequestRecord } from "../src/http/exchange.ts";
import { createLog, LOG_LEVELS, type Log, PIPE_BUF } from "../src/log.ts";
import { createStreamSink } from "../src/process/log-sink.ts";
import { logged, LogStream, untilWritten } from "./support/log-stream.ts";

const RECORD: RequestRecord = {
  requestId: "id-1",
  remote: "127.0.0.1",
  method: "POST",
  path: "/process",
  key: "ci",
  denied: undefined,
  status: 200,
  durationMs: 12.345,
};

/** Gives a log a record with these differences. */
function respond(log: Log, differences: Partial<RequestRecord> = {}): void {
  log.response?.({ ...RECORD, ...differences });
}

describe("the line of a response", () => {
  test("has these fields in this order, and no others", async () => {
    const { text, lines } = await logged("info", (log) => respond(log));
    const time = String(lines[0]?.["time"]);
    assert.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.ok(Math.abs(Date.parse(time) - Date.now()) < 60_000);
    assert.equal(
      text,
      `{"time":"${time}","level":"info","event":"request","request_id":"id-1",` +
        '"remote":"127.0.0.1","method":"POST","path":"/process","status":200,' +
        '"duration_ms":12.3,"key":"ci"}\n',
    );
  });

  test("of a denial has the reason and no key", async () => {
    const denial = { key: undefined, denied: "unknown", status: 401 };
    const { lines } = await logged("info", (log) => respond(log, denial));
    const common = ["time", "level", "event", "request_id", "remote", "method", "path"];
    assert.deepEqual(Object.keys(lines[0] ?? {}), [...common, "status", "duration_ms", "denied"]);
  });

  test("to bytes that are not a request has no method and no path", async () => {
    const { lines } = await logged("info", (log) => {
      log.response?.({ requestId: "id-2", remote: undefined, status: 400, durationMs: 0 });
    });
    const names = ["time", "level", "event", "request_id", "status", "duration_ms"];
    assert.deepEqual(Object.keys(lines[0] ?? {}), names);
  });

  test("has the status null if the client left before", async () => {
    const { lines } = await logged("info", (log) => respond(log, { status: null }));
    assert.equal(lines[0]?.["status"], null);
  });

  for (const length of [255, 256, 257, 16_000]) {
    test(`has at most 256 characters of a path of ${length}`, async () => {
      const path = `/${"a".repeat(length - 1)}`;
      const { lines } = await logged("info", (log) => respond(log, { path }));
      assert.equal(String(lines[0]?.["path"]).length, Math.min(length, 256));
    });
  }
});

const ODD = [
  '"',
  "\\",
  "\n",
  "\r\n",
  "\t",
  "\0",
  "\x1b[31m",
  "\x7f",
  "\x80",
  "\x9b31m",
  "\x9f",
  "\xa0",
  "\u2028",
  "\u2029",
  "\ud800",
  "é",
  "😀",
  "</script>",
  '","status":500,"x":"',
];
for (const text of ODD) {
  test(`${JSON.stringify(text)} in any field is part of one line of JSON`, async () => {
    const stream = await logged("info", (log) => {
      respond(log, { path: `/${text}`, requestId: text });
      log.event("info", "e", { text, list: [text] });
    });
    const [request, event, ...others] = stream.lines;
    assert.deepEqual(others, []);
    assert.deepEqual([request?.["path"], request?.["request_id"]], [`/${text}`, text]);
    assert.equal(request?.["status"], 200);
    assert.deepEqual([event?.["text"], event?.["list"]], [text, [text]]);
    const written = stream.text.slice(0, -1).replaceAll("}\n{", "");
    assert.doesNotMatch(written, /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/);
  });
}

describe("a log", () => {
  const expected: Readonly<Record<string, readonly string[]>> = {
    silent: [],
    error: ["error", "error"],
    warn: ["error", "warn", "w1", "w2", "error"],
    info: ["request", "error", "warn", "info", "w1", "w2", "error"],
    debug: ["request", "error", "warn", "info", "debug", "w1", "w2", "error"],
  };
  for (const level of LOG_LEVELS) {
    test(`of the level ${level} has these lines`, async () => {
      const { lines } = await logged(level, (log) => {
        respond(log);
        for (const one of ["error", "warn", "info", "debug"] as const) log.event(one, one);
        log.warn(["w1", "w2"]);
        log.error(new Error("e"));
      });
      const names = lines.map(({ event, message }) => message ?? event);
      assert.deepEqual(names, expected[level]);
    });
  }

  test("takes no responses if it is silent", () => {
    const takes = LOG_LEVELS.map((level) => {
      const log = createLog(level, createStreamSink(new LogStream()));
      return log.response !== undefined;
    });
    assert.deepEqual(takes, [false, true, true, true, true]);
  });

  test("writes a warning with its message", async () => {
    const { lines } = await logged("info", (log) => log.warn(["look out"]));
    const { level, event, message } = lines[0] ?? {};
    assert.deepEqual([level, event, message], ["warn", "warning", "look out"]);
  });

  test("writes an error with its stack and the id of its request", async () => {
    const { lines } = await logged("info", (log) => log.error(new TypeError("why"), "id-9"));
    const { level, event, request_id: requestId, stack } = lines[0] ?? {};
    assert.deepEqual([level, event, requestId], ["error", "error", "id-9"]);
    assert.match(String(stack), /^TypeError: why\n +at /);
  });

  test("writes what is thrown and not an Error as text", async () => {
    const { lines } = await logged("info", (log) => {
      log.error("just text");
      log.error(undefined);
    });
    assert.deepEqual(
      lines.map(({ stack }) => stack),
      ["just text", "undefined"],
    );
    assert.ok(!("request_id" in (lines[0] ?? {})));
  });

  test("writes the lines of one turn at once", async () => {
    const stream = await logged("info", (log) => {
      for (let i = 0; i < 10; i += 1) log.event("info", "e", { i });
    });
    assert.deepEqual([stream.writes.length, stream.lines.length], [1, 10]);
  });

  test("writes at once when it is flushed", async () => {
    const stream = new LogStream();
    const log = createLog("info", createStreamSink(stream));
    log.event("info", "e");
    assert.equal(stream.text, "");
    log.flush();
    assert.equal(stream.lines.length, 1);
    log.flush();
    await untilWritten();
    assert.deepEqual([stream.lines.length, stream.writes.length], [1, 1]);
  });

  test("keeps lines whole and in order, in writes that a pipe takes as one", async () => {
    const stream = new LogStream();
    // Linux' limit: pipe(7).
    assert.equal(PIPE_BUF, 4096);
    const log = createLog("info", createStreamSink(stream), { maxWriteLength: PIPE_BUF });
    const numbers = Array.from({ length: 500 }, (_, index) => index);
    for (const i of numbers) log.event("info", "e", { i, text: "a".repeat(i) });
    await untilWritten();
    assert.deepEqual(
      stream.lines.map(({ i }) => i),
      numbers,
    );
    assert.ok(Math.max(...stream.writes) <= PIPE_BUF);
  });

  test("drops lines while more than 1 MiB waits, and says how many", async () => {
    const stream = new LogStream();
    stream.isHeld = true;
    const log = createLog("info", createStreamSink(stream), { maxWriteLength: PIPE_BUF });
    const text = "a".repeat(1000);
    for (let i = 0; i < 5000; i += 1) {
      log.event("info", "e", { i, text });
      if (i % 100 === 0) await nextTurn();
    }
    assert.ok(stream.writableLength <= 1_048_576 + 5000, `${stream.writableLength}`);
    stream.release();
    await untilWritten();
    log.event("info", "last");
    await untilWritten();
    const { lines } = stream;
    const kept = lines.filter(({ event }) => event === "e").length;
    assert.ok(kept > 500 && kept < 1500, `${kept}`);
    const [counts, ...others] = lines.filter((line) => "dropped_lines" in line);
    const { level, event, dropped_lines: dropped } = counts ?? {};
    assert.deepEqual([level, event, dropped], ["warn", "warning", 5000 - kept]);
    assert.deepEqual(others, []);
    assert.equal(lines.at(-1)?.["event"], "last");
  });

  for (const turns of ["one turn", "many turns"]) {
    test(`on a stream that takes nothing costs bounded memory, in ${turns}`, async () => {
      const stream = new LogStream();
      stream.isHeld = true;
      const log = createLog("info", createStreamSink(stream));
      for (let i = 0; i < 20_000; i += 1) {
        respond(log);
        if (turns === "many turns" && i % 1000 === 0) await nextTurn();
      }
      await nextTurn();
      assert.ok(stream.writableLength < 1_100_000, `${stream.writableLength}`);
    });
  }

  const ends: Readonly<Record<string, (stream: LogStream) => void>> = {
    failed: (stream) => stream.destroy(new Error("EPIPE")),
    ended: (stream) => stream.end(),
  };
  for (const [name, end] of Object.entries(ends)) {
    test(`on a stream that has ${name} throws nothing and keeps nothing`, async () => {
      const stream = new LogStream();
      const log = createLog("info", createStreamSink(stream));
      log.event("info", "before");
      await untilWritten();
      end(stream);
      await untilWritten();
      for (let i = 0; i < 1000; i += 1) respond(log);
      log.error(new Error("x"));
      log.flush();
      await untilWritten();
      assert.deepEqual(
        stream.lines.map(({ event }) => event),
        ["before"],
      );
      assert.ok(stream.writableLength < 1_048_576);
    });
  }
});
