import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { before, describe, test } from "node:test";

import type { RequestRecord } from "../src/http/exchange.ts";
import { createLog, LOG_LEVELS, type Log, type LogLevel, PIPE_BUF } from "../src/log.ts";
import { createStreamSink } from "../src/process/log-sink.ts";
import { exchange, open } from "./support/client.ts";
import { type Program, startProgram } from "./support/program.ts";
import { get, KEY, post } from "./support/requests.ts";
import { suiteScope } from "./support/scope.ts";
import { until } from "./support/wait.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A stream that keeps what it is given, and may be held up. */
class Sink extends Writable {
  text = "";
  writes = 0;
  #release: (() => void) | undefined = undefined;
  held = false;

  constructor() {
    super({ decodeStrings: false });
  }

  override _write(chunk: string, _encoding: string, done: () => void): void {
    this.text += chunk;
    this.writes += 1;
    if (this.held) this.#release = done;
    else done();
  }

  release(): void {
    this.held = false;
    this.#release?.();
  }

  get lines(): Record<string, unknown>[] {
    assert.ok(this.text === "" || this.text.endsWith("\n"));
    return this.text
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }
}

/** What is logged at a level. */
async function logged(level: LogLevel, action: (log: Log) => void): Promise<Sink> {
  const sink = new Sink();
  action(createLog(level, createStreamSink(sink)));
  await turn();
  await turn();
  return sink;
}

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

/** Tells a log of an answer with these differences. */
function tell(
  log: Log,
  difference: Partial<RequestRecord> = {},
  status: number | null = 200,
): void {
  log.response?.({ ...RECORD, ...difference, status });
}

