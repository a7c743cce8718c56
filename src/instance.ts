import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

import { createRoutes } from "./app.ts";
import type { KeySet } from "./auth/keys.ts";
import { createService } from "./http/server.ts";
import type { Log } from "./log.ts";
import type { Settings } from "./settings.ts";

/** What answers requests: the service of one process, or all its workers. */
export interface Serving {
  /** Resolves to where it listens; rejects with one line that says why it can't. */
  listen(): Promise<{ readonly address: string; readonly port: number }>;
  /** Swaps the keys, for all requests from now on. */
  setKeys(keys: KeySet): void;
  /** Finishes what is in the making: resolves to the exit code, 1 when the time for it was up. */
  stop(): Promise<number>;
}

/** The service of this process; it doesn't listen yet. Throws when the route table holds a mistake. */
export function createInstance(settings: Settings, keys: KeySet, log: Log): Serving {
  const keyring = { current: keys };
  const reports = { answered: log.answered, failed: log.error };
  const { server, connections } = createService(createRoutes(settings, keyring), settings, reports);
  server.on("drop", () => log.warn([`MAX_CONNECTIONS (${server.maxConnections}) are open: one more was closed`]));
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
      else reject(new Error(`can't listen on ${host}:${port} (${code}): set HOST and PORT to what is free here`));
    });
    // The kernel may hold fewer pending connections than that.
    server.listen({ host, port, backlog: 4096 });
  });
}
