import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";

import {
  type Client,
  open,
  openMany,
  outcomes,
  startRequests,
  statusOf,
  untilAnswered,
  untilClosed,
} from "../support/client.ts";
import { startLoad } from "../support/load.ts";
import { type Program, spawnProgram, startProgram } from "../support/program.ts";
import { get, KEY, OTHER_KEY, post } from "../support/requests.ts";
import { tempDirectory } from "../support/temp.ts";
import { until } from "../support/wait.ts";

const TASK = post('{"status":"SUCCESS"}');

for (const WORKERS of ["1", "2"]) {
  // The primary says that it drains, too.
  const processes = WORKERS === "1" ? 1 : 1 + Number(WORKERS);

  describe(`SIGTERM with WORKERS=${WORKERS}`, () => {
    test("finishes what is in progress, and ends what is idle or half sent", async (t) => {
      // Waiting for a silent connection would take until the timeout, and exit with 1.
      const program = await startProgram(t, {
        WORKERS,
        PROCESS_DELAY_MS: "2000",
        HEADERS_TIMEOUT_MS: "30000",
      });
      const idle = await openMany(program.port, 10, get("/health"));
      await untilAnswered(idle);
      const silent = await openMany(program.port, 10);
      const halfSent = await openMany(program.port, 10, "POST /process HTTP/1.1\r\nHo");
      const busy = await startRequests(program.port, TASK, 120);
      program.child.kill("SIGTERM");
      await untilClosed([...idle, ...silent, ...halfSent]);
      await until(async () => (await open(program.port)).reset, "new connections to be refused");
      assert.deepEqual(outcomes(busy), { none: 120 }, "all of it before the first response");
      await untilClosed(busy);
      assert.deepEqual(outcomes(busy), { 200: 120 });
      assert.deepEqual(connectionFields(busy), ["close"]);
      assert.deepEqual(outcomes(idle), { 200: 10 }, "no reset");
      assert.equal(await program.exit(), 0);
      assertExitsSoon(program, processes);
    });

    test("serves 300 clients that wait to be accepted", async (t) => {
      const program = await startProgram(t, { WORKERS });
      // More than a process accepts in a few turns of its event loop.
      const connecting = Array.from({ length: 300 }, () => open(program.port, TASK));
      const waiting = await Promise.all(connecting);
      program.child.kill("SIGTERM");
      await untilClosed(waiting);
      assert.deepEqual(outcomes(waiting), { 200: 300 });
      assert.equal(await program.exit(), 0);
    });

    test("loses next to no request of clients that go on sending", async (t) => {
      const program = await startProgram(t, { WORKERS });
      const clients = await openMany(program.port, 64);
      const load = Promise.all(clients.map(sendUntilClosed));
      await until(() => clients.every(({ responses }) => responses.length > 3), "the load");
      program.child.kill("SIGTERM");
      const lost = (await load).filter((isWhole) => !isWhole).length;
      assert.ok(lost <= 6, `${lost} of 64 had sent a request and got no response`);
      assert.equal(await program.exit(), 0);
    });

    test("takes a body that arrives within a second; another gets 408", async (t) => {
      const program = await startProgram(t, { WORKERS, HEADERS_TIMEOUT_MS: "30000" });
      const clients = await startRequests(program.port, TASK.subarray(0, -5), 2);
      const [prompt, never] = clients as [Client, Client];
      program.child.kill("SIGTERM");
      await program.untilEvent("draining", processes);
      prompt.send(TASK.subarray(-5));
      await untilClosed(clients);
      assert.deepEqual(outcomes([prompt]), { 200: 1 });
      assert.deepEqual(outcomes([never]), { 408: 1 });
      assert.deepEqual(connectionFields(clients), ["close"]);
      assert.equal(await program.exit(), 0);
    });

    test("accepts for SHUTDOWN_DELAY_MS, with 503 on /health", async (t) => {
      const program = await startProgram(t, { WORKERS, SHUTDOWN_DELAY_MS: "2000" });
      const kept = await open(program.port, get("/health"));
      await kept.untilResponses();
      assert.equal(kept.responses[0]?.headers["connection"], "keep-alive");
      program.child.kill("SIGTERM");
      await program.untilEvent("draining", processes);
      kept.send(get("/health"));
      const fresh = await openMany(program.port, 4, TASK);
      await untilClosed([kept, ...fresh]);
      assert.equal(kept.responses[1]?.status, 503);
      assert.equal(kept.responses[1]?.body, '{"status":"draining"}');
      assert.deepEqual(outcomes(fresh), { 200: 4 });
      assert.deepEqual(connectionFields(fresh), ["close"]);
      assert.equal(await program.exit(), 0);
    });

    test("cuts off a request after SHUTDOWN_TIMEOUT_MS, and exits with 1", async (t) => {
      const program = await startProgram(t, {
        WORKERS,
        PROCESS_DELAY_MS: "600000",
        SHUTDOWN_TIMEOUT_MS: "300",
      });
      const stuck = await startRequests(program.port, TASK, 1);
      const half = await startRequests(program.port, TASK.subarray(0, -5), 1);
      program.child.kill("SIGTERM");
      assert.equal(await program.exit(), 1);
      await untilClosed([...stuck, ...half]);
      assert.deepEqual(outcomes(stuck), { none: 1 });
      assert.equal(program.events("stopped").at(-1)?.["exit_code"], 1);
    });

    test("and then SIGINT ends the program at once, with 1", async (t) => {
      const program = await startProgram(t, {
        WORKERS,
        PROCESS_DELAY_MS: "600000",
        SHUTDOWN_TIMEOUT_MS: "600000",
      });
      const stuck = await startRequests(program.port, TASK, 1);
      program.child.kill("SIGTERM");
      await program.untilEvent("draining", processes);
      program.child.kill("SIGINT");
      assert.equal(await program.exit(), 1);
      await untilClosed(stuck);
    });
  });

  test(`SIGINT stops the program as SIGTERM does, with WORKERS=${WORKERS}`, async (t) => {
    const program = await startProgram(t, { WORKERS, PROCESS_DELAY_MS: "1000" });
    const busy = await startRequests(program.port, TASK, 1);
    program.child.kill("SIGINT");
    await untilClosed(busy);
    assert.deepEqual(outcomes(busy), { 200: 1 });
    assert.equal(await program.exit(), 0);
  });

  test(`SIGHUP swaps the keys under load without an error, with WORKERS=${WORKERS}`, async (t) => {
    const program = await startWithEnvFile(t, WORKERS);
    const load = startLoad(program.port, { connections: 8 });
    await until(() => load.done > 200, "the load");
    setKey(program, OTHER_KEY);
    await reload(program, "keys_reloaded");
    await until(() => load.statuses["401"] !== undefined, "the old key to be denied");
    setKey(program, "");
    await reload(program, "keys_reload_failed");
    const withOtherKey = post('{"status":"SUCCESS"}', [], { key: OTHER_KEY });
    assert.equal(await statusOf(program.port, withOtherKey), 200);
    setKey(program, KEY);
    await reload(program, "keys_reloaded", 2);
    const { errors, statuses } = await load.stop();
    assert.deepEqual(errors, {});
    assert.deepEqual(Object.keys(statuses).sort(), ["200", "401"]);
    assert.equal(await statusOf(program.port, TASK), 200);
    assert.equal(await program.stop(), 0);
  });

  test(`wrong settings end the program before it forks, with WORKERS=${WORKERS}`, async (t) => {
    const program = spawnProgram(t, { WORKERS, PORT: "http", MAX_IN_FLIGHT: "-1" });
    assert.equal(await program.exit(), 78);
    assert.equal(program.stdout(), "");
    const names = program.stderr().match(/^[A-Z_]+/gm);
    assert.deepEqual(names?.sort(), ["MAX_IN_FLIGHT", "PORT", "SERVICE_API_KEY"]);
  });
}

