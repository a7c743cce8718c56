import cluster, { type Worker } from "node:cluster";

import { MAX_DELAY_MS } from "../config/numbers.ts";
import type { SandboxGrants, Secrets, Settings } from "../config/settings.ts";
import type { Log } from "../log.ts";
import { exitWithMessage, Failure } from "./exit.ts";
import type { Instance } from "./instance.ts";
import { type ListenAddress, restrictSocket } from "./listen.ts";
import { PoolMetrics } from "./metrics-pool.ts";
import { commonSamples } from "./metrics.ts";
import { isWorkerMessage, type PrimaryMessage, type ServeMessage } from "./messages.ts";
import { withoutGrants } from "./sandbox.ts";

/** The argument of a pool's workers. It tells them from workers of another program's cluster. */
const WORKER_ARGUMENT = "worker";

/** Whether this process is a worker of a pool. */
export const isWorker: boolean = cluster.isWorker && process.argv[2] === WORKER_ARGUMENT;

/** Whether the cluster of another program, such as PM2, has started this process. */
export const isForeignWorker: boolean = cluster.isWorker && !isWorker;

const RESTART_DELAY_MS = 100;
const MAX_RECENT_EXITS = 5;
const RECENT_MS = 10_000;

/** How long the last message has to get out before the pool gives up. */
const LAST_MESSAGE_MS = 1000;

/** A change of the secrets that some worker has yet to acknowledge. */
interface Reload {
  readonly version: number;
  readonly resolve: () => void;
}

/** A pool of worker processes: starts them, restarts those that die, and ends with all of them. */
export class WorkerPool implements Instance {
  readonly #settings: Settings;
  readonly #grants: SandboxGrants;
  readonly #log: Log;
  #secrets: Secrets;
  /** Grows with each change of the secrets. */
  #secretsVersion = 1;
  /**
   * The version of the secrets that each worker has acknowledged, or 0. A worker that has just
   * started is missing here until it asks for the secrets.
   */
  readonly #versions = new Map<Worker, number>();
  #reloads: readonly Reload[] = [];
  /** The workers that have sent something other than a WorkerMessage: one warning each. */
  readonly #strangers = new WeakSet<Worker>();
  /** Called with the reason when a worker can't serve. Once all listen, that is logged instead. */
  #onStartFailure: ((failure: Failure) => void) | undefined;
  readonly #metrics = new PoolMetrics();
  /** When workers died, as performance.now() has it. */
  #recentExits: readonly number[] = [];
  #isStopping = false;

  /** `grants` are the primary's in the sandbox. Its workers do without. */
  constructor(settings: Settings, secrets: Secrets, grants: SandboxGrants, log: Log) {
    this.#settings = settings;
    this.#grants = grants;
    this.#secrets = secrets;
    this.#log = log;
  }

