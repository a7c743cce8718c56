import cluster, { type Worker } from "node:cluster";

import type { KeySet } from "./auth/keys.ts";
import type { Log } from "./log.ts";
import { sandboxOptions } from "./sandbox.ts";
import type { Configuration, Settings } from "./settings.ts";

/** Whether this process is a worker, started by a Fleet. */
export const isWorker: boolean = cluster.isWorker;

/** What the primary tells a worker. The keys are hashes: plaintext never leaves the primary. */
export type Order =
  | { readonly type: "start"; readonly settings: Settings; readonly keys: KeySet }
  | { readonly type: "keys"; readonly keys: KeySet }
  | { readonly type: "stop" };

/** What a worker tells the primary: that it can be told to start, or why it can't listen. */
export type Notice = { readonly type: "ready" } | { readonly type: "failed"; readonly message: string };

/** What the primary is told of its workers. */
export interface FleetEvents {
  /** All of them are listening. */
  listening(host: string, port: number): void;
  /** They can't go on, and why; they have been ended. */
  failed(message: string): void;
}

/** The workers of this process: started, replaced when they die, told of new keys, stopped. */
export class Fleet {
  #keys: KeySet;
  #listening = 0;
  #deaths: number[] = [];
  #exitCode = 0;
  /** Set while stopping: to be called when no worker is left. */
  #stopped: ((exitCode: number) => void) | undefined = undefined;
  readonly #settings: Settings;
  readonly #log: Log;
  readonly #events: FleetEvents;

  /** Starts `settings.workers` workers. */
  constructor({ settings, keys }: Configuration, log: Log, events: FleetEvents) {
    this.#settings = settings;
    this.#keys = keys;
    this.#log = log;
    this.#events = events;
    // Round robin would lose what the primary has accepted and not yet handed on when the workers stop.
    cluster.schedulingPolicy = cluster.SCHED_NONE;
    // "advanced" carries bytes and Infinity as they are.
    cluster.setupPrimary({ serialization: "advanced" });
    cluster.on("message", (worker, notice: Notice) => this.#hear(worker, notice));
    cluster.on("listening", (_worker, { address, port }) => this.#countListening(address, port));
    cluster.on("exit", (worker, code, signal) => this.#bury(worker, code, signal));
    for (let i = 0; i < settings.workers; i++) this.#fork();
  }

  /** Gives every worker, and those to come, another set of keys. */
  setKeys(keys: KeySet): void {
    this.#keys = keys;
    for (const worker of workers()) order(worker, { type: "keys", keys });
  }

  /** Stops all workers; kills those that outstay their time. Resolves to the exit code when none is left. */
  stop(): Promise<number> {
    const { shutdownDelayMs, shutdownTimeoutMs } = this.#settings;
    setTimeout(() => this.#kill(), shutdownDelayMs + shutdownTimeoutMs + KILL_GRACE_MS).unref();
    for (const worker of workers()) order(worker, { type: "stop" });
    return new Promise((resolve) => {
      this.#stopped = resolve;
      if (workers().length === 0) resolve(this.#exitCode);
    });
  }

  #fork(): void {
    if (this.#stopped !== undefined) return;
    // A worker is told all it needs: it inherits the environment, but not the secret in it; nor, in the sandbox, the
    // right to read key files and to start processes.
    const isSandboxed = "permission" in process;
    const sandbox = isSandboxed ? { NODE_OPTIONS: sandboxOptions(process.allowedNodeEnvironmentFlags) } : {};
    cluster.fork({ SERVICE_API_KEY: "", ...sandbox });
  }

  #hear(worker: Worker, notice: Notice): void {
    if (notice.type === "failed") this.#giveUp(notice.message);
    else if (this.#stopped !== undefined) order(worker, { type: "stop" });
    else order(worker, { type: "start", settings: this.#settings, keys: this.#keys });
  }

  #countListening(host: string, port: number): void {
    this.#listening += 1;
    if (this.#listening === this.#settings.workers) this.#events.listening(host, port);
  }

  /** A worker has ended: counts it when stopping, else replaces it, later each time; gives up when that doesn't help. */
  #bury(worker: Worker, code: number | null, signal: string | null): void {
    if (this.#stopped !== undefined) {
      if (code !== 0) this.#exitCode = 1;
      if (workers().length === 0) this.#stopped(this.#exitCode);
      return;
    }
    const now = Date.now();
    this.#log.event("error", "worker_exited", { pid: worker.process.pid, code, signal });
    this.#deaths = [...this.#deaths.filter((time) => now - time < DEATH_WINDOW_MS), now];
    const deaths = this.#deaths.length;
    if (deaths >= MAX_DEATHS) this.#giveUp(`${deaths} workers died within ${DEATH_WINDOW_MS / 1000} s`);
    else setTimeout(() => this.#fork(), BACK_OFF_MS * 2 ** (deaths - 1));
  }

  #giveUp(message: string): void {
    if (this.#stopped !== undefined) return;
    this.#stopped = () => this.#events.failed(message);
    this.#kill();
    if (workers().length === 0) this.#events.failed(message);
  }

  #kill(): void {
    for (const worker of workers()) worker.process.kill("SIGKILL");
  }
}

const MAX_DEATHS = 5;
const DEATH_WINDOW_MS = 10_000;
const BACK_OFF_MS = 100;
const KILL_GRACE_MS = 1000;

/** The worker's side of a Fleet. */
export interface WorkerEvents {
  start(settings: Settings, keys: KeySet): Promise<void>;
  setKeys(keys: KeySet): void;
  stop(): void;
}

/** Asks the primary for orders and follows them. Ends this process when the primary is gone. */
export function followPrimary(events: WorkerEvents): void {
  process.on("disconnect", () => process.exit(1));
  process.on("message", (message: Order) => {
    if (message.type === "stop") events.stop();
    else if (message.type === "keys") events.setKeys(message.keys);
    else events.start(message.settings, message.keys).catch(reportFailure);
  });
  tell({ type: "ready" });
}

function reportFailure(error: unknown): void {
  tell({ type: "failed", message: error instanceof Error ? error.message : String(error) });
}

function tell(notice: Notice): void {
  process.send?.(notice);
}

/** Workers that have not ended; one that is about to may be out of reach. */
function workers(): Worker[] {
  return Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined);
}

function order(worker: Worker, message: Order): void {
  if (worker.isConnected()) worker.send(message);
}
