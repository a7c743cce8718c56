import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { type Client, exchange, open, openMany, untilAnswered } from "./support/client.ts";
import { startWithLogFile } from "./support/log-file.ts";
import { type LogLine, type Program, startProgram } from "./support/program.ts";
import { get, post } from "./support/requests.ts";

// A request of which the log's line is long: each quote takes two bytes.
const STRANGER = get(`/${'"'.repeat(255)}`);
const CLIENTS = 24;
const BATCH = 50;
const ROUNDS = 3;

/** A call that is accepted, with an id. */
function callWith(id: string): Buffer {
  return post('{"status":"SUCCESS"}', [`X-Request-Id: ${id}`]);
}

/** Has each stranger send `count` requests, all at the same time, and waits for the responses. */
async function flood(clients: readonly Client[], count: number): Promise<void> {
  const before = clients.map(({ responses }) => responses.length);
  for (const client of clients) client.send(STRANGER.repeat(count));
  const all = clients.map((client, i) => client.untilResponses((before[i] ?? 0) + count));
  await Promise.all(all);
}

/** The sum of a member of the lines that have it. */
function sumOf(lines: readonly LogLine[], name: string): number {
  return lines.reduce((sum, line) => sum + Number(line[name] ?? 0), 0);
}

/** The lines of requests without a key. */
function strangersOf(program: Program): LogLine[] {
  return program.events("request").filter((line) => !("key" in line));
}

describe("strangers do not blind the log", () => {
  test("if it is a file: nothing is dropped", async (t) => {
    const program = await startWithLogFile(t);
    const clients = await openMany(program.port, CLIENTS);
    for (let round = 0; round < 2; round += 1) {
      const call = exchange(program.port, callWith(`call-${round}`));
      await Promise.all([flood(clients, BATCH), call]);
    }
    assert.equal(await program.stop(), 0);
    assert.equal(strangersOf(program).length, 2 * CLIENTS * BATCH);
    const calls = program.events("request").filter((line) => "key" in line);
    assert.deepEqual(
      calls.map((line) => line["request_id"]),
      ["call-0", "call-1"],
    );
    assert.ok(!program.stdout().includes("dropped"));
  });

  for (const workers of ["1", "2"]) {
    test(`without a reader: the rest has room (WORKERS=${workers})`, async (t) => {
      const program = await startProgram(t, { WORKERS: workers });
      const { stdout } = program.child;
      assert.ok(stdout !== null);
      stdout.pause();
      const clients = await openMany(program.port, CLIENTS);
      const calls = await open(program.port);
      let ids: string[] = [];
      for (let round = 0; round < ROUNDS; round += 1) {
        await flood(clients, BATCH);
        const batch = Array.from({ length: 50 }, (_, i) => `call-${round}-${i}`);
        ids = [...ids, ...batch];
        calls.send(Buffer.concat(batch.map(callWith)));
        await untilAnswered([calls], ids.length);
      }
      program.child.kill("SIGHUP");
      stdout.resume();
      await program.untilEvent("keys_reloaded");
      let sent = CLIENTS * BATCH * ROUNDS;
      const logged = (): number => strangersOf(program).length;
      const dropped = (): number =>
        sumOf(program.events("warning"), "dropped_requests_without_key");
      // A count is written with a line that comes when there is room.
      for (let i = 0; logged() + dropped() < sent; i += 1) {
        assert.ok(i < 200, `${logged()} logged and ${dropped()} dropped of ${sent}`);
        await flood(clients, 1);
        sent += CLIENTS;
        await sleep(100);
      }
      assert.equal(logged() + dropped(), sent);
      assert.ok(dropped() > 0, "the pipe does not hold all of them");
      assert.equal(sumOf(program.events("warning"), "dropped_lines"), 0);
      const accepted = program.events("request").filter((line) => "key" in line);
      assert.deepEqual(
        accepted.map((line) => line["request_id"]),
        ids,
      );
      assert.equal(await program.stop(), 0);
    });
  }
});

test("a closed pipe ends the log in silence, and the service goes on", async (t) => {
  const program = await startProgram(t);
  program.child.stdout?.destroy();
  const clients = await openMany(program.port, CLIENTS);
  await flood(clients, BATCH);
  const { responses } = await exchange(program.port, callWith("after"));
  assert.equal(responses[0]?.status, 200);
  assert.equal(await program.stop(), 0);
  assert.equal(program.stderr(), "");
});

describe("LOG_LEVEL", () => {
  const requests: readonly [id: string, request: string | Buffer][] = [
    ["accepted", callWith("accepted")],
    ["failed", post('{"status":"x"}', ["X-Request-Id: failed"])],
    ["denied", post("{}", ["X-Request-Id: denied"], { key: "x" })],
    ["unknown", get("/nope", ["X-Request-Id: unknown"])],
    ["probe", get("/health", ["X-Request-Id: probe"])],
    ["wrong-probe", get("/health", ["X-Request-Id: wrong-probe", "Expect: x"])],
  ];
  const rows = [
    ["error", ["failed"]],
    ["warn", ["failed", "denied"]],
    ["info", ["accepted", "failed", "denied", "unknown", "wrong-probe"]],
    ["debug", ["accepted", "failed", "denied", "unknown", "probe", "wrong-probe"]],
  ] as const;
  for (const [level, expected] of rows) {
    test(`${level} has these requests: ${expected.join(", ")}`, async (t) => {
      const program = await startProgram(t, { LOG_LEVEL: level }, { args: ["--hints"] });
      for (const [, request] of requests) await exchange(program.port, request);
      await program.stop();
      assert.deepEqual(
        program.events("request").map((line) => line["request_id"]),
        expected,
      );
    });
  }
});

test("no secret of a target or a request id is in the log", async (t) => {
  // On "::", IPv4 addresses are mapped into IPv6.
  const program = await startProgram(t, {
    LOG_LEVEL: "debug",
    HOST: "::",
    SERVICE_ALLOW_WEAK_KEY: "1",
  });
  const secret = "SECRET-Zm9vYmFyYmF6cXV4cXV1eGNvcmdlZ3JhdWx0";
  const targets = [
    `/process/svk_${secret}`,
    `/process/svk%5F${secret}`,
    `/${"a".repeat(230)}/svk_${secret}`,
    `/process?key=svk_${secret}`,
    `ftp://user:${secret}@a/x`,
    `http://user:${secret}@a/x`,
    `http://user:${secret}@a/process`,
    `http://user:a/${secret}@a/x`,
    `//user:${secret}@a/x`,
    `http://a/svk_${secret}`,
  ];
  for (const target of targets) {
    const { responses } = await exchange(program.port, get(target));
    assert.ok([404, 405].includes(responses[0]?.status ?? 0), `${target}`);
  }
  const id = `X-Request-Id: svk_${secret}`;
  for (const request of [get("/nope", [id]), get("/health", [id]), post("", [id], { key: "" })]) {
    await exchange(program.port, request);
  }
  assert.equal(await program.stop(), 0);
  assert.equal(program.events("request").length, targets.length + 3);
  assert.ok(!program.stdout().includes("SECRET"));
  const [line] = program.events("request");
  assert.equal(line?.["path"], "/process/svk_[redacted]");
  assert.equal(line?.["remote"], "127.0.0.1");
});
