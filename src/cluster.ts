import cluster, { type Worker } from "node:cluster";
import type { AddressInfo } from "node:net";

import type { KeySet } from "./auth/keys.ts";
import type { Serving } from "./instance.ts";
import type { Log } from "./log.ts";
import { sandboxOptions } from "./sandbox.ts";
import type { Settings } from "./settings.ts";

/** Whether this process is a worker, started by a Fleet. */
export const isWorker: boolean = cluster.isWorker;

/** What the primary tells a worker. The keys are hashes: plaintext never leaves the primary. */
export type Order =
  | { readonly type: "start"; readonly settings: Settings; readonly keys: KeySet }
  | { readonly type: "keys"; readonly keys: KeySet }
  | { readonly type: "stop" };

/** What a worker tells the primary: that it can be told to start, or why it can't listen. */
type Notice = { readonly failed?: string };

/** The workers of this process: started, replaced when they die, told of new keys, stopped. */
export class Fleet implements Serving {
  #keys: KeySet;
  #listening = 0;
  #deaths: number[] = [];
  #exitCode = 0;
  /** Set while stopping: to be called when no worker is left. */
  #onEmpty: (() => void) | undefined = undefined;
  readonly #settings: Settings;
  readonly #log: Log;
  readonly #onFailed: (message: string) => void;

  /** `onFailed` is told, in one line, why the workers can't go on; they have been ended then. */
  constructor(settings: Settings, keys: KeySet, log: Log, onFailed: (message: string) => void) {
    this.#settings = settings;
    this.#keys = keys;
    this.#log = log;
    this.#onFailed = onFailed;
  }

  /** Starts the workers; resolves when all listen. */
  listen(): Promise<AddressInfo> {
    // Round robin would lose what the primary has accepted and not yet handed on when the workers stop.
    cluster.schedulingPolicy = cluster.SCHED_NONE;
    // "advanced" carries bytes and Infinity as they are.
    cluster.setupPrimary({ serialization: "advanced" });
    cluster.on("message", (worker, notice: Notice) => this.#hear(worker, notice));
    cluster.on("exit", (worker, code, signal) => this.#bury(worker, code, signal));
    // A worker that is stuck doesn't see that the primary is gone.
    process.on("exit", () => this.#kill());
    for (let i = 0; i < this.#settings.workers; i++) this.#fork();
    return new Promise((resolve) => {
      cluster.on("listening", (_worker, { address, port }) => {
        this.#listening += 1;
        if (this.#listening === this.#settings.workers) resolve({ address, port, family: "" });
      });
    });
  }

  setKeys(keys: KeySet): void {
    this.#keys = keys;
    for (const worker of workers()) order(worker, { type: "keys", keys });
  }

  /** Kills workers that outstay their time. */
  stop(): Promise<number> {
    const { shutdownDelayMs, shutdownTimeoutMs } = this.#settings;
    setTimeout(() => this.#kill(), shutdownDelayMs + shutdownTimeoutMs + KILL_GRACE_MS);
    for (const worker of workers()) order(worker, { type: "stop" });
    return new Promise((resolve) => this.#whenEmpty(() => resolve(this.#exitCode)));
  }

  #fork(): void {
    if (this.#onEmpty !== undefined) return;
    // A worker is told all it needs: it inherits the environment, but not the secret in it; nor, in the sandbox, the
    // right to read key files and to start processes.
    const isSandboxed = "permission" in process;
    const sandbox = isSandboxed ? { NODE_OPTIONS: sandboxOptions(process.allowedNodeEnvironmentFlags) } : {};
    cluster.fork({ SERVICE_API_KEY: "", ...sandbox });
  }

  #hear(worker: Worker, { failed }: Notice): void {
    if (failed !== undefined) this.#giveUp(failed);
    else if (this.#onEmpty !== undefined) order(worker, { type: "stop" });
    else order(worker, { type: "start", settings: this.#settings, keys: this.#keys });
  }

  /** A worker has ended: when that isn't wanted, replaces it, later each time; gives up when it doesn't help. */
  #bury({ process: { pid } }: Worker, code: number | null, signal: string | null): void {
    if (code !== 0) this.#exitCode = 1;
    if (this.#onEmpty !== undefined) {
      if (workers().length === 0) this.#onEmpty();
      return;
    }
    const now = Date.now();
    this.#log.event("error", "worker_exited", { pid, code, signal });
    this.#deaths = [...this.#deaths.filter((time) => now - time < DEATH_WINDOW_MS), now];
    const deaths = this.#deaths.length;
    if (deaths >= MAX_DEATHS) this.#giveUp(`${deaths} workers died within ${DEATH_WINDOW_MS / 1000} s`);
    else setTimeout(() => this.#fork(), BACK_OFF_MS * 2 ** (deaths - 1));
  }

  #giveUp(message: string): void {
    if (this.#onEmpty !== undefined) return;
    this.#kill();
    this.#whenEmpty(() => this.#onFailed(message));
  }

  #whenEmpty(action: () => void): void {
    this.#onEmpty = action;
    this.#exitCode = 0;
    if (workers().length === 0) action();
  }

  #kill(): void {
    for (const worker of workers()) worker.process.kill("SIGKILL");
  }
}

const MAX_DEATHS = 5;
const DEATH_WINDOW_MS = 10_000;
const BACK_OFF_MS = 100;
const KILL_GRACE_MS = 1000;

/** Asks the primary for orders: `obey` is given each; what it rejects with is told. Ends the process when alone. */
export function followPrimary(obey: (order: Order) => unknown): void {
  const tell = (notice: Notice): boolean | undefined => process.send?.(notice);
  process.on("disconnect", () => process.exit(1));
  process.on("message", async (message: Order) => {
    try {
      await obey(message);
    } catch (error) {
      tell({ failed: error instanceof Error ? error.message : String(error) });
    }
  });
  tell({});
}

/** Workers that have not ended; one that is about to may be out of reach. */
function workers(): Worker[] {
  return Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined);
}

function order(worker: Worker, message: Order): void {
  if (worker.isConnected()) worker.send(message);
}
