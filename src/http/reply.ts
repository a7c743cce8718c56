import type { Readable } from "node:stream";

import { validateHeaderName, validateHeaderValue } from "./node-modules.ts";

/** A response as a handler returns it. `json()` makes one. */
export interface Reply {
  /** The status code (RFC 9110 15), from 200 to 599. */
  readonly status: number;
  /**
   * Field names and values in turn: with Content-Type and Cache-Control, without Content-Length.
   */
  readonly headers: readonly string[];
  /**
   * The content; text is sent as UTF-8. A stream is read as fast as the client reads, and destroyed
   * when the client is gone. If it fails, the connection is cut, since the status has been sent.
   */
  readonly body: string | Uint8Array | Readable;
}

/**
 * A response that rejects a request. Checks and dependencies return it; handlers may also throw it.
 *
 * It is not an Error: it is meant for the client and needs no stack, so one instance can serve
 * every request that it fits. Checks return it because a throw costs microseconds per request.
 *
 * @example
 *     throw new HttpError(404, "No such queue");
 */
export class HttpError implements Reply {
  readonly status: number;
  readonly headers: readonly string[];
  /** `{"detail": …}` as JSON, the shape of FastAPI's HTTPException. */
  readonly body: string;

  /**
   * `detail` is a sentence for the client, or a list of problems. `headers` are further field names
   * and values in turn.
   */
  constructor(status: number, detail: unknown, headers: readonly string[] = []) {
    this.status = status;
    this.headers = withDefaults(JSON_HEADERS, headers);
    this.body = JSON.stringify({ detail });
  }
}

const NOT_STORED = ["Cache-Control", "no-store"] as const;

/** The header fields of every JSON response: names and values in turn. */
export const JSON_HEADERS: readonly string[] = ["Content-Type", "application/json", ...NOT_STORED];

/**
 * A reply whose body is `value` as JSON. `headers` are further field names and values in turn, or
 * replace those of JSON_HEADERS with the same name. Throws a TypeError if `value` is a promise.
 */
export function json(status: number, value: unknown, headers: readonly string[] = []): Reply {
  if (value instanceof Promise) throw new TypeError("the body of a reply is a promise: await it");
  return { status, headers: withDefaults(JSON_HEADERS, headers), body: JSON.stringify(value) };
}

/** A reply without content (204). */
export function empty(headers: readonly string[] = []): Reply {
  return { status: 204, headers: withDefaults(NOT_STORED, headers), body: "" };
}

/**
 * A reply with content of any media type, such as `text/csv; charset=utf-8`. `headers` are further
 * field names and values in turn.
 *
 * @example
 *     text(200, "text/csv; charset=utf-8", Readable.from(rows()));
 */
export function text(
  status: number,
  type: string,
  content: string | Readable,
  headers: readonly string[] = [],
): Reply {
  const defaults = ["Content-Type", type, ...NOT_STORED];
  return { status, headers: withDefaults(defaults, headers), body: content };
}

/** The fields of `defaults` that `headers` does not have, then `headers`. */
function withDefaults(defaults: readonly string[], headers: readonly string[]): readonly string[] {
  if (headers.length === 0) return defaults;
  const isKept = (_field: string, index: number): boolean => {
    const name = defaults[index - (index % 2)] as string;
    return countFields(headers, name.toLowerCase()) === 0;
  };
  return [...defaults.filter(isKept), ...headers];
}

/** Counts the fields with a name, given in lower case, in a list of names and values in turn. */
export function countFields(fields: readonly string[], name: string): number {
  let count = 0;
  for (let i = 0; i < fields.length; i += 2) {
    const fieldName = fields[i] as string;
    // Comparing the lengths first spares most names their copy in lower case.
    if (fieldName.length === name.length && fieldName.toLowerCase() === name) count += 1;
  }
  return count;
}

/** Throws a TypeError if a field is not valid (RFC 9110 5), or is one that frames messages. */
export function checkField(name: string, value: string): void {
  validateHeaderName(name);
  validateHeaderValue(name, value);
  checkIsNoFraming(name);
}

/** Throws a TypeError if the name is that of a field that the service sets. */
export function checkIsNoFraming(name: string): void {
  // The lengths of the three names rule out most others.
  if (!FRAMING_LENGTHS.has(name.length) || !FRAMING_FIELDS.has(name.toLowerCase())) return;
  throw new TypeError(`a reply must not have the header field ${name}: the service sets it`);
}

/** The header fields that frame a message, in lower case. */
const FRAMING_FIELDS = new Set(["connection", "content-length", "transfer-encoding"]);
const FRAMING_LENGTHS = new Set([10, 14, 17]);
