import { createLog, PIPE_BUF } from "../log.ts";
import { followPrimary, type WorkerConfiguration } from "./cluster.ts";
import { createInstance, type Instance } from "./instance.ts";
import { Shutdown } from "./shutdown.ts";
import { STOP_SIGNALS } from "./signals.ts";

/** Runs this process as a worker: the primary says what to serve with, and when to stop. */
export function runWorker(): void {
  let instance: Instance | undefined;
  let shutdown: Shutdown | undefined;
  // Terminals and systemd signal the whole group. A second signal, and SIGHUP, are the primary's.
  for (const signal of STOP_SIGNALS) process.on(signal, () => shutdown?.begin());
  process.on("SIGHUP", () => {});
  const start = async ({ settings, keys }: WorkerConfiguration): Promise<void> => {
    const log = createLog(settings.logLevel, process.stdout, PIPE_BUF);
    instance = createInstance(settings, keys, log);
    shutdown = new Shutdown(instance, log);
    shutdown.handleUncaughtErrors();
    await instance.listen();
  };
  followPrimary(async (message) => {
    if (message !== "stop") {
      if (instance === undefined) await start(message);
      else instance.setKeys(message.keys);
    } else if (shutdown === undefined) {
      process.exit();
    } else {
      shutdown.begin();
    }
  });
}
