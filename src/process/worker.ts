import { createLog, PIPE_BUF } from "../log.ts";
import { textForOperator } from "./exit.ts";
import { createInstance, type LocalInstance } from "./instance.ts";
import { createLogSink } from "./log-sink.ts";
import {
  isPrimaryMessage,
  type PrimaryMessage,
  type ServeMessage,
  type WorkerMessage,
} from "./messages.ts";
import { Shutdown } from "./shutdown.ts";
import { STOP_SIGNALS } from "./signals.ts";

/**
 * Runs this process as a worker of a pool: the primary says what to serve with, and when to stop.
 * Ends this process when the primary is gone.
 */
export function runWorker(): void {
  const worker = new PoolWorker();
  // Terminals and systemd signal the whole group. A second signal, and SIGHUP, are the primary's.
  for (const signal of STOP_SIGNALS) process.on(signal, () => worker.stopIfServing());
  process.on("SIGHUP", () => {});
  process.on("disconnect", () => process.exit(1));
  process.on("message", (message: unknown) => {
    if (isPrimaryMessage(message)) worker.receive(message);
  });
  // Node 20 drops messages that are sent before a listener is attached, so ask for the first one.
  report({ type: "ready" });
}

/** How often the primary gets the samples, in ms. If this process dies, only these count. */
const REPORT_INTERVAL_MS = 250;

class PoolWorker {
  #instance: LocalInstance | undefined;
  #shutdown: Shutdown | undefined;
  /** Those who wait for the metrics of all workers. */
  #readers: ((text: string) => void)[] = [];

  /** Does what the primary says. */
  receive(message: PrimaryMessage): void {
    switch (message.type) {
      case "serve":
        void this.#serve(message);
        break;
      case "stop":
        this.stop();
        break;
      case "report_samples":
        this.#reportSamples();
        break;
      case "metrics":
        for (const read of this.#readers.splice(0)) read(message.text);
        break;
    }
  }

  /** Serves with a message's settings and secrets. After the first, only the secrets count. */
  async #serve(message: ServeMessage): Promise<void> {
    try {
      if (this.#instance === undefined) await this.#start(message);
      else await this.#instance.setSecrets(message.secrets);
      report({ type: "secrets_set", version: message.version });
    } catch (error) {
      report({ type: "failed", reason: textForOperator(error) }, () => process.exit(1));
    }
  }

  /** Ends this process, after draining if it serves. */
  stop(): void {
    if (this.#shutdown === undefined) process.exit();
    this.#shutdown.begin();
  }

  /** Drains and ends this process, but only if it serves: the primary ends it otherwise. */
  stopIfServing(): void {
    this.#shutdown?.begin();
  }

  async #start({ settings, secrets }: ServeMessage): Promise<void> {
    const { logLevel, trustedProxies } = settings;
    const log = createLog(logLevel, createLogSink(), { maxWriteLength: PIPE_BUF, trustedProxies });
    this.#instance = createInstance(settings, secrets, log, this.#readMetrics);
    this.#shutdown = new Shutdown(this.#instance, log);
    this.#shutdown.handleUncaughtErrors();
    await this.#instance.listen();
    if (settings.metrics) setInterval(() => this.#reportSamples(), REPORT_INTERVAL_MS).unref();
  }

  #reportSamples(): void {
    const samples = this.#instance?.samples();
    if (samples !== undefined) report({ type: "samples", samples });
  }

  /** Asks the primary for the metrics of all workers, once for all who wait. */
  readonly #readMetrics = (): Promise<string> => {
    if (this.#readers.length === 0) report({ type: "metrics_wanted" });
    return new Promise((resolve) => this.#readers.push(resolve));
  };
}

function report(message: WorkerMessage, onSent: () => void = () => {}): void {
  process.send?.(message, undefined, {}, onSent);
}