test("a client that leaves has a line with the status null, and the program goes on", async (t) => {
  const program = await startProgram(t, { PROCESS_DELAY_MS: "600000" });
  const bytes = post('{"status":"SUCCESS"}', ["X-Request-Id: leaving"]);
  const [leaving] = await startRequests(program.port, bytes, 1);
  leaving?.socket.destroy();
  const find = (): unknown[] =>
    program.events("request").filter((line) => line["request_id"] === "leaving");
  await program.until(() => find().length > 0, "the line");
  assert.equal((find()[0] as Record<string, unknown>)["status"], null);
  assert.equal(await statusOf(program.port, get("/health")), 200);
  assert.equal(program.events("error").length, 0);
  assert.equal(await program.stop(), 0);
});

/** After the last response, the processes stop at once. */
function assertExitsSoon(program: Program, processes: number): void {
  const lines = program.events();
  const last = lines.findLastIndex(({ event }) => event === "request");
  const after = lines.slice(last + 1).map(({ event }) => event);
  assert.deepEqual(new Set(after), new Set(["stopped"]));
  assert.ok(after.length <= processes);
  const lag = timeOf(lines.at(-1)) - timeOf(lines[last]);
  assert.ok(lag < 2000, `stopped ${lag} ms after the last response`);
}

function timeOf(line: Readonly<Record<string, unknown>> | undefined): number {
  return Date.parse(String(line?.["time"]));
}

/**
 * Sends a request after each response, until one says `Connection: close`. Resolves to whether no
 * request was lost.
 */
async function sendUntilClosed(client: Client): Promise<boolean> {
  for (let sent = 1; ; sent += 1) {
    client.send(TASK);
    await client.until(() => client.responses.length === sent || client.closed, "a response");
    if (client.responses.length < sent) return false;
    if (client.responses.at(-1)?.headers["connection"] === "close") return true;
  }
}

/** The distinct Connection fields of the last responses. */
function connectionFields(clients: readonly Client[]): (string | undefined)[] {
  const fields = clients.map(({ responses }) => responses.at(-1)?.headers["connection"]);
  return [...new Set(fields)];
}

/** Starts the program with its key in `.env` in its directory. */
async function startWithEnvFile(t: TestContext, WORKERS: string): Promise<Program> {
  const directory = tempDirectory(t, { ".env": `SERVICE_API_KEY=${KEY}\n` });
  return startProgram(t, { SERVICE_API_KEY: undefined, WORKERS }, { directory });
}

function setKey({ directory }: Program, key: string): void {
  writeFileSync(join(directory, ".env"), `SERVICE_API_KEY=${key}\n`, { mode: 0o600 });
}

/** Sends SIGHUP, and waits for the `count`th event of this kind. */
async function reload(program: Program, event: string, count = 1): Promise<void> {
  program.child.kill("SIGHUP");
  await program.untilEvent(event, count);
}
