import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

import { type Client, countBy, open, openMany, statusOf, untilAnswered } from "./client.ts";
import { cpuSeconds, residentMiB } from "./processes.ts";
import { get, post, postHead } from "./requests.ts";
import type { Scope } from "./scope.ts";
import { EXEC, type ShellProgram, startInShell } from "./shell.ts";
import { until } from "./wait.ts";

/** What an attack measured. The service holds out if no value is over its limit. */
export interface Measurement {
  readonly what: string;
  readonly value: number;
  readonly limit: number;
}

/** Fails with all measurements that are over their limit. */
export function assertHolds(measurements: readonly Measurement[]): void {
  const failed = measurements.filter(({ value, limit }) => !(value <= limit));
  assert.deepEqual(failed, []);
}

const TASK = post('{"status":"SUCCESS"}');

/** Connections that send nothing. All are held, and no one else notices. */
export async function idleConnections(
  scope: Scope,
  count: number,
  { limitMiB, holdMs, slackMs }: { limitMiB: number; holdMs: number; slackMs: number },
): Promise<Measurement[]> {
  const program = await startInShell(scope, EXEC, {
    MAX_CONNECTIONS: String(count + 100),
    // Thousands of TLS handshakes take a while.
    HEADERS_TIMEOUT_MS: "60000",
    REQUEST_TIMEOUT_MS: "60000",
  });
  const before = await medianTime(program);
  const clients = await openMany(program.port, count);
  const during = await medianTime(program);
  await sleep(holdMs);
  return [
    countOf("connections lost", clients, ({ closed, ended }) => closed || ended),
    { what: "resident MiB", value: residentMiB(program.pid), limit: limitMiB },
    { what: "ms more for a good request", value: during - before, limit: 5 + slackMs },
  ];
}

/** The timeouts of an attack by slowness, in ms. */
export interface SlownessOptions {
  readonly headersMs: number;
  readonly requestMs: number;
  /** What a busy machine may add to a time. */
  readonly slackMs: number;
}

/** Requests that arrive one byte a second, in the header section or in the body: 408 in the end. */
export async function slowRequests(
  scope: Scope,
  part: "header" | "body",
  count: number,
  { headersMs, requestMs, slackMs }: SlownessOptions,
): Promise<Measurement[]> {
  const program = await startInShell(scope, EXEC, {
    HEADERS_TIMEOUT_MS: String(headersMs),
    REQUEST_TIMEOUT_MS: String(requestMs),
  });
  const before = await medianTime(program);
  const start = performance.now();
  const clients = await openMany(program.port, count, SLOW_STARTS[part]);
  const openingMs = performance.now() - start;
  const drip = setInterval(() => {
    for (const { socket, ended } of clients) if (!ended) socket.write("a");
  }, 1000);
  scope.after(() => clearInterval(drip));
  const during = await medianTime(program);
  const timeout = part === "header" ? headersMs : requestMs;
  const limit = timeout + 1500 + openingMs + slackMs;
  await until(() => clients.every(isOver), "the slow connections to be closed", limit + 10_000);
  const closingMs = performance.now() - start;
  return [
    countOf("connections without 408", clients, ({ responses }) => responses[0]?.status !== 408),
    { what: "ms until the last one was closed", value: closingMs, limit },
    { what: "ms more for a good request", value: during - before, limit: 5 + slackMs },
  ];
}

const SLOW_STARTS = {
  header: "POST /process HTTP/1.1\r\nHost: x\r\nX-Slow: ",
  body: postHead(["Content-Length: 1000"]),
} as const;

/**
 * Clients that request much and read nothing. Little is kept for them, and they are closed in the
 * end. The kernel takes some MiB for each: a connection whose responses fit counts as idle.
 */
