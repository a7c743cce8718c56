import { formatDate } from "../config/expiry.ts";
import {
  type Configuration,
  type Occasion,
  readConfiguration,
  SettingsError,
} from "../config/settings.ts";
import { createLog, type Log, PIPE_BUF } from "../log.ts";
import { isForeignWorker, WorkerPool } from "./cluster.ts";
import { EXIT_CONFIG, Failure } from "./exit.ts";
import { startupHint } from "./hint.ts";
import { createInstance, type Instance } from "./instance.ts";
import { ExpiryWatch } from "./expiry-watch.ts";
import { formatHost } from "./listen-error.ts";
import { type ListenAddress, prepareHost, restrictSocket } from "./listen.ts";
import { createLogSink } from "./log-sink.ts";
import { nodeVersionProblem } from "./node-version.ts";
import { Shutdown } from "./shutdown.ts";
import { handleStopSignals } from "./signals.ts";

/**
 * Reads the configuration. Throws a Failure with all of its problems. `now` is in ms since the
 * epoch.
 */
export function configure(now: number, occasion: Occasion = { reload: false }): Configuration {
  try {
    return readConfiguration(process.env, workingDirectory(), now, occasion);
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
  const now = Date.now();
  const configuration = configure(now);
  const { settings, secrets, warnings } = configuration;
  const hasWorkers = settings.workers > 1;
  const { logLevel, trustedProxies } = settings;
  const maxWriteLength = hasWorkers ? PIPE_BUF : undefined;
  const log = createLog(logLevel, createLogSink(), { maxWriteLength, trustedProxies });
  log.warn(versionWarnings());
  log.warn(warnings);
  const instance = createInstanceOrPool(configuration, log);
  const shutdown = new Shutdown(instance, log);
  shutdown.handleUncaughtErrors();
  handleStopSignals(
    () => shutdown.begin(),
    () => process.exit(1),
  );
  const watch = new ExpiryWatch(secrets, now, log);
  watch.start();
  handleReloads(instance, watch, log);
  await prepareHost(settings.host);
  const listenAddress = await instance.listen();
  restrictSocket(settings.host);
  const { workers } = settings;
  log.event("info", "listening", { ...addressFields(listenAddress), workers, pid: process.pid });
  if (showHint) process.stderr.write(startupHint(listenAddress, configuration, now));
}

/** What the log says about where the service listens. */
function addressFields(listenAddress: ListenAddress): object {
  if (listenAddress.kind !== "address") return { host: formatHost(listenAddress) };
  return { host: listenAddress.address, port: listenAddress.port };
}

/** What to say of this release of Node, if anything. */
function versionWarnings(): string[] {
  const problem = nodeVersionProblem(process.versions.node);
  return problem === undefined ? [] : [problem.message];
}

function workingDirectory(): string {
  try {
    return process.cwd();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Failure(
      `the working directory can't be found (${code}): change to another one`,
      EXIT_CONFIG,
    );
  }
}

function createInstanceOrPool(configuration: Configuration, log: Log): Instance {
  const { settings, secrets, sandboxGrants } = configuration;
  if (settings.workers === 1) return createInstance(settings, secrets, log);
  // In node:cluster, a worker can't have workers.
  if (isForeignWorker) {
    throw new Failure("WORKERS: must be 1 under another program's cluster", EXIT_CONFIG);
  }
  return new WorkerPool(settings, secrets, sandboxGrants, log);
}

/** SIGHUP reads keys, certificate and private key again. With any problem, the old ones stay. */
function handleReloads(instance: Instance, watch: ExpiryWatch, log: Log): void {
  const reload = async (): Promise<void> => {
    const now = Date.now();
    const { secrets, warnings } = configure(now, { reload: true });
    const { keys, tls } = secrets;
    if ((tls === undefined) !== (watch.secrets.tls === undefined)) {
      throw new Failure("TLS_CERT_FILE, TLS_KEY_FILE: restart the service to switch TLS on or off");
    }
    log.warn(warnings);
    watch.setSecrets(secrets, now);
    await instance.setSecrets(secrets);
    const certificate = tls && { certificate_expires: formatDate(tls.expires) };
    log.event("info", "keys_reloaded", { keys: keys.length, ...certificate });
  };
  const onError = (error: unknown): void => {
    if (!(error instanceof Failure)) log.error(error);
    const problems = String((error as Error).message).split("\n");
    log.event("error", "keys_reload_failed", { problems });
  };
  process.on("SIGHUP", () => void reload().catch(onError));
}
