import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import {
  type Client,
  exchange,
  open,
  openMany,
  outcomes,
  untilAnswered,
  untilClosed,
} from "../support/client.ts";
import { startLoad } from "../support/load.ts";
import { type Program, spawnProgram, startProgram } from "../support/program.ts";
import { get, KEY, post } from "../support/requests.ts";
import { until } from "../support/wait.ts";

const TASK = post('{"status":"SUCCESS"}');
const OTHER_KEY = "another-key-0123456789-abcdefghij";

for (const WORKERS of ["1", "2"]) {
  describe(`stopping with WORKERS=${WORKERS}`, () => {
    /** Each says that it drains: the primary too. */
    const PROCESSES = WORKERS === "1" ? 1 : 1 + Number(WORKERS);

    test("SIGTERM: what is in flight is answered, what is new refused, what is idle or half sent ends", async (t) => {
      // Whatever waited for a silent socket would meet the deadline, and exit with 1.
      const service = await startProgram(t, {
        WORKERS,
        PROCESS_DELAY_MS: "2000",
        HEADERS_TIMEOUT_MS: "30000",
      });
      const idle = await openMany(service.port, 10);
      for (const peer of idle) peer.socket.write(get("/health"));
      await untilAnswered(idle);
      const silent = await openMany(service.port, 10);
      const halfSent = await openMany(service.port, 10);
      for (const peer of halfSent) peer.socket.write("POST /process HTTP/1.1\r\nHo");
      const busy = await openMany(service.port, 120);
      for (const peer of busy) peer.socket.write(TASK);
      await sleep(300);
      service.child.kill("SIGTERM");
      await untilClosed([...idle, ...silent, ...halfSent]);
      // The workers close one after the other.
      while (!(await open(service.port)).reset) await sleep(10);
      assert.deepEqual(outcomes(busy), { none: 120 }, "all that before the first answer");
      await untilClosed(busy);
      assert.deepEqual(outcomes(busy), { 200: 120 });
      assert.deepEqual(connectionFields(busy), ["close"]);
      assert.deepEqual(outcomes(idle), { 200: 10 }, "no reset");
      assert.equal(await service.exit(), 0);
      assert.equal(service.events("request").length, 130);
      assertLeavesSoon(service, Number(WORKERS));
    });

    test("SIGTERM: connections that wait to be accepted, with their request, are answered", async (t) => {
      const service = await startProgram(t, { WORKERS });
      // More than a process accepts in a few turns of its event loop.
      const waiting = await Promise.all(
        Array.from({ length: 300 }, () => open(service.port, TASK)),
      );
      service.child.kill("SIGTERM");
      await untilClosed(waiting);
      assert.deepEqual(outcomes(waiting), { 200: 300 });
      assert.equal(await service.exit(), 0);
    });

    test("SIGTERM under load: next to no client loses a request, though all go on sending", async (t) => {
      const service = await startProgram(t, { WORKERS });
      const peers = await openMany(service.port, 64);
      const load = Promise.all(peers.map(sendUntilClosed));
      await until(() => peers.every(({ responses }) => responses.length > 3), "the load");
      service.child.kill("SIGTERM");
      const lost = (await load).filter((isWhole) => !isWhole).length;
      assert.ok(lost <= 6, `${lost} of 64 had sent a request and got no answer`);
      assert.equal(await service.exit(), 0);
    });

    test("SIGTERM: a body that arrives within a second is taken, one that doesn't gets 408", async (t) => {
      const service = await startProgram(t, { WORKERS, HEADERS_TIMEOUT_MS: "30000" });
      const [prompt, never] = (await openMany(service.port, 2)) as [Client, Client];
      for (const { socket } of [prompt, never]) socket.write(TASK.subarray(0, -5));
      await sleep(200);
      service.child.kill("SIGTERM");
      await service.until(() => service.events("draining").length === PROCESSES, "all to drain");
      prompt.socket.write(TASK.subarray(-5));
      await untilClosed([prompt, never]);
      assert.deepEqual(outcomes([prompt]), { 200: 1 });
      assert.deepEqual(outcomes([never]), { 408: 1 });
      assert.deepEqual(connectionFields([prompt, never]), ["close"]);
      assert.equal(await service.exit(), 0);
    });

    test("SHUTDOWN_DELAY_MS: for so long connections are accepted, responses close, and /health says 503", async (t) => {
      const service = await startProgram(t, { WORKERS, SHUTDOWN_DELAY_MS: "2000" });
      const kept = await open(service.port);
      kept.socket.write(get("/health"));
      await untilAnswered([kept]);
      assert.equal(kept.responses[0]?.headers["connection"], "keep-alive");
      service.child.kill("SIGTERM");
      await service.until(() => service.events("draining").length === PROCESSES, "all to drain");
      kept.socket.write(get("/health"));
      const fresh = await openMany(service.port, 4);
      for (const { socket } of fresh) socket.write(TASK);
      await untilClosed([kept, ...fresh], 1900);
      assert.equal(kept.responses[1]?.status, 503);
      assert.equal(kept.responses[1]?.body, '{"status":"draining"}');
      assert.deepEqual(outcomes(fresh), { 200: 4 });
      assert.deepEqual(connectionFields(fresh), ["close"]);
      assert.equal(await service.exit(), 0);
    });

    test("the deadline cuts a request that is stuck; exit 1", async (t) => {
      const service = await startProgram(t, {
        WORKERS,
        PROCESS_DELAY_MS: "600000",
        SHUTDOWN_TIMEOUT_MS: "300",
      });
      const [stuck, never] = (await openMany(service.port, 2)) as [Client, Client];
      stuck.socket.write(TASK);
      never.socket.write(TASK.subarray(0, -5));
      await sleep(200);
      service.child.kill("SIGTERM");
      assert.equal(await service.exit(), 1);
      await untilClosed([stuck, never]);
      assert.deepEqual(outcomes([stuck]), { none: 1 });
      assert.equal(service.events("stopped").at(-1)?.["exit_code"], 1);
    });

    test("a second signal ends it at once; exit 1", async (t) => {
      const service = await startProgram(t, {
        WORKERS,
        PROCESS_DELAY_MS: "600000",
        SHUTDOWN_TIMEOUT_MS: "600000",
      });
      const stuck = await open(service.port);
      stuck.socket.write(TASK);
      await sleep(200);
      service.child.kill("SIGTERM");
      await service.until(() => service.events("draining").length === PROCESSES, "all to drain");
      service.child.kill("SIGINT");
      assert.equal(await service.exit(), 1);
      await untilClosed([stuck]);
    });

    test("SIGINT stops it as SIGTERM does", async (t) => {
      const service = await startProgram(t, { WORKERS, PROCESS_DELAY_MS: "300" });
      const busy = await open(service.port);
      busy.socket.write(TASK);
      await sleep(100);
      service.child.kill("SIGINT");
      await untilClosed([busy]);
      assert.deepEqual(outcomes([busy]), { 200: 1 });
      assert.equal(await service.exit(), 0);
    });

    test("SIGHUP swaps the keys under load without a failed request; a faulty file changes nothing", async (t) => {
      const service = await startWithEnvFile(t, WORKERS);
      const load = startLoad(service.port, { connections: 8 });
      await until(() => load.done > 200, "the load");
      setKey(service.directory, OTHER_KEY);
      await reload(service, "keys_reloaded");
      await until(() => load.statuses["401"] !== undefined, "the old key to be refused");
      setKey(service.directory, "");
      await reload(service, "keys_reload_failed");
      const { responses } = await exchange(
        service.port,
        post('{"status":"SUCCESS"}', [], { key: OTHER_KEY }),
      );
      assert.equal(responses[0]?.status, 200);
      setKey(service.directory, KEY);
      await reload(service, "keys_reloaded", 2);
      const { errors, statuses } = await load.stop();
      assert.deepEqual(errors, {});
      assert.deepEqual(Object.keys(statuses).sort(), ["200", "401"]);
      assert.equal((await exchange(service.port, TASK)).responses[0]?.status, 200);
      assert.equal(await service.stop(), 0);
    });

    test("a busy port ends it with one line, and with 1", async (t) => {
      const taken = createServer();
      t.after(() => taken.close());
      await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
      const { port } = taken.address() as AddressInfo;
      const service = spawnProgram(t, {
        SERVICE_API_KEY: KEY,
        WORKERS,
        PORT: String(port),
        LOG_LEVEL: "error",
      });
      assert.equal(await service.exit(), 1, service.stdout() + service.stderr());
      assert.match(service.stderr(), /^can't listen on 127\.0\.0\.1:\d+ \(EADDRINUSE\)[^\n]*\n$/);
      assert.deepEqual(service.events(), []);
    });

    test("faulty settings end it with 78, all of them named, before it forks or listens", async (t) => {
      const service = spawnProgram(t, { WORKERS, PORT: "http", MAX_IN_FLIGHT: "-1" });
      assert.equal(await service.exit(), 78);
      assert.equal(service.stdout(), "");
      const named = service
        .stderr()
        .match(/^[A-Z_]+/gm)
        ?.sort();
      assert.deepEqual(named, ["MAX_IN_FLIGHT", "PORT", "SERVICE_API_KEY"]);
    });
  });
}

test("a client that leaves has a line with status null, and the rest goes on", async (t) => {
  const service = await startProgram(t, { PROCESS_DELAY_MS: "600000" });
  const leaving = await open(service.port);
  leaving.socket.write(post('{"status":"SUCCESS"}', ["X-Request-Id: leaving"]));
  await sleep(200);
  leaving.socket.destroy();
  await service.until(() => service.events("request").length > 0, "the line");
  const [line] = service.events("request");
  assert.equal(line?.["request_id"], "leaving");
  assert.equal(line?.["status"], null);
  assert.equal((await exchange(service.port, get("/health"))).responses[0]?.status, 200);
  assert.equal(service.events("error").length, 0);
  assert.equal(await service.stop(), 0);
});

/** Exits when the last answer is out, with no more than that in between. */
function assertLeavesSoon(service: Program, processes: number): void {
  const lines = service.events();
  const lastAnswer = lines.findLastIndex(({ event }) => event === "request");
  assert.ok(
    lines.length - 1 - lastAnswer <= processes + 1,
    "only `stopped` follows the last answer",
  );
  const lag =
    Date.parse(String(lines.at(-1)?.["time"])) - Date.parse(String(lines[lastAnswer]?.["time"]));
  assert.ok(
    lag < 2000,
    `stopped ${lag} ms after the last answer, with sockets that could have held it for 10 s`,
  );
}

/** Sends a request after each answer, until one says `Connection: close`; resolves to whether none was lost. */
async function sendUntilClosed(peer: Client): Promise<boolean> {
  for (let sent = 1; ; sent += 1) {
    peer.socket.write(TASK);
    await until(() => peer.responses.length === sent || peer.closed, "an answer");
    if (peer.responses.length < sent) return false;
    if (peer.responses.at(-1)?.headers["connection"] === "close") return true;
  }
}

/** The distinct Connection fields of the last responses. */
function connectionFields(peers: readonly Client[]): (string | undefined)[] {
  return [...new Set(peers.map(({ responses }) => responses.at(-1)?.headers["connection"]))];
}

/** A service that has its key from `.env` in its directory. */
async function startWithEnvFile(t: TestContext, WORKERS: string): Promise<Program> {
  const directory = mkdtempSync(join(tmpdir(), "service-"));
  setKey(directory, KEY);
  const service = spawnProgram(t, { PORT: "0", WORKERS, PROCESS_DELAY_MS: "0" }, { directory });
  await service.until(() => service.port !== 0, "the service to listen");
  return service;
}

function setKey(directory: string, key: string): void {
  writeFileSync(join(directory, ".env"), `SERVICE_API_KEY=${key}\n`, { mode: 0o600 });
}

/** Sends SIGHUP and waits for the `count`th event that tells how it went. */
async function reload(service: Program, event: string, count = 1): Promise<void> {
  service.child.kill("SIGHUP");
  await service.until(() => service.events(event).length === count, event);
}
