import type { Writable } from "node:stream";

import type { Answered } from "./http/exchange.ts";

/** The values of LOG_LEVEL; each one logs what stands before it, too. */
export const LOG_LEVELS = ["silent", "error", "warn", "info"] as const;

/** One of LOG_LEVELS. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Writes JSON lines. */
export interface Log {
  /** The line of one answer, `event` "request"; undefined when the level asks for none. */
  readonly answered: ((record: Answered) => void) | undefined;
  /** Any other line. `fields` are written as they are: never a key, a body or a query. */
  event(level: Exclude<LogLevel, "silent">, event: string, fields?: Readonly<Record<string, unknown>>): void;
  /** One `warning` for each message. */
  warn(messages: readonly string[]): void;
  /** An `error` with its stack, and the request that it happened to. */
  error(error: unknown, requestId?: string): void;
  /** Hands what has gathered to the stream, now. */
  flush(): void;
}

/**
 * A log on `stream`. Lines are gathered per turn of the event loop. While more than 1 MiB waits to be taken they are
 * dropped and counted; when the stream fails, all are dropped: neither stops nor slows the service.
 */
export function createLog(level: LogLevel, stream: Writable): Log {
  const threshold = LOG_LEVELS.indexOf(level);
  const append = createSink(stream);
  const clock = createClock();
  const log: Log = {
    answered: level === "info" ? (record) => append(requestLine(clock(), record)) : undefined,
    event(eventLevel, event, fields = {}): void {
      if (LOG_LEVELS.indexOf(eventLevel) > threshold) return;
      append(escape(JSON.stringify({ time: clock(), level: eventLevel, event, ...fields })));
    },
    warn: (messages) => messages.forEach((message) => log.event("warn", "warning", { message })),
    error(error, requestId): void {
      const stack = error instanceof Error ? error.stack : String(error);
      log.event("error", "error", { request_id: requestId, stack });
    },
    flush: () => append.flush(),
  };
  return log;
}

const MAX_WAITING = 1_048_576;
const MAX_PATH_LENGTH = 256;
const PIPE_BUF = 4096;

interface Sink {
  (line: string): void;
  flush(): void;
}

function createSink(stream: Writable): Sink {
  let gathered = "";
  let dropped = 0;
  let broken = false;
  stream.on("error", () => {
    broken = true;
  });
  const flush = (): void => {
    const lines = gathered;
    gathered = "";
    if (lines !== "" && !broken) stream.write(lines);
  };
  const append = (line: string): void => {
    if (broken) return;
    if (gathered.length + stream.writableLength > MAX_WAITING) {
      dropped += 1;
      return;
    }
    // A pipe takes this much in one piece: lines of several workers don't mix.
    if (gathered.length + line.length >= PIPE_BUF) flush();
    if (gathered === "") setImmediate(flush);
    if (dropped > 0) {
      gathered += `{"time":"${new Date().toISOString()}","level":"warn","event":"warning","dropped_lines":${dropped}}\n`;
      dropped = 0;
    }
    gathered += `${line}\n`;
  };
  return Object.assign(append, { flush });
}

/** The time as the log writes it, made anew only when it has changed: most lines share theirs with others. */
function createClock(): () => string {
  let last = 0;
  let text = "";
  return () => {
    const now = Date.now();
    if (now !== last) {
      last = now;
      text = new Date(now).toISOString();
    }
    return text;
  };
}

/** Laid out by hand: JSON.stringify would take several times as long for a line that every request pays for. */
function requestLine(time: string, record: Answered): string {
  const { requestId, remote, method, path, status, durationMs, key, denied } = record;
  let line = `{"time":"${time}","level":"info","event":"request","request_id":${quote(requestId)}`;
  if (remote !== undefined) line += `,"remote":"${remote}"`;
  if (method !== undefined) line += `,"method":"${method}"`;
  if (path !== undefined) line += `,"path":${quote(path.slice(0, MAX_PATH_LENGTH))}`;
  line += `,"status":${status},"duration_ms":${durationMs.toFixed(1)}`;
  if (key !== undefined) line += `,"key":"${key}"`;
  if (denied !== undefined) line += `,"denied":"${denied}"`;
  return `${line}}`;
}

function quote(text: string): string {
  return escape(JSON.stringify(text));
}

/** What JSON leaves as it is, but a terminal or a line-based reader does not: DEL, C1 and Unicode's line ends. */
function escape(text: string): string {
  return text.replace(UNSAFE, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

const UNSAFE = /[\u007f-\u009f\u2028\u2029]/g;
