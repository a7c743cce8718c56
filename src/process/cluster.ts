import cluster, { type Worker } from "node:cluster";

import type { KeySet } from "../auth/keys.ts";
import type { Settings } from "../config/settings.ts";
import type { Log } from "../log.ts";
import { exitWithMessage } from "./exit.ts";
import type { Instance, ListenAddress } from "./instance.ts";
import { sandboxOptions } from "./sandbox.ts";

/** Whether this process is a worker of a pool. */
export const isWorker: boolean = cluster.isWorker;

/** What a worker serves with. The keys are hashes: no plaintext is passed on. */
export interface WorkerConfiguration {
  readonly settings: Settings;
  readonly keys: KeySet;
}

/** What the primary sends to a worker: what to serve with from now on, or to stop. */
export type WorkerMessage = WorkerConfiguration | "stop";

/**
 * Calls `handle` with each message of the primary, and sends it the message of the error if that
 * fails. Ends this process when the primary is gone.
 */
export function followPrimary(handle: (message: WorkerMessage) => Promise<unknown>): void {
  process.on("disconnect", () => process.exit(1));
  process.on("message", (message: WorkerMessage) => {
    handle(message).catch((error: Error) => process.send?.(error.message));
  });
  // Node 20 drops messages that are sent before a listener is attached, so ask for the first one.
  process.send?.(READY);
}

/** Sent by a worker that can receive messages. Any other message is an error, for the operator. */
const READY = "ready";

// setTimeout fires at once if the delay is longer.
const MAX_DELAY_MS = 2 ** 31 - 1;

const RESTART_DELAY_MS = 100;
const MAX_RECENT_EXITS = 5;
const RECENT_MS = 10_000;

/** How long the last message has to get out before the pool gives up. */
const LAST_MESSAGE_MS = 1000;

/** A pool of worker processes: starts them, restarts those that die, and ends with all of them. */
export class WorkerPool implements Instance {
  readonly #settings: Settings;
  readonly #log: Log;
  #keys: KeySet;
  /** When workers died, in ms since the epoch. */
  #recentExits: readonly number[] = [];
  #isStopping = false;

  constructor(settings: Settings, keys: KeySet, log: Log) {
    this.#settings = settings;
    this.#keys = keys;
    this.#log = log;
  }

  /** Resolves when all workers listen. If they can't go on, then or later, it ends this process. */
  listen(): Promise<ListenAddress> {
    // Round robin would lose connections that the primary has accepted but not yet passed on.
    cluster.schedulingPolicy = cluster.SCHED_NONE;
    // "advanced" keeps bytes and Infinity as they are.
    cluster.setupPrimary({ serialization: "advanced" });
    cluster.on("message", (worker, message: string) => this.#onMessage(worker, message));
    cluster.on("exit", (worker, code, signal) => this.#onExit(worker, code, signal));
    // A worker that is stuck does not notice that the primary is gone.
    process.on("exit", killWorkers);
    const listening = this.#waitForListening();
    for (let i = 0; i < this.#settings.workers; i += 1) this.#fork();
    return listening;
  }

  setKeys(keys: KeySet): void {
    this.#keys = keys;
    for (const worker of liveWorkers()) send(worker, this.#configuration());
  }

  /** Kills workers that are still alive one second after the shutdown timeout. */
  async stop(): Promise<number> {
    this.#isStopping = true;
    const { shutdownDelayMs, shutdownTimeoutMs } = this.#settings;
    setTimeout(killWorkers, Math.min(shutdownDelayMs + shutdownTimeoutMs + 1000, MAX_DELAY_MS));
    const exits = liveWorkers().map((worker) => exitOf(worker));
    for (const worker of liveWorkers()) send(worker, "stop");
    const exitCodes = await Promise.all(exits);
    return exitCodes.every((code) => code === 0) ? 0 : 1;
  }

  #configuration(): WorkerConfiguration {
    return { settings: this.#settings, keys: this.#keys };
  }

  #waitForListening(): Promise<ListenAddress> {
    return new Promise((resolve) => {
      let count = 0;
      cluster.on("listening", (_worker, address) => {
        count += 1;
        if (count === this.#settings.workers) resolve(address);
      });
    });
  }

  #onMessage(worker: Worker, message: string): void {
    if (message === READY) send(worker, this.#isStopping ? "stop" : this.#configuration());
    else if (!this.#isStopping) this.#giveUp(message);
  }

  /** Restarts a worker with back-off, unless stopping. Exits after 5 deaths within 10 s. */
  #onExit({ process: { pid } }: Worker, code: number, signal: string): void {
    if (this.#isStopping) return;
    this.#log.event("error", "worker_exited", { pid, code, signal });
    const now = Date.now();
    const recent = this.#recentExits.filter((time) => now - time < RECENT_MS);
    this.#recentExits = [...recent, now];
    if (this.#recentExits.length >= MAX_RECENT_EXITS) this.#giveUp("5 workers died within 10 s");
    else setTimeout(() => this.#fork(), RESTART_DELAY_MS * 2 ** recent.length);
  }

  #giveUp(reason: string): void {
    this.#isStopping = true;
    setTimeout(() => process.exit(1), LAST_MESSAGE_MS);
    void exitWithMessage(reason);
  }

  #fork(): void {
    if (!this.#isStopping) cluster.fork(workerEnvironment());
  }
}

/**
 * A worker inherits the environment, but not the secret in it: the primary sends all it needs. In
 * the sandbox it also loses the right to read key files and to start processes.
 */
function workerEnvironment(): Record<string, string> {
  if (!("permission" in process)) return { SERVICE_API_KEY: "" };
  const options = sandboxOptions(process.allowedNodeEnvironmentFlags);
  return { SERVICE_API_KEY: "", NODE_OPTIONS: options };
}

function liveWorkers(): Worker[] {
  const workers = Object.values(cluster.workers ?? {});
  return workers.filter((worker) => worker !== undefined).filter((worker) => !worker.isDead());
}

function killWorkers(): void {
  for (const worker of liveWorkers()) worker.process.kill("SIGKILL");
}

/** Errors are ignored: a worker that can't receive is about to exit, and that is handled. */
function send(worker: Worker, message: WorkerMessage): void {
  worker.send(message, () => {});
}

/** Resolves to the exit code: null if a signal ended the worker. */
function exitOf(worker: Worker): Promise<number | null> {
  return new Promise((resolve) => worker.once("exit", resolve));
}
