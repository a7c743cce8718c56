import cluster, { type Worker } from "node:cluster";

import type { KeySet } from "../auth/keys.ts";
import type { Log } from "../log.ts";
import { sandboxOptions } from "./sandbox.ts";
import type { Settings } from "../config/settings.ts";

/** What answers requests: the service of one process, or all its workers. */
export interface Serving {
  /** Resolves to where it listens; rejects with one line that says why it can't. */
  listen(): Promise<{ readonly address: string; readonly port: number }>;
  /** Swaps the keys, for all requests from now on. */
  setKeys(keys: KeySet): void;
  /** Finishes what is in the making: resolves to the exit code, 1 when the time for it was up. */
  stop(): Promise<number>;
}

/** Whether this process is a worker, started by a Fleet. */
export const isWorker: boolean = cluster.isWorker;

/** What the primary tells a worker: what to serve with, or to stop. The keys are hashes: no plaintext is handed on. */
export type Order = { readonly settings: Settings; readonly keys: KeySet } | "stop";

interface Fleet {
  readonly settings: Settings;
  readonly log: Log;
  keys: KeySet;
  deaths: number[];
  stopping: boolean;
}

/** Workers of this process: started, replaced when they die, told of new keys, stopped; none of them outlives it. */
export function createFleet(settings: Settings, keys: KeySet, log: Log): Serving {
  const fleet: Fleet = { settings, log, keys, deaths: [], stopping: false };
  return {
    listen: () => listen(fleet),
    setKeys: (current) => setKeys(fleet, current),
    stop: () => stop(fleet),
  };
}

/** Asks the primary for orders, gives each to `obey`, tells why one failed. Without a primary it ends this process. */
export function followPrimary(obey: (order: Order) => Promise<unknown>): void {
  process.on("disconnect", () => process.exit(1));
  process.on("message", (message: Order) =>
    obey(message).catch((error: Error) => process.send?.(error.message)),
  );
  // Node 20 loses what is sent before somebody listens.
  process.send?.(READY);
}

/** Ends this process, with `message` as its last words on stderr. */
export function fail(message: string, exitCode = 1): never {
  process.stderr.write(`${message}\n`);
  process.exit(exitCode);
}

/** Starts the workers; resolves when all listen. When they can't go on, then or later, it ends this process. */
function listen(fleet: Fleet): Promise<{ address: string; port: number }> {
  // Round robin would lose what the primary has accepted and not yet handed on when the workers stop.
  cluster.schedulingPolicy = cluster.SCHED_NONE;
  // "advanced" carries bytes and Infinity as they are.
  cluster.setupPrimary({ serialization: "advanced" });
  cluster.on("message", (worker, word: string) => {
    if (word === READY)
      order(worker, fleet.stopping ? "stop" : { settings: fleet.settings, keys: fleet.keys });
    else if (!fleet.stopping) fail(word);
  });
  cluster.on("exit", ({ process: { pid } }, code, signal) => replace(fleet, { pid, code, signal }));
  // A worker that is stuck doesn't see that the primary is gone.
  process.on("exit", kill);
  for (let i = 0; i < fleet.settings.workers; i++) fork(fleet);
  return new Promise((resolve) => {
    let listening = 0;
    cluster.on("listening", (_worker, address) => {
      listening += 1;
      if (listening === fleet.settings.workers) resolve(address);
    });
  });
}

/** The word of a worker that can be told what to do; any other is why it can't. */
const READY = "ready";

function setKeys(fleet: Fleet, keys: KeySet): void {
  fleet.keys = keys;
  for (const worker of workers()) order(worker, { settings: fleet.settings, keys });
}

/** Kills workers that outstay their time by a second. */
async function stop(fleet: Fleet): Promise<number> {
  fleet.stopping = true;
  // setTimeout fires at once past its longest delay.
  setTimeout(
    kill,
    Math.min(fleet.settings.shutdownDelayMs + fleet.settings.shutdownTimeoutMs + 1000, 2 ** 31 - 1),
  );
  const exits = workers().map((worker) => new Promise((resolve) => worker.once("exit", resolve)));
  for (const worker of workers()) order(worker, "stop");
  return (await Promise.all(exits)).every((code) => code === 0) ? 0 : 1;
}

function fork({ stopping }: Fleet): void {
  if (stopping) return;
  // A worker is told all it needs: it inherits the environment, but not the secret in it; nor, in the sandbox, the
  // right to read key files and to start processes.
  const sandbox =
    "permission" in process
      ? { NODE_OPTIONS: sandboxOptions(process.allowedNodeEnvironmentFlags) }
      : {};
  cluster.fork({ SERVICE_API_KEY: "", ...sandbox });
}

/** A worker has ended: when that isn't wanted, starts another, later each time; gives up when that doesn't help. */
function replace(fleet: Fleet, death: object): void {
  if (fleet.stopping) return;
  fleet.log.event("error", "worker_exited", death);
  const now = Date.now();
  fleet.deaths = [...fleet.deaths.filter((time) => now - time < 10_000), now];
  if (fleet.deaths.length >= 5) fail("5 workers died within 10 s");
  setTimeout(() => fork(fleet), 100 * 2 ** (fleet.deaths.length - 1));
}

/** Workers that have not ended. */
const workers = (): Worker[] =>
  Object.values(cluster.workers ?? {}).flatMap((worker) =>
    worker?.isDead() === false ? worker : [],
  );

const kill = (): void => workers().forEach((worker) => worker.process.kill("SIGKILL"));

/** It may not get through to a worker that is about to end: that end will be seen. */
const order = (worker: Worker, message: Order): boolean => worker.send(message, () => {});
