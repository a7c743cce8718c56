/**
 * An answer that is thrown: dependencies, body checks and handlers throw it to end a request.
 *
 * It is a Reply (http/route.ts) and not an Error: it is the client that is told, so no stack is taken, and an
 * instance that is made once can be thrown for every request it fits.
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
export const JSON_HEADERS: readonly string[] = ["Content-Type", "application/json", "Cache-Control", "no-store"];
