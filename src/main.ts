import { setTimeout as sleep } from "node:timers/promises";

import { createEnvFile, keygen, listKeys, type Output } from "./auth/keygen.ts";
import type { KeySet } from "./auth/keys.ts";
import { Fleet, type FleetEvents, followPrimary, isWorker } from "./cluster.ts";
import { createInstance, type Instance } from "./instance.ts";
import { createLog, type Log } from "./log.ts";
import { sandboxOptions } from "./sandbox.ts";
import { type Configuration, readConfiguration, type Settings, SettingsError } from "./settings.ts";

/** sysexits.h: the command line, or the settings, are wrong. */
const EX_USAGE = 64;
const EX_CONFIG = 78;

const USAGE = "usage: main.js [--hints] | keygen [NAME [--days N]] | keys | init | sandbox\n";

/** How long the last log lines may take to get out. */
const FLUSH_MS = 50;

if (isWorker) runWorker();
else runCommand(process.argv.slice(2));

function runCommand([command, ...args]: string[]): void {
  const isAlone = args.length === 0;
  if (command === "keygen") print(keygen(args, Date.now()));
  else if (command === "keys" && isAlone) print({ stdout: listKeys(configure().keys, Date.now()), stderr: "", exitCode: 0 });
  else if (command === "init" && isAlone) print(createEnvFile(".env"));
  else if (command === "sandbox" && isAlone) print(sandbox(configure()));
  else if (command === "--hints" && isAlone) serve(true);
  else if (command === undefined) serve(false);
  else print({ stdout: "", stderr: USAGE, exitCode: EX_USAGE });
}

/** The NODE_OPTIONS with which the program has the rights it needs and no more. */
function sandbox({ settings, files }: Configuration): Output {
  const grants = { files, processes: settings.workers > 1 };
  return { stdout: `${sandboxOptions(process.allowedNodeEnvironmentFlags, grants)}\n`, stderr: "", exitCode: 0 };
}

function print({ stdout, stderr, exitCode }: Output): void {
  process.stderr.write(stderr);
  process.stdout.write(stdout);
  process.exitCode = exitCode;
}

/** The configuration, or the end of this process with every fault on stderr. */
function configure(): Configuration {
  try {
    return readConfiguration(process.env, process.cwd(), Date.now());
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    process.stderr.write(`${error.faults.join("\n")}\n`);
    process.exit(EX_CONFIG);
  }
}

/** What answers requests: this process, or its workers. */
interface Serving {
  setKeys(keys: KeySet): void;
  /** Finishes what is in the making; resolves to the exit code. */
  stop(): Promise<number>;
}

function serve(hints: boolean): void {
  const configuration = configure();
  const { settings, warnings } = configuration;
  const log = createLog(settings.logLevel, process.stdout);
  log.warn(warnings);
  const events = {
    listening(host: string, port: number): void {
      log.event("info", "listening", { host, port, workers: settings.workers, pid: process.pid });
      if (hints) process.stderr.write(hintsFor(host, port));
    },
    failed(message: string): void {
      process.stderr.write(`${message}\n`);
      process.exit(1);
    },
  };
  const serving = settings.workers > 1 ? new Fleet(configuration, log, events) : serveHere(configuration, log, events);
  const stop = once(() => leave(serving, log));
  onStopSignal(() => {
    if (!stop()) process.exit(1);
  });
  process.on("SIGHUP", () => reload(serving, log));
  surviveFaults(log, stop);
}

/** One process: no workers. */
function serveHere({ settings, keys }: Configuration, log: Log, events: FleetEvents): Serving {
  const instance = createInstance(settings, keys, log);
  instance.listen().then(
    ({ address, port }) => events.listening(address, port),
    (error: Error) => events.failed(error.message),
  );
  return instance;
}

function runWorker(): void {
  let instance: Instance | undefined;
  let log: Log | undefined;
  const stop = once(() => leave(instance, log));
  // A second signal, and SIGHUP, are for the primary: a terminal and systemd send them to the whole group.
  onStopSignal(stop);
  process.on("SIGHUP", () => {});
  followPrimary({
    async start(settings: Settings, keys: KeySet): Promise<void> {
      log = createLog(settings.logLevel, process.stdout);
      instance = createInstance(settings, keys, log);
      surviveFaults(log, stop);
      await instance.listen();
    },
    setKeys: (keys: KeySet) => instance?.setKeys(keys),
    stop,
  });
}

function reload(serving: Serving, log: Log): void {
  try {
    const { keys, warnings } = readConfiguration(process.env, process.cwd(), Date.now());
    serving.setKeys(keys);
    log.event("info", "keys_reloaded", { keys: keys.length });
    log.warn(warnings);
  } catch (error) {
    if (error instanceof SettingsError) log.event("error", "keys_reload_failed", { faults: error.faults });
    else log.error(error);
  }
}

/** Stops and exits, with the last lines of the log on their way. */
async function leave(serving: Serving | undefined, log: Log | undefined): Promise<void> {
  log?.event("info", "draining", { pid: process.pid });
  const exitCode = (await serving?.stop()) || Number(process.exitCode ?? 0);
  log?.event("info", "stopped", { pid: process.pid, exit_code: exitCode });
  log?.flush();
  const flushed = new Promise((resolve) => process.stdout.write("", resolve));
  await Promise.race([flushed, sleep(FLUSH_MS)]);
  process.exit(exitCode);
}

/** A fault outside of any request. A rejection leaves nothing half done; after an exception the process had better end. */
function surviveFaults(log: Log, stop: () => void): void {
  process.stderr.on("error", () => {});
  process.on("unhandledRejection", (error) => log.error(error));
  process.on("uncaughtException", (error) => {
    log.error(error);
    process.exitCode = 1;
    stop();
  });
}

function onStopSignal(listener: () => void): void {
  process.on("SIGTERM", listener);
  process.on("SIGINT", listener);
}

/** A function that calls `first` when it is called first; it returns whether it did. */
function once(first: () => void): () => boolean {
  let done = false;
  return () => {
    if (done) return false;
    done = true;
    first();
    return true;
  };
}

function hintsFor(address: string, port: number): string {
  const host = address === "0.0.0.0" || address === "::" ? "127.0.0.1" : address;
  const origin = `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
  return `
  Listening on ${origin}, with its documentation at ${origin}/docs. Try it, with the key in .env:

  sed -n 's/^SERVICE_API_KEY=/X-API-Key: /p' .env | curl -H @- --json '{"status":"SUCCESS"}' ${origin}/process

`;
}
