import { execFileSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";

import { get, KEY, post, until } from "../service.ts";
import { countBy, open, openMany, type Peer, untilAnswered } from "./client.ts";
import { launch, type Launched, residentMB } from "./processes.ts";

/** What an attack measured: it holds when no value is over its limit. */
export interface Measure {
  readonly what: string;
  readonly value: number;
  readonly limit: number;
}

const TASK = post('{"status":"SUCCESS"}');

/** Connections that send nothing: all are held, at a price, and nobody else notices. */
export async function idleConnections(
  count: number,
  { limitMB, holdMs, slackMs }: { limitMB: number; holdMs: number; slackMs: number },
): Promise<Measure[]> {
  const service = await launch(EXEC);
  const before = await medianOfGood(service);
  const peers = await openMany(service.port, count);
  const during = await medianOfGood(service);
  await sleep(holdMs);
  const measures = [
    faults("connections lost", peers, ({ closed, ended }) => closed || ended),
    { what: "resident MB", value: residentMB(service.pid), limit: limitMB },
    { what: "a good request slower by ms", value: during - before, limit: 5 + slackMs },
  ];
  return end(service, peers, measures);
}

/** Requests that arrive one byte a second, in their header section or in their body: 408 when the time is up. */
export async function slowRequests(
  part: "header" | "body",
  count: number,
  { headersMs, requestMs, slackMs }: { headersMs: number; requestMs: number; slackMs: number },
): Promise<Measure[]> {
  const service = await launch(EXEC, {
    HEADERS_TIMEOUT_MS: String(headersMs),
    REQUEST_TIMEOUT_MS: String(requestMs),
  });
  const before = await medianOfGood(service);
  const started = performance.now();
  const first =
    part === "header"
      ? "POST /process HTTP/1.1\r\nHost: x\r\nX-Slow: "
      : head("Content-Length: 1000");
  const peers = await openMany(service.port, count, first);
  const opened = performance.now() - started;
  const drip = setInterval(() => {
    for (const { socket, ended } of peers) if (!ended) socket.write("a");
  }, 1000);
  const during = await medianOfGood(service);
  const timeout = part === "header" ? headersMs : requestMs;
  const limit = timeout + 1500 + opened + slackMs;
  let last = 0;
  for (const { socket } of peers) socket.once("end", () => (last = performance.now() - started));
  await until(
    () => peers.every(({ ended, closed }) => ended || closed),
    "the slow ones to be closed",
    limit + 10_000,
  );
  clearInterval(drip);
  const measures = [
    faults("connections without a 408", peers, ({ answers }) => answers[0]?.status !== 408),
    { what: "closed after ms", value: last, limit },
    { what: "a good request slower by ms", value: during - before, limit: 5 + slackMs },
  ];
  return end(service, peers, measures);
}

/**
 * Clients that ask for much and read nothing: little is kept for them, and they are closed in the end. The kernel takes
 * some MB for each: what fits is answered, and such a connection counts as idle.
 */
export async function slowReaders(
  count: number,
  requests: number,
  timeoutMs: number,
): Promise<Measure[]> {
  const ms = String(timeoutMs);
  const service = await launch(EXEC, {
    REQUEST_TIMEOUT_MS: ms,
    HEADERS_TIMEOUT_MS: ms,
    KEEP_ALIVE_TIMEOUT_MS: ms,
  });
  const before = await warmUp(service);
  const peers = await openMany(service.port, count);
  for (const { socket } of peers) {
    socket.pause();
    socket.write(get("/openapi.json").repeat(requests));
  }
  let most = 0;
  // When the time is up the first time, node takes the bytes that moved since the write was begun for progress.
  for (const stop = Date.now() + 2 * timeoutMs + 3000; Date.now() < stop; await sleep(200)) {
    most = Math.max(most, residentMB(service.pid));
  }
  // Who reads now finds the end, or a reset: the rest of the answers is gone.
  for (const { socket } of peers) socket.resume();
  await until(() => peers.every(({ ended, closed }) => ended || closed), "the ends", 5000).catch(
    () => {},
  );
  const measures = [
    { what: "more MB", value: most - before, limit: 60 },
    faults("connections left open", peers, ({ ended, closed }) => !ended && !closed),
  ];
  return end(service, peers, measures);
}

/** Bodies made to take memory: refused at once, in few words. */
export async function bodyBombs(): Promise<Measure[]> {
  const limit = 25;
  const all: Measure[] = [];
  let growth = Infinity;
  // V8 frees garbage when it likes, later on a loaded machine; what bombs take for certain they take from any process.
  for (let tries = 0; tries < 3 && growth > limit; tries++) {
    const service = await launch(EXEC);
    const before = await warmUp(service, 4);
    const answers = [];
    for (const bomb of bombs()) answers.push(await sendBomb(service, bomb));
    answers.push(
      ...(await Promise.all(Array.from({ length: 10 }, () => sendBomb(service, spaces(16))))),
    );
    growth = Math.min(growth, residentMB(service.pid) - before);
    const measures = [
      faults(
        "bombs not refused with 413 or 422",
        answers,
        ({ status }) => status !== 413 && status !== 422,
      ),
      {
        what: "longest answer in bytes",
        value: Math.max(...answers.map(({ length }) => length)),
        limit: 1500,
      },
      {
        what: "good requests not answered",
        value: (await statusOf(service, TASK)) === 200 ? 0 : 1,
        limit: 0,
      },
    ];
    all.push(...end(service, [], measures));
  }
  return [...all, { what: "more MB", value: growth, limit }];
}

/** More connections than the process may have file handles. */
export async function fileHandles(
  handles: number,
  connections: number,
  slackMs: number,
): Promise<Measure[]> {
  const service = await launch(`ulimit -n ${handles}; exec "$@"`);
  const peers = await openMany(service.port, connections, TASK);
  const before = cpuSeconds(service.pid);
  await sleep(3000);
  const spent = cpuSeconds(service.pid) - before;
  for (const { socket } of peers) socket.destroy();
  const freed = performance.now();
  while ((await statusOf(service, TASK)) !== 200 && performance.now() - freed < 10_000)
    await sleep(5);
  const measures = [
    // ps counts whole seconds; a busy loop spends three of them.
    { what: "CPU seconds spent in 3 s of waiting", value: spent, limit: 1 },
    { what: "answers again after ms", value: performance.now() - freed, limit: 1000 + slackMs },
  ];
  return end(service, peers, measures);
}

/** More connections than MAX_CONNECTIONS: the excess is closed at once, the rest served. */
export async function excessConnections(most: number, count: number): Promise<Measure[]> {
  const service = await launch(EXEC, { MAX_CONNECTIONS: String(most) });
  const held = await openMany(service.port, most, TASK);
  await untilAnswered(held);
  const excess = await openMany(service.port, count - most, TASK);
  await until(() => excess.every(({ closed }) => closed), "the excess to be closed");
  for (const { socket } of held) socket.write(TASK);
  await untilAnswered(held, 2);
  const measures = [
    faults(
      "connections past the limit that were answered",
      excess,
      ({ answers }) => answers.length > 0,
    ),
    faults(
      "connections within it that were not",
      held,
      ({ answers }) => answers[1]?.status !== 200,
    ),
  ];
  return end(service, held, measures);
}

/** More requests than MAX_IN_FLIGHT: the excess gets 503 while the rest is in the making. */
export async function excessRequests(most: number, count: number): Promise<Measure[]> {
  const service = await launch(EXEC, { MAX_IN_FLIGHT: String(most), PROCESS_DELAY_MS: "3000" });
  const peers = await openMany(service.port, count, TASK);
  const refused = (): Peer[] => peers.filter(({ answers }) => answers[0]?.status === 503);
  await until(() => refused().length === count - most, "the excess to be refused");
  const healthy = await statusOf(service, get("/health"));
  const early = peers.filter(({ answers }) => answers[0]?.status === 200).length;
  const vague = refused().filter(
    ({ answers }) => answers[0]?.headers["retry-after"] !== "1",
  ).length;
  await untilAnswered(peers);
  const served = peers.filter(({ answers }) => answers[0]?.status === 200).length;
  const measures = [
    { what: "answers of 200 before the excess was refused", value: early, limit: 0 },
    { what: "answers of 503 without Retry-After", value: vague, limit: 0 },
    { what: "requests within the limit that were not served", value: most - served, limit: 0 },
    { what: "answers of /health other than 200", value: healthy === 200 ? 0 : 1, limit: 0 },
  ];
  return end(service, peers, measures);
}

/** Nobody takes the log: its reader has gone, or is there and never reads. */
export async function brokenLog(reader: "closed" | "stuck", requests: number): Promise<Measure[]> {
  const service = await launch(
    `"$@" | { grep -m 1 listening; ${reader === "stuck" ? "exec sleep 600;" : ""} }`,
  );
  const before = await warmUp(service);
  const statuses = await sendMany(service, requests);
  const measures = [
    { what: "requests not answered with 200", value: requests - (statuses["200"] ?? 0), limit: 0 },
    { what: "more MB", value: residentMB(service.pid) - before, limit: 60 },
  ];
  return end(service, [], measures);
}

const EXEC = 'exec "$@"';

/**
 * Ordinary traffic, small and large, until V8 keeps the room for young objects and for garbage buffers that it likes to
 * have (tens of MB): what an attack takes on top of that is the attack's. Returns the most MB that were resident.
 */
async function warmUp(service: Launched, rounds = 1): Promise<number> {
  const upload = post(`{"status":"SUCCESS","padding":"${"x".repeat(1_000_000)}"}`);
  let most = 0;
  for (let round = 0; round < rounds; round++) {
    await sendMany(service, 3000);
    for (let i = 0; i < 30; i++)
      await Promise.all(Array.from({ length: 10 }, () => statusOf(service, upload)));
    most = Math.max(most, residentMB(service.pid));
  }
  return most;
}

/** Sends requests on 20 connections, 10 at a time on each; returns how many answers there were of each status. */
async function sendMany({ port }: Launched, requests: number): Promise<Record<string, number>> {
  const peers = await openMany(port, 20);
  const statuses: (number | undefined)[] = [];
  while (statuses.length < requests && peers.every(({ closed }) => !closed)) {
    const batch = Math.min(10, Math.ceil((requests - statuses.length) / peers.length));
    for (const { socket } of peers) socket.write(Buffer.concat(Array(batch).fill(TASK)));
    await until(
      () => peers.every(({ answers, closed }) => answers.length === batch || closed),
      "answers",
    );
    for (const { answers } of peers)
      statuses.push(...answers.splice(0).map(({ status }) => status));
  }
  for (const { socket } of peers) socket.destroy();
  return countBy(statuses.slice(0, requests));
}

/** The status of the answer to one request on a connection of its own. */
async function statusOf({ port }: Launched, request: string | Buffer): Promise<number | undefined> {
  const peer = await open(port, request);
  await until(() => peer.answers.length > 0 || peer.closed, "an answer");
  peer.socket.destroy();
  return peer.answers[0]?.status;
}

/** The median time in ms of an ordinary request, with a connection of its own. */
async function medianOfGood(service: Launched): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < 40; i++) {
    const started = performance.now();
    if ((await statusOf(service, get("/health"))) !== 200)
      throw new Error("a good request had no answer");
    times.push(performance.now() - started);
    await sleep(10);
  }
  return times.sort((a, b) => a - b)[20] ?? Infinity;
}

