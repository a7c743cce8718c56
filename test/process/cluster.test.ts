import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import {
  type Client,
  countBy,
  open,
  openMany,
  outcomes,
  untilAnswered,
  untilClosed,
} from "../support/client.ts";
import { childrenOf, freePorts, isAlive, kill, workersOf } from "../support/processes.ts";
import { startProgram } from "../support/program.ts";
import { get, post } from "../support/requests.ts";
import { until } from "../support/wait.ts";

const TASK = post('{"status":"SUCCESS"}');

describe("WORKERS=2", () => {
  test("kill -9 of a worker loses its own requests and no other, and another takes its place", async (t) => {
    const service = await startProgram(t, { WORKERS: "2", PROCESS_DELAY_MS: "2000" });
    const [victim = 0, survivor = 0] = await workersOf(service, 2);
    const peers: Client[] = [];
    // Which worker accepts is the kernel's choice.
    const shares = (): number[] => Object.values(countBy(peers.map(servedBy)));
    while (shares().filter((count) => count >= 5).length < 2 && peers.length < 1000) {
      const more = await openMany(service.port, 20, get("/health"));
      await untilAnswered(more);
      peers.push(...more);
    }
    for (const { socket } of peers) socket.write(TASK);
    await sleep(300);
    process.kill(victim, "SIGKILL");
    await until(
      () => peers.every(({ responses, closed }) => responses.length === 2 || closed),
      "responses or ends",
    );
    const lost = peers.filter(({ responses }) => responses.length === 1);
    assert.equal(
      Object.keys(countBy(lost.map(servedBy))).length,
      1,
      "the lost ones had the same worker",
    );
    const others = peers.filter(({ responses }) => responses.length === 2);
    assert.ok(
      others.every((peer) => servedBy(peer) !== servedBy(lost[0] as Client)),
      "which had no other",
    );
    assert.deepEqual(outcomes(others), { 200: others.length });
    await service.until(() => childrenOf(service.pid).length === 2, "the new worker");
    const deaths = service.events("worker_exited").map(({ pid, signal }) => ({ pid, signal }));
    assert.deepEqual(deaths, [{ pid: victim, signal: "SIGKILL" }]);
    const end = Date.now() + 20_000;
    while ((await serversOf(service.port)).size < 2 && Date.now() < end) await sleep(20);
    assert.ok(Date.now() < end, "both serve");
    assert.ok(childrenOf(service.pid).includes(survivor));
    assert.equal(await service.stop(), 0);
  });

  test("workers that keep dying: it gives up after five deaths, with one line, and exits with 1", async (t) => {
    const service = await startProgram(t, { WORKERS: "2" });
    const killed: number[] = [];
    while (service.child.exitCode === null && killed.length < 100) {
      for (const pid of childrenOf(service.pid)) {
        killed.push(pid);
        kill(pid, "SIGKILL");
      }
      await sleep(20);
    }
    assert.equal(await service.exit(), 1);
    assert.equal(service.events("worker_exited").length, 5);
    assert.equal(service.stderr(), "5 workers died within 10 s\n");
    await until(() => !killed.some(isAlive), "every worker to be gone");
  });

  test("kill -9 of the primary leaves no worker and no connection open, and frees the port", async (t) => {
    const [port = 0] = await freePorts(1);
    const service = await startProgram(t, {
      WORKERS: "2",
      PROCESS_DELAY_MS: "600000",
      PORT: String(port),
    });
    const workers = await workersOf(service, 2);
    const stuck = await open(port);
    stuck.socket.write(TASK);
    service.child.kill("SIGKILL");
    await until(() => !workers.some(isAlive), "the workers to end");
    await untilClosed([stuck]);
    const late = await open(port);
    assert.equal(late.reset, true);
  });

  test("SIGTERM to the whole group, twice for the workers, is one SIGTERM", async (t) => {
    const service = await startProgram(t, { WORKERS: "2", PROCESS_DELAY_MS: "1000" });
    const workers = await workersOf(service, 2);
    const busy = await openMany(service.port, 20);
    for (const { socket } of busy) socket.write(TASK);
    await sleep(200);
    for (const pid of [service.pid, ...workers, ...workers]) process.kill(pid, "SIGTERM");
    await untilClosed(busy);
    assert.deepEqual(outcomes(busy), { 200: 20 });
    assert.equal(await service.exit(), 0);
    assert.equal(service.events("worker_exited").length, 0);
  });

  test("SIGHUP to the whole group is for the primary", async (t) => {
    const service = await startProgram(t, { WORKERS: "2" });
    const workers = await workersOf(service, 2);
    for (const pid of [...workers, service.pid]) process.kill(pid, "SIGHUP");
    await service.until(() => service.events("keys_reloaded").length > 0, "the reload");
    await serversOf(service.port);
    assert.deepEqual(await workersOf(service, 2), workers);
    assert.equal(service.events("keys_reloaded").length, 1);
    assert.equal(await service.stop(), 0);
  });

  test("a worker that doesn't react is killed after the deadline; exit 1", async (t) => {
    const service = await startProgram(t, { WORKERS: "2", SHUTDOWN_TIMEOUT_MS: "300" });
    const workers = await workersOf(service, 2);
    kill(workers[0] ?? 0, "SIGSTOP");
    service.child.kill("SIGTERM");
    assert.equal(await service.exit(), 1);
    assert.deepEqual(workers.filter(isAlive), []);
  });

  test("a second signal leaves no worker, not even one that doesn't react", async (t) => {
    const service = await startProgram(t, { WORKERS: "2", SHUTDOWN_TIMEOUT_MS: "600000" });
    const workers = await workersOf(service, 2);
    kill(workers[0] ?? 0, "SIGSTOP");
    service.child.kill("SIGTERM");
    await service.until(() => service.events("draining").length > 0, "the service to drain");
    service.child.kill("SIGINT");
    try {
      await until(() => service.child.exitCode === 1, "the primary to exit");
      await until(() => !workers.some(isAlive), "the workers to end", 5000);
    } finally {
      for (const pid of workers) kill(pid, "SIGKILL");
    }
  });

  test("a worker that dies while stopping is not replaced; exit 1", async (t) => {
    const service = await startProgram(t, {
      WORKERS: "2",
      PROCESS_DELAY_MS: "600000",
      SHUTDOWN_TIMEOUT_MS: "600000",
    });
    const workers = await workersOf(service, 2);
    const busy = await openMany(service.port, 20);
    for (const { socket } of busy) socket.write(TASK);
    await sleep(200);
    service.child.kill("SIGTERM");
    await service.until(() => service.events("draining").length === 3, "all to drain");
    for (const pid of workers) kill(pid, "SIGKILL");
    assert.equal(await service.exit(), 1);
    assert.equal(service.events("listening").length, 1);
    await untilClosed(busy);
  });
});

/** A peer's process: the request ids that a process makes begin with the same 16 characters. */
function servedBy({ responses }: Client): string | undefined {
  return responses[0]?.headers["x-request-id"]?.slice(0, 16);
}

/** The processes that answer on the port. */
async function serversOf(port: number): Promise<Set<string | undefined>> {
  const peers = await openMany(port, 20, get("/health", ["Connection: close"]));
  await untilClosed(peers);
  return new Set(peers.filter(({ responses }) => responses.length > 0).map(servedBy));
}
