import assert from "node:assert/strict";
import cluster from "node:cluster";
import { statSync } from "node:fs";
import { join } from "node:path";
import { Writable } from "node:stream";
import { describe, test, type TestContext } from "node:test";

import { keySetOf } from "../../src/auth/keys.ts";
import type { SandboxGrants, Secrets, Settings } from "../../src/config/settings.ts";
import type { Log } from "../../src/log.ts";
import { WorkerPool } from "../../src/process/cluster.ts";
import { Failure } from "../../src/process/exit.ts";
import type { ListenAddress } from "../../src/process/listen.ts";
import { type FakeWorker, useFakeWorkers } from "../support/fake-workers.ts";
import { parseMetrics, valueOf } from "../support/prometheus.ts";
import { KEY, OTHER_KEY } from "../support/requests.ts";
import { configurationOf } from "../support/settings.ts";
import { tempDirectory } from "../support/temp.ts";
import { keepHandlers } from "../support/this-process.ts";
import { isSettled } from "../support/wait.ts";

const SECRETS: Secrets = { keys: keySetOf({ default: KEY }), tls: undefined };
const NEW_SECRETS: Secrets = { keys: keySetOf({ default: OTHER_KEY }), tls: undefined };
const ADDRESS = { address: "127.0.0.1", port: 8000 };
const NO_GRANTS: SandboxGrants = { files: [], socket: undefined, processes: false };

/** A pool of fake workers that is about to listen, in time that the test moves. */
interface Pool {
  readonly pool: WorkerPool;
  readonly settings: Settings;
  readonly workers: readonly FakeWorker[];
  readonly listening: Promise<ListenAddress>;
  /** The events of its log. A warning is `["warn", message]`. */
  readonly events: unknown[][];
  /** Does what the process does on an event. */
  readonly emit: (event: string) => void;
}

function startPool(t: TestContext, changes: Partial<Settings> = {}, grants = NO_GRANTS): Pool {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  t.mock.method(performance, "now", () => Date.now());
  const workers = useFakeWorkers(t);
  const emit = keepHandlers(t);
  const settings = { ...configurationOf(t, { WORKERS: "2" }).settings, ...changes };
  const events: unknown[][] = [];
  const log = {
    event: (...event: unknown[]) => events.push(event),
    warn: (messages: readonly string[]) => events.push(["warn", ...messages]),
  } as unknown as Log;
  const pool = new WorkerPool(settings, SECRETS, grants, log);
  const listening = pool.listen();
  return { pool, settings, workers, listening, events, emit };
}

/** A pool whose two workers listen. */
async function startListening(t: TestContext, changes?: Partial<Settings>): Promise<Pool> {
  const pool = startPool(t, changes);
  for (const worker of pool.workers) {
    worker.says({ type: "ready" });
    worker.says({ type: "secrets_set", version: 1 });
    worker.listens(ADDRESS);
    worker.got.length = 0;
  }
  await pool.listening;
  return pool;
}

function idsOf(workers: readonly FakeWorker[]): readonly number[] {
  return workers.map(({ id }) => id);
}

function typesOf({ got }: FakeWorker): readonly string[] {
  return got.map(({ type }) => type);
}