export async function slowReaders(
  scope: Scope,
  count: number,
  requests: number,
  timeoutMs: number,
): Promise<Measurement[]> {
  const ms = String(timeoutMs);
  const program = await startInShell(scope, EXEC, {
    REQUEST_TIMEOUT_MS: ms,
    HEADERS_TIMEOUT_MS: ms,
    KEEP_ALIVE_TIMEOUT_MS: ms,
  });
  const before = await warmUp(program);
  const clients = await openMany(program.port, count);
  for (const { socket } of clients) {
    socket.pause();
    socket.write(get("/openapi.json").repeat(requests));
  }
  let peak = 0;
  // At the first timeout, node:http takes what moved since the write began for progress.
  for (const stop = Date.now() + 2 * timeoutMs + 3000; Date.now() < stop; await sleep(200)) {
    peak = Math.max(peak, residentMiB(program.pid));
  }
  const sockets = clients.map(({ socket }) => socket);
  await untilGone(scope, sockets, 5000).catch(() => {});
  return [
    { what: "MiB more", value: peak - before, limit: 60 },
    countOf("connections left open", sockets, ({ closed }) => !closed),
  ];
}

/**
 * Resolves when the service has closed all of these connections. A client that does not read finds
 * out by writing. Rejects after `limitMs`.
 */
export async function untilGone(
  scope: Scope,
  sockets: readonly Socket[],
  limitMs: number,
): Promise<void> {
  const probe = setInterval(() => {
    for (const socket of sockets) if (!socket.destroyed) socket.write("x");
  }, PROBE_MS);
  scope.after(() => clearInterval(probe));
  await until(() => sockets.every(({ closed }) => closed), "the end of all connections", limitMs);
}

/** How often a client that does not read finds out whether its connection is closed, in ms. */
export const PROBE_MS = 500;

const GROWTH_LIMIT_MIB = 25;

const LITTLE_GARBAGE = "NODE_OPTIONS=--max-semi-space-size=1";

/** Bodies made to take memory. Each is rejected at once, in few words. */
export async function bodyBombs(scope: Scope): Promise<Measurement[]> {
  const all: Measurement[] = [];
  let growth = Infinity;
  // V8 frees garbage when it likes, later on a busy machine: it gets little room for it here. What
  // bombs take for certain, they take from any process.
  for (let round = 0; round < 3 && growth > GROWTH_LIMIT_MIB; round += 1) {
    const program = await startInShell(scope, `export ${LITTLE_GARBAGE}; ${EXEC}`);
    const before = await warmUp(program, 4);
    all.push(...(await sendBombs(program)));
    growth = Math.min(growth, residentMiB(program.pid) - before);
  }
  return [...all, { what: "MiB more", value: growth, limit: GROWTH_LIMIT_MIB }];
}

async function sendBombs(program: ShellProgram): Promise<Measurement[]> {
  const replies: BombReply[] = [];
  for (const bomb of bombs()) replies.push(await sendBomb(program, bomb));
  const atOnce = Array.from({ length: 10 }, () => sendBomb(program, spaces(16)));
  replies.push(...(await Promise.all(atOnce)));
  const longest = Math.max(...replies.map(({ length }) => length));
  const good = await statusOf(program.port, TASK);
  return [
    countOf("bombs without 413 or 422", replies, ({ status }) => status !== 413 && status !== 422),
    { what: "bytes of the longest response", value: longest, limit: 1500 },
    { what: "good requests without 200", value: good === 200 ? 0 : 1, limit: 0 },
  ];
}

/** More connections than the process may have file handles. */
export async function fileHandles(
  scope: Scope,
  handles: number,
  connections: number,
  slackMs: number,
): Promise<Measurement[]> {
  const program = await startInShell(scope, `ulimit -n ${handles}; ${EXEC}`);
  const clients = await openMany(program.port, connections, TASK);
  const before = cpuSeconds(program.pid);
  await sleep(3000);
  const spent = cpuSeconds(program.pid) - before;
  for (const { socket } of clients) socket.destroy();
  const freed = performance.now();
  await until(() => isServed(program.port), "a response", 10_000).catch(() => {});
  const recoveryMs = performance.now() - freed;
  return [
    // ps counts whole seconds; a busy loop spends three of them.
    { what: "CPU seconds spent in 3 s of waiting", value: spent, limit: 1 },
    { what: "ms until the next response", value: recoveryMs, limit: 1000 + slackMs },
  ];
}

