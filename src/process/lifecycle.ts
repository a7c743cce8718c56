import { type Configuration, readConfiguration, SettingsError } from "../config/settings.ts";
import { createLog, type Log } from "../log.ts";
import { isForeignWorker, WorkerPool } from "./cluster.ts";
import { EXIT_CONFIG, Failure } from "./exit.ts";
import { startupHint } from "./hint.ts";
import { createInstance, type Instance } from "./instance.ts";
import { Shutdown } from "./shutdown.ts";
import { handleStopSignals } from "./signals.ts";

/** Reads the configuration. Throws a Failure with all of its problems. */
export function configure(): Configuration {
  try {
    return readConfiguration(process.env, workingDirectory(), Date.now());
  } catch (error) {
    if (error instanceof SettingsError) throw new Failure(error.message, EXIT_CONFIG);
    throw error;
  }
}

/**
 * Runs the service until a signal stops it. `showHint` prints a request to try. Rejects with a
 * Failure if the service can't start.
 */
export async function serve(showHint: boolean): Promise<void> {
  const configuration = configure();
  const { settings, warnings } = configuration;
  const log = createLog(settings.logLevel, process.stdout);
  log.warn(warnings);
  const instance = createInstanceOrPool(configuration, log);
  const shutdown = new Shutdown(instance, log);
  shutdown.handleUncaughtErrors();
  handleStopSignals(
    () => shutdown.begin(),
    () => process.exit(1),
  );
  process.on("SIGHUP", () => void reloadKeys(instance, log));
  const listenAddress = await instance.listen();
  const { address, port } = listenAddress;
  const { workers } = settings;
  log.event("info", "listening", { host: address, port, workers, pid: process.pid });
  if (showHint) process.stderr.write(startupHint(listenAddress, configuration, Date.now()));
}

function workingDirectory(): string {
  try {
    return process.cwd();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Failure(`the working directory can't be found (${code}): change to one`, EXIT_CONFIG);
  }
}

function createInstanceOrPool(configuration: Configuration, log: Log): Instance {
  const { settings, keys, sandboxGrants } = configuration;
  if (settings.workers === 1) return createInstance(settings, keys, log);
  // In node:cluster, a worker can't have workers.
  if (isForeignWorker) {
    throw new Failure("WORKERS: must be 1 under another program's cluster", EXIT_CONFIG);
  }
  return new WorkerPool(settings, keys, sandboxGrants, log);
}

/** Reads the keys again. With any problem, the old ones stay. */
async function reloadKeys(instance: Instance, log: Log): Promise<void> {
  try {
    const { keys, warnings } = readConfiguration(process.env, workingDirectory(), Date.now());
    await instance.setKeys(keys);
    log.event("info", "keys_reloaded", { keys: keys.length });
    log.warn(warnings);
  } catch (error) {
    const problems = (error as Error).message.split("\n");
    log.event("error", "keys_reload_failed", { problems });
  }
}
