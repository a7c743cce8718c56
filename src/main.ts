import { setTimeout as sleep } from "node:timers/promises";

import { createEnvFile, keygen, listKeys, type Output } from "./auth/keygen.ts";
import { Fleet, followPrimary, isWorker } from "./cluster.ts";
import { createInstance, type Serving } from "./instance.ts";
import { createLog, type Log, PIPE_BUF } from "./log.ts";
import { sandboxOptions } from "./sandbox.ts";
import { type Configuration, readConfiguration, SettingsError } from "./settings.ts";

/** sysexits.h: the command line, or the settings, are wrong. */
const EX_USAGE = 64;
const EX_CONFIG = 78;

const USAGE = "usage: main.js [--hints] | keygen [NAME [--days N]] | keys | init | sandbox\n";

/** How long the last log lines may take to get out. */
const FLUSH_MS = 50;

if (isWorker) runWorker();
else runCommand(process.argv.slice(2));

function runCommand([command, ...args]: string[]): void {
  if (command === "keygen") print(keygen(args, Date.now()));
  else if (args.length > 0) print({ stdout: "", stderr: USAGE, exitCode: EX_USAGE });
  else if (command === "keys") print(success(listKeys(configure().keys, Date.now())));
  else if (command === "init") print(createEnvFile(".env"));
  else if (command === "sandbox") print(success(sandbox(configure())));
  else if (command === undefined || command === "--hints") serve(command !== undefined);
  else print({ stdout: "", stderr: USAGE, exitCode: EX_USAGE });
}

function success(stdout: string): Output {
  return { stdout, stderr: "", exitCode: 0 };
}

/** The NODE_OPTIONS with which the program has the rights it needs and no more. */
function sandbox({ settings, files }: Configuration): string {
  return `${sandboxOptions(process.allowedNodeEnvironmentFlags, { files, processes: settings.workers > 1 })}\n`;
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

function serve(hints: boolean): void {
  const { settings, keys, warnings } = configure();
  const log = createLog(settings.logLevel, process.stdout);
  log.warn(warnings);
  const fail = (message: string): void => {
    log.flush();
    process.stderr.write(`${message}\n`);
    process.exit(1);
  };
  const isFleet = settings.workers > 1;
  const serving = isFleet ? new Fleet(settings, keys, log, fail) : createInstance(settings, keys, log);
  const stop = once(() => leave(serving, log));
  onStopSignal(() => {
    if (!stop()) process.exit(1);
  });
  process.on("SIGHUP", () => reload(serving, log));
  surviveFaults(log, stop);
  serving.listen().then(
    ({ address, port }) => {
      log.event("info", "listening", { host: address, port, workers: settings.workers, pid: process.pid });
      if (hints) process.stderr.write(hintsFor(address, port));
    },
    (error: Error) => fail(error.message),
  );
}

function runWorker(): void {
  let instance: Serving | undefined;
  let log: Log | undefined;
  const stop = once(() => leave(instance, log));
  // A second signal, and SIGHUP, are for the primary: a terminal and systemd send them to the whole group.
  onStopSignal(stop);
  process.on("SIGHUP", () => {});
  followPrimary((order) => {
    if (order.type === "stop") return stop();
    if (order.type === "keys") return instance?.setKeys(order.keys);
    log = createLog(order.settings.logLevel, process.stdout, PIPE_BUF);
    instance = createInstance(order.settings, order.keys, log);
    surviveFaults(log, stop);
    return instance.listen();
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

/** Faults outside of requests. A rejection leaves nothing half done; after an exception the process had better end. */
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
  const host = { "0.0.0.0": "127.0.0.1", "::": "127.0.0.1", "::1": "[::1]" }[address] ?? address;
  const origin = `http://${host}:${port}`;
  return `
  Listening on ${origin}, with its documentation at ${origin}/docs. Try it, with the key in .env:

  sed -n 's/^SERVICE_API_KEY=/X-API-Key: /p' .env | curl -H @- --json '{"status":"SUCCESS"}' ${origin}/process

`;
}
