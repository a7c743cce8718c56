import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

import {
  countOf,
  isOver,
  isToldToRetry,
  type Measurement,
  PROBE_MS,
  startFlood,
  untilGone,
} from "./attacks.ts";
import { type Client, open, openMany, request, statusOf, untilAnswered } from "./client.ts";
import { residentMiB } from "./processes.ts";
import { get, KEY, post } from "./requests.ts";
import type { Scope } from "./scope.ts";
import { EXEC, startInShell } from "./shell.ts";
import { until } from "./wait.ts";

/** How large an attack on memory is, and what the process may take while it lasts. */
export interface MemoryAttack {
  /** Connections that clients try to open. */
  readonly connections: number;
  /** The resident memory of the process at its peak, in MiB. */
  readonly limitMiB: number;
}

const MIB = 1_048_576;

/** Longer than an attack should take on a busy machine: a bound, not a measurement. */
const LIMIT_MS = 120_000;

const TASK = post('{"status":"SUCCESS"}');

/** Header sections without an end, and after how many ms they are late. */
export interface UnfinishedHeaders extends MemoryAttack {
  readonly timeoutMs: number;
}

/**
 * Connections that send 15 KiB of a header section and no end. They get 408, or are closed at once
 * if there are too many, and then others are served.
 */
export async function unfinishedHeaders(
  scope: Scope,
  { connections, timeoutMs, limitMiB }: UnfinishedHeaders,
): Promise<Measurement[]> {
  const program = await startInShell(scope, EXEC, { HEADERS_TIMEOUT_MS: String(timeoutMs) });
  const fields = Array.from({ length: 96 }, (_, index) => `X-${index}: ${"a".repeat(150)}\r\n`);
  const unfinished = `GET /health HTTP/1.1\r\nHost: x\r\n${fields.join("")}`;
  const clients = await openMany(program.port, connections, unfinished);
  await until(() => clients.every(isOver), "the connections to be closed", LIMIT_MS);
  const responses = clients.flatMap((client) => client.responses);
  return [
    { what: "MiB at the peak", value: peakMiB(program.pid), limit: limitMiB },
    { what: "attacks without any 408", value: responses.length === 0 ? 1 : 0, limit: 0 },
    countOf("responses other than 408", responses, ({ status }) => status !== 408),
    await failuresAmong(20, program.port, get("/health")),
  ];
}

/** Connections that pipeline 64 KiB of requests without a key and read nothing. */
export async function unreadResponses(
  scope: Scope,
  { connections, limitMiB }: MemoryAttack,
): Promise<Measurement[]> {
  const program = await startInShell(scope, EXEC);
  await openUnread(scope, program.port, connections, get("/docs").repeat(2000));
  const failures = await failuresAmong(20, program.port, get("/health"));
  return [{ what: "MiB at the peak", value: peakMiB(program.pid), limit: limitMiB }, failures];
}

/**
 * Connections that pipeline requests without a key and read the responses. Meanwhile, and for
 * `holdMs` at least, others are served.
 */
export async function readResponses(
  scope: Scope,
  { connections, limitMiB }: MemoryAttack,
  holdMs: number,
): Promise<Measurement[]> {
  const program = await startInShell(scope, EXEC);
  const stop = startFlood(scope, program.port, connections);
  const hold = sleep(holdMs);
  const failures = await failuresAmong(20, program.port, get("/health"));
  await hold;
  stop();
  return [{ what: "MiB at the peak", value: peakMiB(program.pid), limit: limitMiB }, failures];
}

/** Bodies of 1 MiB that lack their last byte, and how many of them MAX_BODY_MEMORY has room for. */
export interface UnfinishedBodies extends MemoryAttack {
  readonly allowed: number;
}

/**
 * Exactly as many bodies are held as there is room for, and get their 200 in the end. The others
 * get 503.
 */
