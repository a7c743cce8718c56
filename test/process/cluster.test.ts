import assert from "node:assert/strict";
import { describe, test } from "node:test";

import {
  type Client,
  countBy,
  open,
  openMany,
  outcomes,
  startRequests,
  untilAnswered,
  untilClosed,
} from "../support/client.ts";
import { childrenOf, freePorts, isAlive, kill, workersOf } from "../support/processes.ts";
import { startProgram } from "../support/program.ts";
import { get, post } from "../support/requests.ts";
import { until } from "../support/wait.ts";

const TASK = post('{"status":"SUCCESS"}');

describe("a worker pool", () => {
  test("loses only the requests of a worker that is killed, and replaces it", async (t) => {
    const program = await startProgram(t, { WORKERS: "2", PROCESS_DELAY_MS: "2000" });
    const [victim = 0, survivor = 0] = await workersOf(program, 2);
    const clients = await clientsOfBothWorkers(program.port);
    for (const client of clients) client.send(TASK);
    // By the responses to these requests, both have read those before.
    await startRequests(program.port, get("/health"), 1);
    kill(victim, "SIGKILL");
    const isOver = ({ responses, closed }: Client): boolean => responses.length === 2 || closed;
    await until(() => clients.every(isOver), "responses or ends");
    const lost = clients.filter(({ responses }) => responses.length === 1);
    const [lostWorker, ...others] = new Set(lost.map(workerOf));
    assert.deepEqual(others, [], "the lost requests had the same worker");
    const served = clients.filter(({ responses }) => responses.length === 2);
    assert.ok(served.every((client) => workerOf(client) !== lostWorker));
    assert.deepEqual(outcomes(served), { 200: served.length });
    await program.until(() => childrenOf(program.pid).length === 2, "the new worker");
    const deaths = program.events("worker_exited").map(({ pid, signal }) => ({ pid, signal }));
    assert.deepEqual(deaths, [{ pid: victim, signal: "SIGKILL" }]);
    await until(async () => (await workersServing(program.port)).size === 2, "both to serve");
    assert.ok(childrenOf(program.pid).includes(survivor));
    assert.equal(await program.stop(), 0);
  });

  test("gives up after five deaths of workers, with one line and 1", async (t) => {
    const program = await startProgram(t, { WORKERS: "2" });
    const killed: number[] = [];
    const killAll = (): boolean => {
      for (const pid of childrenOf(program.pid)) {
        killed.push(pid);
        kill(pid, "SIGKILL");
      }
      return program.hasEnded;
    };
    await until(killAll, "the program to give up");
    assert.equal(await program.exit(), 1);
    assert.equal(program.events("worker_exited").length, 5);
    assert.equal(program.stderr(), "5 workers died within 10 s\n");
    await until(() => !killed.some(isAlive), "every worker to be gone");
  });

  test("leaves no worker and no connection if the primary is killed", async (t) => {
    const [port = 0] = await freePorts(1);
    const key = "the-key-of-this-service";
    const task = post('{"status":"SUCCESS"}', [], { key });
    const program = await startProgram(t, {
      WORKERS: "2",
      PROCESS_DELAY_MS: "600000",
      PORT: String(port),
      SERVICE_API_KEY: key,
    });
    const workers = await workersOf(program, 2);
    const stuck = await open(port, task);
    program.child.kill("SIGKILL");
    await until(() => !workers.some(isAlive), "the workers to end");
    await untilClosed([stuck]);
    const late = await open(port, task);
    // The service of another test may have the port by now. It has another key.
    if (!late.reset) assert.equal((await late.untilResponses())[0]?.status, 401);
  });

  test("takes SIGTERM to the whole group, twice for the workers, for one", async (t) => {
    const program = await startProgram(t, { WORKERS: "2", PROCESS_DELAY_MS: "1000" });
    const workers = await workersOf(program, 2);
    const busy = await startRequests(program.port, TASK, 20);
    for (const pid of [program.pid, ...workers, ...workers]) kill(pid, "SIGTERM");
    await untilClosed(busy);
    assert.deepEqual(outcomes(busy), { 200: 20 });
    assert.equal(await program.exit(), 0);
    assert.equal(program.events("worker_exited").length, 0);
  });

  test("takes SIGHUP to the whole group for one reload", async (t) => {
    const program = await startProgram(t, { WORKERS: "2" });
    const workers = await workersOf(program, 2);
    for (const pid of [...workers, program.pid]) kill(pid, "SIGHUP");
    await program.untilEvent("keys_reloaded");
    await workersServing(program.port);
    assert.deepEqual(await workersOf(program, 2), workers);
    assert.equal(program.events("keys_reloaded").length, 1);
    assert.equal(await program.stop(), 0);
  });

  test("kills a worker that does not react after the timeout, and exits with 1", async (t) => {
    const program = await startProgram(t, { WORKERS: "2", SHUTDOWN_TIMEOUT_MS: "300" });
    const workers = await workersOf(program, 2);
    kill(workers[0] ?? 0, "SIGSTOP");
    program.child.kill("SIGTERM");
    assert.equal(await program.exit(), 1);
    assert.deepEqual(workers.filter(isAlive), []);
  });

  test("leaves no worker after a second signal, not even one that does not react", async (t) => {
    const program = await startProgram(t, { WORKERS: "2", SHUTDOWN_TIMEOUT_MS: "600000" });
    const workers = await workersOf(program, 2);
    t.after(() => {
      for (const pid of workers) kill(pid, "SIGKILL");
    });
    kill(workers[0] ?? 0, "SIGSTOP");
    program.child.kill("SIGTERM");
    await program.untilEvent("draining");
    program.child.kill("SIGINT");
    await until(() => program.child.exitCode === 1, "the primary to exit");
    await until(() => !workers.some(isAlive), "the workers to end");
  });

  test("does not replace a worker that dies while stopping, and exits with 1", async (t) => {
    const program = await startProgram(t, {
      WORKERS: "2",
      PROCESS_DELAY_MS: "600000",
      SHUTDOWN_TIMEOUT_MS: "600000",
    });
    const workers = await workersOf(program, 2);
    const busy = await startRequests(program.port, TASK, 20);
    program.child.kill("SIGTERM");
    await program.untilEvent("draining", 3);
    for (const pid of workers) kill(pid, "SIGKILL");
    assert.equal(await program.exit(), 1);
    assert.equal(program.events("listening").length, 1);
    await untilClosed(busy);
  });
});

/** Clients with a response each, of which at least five have the same worker, for both workers. */
async function clientsOfBothWorkers(port: number): Promise<Client[]> {
  const clients: Client[] = [];
  // The kernel chooses the worker.
  const hasBoth = async (): Promise<boolean> => {
    const more = await openMany(port, 20, get("/health"));
    await untilAnswered(more);
    clients.push(...more);
    const shares = Object.values(countBy(clients.map(workerOf)));
    return shares.filter((count) => count >= 5).length === 2;
  };
  await until(hasBoth, "clients of both workers");
  return clients;
}

/** A client's worker: the request ids that a process makes begin alike. */
function workerOf({ responses }: Client): string | undefined {
  return responses[0]?.headers["x-request-id"]?.slice(0, 16);
}

/** The workers that serve on the port. */
async function workersServing(port: number): Promise<Set<string | undefined>> {
  const clients = await openMany(port, 20, get("/health", ["Connection: close"]));
  await untilClosed(clients);
  return new Set(clients.filter(({ responses }) => responses.length > 0).map(workerOf));
}