describe("the start of a pool", () => {
  test("starts its workers without the key, and without rights that only it needs", (t) => {
    const { NODE_OPTIONS } = process.env;
    t.after(() => {
      if (NODE_OPTIONS === undefined) delete process.env["NODE_OPTIONS"];
      else process.env["NODE_OPTIONS"] = NODE_OPTIONS;
    });
    process.env["NODE_OPTIONS"] = '--permission "--allow-child-process" "--allow-fs-read=/a/.env"';
    const grants = { files: ["/a/.env"], socket: undefined, processes: true };
    const { workers } = startPool(t, {}, grants);
    const env = { SERVICE_API_KEY: "", NODE_OPTIONS: "--permission  " };
    assert.deepEqual(
      workers.map((worker) => worker.env),
      [env, env],
    );
    assert.equal(cluster.schedulingPolicy, cluster.SCHED_NONE);
    const { mock } = cluster.setupPrimary as unknown as { mock: { calls: { arguments: [] }[] } };
    assert.deepEqual(mock.calls[0]?.arguments, [{ serialization: "advanced", args: ["worker"] }]);
  });

  test("leaves NODE_OPTIONS empty if it is not set", (t) => {
    const { NODE_OPTIONS } = process.env;
    t.after(() => {
      if (NODE_OPTIONS !== undefined) process.env["NODE_OPTIONS"] = NODE_OPTIONS;
    });
    delete process.env["NODE_OPTIONS"];
    const [worker] = startPool(t).workers;
    assert.deepEqual(worker?.env, { SERVICE_API_KEY: "", NODE_OPTIONS: "" });
  });

  test("tells each worker that asks what to serve with", (t) => {
    const { workers, settings } = startPool(t);
    const [first, second] = workers;
    first?.says({ type: "ready" });
    assert.deepEqual(first?.got, [{ type: "serve", settings, secrets: SECRETS, version: 1 }]);
    assert.deepEqual(second?.got, []);
  });

  test("ends when all listen, without those that have died by then", async (t) => {
    const { workers, listening } = startPool(t);
    workers[0]?.listens(ADDRESS);
    workers[0]?.ends(1);
    workers[1]?.listens(ADDRESS);
    assert.equal(await isSettled(listening), false);
    t.mock.timers.tick(100);
    workers[2]?.listens(ADDRESS);
    assert.deepEqual(await listening, { ...ADDRESS, kind: "address" });
  });

  test("keeps others from a Unix socket, whenever it is made", async (t) => {
    const path = join(tempDirectory(t, { s: "" }), "s");
    const { workers, listening } = startPool(t, { host: { kind: "unix", path } });
    for (const worker of workers) worker.listens({ address: path, port: -1 });
    assert.deepEqual(await listening, { kind: "unix", path });
    assert.equal(statSync(path).mode & 0o777, 0o660);
  });

  test("fails with the reason of a worker that can't serve, and replaces none", async (t) => {
    const { workers, listening, events } = startPool(t);
    workers[0]?.says({ type: "failed", reason: "no port" });
    await assert.rejects(listening, (error) => {
      return error instanceof Failure && error.message === "no port" && error.exitCode === 1;
    });
    workers[0]?.ends(1);
    t.mock.timers.tick(10_000);
    assert.deepEqual([idsOf(workers), events], [[1, 2], []]);
  });
});

describe("a pool that listens", () => {
  test("logs why a worker can't serve, and goes on", async (t) => {
    const { workers, events } = await startListening(t);
    workers[0]?.says({ type: "failed", reason: "no memory" });
    assert.deepEqual(events, [["error", "error", { pid: 1001, message: "no memory" }]]);
  });

  test("warns once of each worker that sends something else", async (t) => {
    const { workers, events } = await startListening(t);
    for (const message of ["svk_secret", {}, { type: "samples" }]) workers[0]?.says(message);
    workers[1]?.says(null);
    const warning = (pid: number): unknown[] => {
      return ["warn", `worker ${pid} sends messages that are not the service's`];
    };
    assert.deepEqual(events, [warning(1001), warning(1002)]);
    assert.deepEqual(workers.flatMap(typesOf), []);
  });

  test("replaces a worker that dies, later each time", async (t) => {
    const { workers, events } = await startListening(t);
    for (const [index, delay] of [100, 200, 400, 800].entries()) {
      workers[index]?.ends(null, "SIGKILL");
      t.mock.timers.tick(delay - 1);
      assert.equal(workers.length, index + 2);
      t.mock.timers.tick(1);
      assert.equal(workers.length, index + 3);
    }
    const fields = { pid: 1001, code: null, signal: "SIGKILL" };
    assert.deepEqual(events[0], ["error", "worker_exited", fields]);
    assert.equal(events.length, 4);
  });

  test("gives up after 5 deaths within 10 s, even if no one reads why", async (t) => {
    const { workers, events } = await startListening(t);
    const [written, exits]: [string[], unknown[]] = [[], []];
    const stderr = new Writable({ write: (text: Buffer) => written.push(String(text)) });
    t.mock.getter(process, "stderr", () => stderr);
    t.mock.method(process, "exit", (code: unknown) => exits.push(code));
    for (const [index, afterMs] of [2500, 2500, 2500, 2499].entries()) {
      workers[index]?.ends(1);
      t.mock.timers.tick(afterMs);
    }
    assert.deepEqual(written, []);
    workers[4]?.ends(1);
    workers[5]?.ends(1);
    assert.equal(events.length, 5);
    assert.deepEqual(written, ["5 workers died within 10 s\n"]);
    t.mock.timers.tick(999);
    assert.deepEqual(exits, []);
    t.mock.timers.tick(1);
    assert.deepEqual([exits, workers.length], [[1], 6]);
  });

  test("forgets deaths after 10 s", async (t) => {
    const { workers } = await startListening(t);
    for (let index = 0; index < 8; index += 1) {
      workers[index]?.ends(1);
      t.mock.timers.tick(2500);
    }
    assert.equal(workers.length, 10);
  });

  test("kills its workers when it ends", async (t) => {
    const { workers, emit } = await startListening(t);
    workers[0]?.ends(1);
    emit("exit");
    assert.deepEqual(
      workers.map(({ signals }) => signals),
      [[], ["SIGKILL"]],
    );
  });
});

