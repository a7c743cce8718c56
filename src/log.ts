import type { Writable } from "node:stream";

import type { Answered, Reports } from "./http/exchange.ts";

/** The values of LOG_LEVEL; each one logs what stands before it, too. */
export const LOG_LEVELS = ["silent", "error", "warn", "info"] as const;

/** One of LOG_LEVELS. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Writes JSON lines. */
export interface Log extends Reports {
  /** Any other line. `fields` are written as they are: never a key, a body or a query. */
  readonly event: (level: Exclude<LogLevel, "silent">, event: string, fields?: object) => void;
  /** One `warning` for each message. */
  readonly warn: (messages: readonly string[]) => void;
  /** An `error` with its stack, and the request that it happened to, if any. */
  readonly error: (error: unknown, requestId?: string) => void;
  /** Hands what has gathered to the stream, now. */
  readonly flush: () => void;
}

/**
 * A log on `stream`. Lines are gathered per turn of the event loop. While more than 1 MiB waits to be taken they are
 * dropped and counted; when the stream fails, all are dropped: neither stops nor slows the service. `pieceLength`: what
 * is handed over at once is at most that long, if no line is longer.
 */
export function createLog(level: LogLevel, stream: Writable, pieceLength = Infinity): Log {
  const { append, flush } = gather(stream, pieceLength);
  const event: Log["event"] = (eventLevel, name, fields) => {
    if (LOG_LEVELS.indexOf(eventLevel) > LOG_LEVELS.indexOf(level)) return;
    append(escape(JSON.stringify({ level: eventLevel, event: name, ...fields }).slice(1)));
  };
  return {
    answered:
      level === "info"
        ? (to, status, durationMs) => append(requestFields(to, status, durationMs))
        : undefined,
    event,
    warn: (messages) => messages.forEach((message) => event("warn", "warning", { message })),
    error: (error, requestId) =>
      event("error", "error", {
        request_id: requestId,
        stack: error instanceof Error ? error.stack : String(error),
      }),
    flush,
  };
}

/** What a pipe takes in one piece (POSIX), in bytes: the lines of processes that share one don't mix up to here. */
export const PIPE_BUF = 4096;

/** `append` is given a line without its beginning, the time. */
function gather(
  stream: Writable,
  pieceLength: number,
): { append: (fields: string) => void; flush: () => void } {
  let room = 1_048_576;
  let gathered = "";
  let dropped = 0;
  let last = 0;
  let start = "";
  // What has failed has room for nothing.
  stream.on("error", () => (room = -1));
  const flush = (): void => {
    if (gathered !== "") stream.write(gathered);
    gathered = "";
  };
  const append = (fields: string): void => {
    if (gathered.length + stream.writableLength > room) {
      dropped += 1;
      return;
    }
    // Made anew only when the time has changed: it takes as long as the rest of a line, and most share theirs.
    const now = Date.now();
    if (now !== last) start = `{"time":"${new Date(now).toISOString()}",`;
    last = now;
    if (gathered.length + start.length + fields.length >= pieceLength) flush();
    if (gathered === "") setImmediate(flush);
    if (dropped > 0)
      gathered += `${start}"level":"warn","event":"warning","dropped_lines":${dropped}}\n`;
    dropped = 0;
    gathered += `${start}${fields}\n`;
  };
  return { append, flush };
}

/** Laid out by hand: JSON.stringify would take several times as long for a line that every request pays for. */
function requestFields(to: Answered, status: number | null, durationMs: number): string {
  const { requestId, connection, request, path, key, denied } = to;
  let line = `"level":"info","event":"request","request_id":${quote(requestId)}`;
  if (connection.remote !== undefined) line += `,"remote":"${connection.remote}"`;
  if (request !== undefined) line += `,"method":"${request.method}"`;
  if (path !== undefined) line += `,"path":${quote(path.slice(0, 256))}`;
  line += `,"status":${status},"duration_ms":${Math.round(durationMs * 10) / 10}`;
  if (key !== undefined) line += `,"key":"${key}"`;
  if (denied !== undefined) line += `,"denied":"${denied}"`;
  return `${line}}`;
}

const quote = (text: string): string =>
  // Nothing to escape, as a rule: visible ASCII and blanks without " and \.
  /^[ !#-[\]-~]*$/.test(text) ? `"${text}"` : escape(JSON.stringify(text));

/** What JSON leaves as it is, but a terminal or a line-based reader does not: DEL, C1 and Unicode's line ends. */
const escape = (text: string): string =>
  text.replace(
    /[\u007f-\u009f\u2028\u2029]/g,
    (odd) => `\\u${odd.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