/** Hostile bodies, in the pieces in which they are sent. */
function* bombs(): Generator<Iterable<Buffer>> {
  yield [head("Content-Length: 1073741824")];
  yield spaces(64);
  yield [post(`{"status":${"[".repeat(100_000)}${"]".repeat(100_000)}}`)];
  yield [post("[".repeat(400_000))];
  yield [post(`${'{"a":'.repeat(50_000)}1${"}".repeat(50_000)}`)];
  yield [post(`{${Array.from({ length: 80_000 }, (_, i) => `"k${i}":1`).join(",")}}`)];
}

/** A chunked body of so many MiB of blanks. */
function* spaces(count: number): Generator<Buffer> {
  yield head("Transfer-Encoding: chunked");
  const chunk = Buffer.concat([
    Buffer.from("100000\r\n"),
    Buffer.alloc(1_048_576, " "),
    Buffer.from("\r\n"),
  ]);
  for (let i = 0; i < count; i++) yield chunk;
  yield Buffer.from("0\r\n\r\n");
}

function head(field: string): Buffer {
  const lines = [
    "POST /process HTTP/1.1",
    "Host: x",
    `X-API-Key: ${KEY}`,
    "Content-Type: application/json",
    field,
  ];
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n`);
}

/** Sends pieces for as long as the service takes them; the answer's status and the length of its body. */
async function sendBomb(
  { port }: Launched,
  pieces: Iterable<Buffer>,
): Promise<{ status: number; length: number }> {
  const peer = await open(port);
  for (const piece of pieces) {
    if (peer.closed) break;
    if (peer.socket.write(piece)) continue;
    await new Promise((resolve) => {
      peer.socket.once("drain", resolve);
      peer.socket.once("close", resolve);
    });
  }
  await until(() => peer.answers.length > 0 || peer.closed, "an answer");
  peer.socket.destroy();
  return { status: peer.answers[0]?.status ?? 0, length: peer.answers[0]?.body.length ?? 0 };
}

/** How many of the items are at fault: none may be. */
function faults<T>(what: string, items: readonly T[], isAtFault: (item: T) => boolean): Measure {
  return { what, value: items.filter(isAtFault).length, limit: 0 };
}

/** What `ps` says a process has used. */
function cpuSeconds(pid: number): number {
  const time = execFileSync("ps", ["-o", "time=", "-p", String(pid)], { encoding: "utf8" });
  return time
    .trim()
    .split(/[:-]/)
    .reduce((sum, part) => sum * 60 + Number(part), 0);
}

/** Ends what an attack has opened, and passes on what it measured. */
function end(service: Launched, peers: readonly Peer[], measures: Measure[]): Measure[] {
  for (const { socket } of peers) socket.destroy();
  service.end();
  return measures;
}
