import {
  closeSync,
  createReadStream,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  truncateSync,
} from "node:fs";
import { join } from "node:path";

import { countOf, type Measurement, sendMany, startFlood } from "./attacks.ts";
import { open, openMany, request, untilAnswered, untilClosed } from "./client.ts";
import type { LogLine, Variables } from "./program.ts";
import { get, post } from "./requests.ts";
import type { Scope } from "./scope.ts";
import { type ShellProgram, startInShell } from "./shell.ts";
import { tempDirectory } from "./temp.ts";
import { until } from "./wait.ts";

/** Longer than an attack should take on a busy machine: a bound, not a measurement. */
const LIMIT_MS = 120_000;

/** How a shell runs the program so that its log ends up in a file. */
const TO_FILE = {
  file: '"$@" >> "$LOG"',
  "slow pipe": '"$@" | while dd bs=65536 count=1 2>/dev/null; do sleep 0.1; done >> "$LOG"',
  "full disk": 'ulimit -f 64; "$@" >> "$LOG" 2>> "$LOG.err"',
} as const;

/** A run of the program whose log can be read, with the paths of its files. */
interface LoggingProgram extends ShellProgram {
  readonly log: string;
  readonly stderr: string;
}

async function startWithLog(
  scope: Scope,
  way: keyof typeof TO_FILE,
  variables: Variables = {},
): Promise<LoggingProgram> {
  const log = join(tempDirectory(scope, { log: "", "log.err": "" }), "log");
  const untilListening = 'until grep -m 1 listening "$LOG"; do sleep 0.1; done; wait';
  const script = `{ ${TO_FILE[way]}; } & ${untilListening}`;
  const program = await startInShell(scope, script, { ...variables, LOG: log });
  return { ...program, log, stderr: `${log}.err` };
}

/** What a flood goes against. */
export interface LogFlood {
  readonly sink: "file" | "slow pipe";
  /** Connections without a key that pipeline requests with a long, quoted path. */
  readonly connections: number;
  /** How many requests each of 8 clients with a key makes meanwhile. */
  readonly calls: number;
}

/**
 * Requests without a key make more lines than the log's reader can take. No line of a request with
 * a key is lost, and none at all if the log is a file.
 */
export async function logFlood(
  scope: Scope,
  { sink, connections, calls }: LogFlood,
): Promise<Measurement[]> {
  const program = await startWithLog(scope, sink);
  const stop = startFlood(scope, program.port, connections);
  const isReaderBehind = async (): Promise<boolean> => (await dropsOfStrangers(program.log)) > 0;
  if (sink === "slow pipe") await until(isReaderBehind, "the reader to be behind", LIMIT_MS);
  const clients = Array.from({ length: 8 }, (_, index) => `client-${index}`);
  const accepted = await Promise.all(clients.map((name) => call(program.port, name, calls)));
  stop();
  const [last = ""] = await call(program.port, "last", 1);
  await untilLogged(program.log, last);
  const ids = await idsIn(program.log);
  const dropped = sink === "file" ? await dropsOfStrangers(program.log) : 0;
  return [
    countOf("requests with a key without a line", accepted.flat(), (id) => !ids.has(id)),
    { what: "other lines dropped", value: await sumOf(program.log, "dropped_lines"), limit: 0 },
    { what: "lines of strangers dropped from a file", value: dropped, limit: 0 },
  ];
}

/**
 * Makes so many requests with a key on one connection, one after the other. Returns their ids.
 * Throws if one gets no 200.
 */
async function call(port: number, name: string, count: number): Promise<string[]> {
  const client = await open(port);
  const ids = Array.from({ length: count }, (_, index) => `${name}-${index}`);
  for (const [index, id] of ids.entries()) {
    client.send(post('{"status":"SUCCESS"}', [`X-Request-Id: ${id}`]));
    const hasResponse = (): boolean => client.responses.length > index;
    await client.until(hasResponse, `the response to ${id}`, LIMIT_MS);
    const status = client.responses[index]?.status;
    if (status !== 200) throw new Error(`${id} got ${status}`);
  }
  client.socket.destroy();
  return ids;
}

/**
 * The file of the log can't grow any more. Requests are served meanwhile, and once the file has
 * been emptied there is a line of each, and the number of those that were lost.
 */