export async function unfinishedBodies(
  scope: Scope,
  { connections, allowed, limitMiB }: UnfinishedBodies,
): Promise<Measurement[]> {
  const program = await startInShell(scope, EXEC, {
    MAX_BODY_MEMORY: String(allowed * MIB),
    // Nothing is late, however slow the machine is.
    REQUEST_TIMEOUT_MS: "600000",
  });
  const upload = post(bodyOf(MIB));
  const clients = await openMany(program.port, connections, upload.subarray(0, -1));
  const isHeld = (client: Client): boolean => client.responses.length === 0 && !isOver(client);
  const isSettled = (): boolean => clients.filter(isHeld).length <= allowed;
  await until(isSettled, "the excess to be rejected", LIMIT_MS);
  const held = clients.filter(isHeld);
  const rejected = clients.filter((client) => !held.includes(client));
  const failures = await failuresAmong(20, program.port, TASK);
  for (const client of held) client.send(upload.subarray(-1));
  await untilAnswered(held);
  return [
    { what: "MiB at the peak", value: peakMiB(program.pid), limit: limitMiB },
    { what: "bodies held past the limit", value: held.length - allowed, limit: 0 },
    { what: "bodies rejected within the limit", value: allowed - held.length, limit: 0 },
    countOf(
      "rejections other than 503 with Retry-After",
      rejected,
      (client) => !isToldToRetry(client),
    ),
    countOf("bodies held without 200", held, ({ responses }) => responses[0]?.status !== 200),
    failures,
  ];
}

/** A body that is valid JSON and has exactly `length` bytes. */
function bodyOf(length: number): string {
  const start = '{"status":"SUCCESS","padding":"';
  return `${start}${"x".repeat(length - start.length - 2)}"}`;
}

/** How many requests of one connection may be open at once. */
const MAX_OPEN = 64;

/**
 * One connection that pipelines `count` requests with a key. It has 64 in flight at most: others
 * would get 503 if it had more.
 */
export async function longPipeline(
  scope: Scope,
  count: number,
  limitMiB: number,
): Promise<Measurement[]> {
  const program = await startInShell(scope, EXEC, {
    MAX_IN_FLIGHT: String(MAX_OPEN + 1),
    PROCESS_DELAY_MS: "10",
  });
  const ids = Array.from({ length: count }, (_, index) => `id-${index}`);
  const requests = ids.map((id) => post('{"status":"SUCCESS"}', [`X-Request-Id: ${id}`]));
  const client = await open(program.port, Buffer.concat(requests));
  const isDone = (): boolean => client.responses.length === count || isOver(client);
  let failures = 0;
  const deadline = Date.now() + LIMIT_MS;
  do failures += (await failuresAmong(1, program.port, TASK)).value;
  while (!isDone() && Date.now() < deadline);
  const { responses } = client;
  const isWrong = (id: string, index: number): boolean =>
    responses[index]?.headers["x-request-id"] !== id;
  return [
    { what: "MiB at the peak", value: peakMiB(program.pid), limit: limitMiB },
    { what: "responses missing or out of order", value: ids.filter(isWrong).length, limit: 0 },
    countOf("responses other than 200", responses, ({ status }) => status !== 200),
    { what: "requests of others without 200", value: failures, limit: 0 },
  ];
}

/** Clients that never read, and by which timeout they are closed. */
export interface NeverRead {
  readonly connections: number;
  /**
   * Whether the kernel's buffers take their responses. Then these count as read, since Node can't
   * ask the kernel: the connection is idle.
   */
  readonly responses: "unsent" | "in the kernel";
  readonly timeoutMs: number;
  /** What a busy machine may add to a time. */
  readonly slackMs: number;
}

const NEVER_READ = {
  unsent: { requests: 2000, variable: "REQUEST_TIMEOUT_MS", untilGone },
  "in the kernel": { requests: 1, variable: "KEEP_ALIVE_TIMEOUT_MS", untilGone: untilAllEnd },
} as const;

/**
 * Resolves when the service has ended all of these connections. They read from now on, which the
 * service can't tell: what they find is in the kernel already. A byte that is sent would not do: it
 * may be the beginning of a request.
 */
