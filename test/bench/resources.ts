import { setTimeout as sleep } from "node:timers/promises";

import type { Ask } from "./client.ts";
import { ACCEPTED, type ServerName } from "./scenarios.ts";
import { memoryOf, type Server, type Start } from "./server.ts";
import { lowerQuartile } from "./statistics.ts";

/** How long one kind of server takes to its first response. */
export interface StartTime {
  readonly server: ServerName;
  /** From the start of its process to the arrival of the response; the lower quartile, in ms. */
  readonly ms: number;
}

/** What one kind of server holds, in bytes of resident memory. */
export interface Holdings {
  readonly server: ServerName;
  /** Before the first connection. */
  readonly atStart: number;
  readonly perIdleConnection: number;
  readonly perRequestInFlight: number;
}

/** Starts the two in turn, `count` times each. */
export async function measureStarts(start: Start, count: number): Promise<StartTime[]> {
  const times = { service: [] as number[], floor: [] as number[] };
  for (let round = 0; round < count; round += 1) {
    for (const server of ["service", "floor"] as const) {
      times[server].push(await startTime(start, server));
    }
  }
  return (["service", "floor"] as const).map((server) => ({
    server,
    ms: lowerQuartile(times[server]),
  }));
}

async function startTime(start: Start, name: ServerName): Promise<number> {
  const from = performance.now();
  const server = await start(name);
  const response = await fetch(`http://127.0.0.1:${server.port}/docs`);
  const time = performance.now() - from;
  await response.arrayBuffer();
  await server.stop();
  return time;
}

/**
 * Opens `count` connections to fresh servers: to one of each kind connections that are idle after
 * their response, and to another connections that wait for it.
 */
export async function measureMemory(start: Start, ask: Ask, count: number): Promise<Holdings[]> {
  const holdings: Holdings[] = [];
  for (const server of ["service", "floor"] as const) {
    const [empty, idle] = await watch(start, server, [
      ({ port }) => ask({ do: "open", pool: "memory", port, count, request: ACCEPTED }),
    ]);
    await ask({ do: "close", pool: "memory" });
    const [, connected, busy] = await watch(start, `stuck ${server}`, [
      ({ port }) => ask({ do: "open", pool: "memory", port, count }),
      () => ask({ do: "send", pool: "memory", request: ACCEPTED }),
    ]);
    await ask({ do: "close", pool: "memory" });
    holdings.push({
      server,
      atStart: empty!,
      perIdleConnection: (idle! - empty!) / count,
      perRequestInFlight: (busy! - connected!) / count,
    });
  }
  return holdings;
}

/** The memory of a fresh server at first, and after each step. */
async function watch(
  start: Start,
  name: ServerName,
  steps: readonly ((server: Server) => Promise<unknown>)[],
): Promise<number[]> {
  // Little room for garbage, so that what is kept can be seen.
  const server = await start(name, { flags: ["--max-semi-space-size=1"] });
  const sizes = [memoryOf(server.pid, "VmRSS")];
  for (const step of steps) {
    await step(server);
    await sleep(SETTLE_MS);
    sizes.push(memoryOf(server.pid, "VmRSS"));
  }
  await server.stop();
  return sizes;
}

const SETTLE_MS = 1000;
