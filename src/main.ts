import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

import { createRoutes } from "./app.ts";
import { keygen, listKeys, type Output } from "./auth/keygen.ts";
import type { KeySet } from "./auth/keys.ts";
import { createFleet, fail, followPrimary, isWorker, type Serving } from "./process/cluster.ts";
import { createService } from "./http/server.ts";
import { createLog, type Log, PIPE_BUF } from "./log.ts";
import { sandboxOptions } from "./process/sandbox.ts";
import {
  type Configuration,
  readConfiguration,
  type Settings,
  SettingsError,
} from "./config/settings.ts";

const USAGE = "usage: main.js [--hints] | keygen [NAME [--days N]] | keys | sandbox";

const STOP_SIGNALS = ["SIGTERM", "SIGINT"] as const;

if (isWorker) runWorker();
else runCommand(process.argv.slice(2));

function runCommand([command, ...args]: string[]): void {
  if (command === "keygen") print(keygen(args, Date.now()));
  // sysexits.h: EX_USAGE.
  else if (args.length > 0) fail(USAGE, 64);
  else if (command === "keys") process.stdout.write(listKeys(configure().keys, Date.now()));
  else if (command === "sandbox")
    console.log(sandboxOptions(process.allowedNodeEnvironmentFlags, configure().grants));
  else if (command === undefined || command === "--hints") void serve(command !== undefined);
  else fail(USAGE, 64);
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
    // sysexits.h: EX_CONFIG.
    return fail(error.message, 78);
  }
}

async function serve(hints: boolean): Promise<void> {
  const { settings, keys, warnings } = configure();
  const log = createLog(settings.logLevel, process.stdout);
  log.warn(warnings);
  const serving =
    settings.workers > 1 ? createFleet(settings, keys, log) : createInstance(settings, keys, log);
  const stop = prepareStop(serving, log);
  for (const signal of STOP_SIGNALS)
    process.on(signal, () => (stop.signal.aborted ? process.exit(1) : stop.abort()));
  process.on("SIGHUP", () => reload(serving, log));
  const { address, port } = await serving.listen().catch((error: Error) => fail(error.message));
  log.event("info", "listening", {
    host: address,
    port,
    workers: settings.workers,
    pid: process.pid,
  });
  if (hints) process.stderr.write(hintsFor(address, port));
}

function runWorker(): void {
  let instance: Serving | undefined;
  let stop: AbortController | undefined;
  // A second signal, and SIGHUP, are for the primary: a terminal and systemd send them to the whole group.
  for (const signal of STOP_SIGNALS) process.on(signal, () => stop?.abort());
  process.on("SIGHUP", () => {});
  followPrimary(async (order) => {
    if (order === "stop") return stop === undefined ? process.exit() : stop.abort();
    if (instance !== undefined) return instance.setKeys(order.keys);
    const log = createLog(order.settings.logLevel, process.stdout, PIPE_BUF);
    instance = createInstance(order.settings, order.keys, log);
    stop = prepareStop(instance, log);
    return instance.listen();
  });
}

/** The service of this process; it doesn't listen yet. Throws when the route table holds a mistake. */
function createInstance(settings: Settings, keys: KeySet, log: Log): Serving {
  const keyring = { current: keys };
  const { server, connections } = createService(createRoutes(settings, keyring), settings, log);
  server.on("drop", () =>
    log.warn([`MAX_CONNECTIONS (${server.maxConnections}) are open: one more was closed`]),
  );
  // Once it listens it is accept() that fails, as when file handles run out: it will be tried again.
  server.once("listening", () => server.on("error", log.error));
  return {
    listen: () => listen(server, settings.host, settings.port),
    setKeys: (current) => void (keyring.current = current),
    async stop(): Promise<number> {
      connections.draining = true;
      await sleep(settings.shutdownDelayMs);
      const cut = sleep(settings.shutdownTimeoutMs, 1, { ref: false });
      return Promise.race([connections.drain(server).then(() => 0), cut]);
    },
  };
}

function listen(server: Server, host: string, port: number): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once("listening", () => resolve(server.address() as AddressInfo));
    server.once("error", ({ code }: NodeJS.ErrnoException) => {
      // "::" is every address; without IPv6 that is every one of IPv4.
      if (code === "EAFNOSUPPORT" && host === "::") resolve(listen(server, "0.0.0.0", port));
      else
        reject(
          new Error(
            `can't listen on ${host}:${port} (${code}): set HOST and PORT to what is free here`,
          ),
        );
    });
    // The kernel may hold fewer pending connections than that.
    server.listen({ host, port, backlog: 4096 });
  });
}

function reload(serving: Serving, log: Log): void {
  try {
    const { keys, warnings } = readConfiguration(process.env, process.cwd(), Date.now());
    serving.setKeys(keys);
    log.event("info", "keys_reloaded", { keys: keys.length });
    log.warn(warnings);
  } catch (error) {
    log.event("error", "keys_reload_failed", { faults: (error as Error).message.split("\n") });
  }
}

/** What stops the service and ends the process, on its first abort(). So does an exception nobody caught. */
function prepareStop(serving: Serving, log: Log): AbortController {
  const stop = new AbortController();
  stop.signal.addEventListener("abort", () => leave(serving, log));
  process.on("exit", log.flush);
  process.stderr.on("error", () => {});
  // A rejection leaves nothing half done; after an exception the process had better end.
  process.on("unhandledRejection", (error) => log.error(error));
  process.on("uncaughtException", (error) => {
    log.error(error);
    process.exitCode = 1;
    stop.abort();
  });
  return stop;
}

/** Lets the service finish what it has begun, then ends the process. */
async function leave(serving: Serving, log: Log): Promise<void> {
  log.event("info", "draining", { pid: process.pid });
  const exitCode = (await serving.stop()) || Number(process.exitCode ?? 0);
  log.event("info", "stopped", { pid: process.pid, exit_code: exitCode });
  log.flush();
  // The last lines have 50 ms to get out.
  await Promise.race([new Promise((resolve) => process.stdout.write("", resolve)), sleep(50)]);
  process.exit(exitCode);
}

function hintsFor(address: string, port: number): string {
  const host = { "0.0.0.0": "127.0.0.1", "::": "127.0.0.1", "::1": "[::1]" }[address] ?? address;
  const origin = `http://${host}:${port}`;
  return `
  Listening on ${origin}, with its documentation at ${origin}/docs. Try it, with the key in .env:

  sed -n 's/^SERVICE_API_KEY=/X-API-Key: /p' .env | curl -H @- --json '{"status":"SUCCESS"}' ${origin}/process

`;
}
