import { ClientAddresses } from "./client-address.ts";
import type { ServerEvents } from "./http/connections.ts";
import type { RequestRecord } from "./http/exchange.ts";
import { LineBuffer, type LineKind, type LogSink, type MissingLines } from "./log-buffer.ts";
import {
  describeError,
  eventLine,
  LINE_LEVELS,
  type LineLevel,
  responseLevel,
  responseLine,
} from "./log-line.ts";

/** The values of LOG_LEVEL. Each level includes those before it. */
export const LOG_LEVELS = ["silent", ...LINE_LEVELS] as const;

/** One of LOG_LEVELS. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Writes to a pipe of at most this many bytes are atomic (POSIX): lines of processes don't mix. */
export const PIPE_BUF = 4096;

/** Writes JSON lines. */
export interface Log extends ServerEvents {
  /** Writes an event. `fields` are written as they are: never a key, a body or a query. */
  readonly event: (level: LineLevel, event: string, fields?: object) => void;
  /** Writes a `warning` for each message. */
  readonly warn: (messages: readonly string[]) => void;
  /** Writes an `error` with its stack, and the id of the request during which it happened. */
  readonly error: (error: unknown, requestId?: string) => void;
  /** Hands the lines that wait in memory to the sink. */
  readonly flush: () => void;
  /** How many lines have been dropped or lost so far. */
  readonly missing: () => MissingLines;
}

/** What a log goes by besides its level. */
export interface LogOptions {
  /** No single write has more bytes, unless one line does. */
  readonly maxWriteLength?: number | undefined;
  /** The proxies whose X-Forwarded-For is believed: see ClientAddresses. */
  readonly trustedProxies?: readonly string[];
}

/**
 * A log of one level on a sink. It neither stops nor slows the service. While the reader of the
 * sink is behind, at most 1 MiB waits; lines past that are dropped and counted. Callers without a
 * key can fill only half of it.
 *
 * No body and no query ever comes here, and no key: whatever looks like one is replaced.
 */
export function createLog(level: LogLevel, sink: LogSink, options: LogOptions = {}): Log {
  const { maxWriteLength = Infinity, trustedProxies = [] } = options;
  const addresses = new ClientAddresses(trustedProxies);
  const buffer = new LineBuffer(sink, maxWriteLength);
  const isLogged = (line: LineLevel): boolean => SEVERITY[line] <= SEVERITY[level];
  const event: Log["event"] = (lineLevel, name, fields = {}) => {
    if (!isLogged(lineLevel) || !buffer.admits("trusted")) return;
    buffer.append(eventLine(lineLevel, name, fields));
  };
  const response = (record: RequestRecord): void => {
    const lineLevel = responseLevel(record);
    if (!isLogged(lineLevel) || !buffer.admits(kindOf(record))) return;
    const remote = addresses.find(record.remote, record.forwardedFor);
    buffer.append(responseLine(lineLevel, record, remote));
  };
  return {
    response: level === "silent" ? undefined : response,
    event,
    warn: (messages) => {
      for (const message of messages) event("warn", "warning", { message });
    },
    error: (error, requestId) => {
      event("error", "error", { request_id: requestId, stack: describeError(error) });
    },
    flush: buffer.flush,
    missing: () => buffer.missing,
  };
}

/** The position in LOG_LEVELS. */
const SEVERITY: Readonly<Record<LogLevel, number>> = {
  silent: 0,
  error: 1,
  warn: 2,
  info: 3,
  debug: 4,
};

/** The guard has let a request pass if a key matched and was not denied, as an expired one is. */
function kindOf({ key, denied }: RequestRecord): LineKind {
  return key !== undefined && denied === undefined ? "trusted" : "withoutKey";
}