test("the line of an answer has these fields, in this order, and no others", async () => {
  const {
    text,
    lines: [line],
  } = await logged("info", (log) => tell(log));
  assert.match(String(line?.["time"]), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.ok(Math.abs(Date.parse(String(line?.["time"])) - Date.now()) < 60_000);
  assert.equal(
    text,
    `{"time":"${String(line?.["time"])}","level":"info","event":"request","request_id":"id-1","remote":"127.0.0.1",` +
      '"method":"POST","path":"/process","status":200,"duration_ms":12.3,"key":"ci"}\n',
  );
});

test("a denied one has the reason and no key, one that was no request has no method and no path", async () => {
  const {
    lines: [denied, bytes],
  } = await logged("info", (log) => {
    tell(log, { key: undefined, denied: "unknown" }, 401);
    log.response?.({ requestId: "id-2", remote: undefined, status: 400, durationMs: 0 });
  });
  assert.deepEqual(Object.keys(denied ?? {}), [
    "time",
    "level",
    "event",
    "request_id",
    "remote",
    "method",
    "path",
    "status",
    "duration_ms",
    "denied",
  ]);
  assert.deepEqual(Object.keys(bytes ?? {}), [
    "time",
    "level",
    "event",
    "request_id",
    "status",
    "duration_ms",
  ]);
});

test("a client gone before its answer has the status null", async () => {
  const {
    lines: [line],
  } = await logged("info", (log) => tell(log, {}, null));
  assert.equal(line?.["status"], null);
});

test("a path is cut to 256 characters", async () => {
  for (const length of [255, 256, 257, 16_000]) {
    const {
      lines: [line],
    } = await logged("info", (log) => tell(log, { path: `/${"a".repeat(length - 1)}` }));
    assert.equal(String(line?.["path"]).length, Math.min(length, 256));
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
  "\u2028",
  "\u2029",
  "\ud800",
  "é",
  "😀",
  "</script>",
  '","status":500,"x":"',
];
for (const text of ODD) {
  test(`${JSON.stringify(text)} in any field is one line of plain JSON that reads back`, async () => {
    const sink = await logged("info", (log) => {
      tell(log, { path: `/${text}`, requestId: text });
      log.event("info", "e", { text, list: [text] });
    });
    assert.deepEqual(
      [sink.lines.length, sink.lines[0]?.["path"], sink.lines[0]?.["request_id"]],
      [2, `/${text}`, text],
    );
    assert.deepEqual([sink.lines[1]?.["text"], sink.lines[1]?.["list"]], [text, [text]]);
    assert.equal(sink.lines[0]?.["status"], 200);
    assert.doesNotMatch(
      sink.text.slice(0, -1).replaceAll("}\n{", ""),
      /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/,
    );
  });
}

test("each level has what stands before it, and silent nothing", async () => {
  const heard: Record<string, unknown[]> = {};
  for (const level of LOG_LEVELS) {
    const { lines } = await logged(level, (log) => {
      tell(log);
      for (const one of ["error", "warn", "info", "debug"] as const) log.event(one, one);
      log.warn(["w1", "w2"]);
      log.error(new Error("e"));
    });
    heard[level] = lines.map(({ event, message }) => message ?? event);
  }
  assert.deepEqual(heard, {
    silent: [],
    error: ["error", "error"],
    warn: ["error", "warn", "w1", "w2", "error"],
    info: ["request", "error", "warn", "info", "w1", "w2", "error"],
    debug: ["request", "error", "warn", "info", "debug", "w1", "w2", "error"],
  });
});

test("only a silent log does not ask to be told of responses", () => {
  const asks = LOG_LEVELS.map(
    (level) => createLog(level, createStreamSink(new Sink())).response !== undefined,
  );
  assert.deepEqual(asks, [false, true, true, true, true]);
});

test("a warning has its message, an error its stack on one line and its request", async () => {
  const { lines } = await logged("info", (log) => {
    log.warn(["look out"]);
    log.error(new TypeError("why"), "id-9");
    log.error("just text");
    log.error(undefined);
  });
  const [warning, error, text, nothing] = lines;
  assert.deepEqual(
    [warning?.["level"], warning?.["event"], warning?.["message"]],
    ["warn", "warning", "look out"],
  );
  assert.deepEqual(
    [error?.["level"], error?.["event"], error?.["request_id"]],
    ["error", "error", "id-9"],
  );
  assert.match(String(error?.["stack"]), /^TypeError: why\n +at /);
  assert.deepEqual([text?.["stack"], nothing?.["stack"]], ["just text", "undefined"]);
  assert.ok(!("request_id" in (text ?? {})));
});

test("the lines of one turn are one write, and flush() doesn't wait for the turn's end", async () => {
  const sink = await logged("info", (log) => {
    for (let i = 0; i < 10; i++) log.event("info", "e", { i });
  });
  assert.deepEqual([sink.writes, sink.lines.length], [1, 10]);
  const other = new Sink();
  const log = createLog("info", createStreamSink(other));
  log.event("info", "e");
  assert.equal(other.text, "");
  log.flush();
  assert.equal(other.lines.length, 1);
  log.flush();
  await turn();
  assert.deepEqual([other.lines.length, other.writes], [1, 1]);
});

test("lines stay whole and in order, in writes that a pipe takes in one piece where one line fits", async () => {
  const sink = new Sink();
  const sizes: number[] = [];
  const write = sink._write.bind(sink);
  sink._write = (chunk: string, encoding, done) => (
    sizes.push(chunk.length),
    write(chunk, encoding, done)
  );
  const log = createLog("info", createStreamSink(sink), PIPE_BUF);
  for (let i = 0; i < 500; i++) log.event("info", "e", { i, text: "a".repeat(i) });
  await turn();
  await turn();
  assert.deepEqual(
    sink.lines.map(({ i }) => i),
    Array.from({ length: 500 }, (_, index) => index),
  );
  assert.ok(
    sizes.every((size) => size <= PIPE_BUF),
    `${Math.max(...sizes)}`,
  );
});

test("while more than 1 MiB waits lines are dropped, and their count is logged when there is room", async () => {
  const sink = new Sink();
  sink.held = true;
  const log = createLog("info", createStreamSink(sink), PIPE_BUF);
  const text = "a".repeat(1000);
  for (let i = 0; i < 5000; i++) {
    log.event("info", "e", { i, text });
    if (i % 100 === 0) await turn();
  }
  assert.ok(sink.writableLength <= 1_048_576 + 5000, `${sink.writableLength}`);
  sink.release();
  await turn();
  await turn();
  log.event("info", "last");
  await turn();
  await turn();
  const lines = sink.lines;
  const kept = lines.filter(({ event }) => event === "e").length;
  const count = lines.find((line) => "dropped_lines" in line);
  assert.ok(kept > 500 && kept < 1500, `${kept}`);
  assert.deepEqual(
    [count?.["level"], count?.["event"], count?.["dropped_lines"]],
    ["warn", "warning", 5000 - kept],
  );
  assert.equal(lines.filter((line) => "dropped_lines" in line).length, 1);
  assert.equal(lines.at(-1)?.["event"], "last");
});

test("a stream that never takes anything costs bounded memory, in one turn and in many", async () => {
  for (const pause of [false, true]) {
    const sink = new Sink();
    sink.held = true;
    const log = createLog("info", createStreamSink(sink));
    for (let i = 0; i < 20_000; i++) {
      tell(log);
      if (pause && i % 1000 === 0) await turn();
    }
    await turn();
    assert.ok(sink.writableLength < 1_100_000, `${sink.writableLength}`);
  }
});

test("a stream that fails or is closed is left alone: nothing throws, nothing is kept", async () => {
  for (const end of [
    (sink: Sink): unknown => sink.destroy(new Error("EPIPE")),
    (sink: Sink): unknown => sink.end(),
  ]) {
    const sink = new Sink();
    const log = createLog("info", createStreamSink(sink));
    log.event("info", "before");
    await turn();
    end(sink);
    await turn();
    for (let i = 0; i < 1000; i++) tell(log);
    log.error(new Error("x"));
    log.flush();
    await turn();
    await turn();
    assert.deepEqual(
      sink.lines.map(({ event }) => event),
      ["before"],
    );
    assert.ok(sink.writableLength < 1_048_576);
  }
});

const WRONG = "wrong-key-MaRkEr-0123456789";
const BODY_MARK = "BoDyMaRkEr";
const QUERY_MARK = "QuErYmArKeR";

/** Requests that hold keys, bodies and queries in every place. */
function requestsWithSecrets(): (string | Buffer)[] {
  const body = JSON.stringify({ status: "SUCCESS", note: `${BODY_MARK} ${KEY} ${WRONG}` });
  return [
    post(body),
    post(JSON.stringify({ status: `${BODY_MARK} ${KEY}` })),
    post(`{"status": ${BODY_MARK} ${WRONG}`),
    post(`{"status": {"${BODY_MARK}": "${KEY}"}}`),
    post(`\xff${BODY_MARK}`),
    post(body, [], { key: WRONG }),
    post(body, [`X-API-Key: ${KEY}`]),
    post(body, [`X-API-Key: ${WRONG}`], { key: "" }),
    post(body, [`api-key: ${KEY}`, `Authorization: Bearer ${WRONG}`, `Cookie: key=${KEY}`], {
      key: "",
    }),
    post(body, [`Referer: http://x/?${QUERY_MARK}=${KEY}`, `User-Agent: ${WRONG}`]),
    post(body, [], { type: `text/plain; ${BODY_MARK}=${KEY}` }),
    post(body, [`Content-Encoding: ${WRONG}`]),
    post(body, [`Expect: ${WRONG}`]),
    post("x".repeat(2_000_000), [`X-Note: ${KEY}`]),
    get(`/process?api_key=${KEY}&${QUERY_MARK}=1`),
    get(`/health?api_key=${WRONG}&${QUERY_MARK}`),
    get(`/nope?${QUERY_MARK}=${KEY}`, [`X-API-Key: ${KEY}`]),
    get(`/process/?${QUERY_MARK}=${WRONG}`),
    get(`http://${WRONG}:${KEY}@x/nope?${QUERY_MARK}`),
    get("/health", [`Host: ${WRONG}`]),
    `${KEY} / HTTP/1.1\r\nX-API-Key: ${WRONG}\r\n\r\n`,
    `GET / HTTP/1.1\r\nHost: x\r\nX-API-Key : ${KEY}\r\n\r\n`,
    `POST /process HTTP/1.1\r\nHost: x\r\nX-API-Key: ${KEY}\r\nContent-Length: ${WRONG}\r\n\r\n`,
    `${post("", ["Transfer-Encoding: chunked"]).toString().replace("Content-Length: 0\r\n", "")}${WRONG}\r\n`,
    `GET /${"a".repeat(20_000)}${KEY} HTTP/1.1\r\nHost: x\r\nX-API-Key: ${WRONG}\r\n\r\n`,
    `CONNECT ${WRONG}:1 HTTP/1.1\r\nHost: x\r\nX-API-Key: ${KEY}\r\n\r\n`,
  ];
}

for (const level of LOG_LEVELS) {
  for (const workers of level === "info" ? ["1", "2"] : ["1"]) {
    test(`LOG_LEVEL=${level}, WORKERS=${workers}: no key, body or query is in any output`, async (t) => {
      const variables = { LOG_LEVEL: level, WORKERS: workers };
      // The hint says where it listens, at any level of its log.
      const service = await startProgram(t, variables, { args: ["--hints"] });
      for (const request of requestsWithSecrets())
        await exchange(service.port, request, { limitMs: 3000 });
      service.child.kill("SIGHUP");
      await exchange(service.port, post("{}"));
      await service.stop();
      const output = service.stdout() + service.stderr();
      for (const secret of [
        KEY,
        KEY.slice(4, 14),
        WRONG,
        WRONG.slice(0, 12),
        BODY_MARK,
        QUERY_MARK,
      ]) {
        assert.ok(
          !output.includes(secret),
          `${secret.length} characters of a secret are in the output`,
        );
      }
      const least = { silent: 0, error: 1, warn: 4, info: 25, debug: 26 }[level];
      assert.ok(service.events("request").length >= least);
      if (level === "silent") assert.equal(service.stdout(), "");
    });
  }
}

describe("the service's log", { concurrency: 8 }, () => {
  const suite = suiteScope();
  let service: Program;
  before(async () => {
    service = await startProgram(suite, {
      LOG_LEVEL: "debug",
      PROCESS_DELAY_MS: "200",
      HEADERS_TIMEOUT_MS: "500",
      REQUEST_TIMEOUT_MS: "1000",
    });
  });

  /** The log's line of a request. */
  async function lineOf(id: string): Promise<Record<string, unknown>> {
    const find = (): Record<string, unknown> | undefined =>
      service.events("request").find((line) => line["request_id"] === id);
    await until(() => find() !== undefined, `the line of ${id}`);
    return find() ?? {};
  }

  test("it begins with the warning of a weak key, then says where it listens", () => {
    const [warning, listening] = service.events();
    assert.deepEqual([warning?.["level"], warning?.["event"]], ["warn", "warning"]);
    assert.deepEqual(Object.keys(listening ?? {}), [
      "time",
      "level",
      "event",
      "host",
      "port",
      "workers",
      "pid",
    ]);
    assert.deepEqual(
      [listening?.["host"], listening?.["workers"], listening?.["pid"]],
      ["127.0.0.1", 1, service.pid],
    );
  });

  const rows: readonly (readonly [string, string | Buffer, Record<string, unknown>])[] = [
    [
      "accepted",
      post('{"status":"SUCCESS"}', ["X-Request-Id: accepted"]),
      { method: "POST", path: "/process", status: 200, level: "info", key: "default" },
    ],
    [
      "failed",
      post('{"status":"x"}', ["X-Request-Id: failed"]),
      { path: "/process", status: 500, level: "error", key: "default" },
    ],
    [
      "missing",
      post("{}", ["X-Request-Id: missing"], { key: "" }),
      { status: 401, level: "warn", denied: "missing" },
    ],
    [
      "malformed",
      post("{}", ["X-Request-Id: malformed"], { key: "a b" }),
      { status: 401, level: "warn", denied: "malformed" },
    ],
    [
      "unknown",
      post("{}", ["X-Request-Id: unknown"], { key: "x" }),
      { status: 401, level: "warn", denied: "unknown" },
    ],
    [
      "duplicate",
      post("{}", ["X-Request-Id: duplicate", "X-API-Key: x"]),
      { status: 401, level: "warn", denied: "duplicate" },
    ],
    [
      "health",
      get("/health?q", ["X-Request-Id: health"]),
      { method: "GET", path: "/health", status: 200, level: "debug" },
    ],
    [
      "nope",
      get("/nope/at%20all?q", ["X-Request-Id: nope"]),
      { path: "/nope/at%20all", status: 404, level: "info" },
    ],
    [
      "absolute",
      get("http://h/health?q", ["X-Request-Id: absolute"]),
      { path: "/health", status: 200, level: "debug" },
    ],
    [
      "slash",
      get("/process/?q", ["X-Request-Id: slash"]),
      { path: "/process/", status: 307, level: "info" },
    ],
    [
      "method",
      get("/process?q", ["X-Request-Id: method"]),
      { path: "/process", status: 405, level: "info" },
    ],
    [
      "quotes",
      get('/a"b\\c', ["X-Request-Id: quotes"]),
      { path: '/a"b\\c', status: 404, level: "info" },
    ],
    [
      "version",
      get("/health", ["X-Request-Id: version"]).replace("1.1", "2.0"),
      { path: "/health", status: 505, level: "error" },
    ],
    [
      "long",
      get(`/${"a".repeat(5000)}`, ["X-Request-Id: long"]),
      { path: `/${"a".repeat(255)}`, status: 404, level: "info" },
    ],
  ];
  for (const [id, request, expected] of rows) {
    test(`${id}: ${JSON.stringify(expected).slice(0, 80)}`, async () => {
      const { responses } = await exchange(service.port, request);
      const line = await lineOf(id);
      for (const [name, value] of Object.entries(expected)) assert.equal(line[name], value, name);
      assert.equal(responses[0]?.status, expected["status"]);
      assert.equal(responses[0]?.headers["x-request-id"], id);
      assert.equal(line["remote"], "127.0.0.1");
      assert.equal("key" in line, "key" in expected);
      assert.equal("denied" in line, "denied" in expected);
      assert.equal(typeof line["duration_ms"], "number");
    });
  }

  test("the duration is that of the whole request, in ms", async () => {
    await exchange(service.port, post('{"status":"SUCCESS"}', ["X-Request-Id: duration"]));
    const duration = Number((await lineOf("duration"))["duration_ms"]);
    assert.ok(duration >= 190 && duration < 20_000, String(duration));
  });

  test("bytes that were no request have a line with status and id, and no method and path", async () => {
    for (const [bytes, status] of [
      ["garbage\r\n\r\n", 400],
      ["\x16\x03\x01", 400],
      [`GET /${"a".repeat(17_000)}`, 431],
      ["GET / HTTP", 408],
    ] as const) {
      const { responses } = await exchange(service.port, bytes, { close: true });
      const line = await lineOf(responses[0]?.headers["x-request-id"] ?? "");
      assert.deepEqual(
        [responses[0]?.status, line["status"], line["remote"]],
        [status, status, "127.0.0.1"],
      );
      assert.ok(!("method" in line) && !("path" in line));
    }
  });

  test("a client gone before its answer has a line with the status null, and the key that matched", async () => {
    const client = await open(service.port);
    client.send(post('{"status":"SUCCESS"}', ["X-Request-Id: gone"]));
    await new Promise((resolve) => setTimeout(resolve, 50));
    client.socket.resetAndDestroy();
    const line = await lineOf("gone");
    assert.deepEqual([line["status"], line["key"], line["path"]], [null, "default", "/process"]);
  });

  test("a connection that comes and goes without a request has no line", async () => {
    const before = service.events("request").filter((line) => !("method" in line)).length;
    const client = await open(service.port);
    client.socket.destroy();
    await exchange(service.port, get("/health", ["X-Request-Id: after-silence"]));
    await lineOf("after-silence");
    const others = service
      .events("request")
      .filter((line) => !("method" in line) && line["status"] === null).length;
    assert.ok(before >= 0 && others === 0);
  });

  test("every line is one JSON object in plain ASCII or better, with time, level and event", () => {
    for (const line of service.events()) {
      assert.deepEqual(Object.keys(line).slice(0, 3), ["time", "level", "event"]);
      assert.match(String(line["time"]), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    }
  });
});

test("it goes on answering when nobody reads its output, or when its output is closed", async (t) => {
  for (const close of [false, true]) {
    const service = await startProgram(t);
    const { stdout } = service.child;
    if (close) stdout?.destroy();
    else stdout?.pause();
    for (let round = 0; round < 10; round++) {
      const { responses } = await exchange(service.port, get(`/${"a".repeat(200)}`).repeat(500), {
        count: 500,
        limitMs: 20_000,
      });
      assert.equal(responses.length, 500);
    }
    assert.equal(
      (await exchange(service.port, post('{"status":"SUCCESS"}'))).responses[0]?.status,
      200,
    );
    stdout?.resume();
    assert.equal(await service.stop(), 0);
  }
});
