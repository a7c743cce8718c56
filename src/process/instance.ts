import type { Server } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { Server as TlsServer } from "node:tls";

import { createRoutes } from "../app.ts";
import type { Secrets, Settings } from "../config/settings.ts";
import { secureContextOptions, type TlsPair, tlsServerOptions } from "../config/tls-context.ts";
import { createService, type Service } from "../http/server.ts";
import type { Log } from "../log.ts";
import { formatMetrics, type Samples } from "../metrics-text.ts";
import type { MetricsReader } from "../routes/metrics.ts";
import { watchFileHandles } from "./file-handles.ts";
import { listen, type ListenAddress } from "./listen.ts";
import { commonSamples, ProcessMetrics } from "./metrics.ts";
import { createThrottle } from "./throttle.ts";

/** What serves requests: this process, or a pool of workers. */
export interface Instance {
  /** Starts listening. Rejects with a Failure if it can't. */
  listen(): Promise<ListenAddress>;
  /**
   * Replaces keys, certificate and private key. Resolves when every process uses the new ones for
   * new connections and requests. TLS can't be switched on or off.
   */
  setSecrets(secrets: Secrets): Promise<void>;
  /** Drains. Resolves to the exit code: 1 if SHUTDOWN_TIMEOUT_MS cut off what was in progress. */
  stop(): Promise<number>;
}

/** The service of this process. */
export interface LocalInstance extends Instance {
  /** What it counts and measures; undefined if METRICS is off. */
  samples(): Samples | undefined;
}

/**
 * The service of this process. Throws an Error if the route table holds a mistake. `readMetrics`
 * returns the metrics of all processes, if there are others.
 */
export function createInstance(
  settings: Settings,
  secrets: Secrets,
  log: Log,
  readMetrics?: MetricsReader,
): LocalInstance {
  const keyring = { current: secrets.keys };
  let { tls } = secrets;
  const metrics = settings.metrics ? new ProcessMetrics(log) : undefined;
  const samples = (): Samples | undefined => metrics?.samples(service);
  const readOwn = (): string => formatOwn({ keys: keyring.current, tls }, samples());
  const routes = createRoutes({
    keyring,
    isDraining: () => service.connections.isDraining,
    processDelayMs: settings.processDelayMs,
    docs: settings.docs,
    readMetrics: metrics && (readMetrics ?? readOwn),
  });
  const events = metrics === undefined ? log : { ...log, response: metrics.response };
  const service: Service = createService(routes, settings, events, {
    tls: tls && tlsServerOptions(tls, settings.headersTimeoutMs),
  });
  logServerProblems(service.server, log);
  return {
    listen: () => listen(service.server, settings),
    setSecrets: async (latest) => {
      if (latest.tls !== undefined) setSecureContext(service.server, latest.tls);
      keyring.current = latest.keys;
      tls = latest.tls;
    },
    stop: () => stop(service, settings),
    samples,
  };
}

/** The text of the metrics if this is the only process. */
function formatOwn(secrets: Secrets, samples: Samples = new Map()): string {
  return formatMetrics([{ samples }, { samples: commonSamples(secrets, Date.now()) }]);
}

/** Connections that begin from now on use another pair. Open ones go on with theirs. */
function setSecureContext(server: Server, pair: TlsPair): void {
  (server as unknown as TlsServer).setSecureContext(secureContextOptions(pair));
}

/** Logs why connections are closed before they have sent a request: each cause once a second. */
function logServerProblems(server: Server, log: Log): void {
  const onDrop = createThrottle((_connection: unknown, count) => {
    const most = `${server.maxConnections} connections are open (MAX_CONNECTIONS)`;
    const message = `${most}: new ones are closed`;
    log.event("warn", "warning", { message, count });
  });
  const onError = createThrottle((error: Error, count) => {
    log.event("error", "error", { stack: error.stack, count });
  });
  const onFailedHandshake = createThrottle((code: string, count) => {
    log.event("info", "handshake_failed", { code, count });
  });
  server.on("tlsClientError", ({ code = "" }: NodeJS.ErrnoException) => {
    // A client that goes away has its reasons.
    if (code !== "ECONNRESET") onFailedHandshake(code);
  });
  server.on("drop", onDrop);
  server.once("listening", () => {
    // Errors after "listening" come from accept(). libuv tries again.
    server.on("error", onError);
    const stopWatching = watchFileHandles((code) => {
      log.warn([
        `no file handle is left (${code}), so new connections are closed: ${MORE_HANDLES}`,
      ]);
    });
    server.on("close", stopWatching);
  });
}

const MORE_HANDLES = "raise the limit (ulimit -n) or lower MAX_CONNECTIONS";

async function stop({ server, connections }: Service, settings: Settings): Promise<number> {
  connections.startDraining();
  await sleep(settings.shutdownDelayMs);
  const { shutdownTimeoutMs } = settings;
  const drained = connections.drain(server, shutdownTimeoutMs).then(() => 0);
  const timeout = sleep(shutdownTimeoutMs, 1, { ref: false });
  return Promise.race([drained, timeout]);
}
