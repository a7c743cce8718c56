import type { Writable } from "node:stream";

import type { ServerEvents } from "./http/connections.ts";
import type { RequestRecord } from "./http/exchange.ts";

/** The values of LOG_LEVEL. Each level includes those before it. */
export const LOG_LEVELS = ["silent", "error", "warn", "info"] as const;

/** One of LOG_LEVELS. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/** The level of a line. */
export type LineLevel = Exclude<LogLevel, "silent">;

/** Writes JSON lines. */
export interface Log extends ServerEvents {
  /** Writes an event. `fields` are written as they are: never a key, a body or a query. */
  readonly event: (level: LineLevel, event: string, fields?: object) => void;
  /** Writes a `warning` for each message. */
  readonly warn: (messages: readonly string[]) => void;
  /** Writes an `error` with its stack, and the id of the request during which it happened. */
  readonly error: (error: unknown, requestId?: string) => void;
  /** Hands the lines that wait in memory to the stream. */
  readonly flush: () => void;
}

/**
 * A log on `stream`. Lines are buffered until the end of the turn of the event loop. While more
 * than 1 MiB waits to be taken, lines are dropped and counted. If the stream fails, all are
 * dropped. Neither stops nor slows the service. No single write is longer than `maxWriteLength`,
 * unless one line is.
 */
export function createLog(level: LogLevel, stream: Writable, maxWriteLength = Infinity): Log {
  const { append, flush } = createLineBuffer(stream, maxWriteLength);
  const event: Log["event"] = (lineLevel, name, fields) => {
    if (LOG_LEVELS.indexOf(lineLevel) > LOG_LEVELS.indexOf(level)) return;
    append(escapeLine(JSON.stringify({ level: lineLevel, event: name, ...fields })));
  };
  const response = (record: RequestRecord): void => append(requestLine(record));
  return {
    response: level === "info" ? response : undefined,
    event,
    warn: (messages) => {
      for (const message of messages) event("warn", "warning", { message });
    },
    error: (error, requestId) => {
      const stack = error instanceof Error ? error.stack : String(error);
      event("error", "error", { request_id: requestId, stack });
    },
    flush,
  };
}

/** Writes to a pipe of at most this many bytes are atomic (POSIX): lines of processes don't mix. */
export const PIPE_BUF = 4096;

/** The most that may wait for the stream, in characters. */
const CAPACITY = 1_048_576;

interface LineBuffer {
  /** Takes a line as a JSON object, to which it adds the time. */
  readonly append: (json: string) => void;
  readonly flush: () => void;
}

function createLineBuffer(stream: Writable, maxWriteLength: number): LineBuffer {
  const clock = createTimePrefix();
  let buffer = "";
  let droppedLines = 0;
  let hasFailed = false;
  stream.on("error", () => {
    hasFailed = true;
  });
  const flush = (): void => {
    if (buffer !== "") stream.write(buffer);
    buffer = "";
  };
  const append = (json: string): void => {
    const isFull = buffer.length + stream.writableLength > CAPACITY;
    if (hasFailed || isFull) {
      droppedLines += 1;
      return;
    }
    const prefix = clock();
    const line = `${prefix}${json.slice(1)}\n`;
    if (buffer.length + line.length > maxWriteLength) flush();
    if (buffer === "") setImmediate(flush);
    if (droppedLines > 0) {
      buffer += `${prefix}"level":"warn","event":"warning","dropped_lines":${droppedLines}}\n`;
      droppedLines = 0;
    }
    buffer += line;
  };
  return { append, flush };
}

/** Returns a function that gives the beginning of a line: a JSON object up to its time. */
function createTimePrefix(): () => string {
  let lastTime = 0;
  let prefix = "";
  return () => {
    const now = Date.now();
    // Writing the time takes as long as the rest of a line, and most lines share theirs.
    if (now !== lastTime) prefix = `{"time":"${new Date(now).toISOString()}",`;
    lastTime = now;
    return prefix;
  };
}

/** A line for a response. Built by hand: JSON.stringify would take several times as long. */
function requestLine(record: RequestRecord): string {
  const { requestId, remote, method, path, key, denied, status, durationMs } = record;
  let line = `{"level":"info","event":"request","request_id":${jsonString(requestId)}`;
  if (remote !== undefined) line += `,"remote":"${remote}"`;
  if (method !== undefined) line += `,"method":"${method}"`;
  if (path !== undefined) line += `,"path":${jsonString(path.slice(0, MAX_PATH_LENGTH))}`;
  line += `,"status":${status},"duration_ms":${Math.round(durationMs * 10) / 10}`;
  if (key !== undefined) line += `,"key":"${key}"`;
  if (denied !== undefined) line += `,"denied":"${denied}"`;
  return `${line}}`;
}

const MAX_PATH_LENGTH = 256;

// Visible ASCII and blanks without " and \: most strings need no escapes.
const PLAIN = /^[ !#-[\]-~]*$/;

function jsonString(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : escapeLine(JSON.stringify(text));
}

/**
 * Escapes what JSON allows but a terminal or a line-based reader does not: DEL, the C1 control
 * characters and Unicode's line separators.
 */
function escapeLine(json: string): string {
  return json.replace(
    /[\u007f-\u009f\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
