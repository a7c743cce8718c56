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
  readonly event: (level: Exclude<LogLevel, "silent">, event: string, fields?: object) => void;
  /** One `warning` for each message. */
  readonly warn: (messages: readonly string[]) => void;
  /** An `error` with its stack, and the request that it happened to. */
  readonly error: (error: unknown, requestId?: string) => void;
  /** Hands what has gathered to the stream, now. */
  readonly flush: () => void;
}

/**
 * A log on `stream`. Lines are gathered per turn of the event loop. While more than 1 MiB waits to be taken they are
 * dropped and counted; when the stream fails, all are dropped: neither stops nor slows the service. `pieceLength`: what is
 * handed over at once is at most that long, if no line is longer.
 */
export function createLog(level: LogLevel, stream: Writable, pieceLength = MAX_WAITING): Log {
  const { append, flush } = gather(stream, pieceLength);
  const clock = createClock();
  const event: Log["event"] = (eventLevel, name, fields = {}) => {
    if (LOG_LEVELS.indexOf(eventLevel) > LOG_LEVELS.indexOf(level)) return;
    append(escape(JSON.stringify({ time: new Date(), level: eventLevel, event: name, ...fields })));
  };
  return {
    answered: level === "info" ? (record) => append(requestLine(clock(), record)) : undefined,
    event,
    warn: (messages) => messages.forEach((message) => event("warn", "warning", { message })),
    error(error, requestId): void {
      const stack = error instanceof Error ? error.stack : String(error);
      event("error", "error", { request_id: requestId, stack });
    },
    flush,
  };
}

const MAX_WAITING = 1_048_576;
const MAX_PATH_LENGTH = 256;

/** What a pipe takes in one piece (POSIX), in bytes: the lines of processes that share one don't mix up to here. */
export const PIPE_BUF = 4096;

function gather(stream: Writable, pieceLength: number): { append: (line: string) => void; flush: () => void } {
  let gathered = "";
  let dropped = 0;
  let broken = false;
  stream.on("error", () => (broken = true));
  const flush = (): void => {
    if (gathered !== "" && !broken) stream.write(gathered);
    gathered = "";
  };
  const append = (line: string): void => {
    if (broken) return;
    if (gathered.length + stream.writableLength > MAX_WAITING) {
      dropped += 1;
      return;
    }
    if (gathered.length + line.length >= pieceLength) flush();
    if (gathered === "") setImmediate(flush);
    if (dropped > 0) {
      gathered += `{"time":"${new Date().toISOString()}","level":"warn","event":"warning","dropped_lines":${dropped}}\n`;
      dropped = 0;
    }
    gathered += `${line}\n`;
  };
  return { append, flush };
}

/** The time as text, made anew only when it has changed: most lines share theirs with others. */
function createClock(): () => string {
  let last = 0;
  let text = "";
  return () => {
    const now = Date.now();
    if (now !== last) text = new Date(now).toISOString();
    last = now;
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
  line += `,"status":${status},"duration_ms":${Math.round(durationMs * 10) / 10}`;
  if (key !== undefined) line += `,"key":"${key}"`;
  if (denied !== undefined) line += `,"denied":"${denied}"`;
  return `${line}}`;
}

function quote(text: string): string {
  // Nothing to escape, as a rule: visible ASCII and blanks without " and \.
  return /^[ !#-[\]-~]*$/.test(text) ? `"${text}"` : escape(JSON.stringify(text));
}

/** What JSON leaves as it is, but a terminal or a line-based reader does not: DEL, C1 and Unicode's line ends. */
function escape(text: string): string {
  const code = (character: string): string => character.charCodeAt(0).toString(16).padStart(4, "0");
  return text.replace(/[\u007f-\u009f\u2028\u2029]/g, (character) => `\\u${code(character)}`);
}
