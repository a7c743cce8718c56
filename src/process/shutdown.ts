import { setTimeout as sleep } from "node:timers/promises";

import type { Log } from "../log.ts";
import type { Instance } from "./instance.ts";

/** How long the last log lines have to get out. */
const LAST_LINES_MS = 50;

/** The orderly end of this process. */
export class Shutdown {
  readonly #instance: Instance;
  readonly #log: Log;
  #hasBegun = false;

  constructor(instance: Instance, log: Log) {
    this.#instance = instance;
    this.#log = log;
  }

  /** Drains the instance, then ends the process. Only the first call counts. */
  begin(): void {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    void this.#run();
  }

  /** An exception that was not caught is logged, and begins the shutdown: the state is unknown. */
  handleUncaughtErrors(): void {
    process.on("exit", this.#log.flush);
    process.stderr.on("error", () => {});
    // A rejection has interrupted nothing but what waits for it: the process goes on.
    process.on("unhandledRejection", (error) => this.#log.error(error));
    process.on("uncaughtException", (error) => {
      this.#log.error(error);
      process.exitCode = 1;
      this.begin();
    });
  }

  async #run(): Promise<void> {
    const { pid } = process;
    this.#log.event("info", "draining", { pid });
    const drained = await this.#instance.stop();
    // An uncaught exception has set the exit code already.
    const exitCode = drained === 0 ? Number(process.exitCode ?? 0) : drained;
    this.#log.event("info", "stopped", { pid, exit_code: exitCode });
    this.#log.flush();
    const written = new Promise((resolve) => process.stdout.write("", resolve));
    await Promise.race([written, sleep(LAST_LINES_MS)]);
    process.exit(exitCode);
  }
}