async function isServed(port: number): Promise<boolean> {
  const client = await open(port, TASK);
  await client.until(() => client.responses.length > 0 || isOver(client), "a response");
  client.socket.destroy();
  return client.responses[0]?.status === 200;
}

/** More connections than MAX_CONNECTIONS. The excess is closed at once, the rest served. */
export async function excessConnections(
  scope: Scope,
  limit: number,
  count: number,
): Promise<Measurement[]> {
  const program = await startInShell(scope, EXEC, { MAX_CONNECTIONS: String(limit) });
  const held = await openMany(program.port, limit, TASK);
  await untilAnswered(held);
  const excess = await openMany(program.port, count - limit, TASK);
  await until(() => excess.every(({ closed }) => closed), "the excess to be closed");
  for (const { socket } of held) socket.write(TASK);
  await untilAnswered(held, 2);
  return [
    countOf("responses past the limit", excess, ({ responses }) => responses.length > 0),
    countOf("failures within it", held, ({ responses }) => responses[1]?.status !== 200),
  ];
}

/**
 * More requests than MAX_IN_FLIGHT. The excess gets 503 while the others are in progress: their
 * bodies lack a byte.
 */
export async function excessRequests(
  scope: Scope,
  limit: number,
  count: number,
): Promise<Measurement[]> {
  const program = await startInShell(scope, EXEC, {
    MAX_IN_FLIGHT: String(limit),
    // Nothing is late, however slow the machine is.
    REQUEST_TIMEOUT_MS: "600000",
  });
  const held = await openMany(program.port, limit, TASK.subarray(0, -1));
  await until(async () => (await statusOf(program.port, TASK)) === 503, "the limit to be reached");
  const excess = await openMany(program.port, count - limit, TASK);
  await untilAnswered(excess);
  const health = await statusOf(program.port, get("/health"));
  const early = countOf("early responses", held, ({ responses }) => responses.length > 0);
  for (const client of held) client.send(TASK.subarray(-1));
  await untilAnswered(held);
  return [
    early,
    countOf("others without 503 and Retry-After", excess, (client) => !isToldToRetry(client)),
    countOf(
      "requests within it without 200",
      held,
      ({ responses }) => responses[0]?.status !== 200,
    ),
    { what: "responses of /health other than 200", value: health === 200 ? 0 : 1, limit: 0 },
  ];
}

/** No one takes the log: its reader is gone, or never reads. */
export async function brokenLog(
  scope: Scope,
  reader: "closed" | "stuck",
  requests: number,
): Promise<Measurement[]> {
  const stay = reader === "stuck" ? "exec sleep 600;" : "";
  const program = await startInShell(scope, `"$@" | { grep -m 1 listening; ${stay} }`);
  const before = await warmUp(program);
  const statuses = await sendMany(program, requests);
  const growth = residentMiB(program.pid) - before;
  return [
    { what: "requests without 200", value: requests - (statuses["200"] ?? 0), limit: 0 },
    { what: "MiB more", value: growth, limit: 60 },
  ];
}

/**
 * Ordinary traffic, small and large, until V8 keeps the room that it likes to have for young
 * objects and garbage (tens of MiB). What an attack takes on top of that is the attack's. Returns
 * the peak of the resident memory, in MiB.
 */
async function warmUp(program: ShellProgram, rounds = 1): Promise<number> {
  const upload = post(`{"status":"SUCCESS","padding":"${"x".repeat(1_000_000)}"}`);
  let peak = 0;
  for (let round = 0; round < rounds; round += 1) {
    await sendMany(program, 3000);
    for (let batch = 0; batch < 30; batch += 1) {
      await Promise.all(Array.from({ length: 10 }, () => statusOf(program.port, upload)));
    }
    peak = Math.max(peak, residentMiB(program.pid));
  }
  return peak;
}

