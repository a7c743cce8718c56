import { createServer, type Server } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** The port that whoever holds the fixed ports listens on. */
const LOCK_PORT = 8079;

/**
 * Waits until no other test on this machine uses the ports of the published configurations, and
 * keeps others from using them. Returns a function that lets them go. Rejects after `limitMs`.
 */
export async function lockFixedPorts(limitMs: number): Promise<() => void> {
  const end = Date.now() + limitMs;
  for (;;) {
    const lock = await tryToListen(LOCK_PORT);
    if (lock !== undefined) return () => void lock.close();
    if (Date.now() > end) throw new Error(`another test has held port ${LOCK_PORT} for too long`);
    await sleep(200);
  }
}

/** Rejects with an Error that names the first of these ports that somebody listens on. */
export async function assertFree(ports: readonly number[]): Promise<void> {
  for (const port of ports) {
    const server = await tryToListen(port);
    if (server === undefined) {
      throw new Error(`port ${port} is in use, and the published configuration needs it`);
    }
    await new Promise((resolve) => server.close(resolve));
  }
}

/** Undefined if somebody listens on the port. */
function tryToListen(port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(undefined));
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}