function untilAllEnd(_scope: Scope, sockets: readonly Socket[], limitMs: number): Promise<void> {
  for (const socket of sockets) socket.resume();
  return until(() => sockets.every(({ closed }) => closed), "the end of all connections", limitMs);
}

/** Clients that never read. Each is closed within the timeout of its case and a sweep. */
export async function clientsThatNeverRead(
  scope: Scope,
  { connections, responses, timeoutMs, slackMs }: NeverRead,
): Promise<Measurement[]> {
  const attack = NEVER_READ[responses];
  const program = await startInShell(scope, EXEC, {
    HEADERS_TIMEOUT_MS: String(timeoutMs),
    REQUEST_TIMEOUT_MS: "600000",
    KEEP_ALIVE_TIMEOUT_MS: "600000",
    METRICS: "on",
    [attack.variable]: String(timeoutMs),
  });
  const requests = get("/docs").repeat(attack.requests);
  const sockets = await openUnread(scope, program.port, connections, requests);
  // It comes last in the listen queue: once it is served, all others have been accepted.
  const failures = await failuresAmong(1, program.port, get("/health"));
  const lastProgress = await untilBuffersAreFull(program.port, timeoutMs / 4);
  await attack.untilGone(scope, sockets, timeoutMs + LIMIT_MS).catch(() => {});
  const closingMs = performance.now() - lastProgress;
  // The sweep after the last progress begins to count.
  const limit = timeoutMs + 2 * SWEEP_MS + PROBE_MS + slackMs;
  return [
    countOf("connections left open", sockets, ({ closed }) => !closed),
    { what: "ms until the last one was closed", value: closingMs, limit },
    { what: "MiB at the peak", value: peakMiB(program.pid), limit: 256 },
    failures,
  ];
}

const SWEEP_MS = 1000;

/**
 * Resolves when no more responses of /docs have been written for `quietMs`, to when the last one
 * was, as performance.now() has it. Until then the kernel took them, which counts as read.
 */
async function untilBuffersAreFull(port: number, quietMs: number): Promise<number> {
  let last = { written: "", time: 0 };
  const isQuiet = async (): Promise<boolean> => {
    const time = performance.now();
    const { body } = await request(port, get("/metrics", [`X-API-Key: ${KEY}`]));
    const written = body.split("\n").find((line) => WRITTEN.test(line)) ?? "";
    if (written !== last.written) last = { written, time };
    return written !== "" && time - last.time >= quietMs;
  };
  await until(isQuiet, "the buffers of the kernel to be full", LIMIT_MS);
  return last.time;
}

const WRITTEN = /^api_requests_total\{.*"\/docs".*"200"/;

/** Opens connections that send `bytes` and read nothing. */
async function openUnread(
  scope: Scope,
  port: number,
  count: number,
  bytes: string,
): Promise<Socket[]> {
  const sockets: Socket[] = [];
  scope.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  while (sockets.length < count) {
    const batch = Math.min(100, count - sockets.length);
    const opened = Array.from({ length: batch }, () => connectUnread(port, bytes));
    sockets.push(...(await Promise.all(opened)));
  }
  return sockets;
}

function connectUnread(port: number, bytes: string): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1").pause().unref();
    socket.on("error", () => {});
    socket.once("connect", () => {
      socket.write(bytes);
      resolve(socket);
    });
    socket.once("close", () => resolve(socket));
  });
}

/** How many of so many requests, one after the other, get no 200. */
async function failuresAmong(
  count: number,
  port: number,
  bytes: string | Buffer,
): Promise<Measurement> {
  let failures = 0;
  for (let index = 0; index < count; index += 1) {
    const status = await statusOf(port, bytes).catch(() => 0);
    if (status !== 200) failures += 1;
  }
  return { what: "requests of others without 200", value: failures, limit: 0 };
}

/** The most memory that a process has had resident: since its start on Linux, elsewhere now. */
function peakMiB(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024;
  } catch {
    return residentMiB(pid);
  }
}
