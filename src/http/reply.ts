/**
 * The answer that refuses a request. Checks and dependencies return it, handlers throw it.
 *
 * It is a Reply (http/route.ts) and not an Error: it is for the client, so no stack is taken, and one instance does for
 * all requests it fits. It is returned where many may be refused: Node takes microseconds for what is thrown.
 */
export class HttpError {
  /** The status code, RFC 9110 15. */
  readonly status: number;
  /** Field names and values in turn, without Content-Length. */
  readonly headers: readonly string[];
  /** `{"detail": …}` as JSON, the shape of FastAPI's HTTPException. */
  readonly body: string;

  /** `detail`: a sentence for the client, or a list of faults; `headers`: further names and values in turn. */
  constructor(status: number, detail: unknown, headers: readonly string[] = []) {
    this.status = status;
    this.headers = [...JSON_HEADERS, ...headers];
    this.body = JSON.stringify({ detail });
  }
}

/** The fields of every JSON answer, names and values in turn. */
export const JSON_HEADERS: readonly string[] = [
  "Content-Type",
  "application/json",
  "Cache-Control",
  "no-store",
];