describe("new secrets of a pool", () => {
  test("go to all workers, and are set when all have acknowledged them", async (t) => {
    const { pool, workers, settings } = await startListening(t);
    const set = pool.setSecrets(NEW_SECRETS);
    for (const { got } of workers) {
      assert.deepEqual(got, [{ type: "serve", settings, secrets: NEW_SECRETS, version: 2 }]);
    }
    workers[0]?.says({ type: "secrets_set", version: 2 });
    assert.equal(await isSettled(set), false);
    workers[1]?.says({ type: "secrets_set", version: 2 });
    await set;
  });

  test("that come quickly are set in their order", async (t) => {
    const { pool, workers } = await startListening(t);
    const sets = [pool.setSecrets(NEW_SECRETS), pool.setSecrets(SECRETS)] as const;
    for (const worker of workers) worker.says({ type: "secrets_set", version: 2 });
    await sets[0];
    assert.equal(await isSettled(sets[1]), false);
    for (const worker of workers) worker.says({ type: "secrets_set", version: 3 });
    await sets[1];
  });

  test("count as acknowledged though an earlier acknowledgement comes later", async (t) => {
    const { pool, workers } = await startListening(t);
    const set = pool.setSecrets(NEW_SECRETS);
    workers[0]?.says({ type: "secrets_set", version: 2 });
    workers[0]?.says({ type: "secrets_set", version: 1 });
    workers[1]?.says({ type: "secrets_set", version: 2 });
    await set;
  });

  test("do not wait for a worker that acknowledges them after its death", async (t) => {
    const { pool, workers } = await startListening(t);
    workers[0]?.ends(1);
    workers[0]?.says({ type: "secrets_set", version: 1 });
    const set = pool.setSecrets(NEW_SECRETS);
    workers[1]?.says({ type: "secrets_set", version: 2 });
    await set;
  });

  test("are set without a worker that dies, and its successor starts with them", async (t) => {
    const { pool, workers } = await startListening(t);
    const set = pool.setSecrets(NEW_SECRETS);
    workers[0]?.says({ type: "secrets_set", version: 2 });
    workers[1]?.ends(1);
    await set;
    t.mock.timers.tick(100);
    workers[2]?.says({ type: "ready" });
    const [message] = workers[2]?.got ?? [];
    assert.ok(message?.type === "serve");
    assert.deepEqual([message.version, message.secrets], [2, NEW_SECRETS]);
  });

  test("wait for a worker that has asked for some, but not for one that has yet to", async (t) => {
    const { pool, workers } = startPool(t);
    await pool.setSecrets(NEW_SECRETS);
    workers[0]?.says({ type: "ready" });
    const set = pool.setSecrets(SECRETS);
    assert.equal(await isSettled(set), false);
    workers[0]?.says({ type: "secrets_set", version: 3 });
    await set;
    assert.deepEqual(workers[1]?.got, []);
  });
});