  /** Resolves when all workers listen. If they can't go on later, it ends this process. */
  listen(): Promise<ListenAddress> {
    // Round robin would lose connections that the primary has accepted but not yet passed on.
    cluster.schedulingPolicy = cluster.SCHED_NONE;
    // "advanced" keeps bytes and Infinity as they are.
    cluster.setupPrimary({ serialization: "advanced", args: [WORKER_ARGUMENT] });
    cluster.on("message", (worker, message: unknown) => this.#onMessage(worker, message));
    cluster.on("exit", (worker, code, signal) => this.#onExit(worker, code, signal));
    // A worker that is stuck does not notice that the primary is gone.
    process.on("exit", killWorkers);
    const listening = this.#waitForListening();
    for (let i = 0; i < this.#settings.workers; i += 1) this.#fork();
    return listening;
  }

  /** A worker that dies meanwhile is not waited for: its successor starts with the new secrets. */
  setSecrets(secrets: Secrets): Promise<void> {
    this.#secrets = secrets;
    this.#secretsVersion += 1;
    const version = this.#secretsVersion;
    for (const worker of this.#versions.keys()) send(worker, this.#serveMessage());
    return new Promise((resolve) => {
      this.#reloads = [...this.#reloads, { version, resolve }];
      this.#resolveReloads();
    });
  }

  /** Kills workers that are still alive one second after the shutdown timeout. */
  async stop(): Promise<number> {
    this.#isStopping = true;
    const { shutdownDelayMs, shutdownTimeoutMs } = this.#settings;
    setTimeout(killWorkers, Math.min(shutdownDelayMs + shutdownTimeoutMs + 1000, MAX_DELAY_MS));
    const exits = liveWorkers().map((worker) => exitOf(worker));
    for (const worker of liveWorkers()) send(worker, { type: "stop" });
    const exitCodes = await Promise.all(exits);
    return exitCodes.every((code) => code === 0) ? 0 : 1;
  }

  #serveMessage(): ServeMessage {
    return {
      type: "serve",
      settings: this.#settings,
      secrets: this.#secrets,
      version: this.#secretsVersion,
    };
  }

  #waitForListening(): Promise<ListenAddress> {
    return new Promise((resolve, reject) => {
      this.#onStartFailure = reject;
      const listening = new Set<Worker>();
      cluster.on("exit", (worker) => listening.delete(worker));
      cluster.on("listening", (worker, address) => {
        const { host, workers } = this.#settings;
        // If all workers had died, this is another socket than before.
        restrictSocket(host);
        listening.add(worker);
        if (listening.size < workers) return;
        this.#onStartFailure = undefined;
        resolve(host.kind === "address" ? { ...address, kind: host.kind } : host);
      });
    });
  }

  #onMessage(worker: Worker, message: unknown): void {
    if (!isWorkerMessage(message)) {
      this.#onStrangeMessage(worker);
      return;
    }
    switch (message.type) {
      case "ready":
        this.#configure(worker);
        break;
      case "secrets_set":
        this.#acknowledge(worker, message.version);
        break;
      case "samples":
        // A report may arrive after the death of its worker.
        if (this.#versions.has(worker)) this.#metrics.report(worker.id, message.samples);
        break;
      case "metrics_wanted":
        void this.#sendMetrics(worker);
        break;
      case "failed":
        this.#onFailure(worker, message.reason);
        break;
    }
  }

  /** An acknowledgement may arrive behind a later one, or after the death of its worker. */
  #acknowledge(worker: Worker, version: number): void {
    const known = this.#versions.get(worker);
    if (known === undefined) return;
    this.#versions.set(worker, Math.max(known, version));
    this.#resolveReloads();
  }

  #configure(worker: Worker): void {
    if (this.#isStopping) {
      send(worker, { type: "stop" });
      return;
    }
    this.#versions.set(worker, 0);
    send(worker, this.#serveMessage());
  }

  async #sendMetrics(worker: Worker): Promise<void> {
    const ask = (): number[] =>
      [...this.#versions.keys()].map((each) => {
        send(each, { type: "report_samples" });
        return each.id;
      });
    const text = await this.#metrics.read(ask, () => commonSamples(this.#secrets, Date.now()));
    send(worker, { type: "metrics", text });
  }

  /** Resolves the reloads whose secrets every worker has. */
  #resolveReloads(): void {
    // Without workers, this is Infinity.
    const oldest = Math.min(...this.#versions.values());
    for (const { version, resolve } of this.#reloads) {
      if (version <= oldest) resolve();
    }
    this.#reloads = this.#reloads.filter(({ version }) => version > oldest);
  }

  #onFailure({ process: { pid } }: Worker, reason: string): void {
    if (this.#onStartFailure === undefined) {
      this.#log.event("error", "error", { pid, message: reason });
      return;
    }
    this.#isStopping = true;
    this.#onStartFailure(new Failure(reason));
  }

  /** Its content is not logged: it may hold anything. */
  #onStrangeMessage(worker: Worker): void {
    if (this.#strangers.has(worker)) return;
    this.#strangers.add(worker);
    this.#log.warn([`worker ${worker.process.pid} sends messages that are not the service's`]);
  }

  /** Restarts a worker with back-off, unless stopping. Exits after 5 deaths within 10 s. */
  #onExit(worker: Worker, code: number, signal: string): void {
    this.#versions.delete(worker);
    this.#metrics.end(worker.id);
    this.#resolveReloads();
    if (this.#isStopping) return;
    const { pid } = worker.process;
    this.#log.event("error", "worker_exited", { pid, code, signal });
    const now = performance.now();
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
    if (!this.#isStopping) cluster.fork(workerEnvironment(this.#grants));
  }
}

/**
 * A worker inherits the environment, but not the secret in it: the primary sends all it needs. In
 * the sandbox it loses the rights to read the files of the settings and to start processes, too.
 */
function workerEnvironment(grants: SandboxGrants): Record<string, string> {
  const options = process.env["NODE_OPTIONS"] ?? "";
  return { SERVICE_API_KEY: "", NODE_OPTIONS: withoutGrants(options, grants) };
}

function liveWorkers(): Worker[] {
  const workers = Object.values(cluster.workers ?? {});
  return workers.filter((worker) => worker !== undefined).filter((worker) => !worker.isDead());
}

function killWorkers(): void {
  for (const worker of liveWorkers()) worker.process.kill("SIGKILL");
}

/** Errors are ignored: a worker that can't receive is about to exit, and that is handled. */
function send(worker: Worker, message: PrimaryMessage): void {
  worker.send(message, () => {});
}

/** Resolves to the exit code: null if a signal ended the worker. */
function exitOf(worker: Worker): Promise<number | null> {
  return new Promise((resolve) => worker.once("exit", resolve));
}