export async function fullDisk(scope: Scope, requests: number): Promise<Measurement[]> {
  const program = await startWithLog(scope, "full disk");
  const statuses = await sendMany(program, requests);
  // It comes after the lines of all requests before it have been written, and has none itself.
  await request(program.port, get("/health"));
  const before = (await idsIn(program.log)).size;
  truncateSync(program.log);
  const later = await call(program.port, "later", 50);
  const last = later.at(-1) ?? "";
  await untilLogged(program.log, last);
  const ids = await idsIn(program.log);
  const all = requests + later.length;
  const counted = before + ids.size + (await sumOf(program.log, "lost_lines"));
  const messages = readFileSync(program.stderr, "utf8").split("\n").length - 1;
  return [
    { what: "requests without 200", value: requests - (statuses["200"] ?? 0), limit: 0 },
    { what: "full disks with room for all lines", value: before < requests ? 0 : 1, limit: 0 },
    countOf("later requests without a line", later, (id) => !ids.has(id)),
    // One may have been cut, and its beginning was in the file that was emptied.
    { what: "lines lost without count", value: all - counted, limit: 1 },
    { what: "lines on stderr besides one", value: Math.abs(messages - 1), limit: 0 },
  ];
}

/** Connections past MAX_CONNECTIONS have at most one line a second, and all are counted. */
export async function refusalLines(
  scope: Scope,
  limit: number,
  refusals: number,
): Promise<Measurement[]> {
  const program = await startWithLog(scope, "file", { MAX_CONNECTIONS: String(limit) });
  await untilAnswered(await openMany(program.port, limit, get("/health")));
  const start = performance.now();
  for (let refused = 0; refused < refusals; refused += 100) {
    await untilClosed(await openMany(program.port, Math.min(100, refusals - refused)));
  }
  const isCounted = async (): Promise<boolean> => (await sumOf(program.log, "count")) >= refusals;
  await until(isCounted, "the lines of the refusals").catch(() => {});
  const seconds = (performance.now() - start) / 1000;
  const counts = await valuesOf(program.log, "count");
  const uncounted = Math.abs(refusals - (await sumOf(program.log, "count")));
  return [
    { what: "lines of the log", value: counts.length, limit: Math.ceil(seconds) + 1 },
    { what: "refusals counted too often or not at all", value: uncounted, limit: 0 },
  ];
}

/**
 * The whole lines of a log. Throws if one is not JSON. A flood leaves hundreds of thousands:
 * reading them at once would hold up whatever else this process waits for.
 */
async function* linesOf(path: string): AsyncGenerator<LogLine> {
  let rest = "";
  for await (const chunk of createReadStream(path, "latin1")) {
    const lines = `${rest}${chunk}`.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) yield JSON.parse(line) as LogLine;
  }
}

/** What the lines that have a member have there. */
async function valuesOf(path: string, name: string): Promise<unknown[]> {
  const values: unknown[] = [];
  for await (const line of linesOf(path)) {
    if (name in line) values.push(line[name]);
  }
  return values;
}

/** The ids of the requests that have a line. */
async function idsIn(path: string): Promise<Set<unknown>> {
  return new Set(await valuesOf(path, "request_id"));
}

function dropsOfStrangers(path: string): Promise<number> {
  return sumOf(path, "dropped_requests_without_key");
}

/** The sum of a number over all lines that have it. */
async function sumOf(path: string, name: string): Promise<number> {
  const values = await valuesOf(path, name);
  return values.reduce<number>((sum, value) => sum + Number(value), 0);
}

/** Resolves when a log has the line of a request, which is one of its last. */
function untilLogged(path: string, id: string): Promise<void> {
  const isLogged = (): boolean => endOf(path).includes(`"request_id":"${id}"`);
  return until(isLogged, `the line of ${id}`, LIMIT_MS);
}

/** The last MiB of a file. */
function endOf(path: string): Buffer {
  const file = openSync(path, "r");
  const { size } = fstatSync(file);
  const bytes = Buffer.alloc(Math.min(size, 1_048_576));
  readSync(file, bytes, 0, bytes.length, size - bytes.length);
  closeSync(file);
  return bytes;
}