describe("the metrics of a pool", () => {
  const IN_FLIGHT = "api_requests_in_flight";

  test("are asked of all workers for the one that wants them", async (t) => {
    const { workers, events } = await startListening(t);
    workers[0]?.says({ type: "metrics_wanted" });
    assert.deepEqual(workers.map(typesOf), [["report_samples"], ["report_samples"]]);
    for (const worker of workers) {
      worker.says({ type: "samples", samples: new Map([[IN_FLIGHT, worker.id]]) });
    }
    await new Promise(setImmediate);
    assert.deepEqual(workers.map(typesOf), [["report_samples", "metrics"], ["report_samples"]]);
    const message = workers[0]?.got.at(-1);
    assert.ok(message?.type === "metrics");
    assert.equal(valueOf(parseMetrics(message.text), IN_FLIGHT), 3);
    assert.match(message.text, /^api_info\{/m);
    assert.deepEqual(events, []);
  });

  test("are sent after a second if a worker never reports", async (t) => {
    const { workers } = await startListening(t);
    workers[0]?.says({ type: "metrics_wanted" });
    workers[0]?.says({ type: "samples", samples: new Map([[IN_FLIGHT, 2]]) });
    t.mock.timers.tick(1000);
    await new Promise(setImmediate);
    const message = workers[0]?.got.at(-1);
    assert.ok(message?.type === "metrics");
    assert.equal(valueOf(parseMetrics(message.text), IN_FLIGHT), 2);
  });

  test("have nothing that a worker reports after its death", async (t) => {
    const { workers } = await startListening(t);
    workers[1]?.ends(1);
    workers[1]?.says({ type: "samples", samples: new Map([[IN_FLIGHT, 40]]) });
    workers[0]?.says({ type: "metrics_wanted" });
    workers[0]?.says({ type: "samples", samples: new Map([[IN_FLIGHT, 2]]) });
    await new Promise(setImmediate);
    const message = workers[0]?.got.at(-1);
    assert.ok(message?.type === "metrics");
    assert.equal(valueOf(parseMetrics(message.text), IN_FLIGHT), 2);
  });
});

describe("the end of a pool", () => {
  test("is 0 if each worker ends with 0, and 1 otherwise", async (t) => {
    for (const [codes, code] of [
      [[0, 0], 0],
      [[0, 1], 1],
      [[0, null], 1],
    ] as const) {
      await t.test(String(codes), async (step) => {
        const { pool, workers, events } = await startListening(step);
        const stopped = pool.stop();
        assert.deepEqual(workers.map(typesOf), [["stop"], ["stop"]]);
        workers[0]?.ends(codes[0]);
        assert.equal(await isSettled(stopped), false);
        workers[1]?.ends(codes[1]);
        assert.equal(await stopped, code);
        step.mock.timers.tick(10_000);
        assert.deepEqual([idsOf(workers), events], [[1, 2], []]);
      });
    }
  });

  test("does not wait for a worker that had died, nor starts another", async (t) => {
    const { pool, workers } = await startListening(t);
    workers[0]?.ends(1);
    const stopped = pool.stop();
    t.mock.timers.tick(10_000);
    assert.deepEqual(workers.map(typesOf), [[], ["stop"]]);
    workers[1]?.ends(0);
    assert.equal(await stopped, 0);
  });

  test("stops a worker that asks what to serve with", async (t) => {
    const { pool, workers } = await startListening(t);
    void pool.stop();
    workers[1]?.says({ type: "ready" });
    assert.deepEqual(workers[1] && typesOf(workers[1]), ["stop", "stop"]);
  });

  for (const [shutdownDelayMs, shutdownTimeoutMs, afterMs] of [
    [200, 3000, 4200],
    [2_000_000_000, 2_000_000_000, 2_147_483_647],
  ] as const) {
    test(`kills workers that are left after ${afterMs} ms`, async (t) => {
      const { pool, workers } = await startListening(t, { shutdownDelayMs, shutdownTimeoutMs });
      const stopped = pool.stop();
      workers[0]?.ends(0);
      t.mock.timers.tick(afterMs - 1);
      assert.deepEqual(workers[1]?.signals, []);
      t.mock.timers.tick(1);
      assert.deepEqual([workers[0]?.signals, workers[1]?.signals], [[], ["SIGKILL"]]);
      workers[1]?.ends(null, "SIGKILL");
      assert.equal(await stopped, 1);
    });
  }
});
