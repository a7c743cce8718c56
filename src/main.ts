import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

import { createEnvFile, keygen, listKeys, type Output } from "./auth/keygen.ts";
import type { KeySet } from "./auth/keys.ts";
import type { Keyring } from "./auth/security.ts";
import { createRoutes } from "./app.ts";
import { Fleet, type FleetEvents, followPrimary, isWorker } from "./cluster.ts";
import { createService } from "./http/server.ts";
import { createLog, type Log } from "./log.ts";
import { type Configuration, readConfiguration, type Settings, SettingsError } from "./settings.ts";

/** sysexits.h: the command line, or the settings, are wrong. */
const EX_USAGE = 64;
const EX_CONFIG = 78;

const USAGE = "usage: main.js [--hints] | keygen [NAME [--days N]] | keys | init\n";

/** Pending connections the kernel may hold; it may cap them further. */
const BACKLOG = 4096;

/** How long the last log lines may take to get out. */
const FLUSH_MS = 50;

if (isWorker) runWorker();
else runCommand(process.argv.slice(2));

function runCommand([command, ...args]: string[]): void {
  const isAlone = args.length === 0;
  if (command === "keygen") print(keygen(args, Date.now()));
  else if (command === "keys" && isAlone) print({ stdout: listKeys(configure().keys, Date.now()), stderr: "", exitCode: 0 });
  else if (command === "init" && isAlone) print(createEnvFile(".env"));
  else if (command === "--hints" && isAlone) serve(true);
  else if (command === undefined) serve(false);
  else print({ stdout: "", stderr: USAGE, exitCode: EX_USAGE });
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
  warn(log, warnings);
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
  const stop = once(() => leave(serving, log), () => process.exit(1));
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
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
  const stop = once(() => leave(instance, log), () => {});
  // The primary acts on a second signal, and on SIGHUP: a terminal and systemd send them to the whole group.
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
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

/** The service in this process. */
interface Instance extends Serving {
  /** Rejects with one line that says what is wrong. */
  listen(): Promise<AddressInfo>;
}

function createInstance(settings: Settings, keys: KeySet, log: Log): Instance {
  const keyring: Keyring = { current: keys };
  const { server, connections } = createService(createRoutes(settings, keyring), settings, {
    answered: log.answered,
    failed: (error, requestId) => logError(log, error, requestId),
  });
  return {
    listen: () => listen(server, settings, log),
    setKeys(keys: KeySet): void {
      keyring.current = keys;
    },
    async stop(): Promise<number> {
      connections.draining = true;
      await sleep(settings.shutdownDelayMs);
      const cut = sleep(settings.shutdownTimeoutMs, 1, { ref: false });
      return Promise.race([connections.drain(server).then(() => 0), cut]);
    },
  };
}

function listen(server: Server, { host, port }: Settings, log: Log): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    const refuse = (error: NodeJS.ErrnoException): void => {
      reject(new Error(`can't listen on ${host}:${port} (${error.code}): set HOST and PORT to what is free`));
    };
    server.once("error", refuse);
    server.listen({ host, port, backlog: BACKLOG }, () => {
      server.off("error", refuse);
      // From here on it is accept() that fails, as when file handles run out: it will be tried again.
      server.on("error", (error) => log.event("error", "error", { message: error.message }));
      resolve(server.address() as AddressInfo);
    });
  });
}

function reload(serving: Serving, log: Log): void {
  try {
    const { keys, warnings } = readConfiguration(process.env, process.cwd(), Date.now());
    serving.setKeys(keys);
    log.event("info", "keys_reloaded", { keys: keys.length });
    warn(log, warnings);
  } catch (error) {
    if (error instanceof SettingsError) log.event("error", "keys_reload_failed", { faults: error.faults });
    else logError(log, error);
  }
}

/** Stops and exits, with the last lines of the log on their way. */
async function leave(serving: Serving | undefined, log: Log | undefined): Promise<void> {
  log?.event("info", "draining", { pid: process.pid });
  const exitCode = (await serving?.stop()) ?? 0;
  log?.event("info", "stopped", { pid: process.pid, exit_code: exitCode });
  log?.flush();
  const flushed = new Promise((resolve) => process.stdout.write("", resolve));
  await Promise.race([flushed, sleep(FLUSH_MS)]);
  process.exit(exitCode);
}

/** A fault outside of any request. A rejection leaves nothing half done; after an exception the process had better end. */
function surviveFaults(log: Log, stop: () => void): void {
  process.on("unhandledRejection", (error) => logError(log, error));
  process.on("uncaughtException", (error) => {
    logError(log, error);
    process.exitCode = 1;
    stop();
  });
}

function logError(log: Log, error: unknown, requestId?: string): void {
  const stack = error instanceof Error ? error.stack : String(error);
  log.event("error", "error", { request_id: requestId, stack });
}

function warn(log: Log, warnings: readonly string[]): void {
  for (const message of warnings) log.event("warn", "warning", { message });
}

/** A function that does `first` when it is called first, and `again` each further time. */
function once(first: () => void, again: () => void): () => void {
  let done = false;
  return () => {
    const next = done ? again : first;
    done = true;
    next();
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
