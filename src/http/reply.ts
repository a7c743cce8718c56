/** A response as a handler returns it. `json()` makes one. */
export interface Reply {
  /** The status code (RFC 9110 15), from 200 to 599. */
  readonly status: number;
  /**
   * Field names and values in turn: with Content-Type and Cache-Control, without Content-Length.
   */
  readonly headers: readonly string[];
  /** The content; text is sent as UTF-8. */
  readonly body: string | Uint8Array;
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
    this.headers = [...JSON_HEADERS, ...headers];
    this.body = JSON.stringify({ detail });
  }
}

/** The header fields of every JSON response: names and values in turn. */
export const JSON_HEADERS: readonly string[] = [
  "Content-Type",
  "application/json",
  "Cache-Control",
  "no-store",
];

/** A reply whose body is `value` as JSON. `headers` are further field names and values in turn. */
export function json(status: number, value: unknown, headers: readonly string[] = []): Reply {
  return { status, headers: [...JSON_HEADERS, ...headers], body: JSON.stringify(value) };
}