/** Sends requests on 20 connections, 10 at a time on each. Returns how many got which status. */
export async function sendMany(
  program: ShellProgram,
  requests: number,
): Promise<Record<string, number>> {
  const clients = await openMany(program.port, 20);
  const statuses: (number | undefined)[] = [];
  while (statuses.length < requests && clients.every(({ closed }) => !closed)) {
    const batch = Math.min(10, Math.ceil((requests - statuses.length) / clients.length));
    const bytes = Buffer.concat(Array<Buffer>(batch).fill(TASK));
    for (const { socket } of clients) socket.write(bytes);
    const isDone = ({ responses, closed }: Client): boolean => responses.length === batch || closed;
    await until(() => clients.every(isDone), "responses");
    for (const { responses } of clients) {
      statuses.push(...responses.splice(0).map(({ status }) => status));
    }
  }
  for (const { socket } of clients) socket.destroy();
  return countBy(statuses.slice(0, requests));
}

/**
 * Pipelines requests on many connections for as long as the service takes them, and reads the
 * responses. The paths are long and quoted, which makes long lines of the log.
 */
export function startFlood(scope: Scope, port: number, connections: number): () => void {
  const bytes = get(`/${'"'.repeat(255)}`).repeat(230);
  const sockets = Array.from({ length: connections }, () => {
    const socket = connect(port, "127.0.0.1").resume().unref();
    const send = (): void => {
      while (socket.writable && socket.write(bytes));
    };
    socket.on("error", () => {});
    return socket.on("connect", send).on("drain", send);
  });
  const stop = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  scope.after(stop);
  return stop;
}

/** The median time of a good request on a connection of its own, in ms. */
async function medianTime({ port }: ShellProgram): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < 40; i += 1) {
    const start = performance.now();
    const status = await statusOf(port, get("/health"));
    if (status !== 200) throw new Error(`a good request got ${status}`);
    times.push(performance.now() - start);
    await sleep(10);
  }
  times.sort((a, b) => a - b);
  return times[20] ?? Infinity;
}

/** Hostile bodies, each in the pieces in which it is sent. */
function* bombs(): Generator<Iterable<Buffer>> {
  yield [postHead(["Content-Length: 1073741824"])];
  yield spaces(64);
  yield [post(`{"status":${"[".repeat(100_000)}${"]".repeat(100_000)}}`)];
  yield [post("[".repeat(400_000))];
  yield [post(`${'{"a":'.repeat(50_000)}1${"}".repeat(50_000)}`)];
  yield [post(`{${Array.from({ length: 80_000 }, (_, i) => `"k${i}":1`).join(",")}}`)];
}

/** A chunked body of `count` MiB of blanks. */
function* spaces(count: number): Generator<Buffer> {
  yield postHead(["Transfer-Encoding: chunked"]);
  const blanks = Buffer.alloc(1_048_576, " ");
  const chunk = Buffer.concat([Buffer.from("100000\r\n"), blanks, Buffer.from("\r\n")]);
  for (let i = 0; i < count; i += 1) yield chunk;
  yield Buffer.from("0\r\n\r\n");
}

interface BombReply {
  readonly status: number;
  /** Of the body, in characters. */
  readonly length: number;
}

/** Sends pieces for as long as the service takes them. */
async function sendBomb({ port }: ShellProgram, pieces: Iterable<Buffer>): Promise<BombReply> {
  const client = await open(port);
  for (const piece of pieces) {
    if (client.closed) break;
    if (client.socket.write(piece)) continue;
    await new Promise((resolve) => {
      client.socket.once("drain", resolve);
      client.socket.once("close", resolve);
    });
  }
  await client.until(() => client.responses.length > 0 || client.closed, "a response");
  client.socket.destroy();
  const { status = 0, body = "" } = client.responses[0] ?? {};
  return { status, length: body.length };
}

/** How many items there are of a kind that there must not be. */
export function countOf<T>(
  what: string,
  items: readonly T[],
  isBad: (item: T) => boolean,
): Measurement {
  return { what, value: items.filter(isBad).length, limit: 0 };
}

/** Whether the response is 503 with Retry-After. */
export function isToldToRetry({ responses: [response] }: Client): boolean {
  return response?.status === 503 && response.headers["retry-after"] === "1";
}

/** Whether the service has closed its side of a connection. */
export function isOver({ ended, closed }: Client): boolean {
  return ended || closed;
}
