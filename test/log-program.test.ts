import assert from "node:assert/strict";
import { before, describe, test } from "node:test";

import { exchange, open, request, statusOf } from "./support/client.ts";
import { type LogLine, type Program, startProgram } from "./support/program.ts";
import { get, post } from "./support/requests.ts";
import { suiteScope } from "./support/scope.ts";

describe("the program's log", { concurrency: 8 }, () => {
  const suite = suiteScope();
  let program: Program;
  before(async () => {
    program = await startProgram(suite, {
      LOG_LEVEL: "debug",
      PROCESS_DELAY_MS: "200",
      HEADERS_TIMEOUT_MS: "500",
      REQUEST_TIMEOUT_MS: "1000",
    });
  });

  /** The line of the response to a request. */
  async function lineOf(id: string): Promise<LogLine> {
    const find = (): LogLine | undefined =>
      program.events("request").find((line) => line["request_id"] === id);
    await program.until(() => find() !== undefined, `the line of ${id}`);
    return find() ?? {};
  }

  test("begins with the warning of a weak key, then says where it listens", () => {
    const [warning, listening] = program.events();
    assert.deepEqual([warning?.["level"], warning?.["event"]], ["warn", "warning"]);
    const names = ["time", "level", "event", "host", "port", "workers", "pid"];
    assert.deepEqual(Object.keys(listening ?? {}), names);
    const { host, workers, pid } = listening ?? {};
    assert.deepEqual([host, workers, pid], ["127.0.0.1", 1, program.pid]);
  });

  const rows: readonly (readonly [
    id: string,
    request: string | Buffer,
    expected: Record<string, unknown>,
  ])[] = [
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
  for (const [id, bytes, expected] of rows) {
    test(`has a line for ${id}: ${JSON.stringify(expected).slice(0, 60)}`, async () => {
      const { status, headers } = await request(program.port, bytes);
      assert.deepEqual([status, headers["x-request-id"]], [expected["status"], id]);
      const line = await lineOf(id);
      for (const [name, value] of Object.entries(expected)) assert.equal(line[name], value, name);
      assert.equal(line["remote"], "127.0.0.1");
      assert.equal("key" in line, "key" in expected);
      assert.equal("denied" in line, "denied" in expected);
      assert.equal(typeof line["duration_ms"], "number");
    });
  }

  test("has the duration of the whole request, in ms", async () => {
    await request(program.port, post('{"status":"SUCCESS"}', ["X-Request-Id: duration"]));
    const duration = Number((await lineOf("duration"))["duration_ms"]);
    assert.ok(duration >= 190 && duration < 20_000, String(duration));
  });

  const otherBytes: readonly (readonly [name: string, bytes: string, status: number])[] = [
    ["garbage", "garbage\r\n\r\n", 400],
    ["a TLS record", "\x16\x03\x01", 400],
    ["a long header section", `GET /${"a".repeat(17_000)}`, 431],
    ["half a header section", "GET / HTTP", 408],
  ];
  for (const [name, bytes, status] of otherBytes) {
    test(`has a line without method and path for ${name}`, async () => {
      const response = await request(program.port, bytes);
      assert.equal(response.status, status);
      const line = await lineOf(response.headers["x-request-id"] ?? "");
      assert.deepEqual([line["status"], line["remote"]], [status, "127.0.0.1"]);
      assert.ok(!("method" in line) && !("path" in line));
    });
  }

  test("has a line with the status null and the key if the client left before", async () => {
    const client = await open(program.port, post('{"status":"SUCCESS"}', ["X-Request-Id: gone"]));
    // By the response to this request, the one before has been read.
    await statusOf(program.port, get("/health"));
    client.socket.resetAndDestroy();
    const { status, key, path } = await lineOf("gone");
    assert.deepEqual([status, key, path], [null, "default", "/process"]);
  });

  test("has no line for a connection without a request", async () => {
    const client = await open(program.port);
    client.socket.destroy();
    await request(program.port, get("/health", ["X-Request-Id: after-silence"]));
    await lineOf("after-silence");
    const lines = program.events("request");
    const silent = lines.filter((line) => !("method" in line) && line["status"] === null);
    assert.deepEqual(silent, []);
  });

  test("has lines of JSON that begin with time, level and event", () => {
    for (const line of program.events()) {
      assert.deepEqual(Object.keys(line).slice(0, 3), ["time", "level", "event"]);
      assert.match(String(line["time"]), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    }
  });
});

for (const state of ["closed", "not read"] as const) {
  test(`the program goes on if its output is ${state}`, async (t) => {
    const program = await startProgram(t);
    const { stdout } = program.child;
    if (state === "closed") stdout?.destroy();
    else stdout?.pause();
    const bytes = get(`/${"a".repeat(200)}`).repeat(500);
    for (let round = 0; round < 10; round += 1) {
      const { responses } = await exchange(program.port, bytes, { count: 500 });
      assert.equal(responses.length, 500);
    }
    assert.equal(await statusOf(program.port, post('{"status":"SUCCESS"}')), 200);
    stdout?.resume();
    assert.equal(await program.stop(), 0);
  });
}
