import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";

import type { HttpError } from "./reply.ts";
import type { Context } from "./route.ts";
import { splitTarget } from "./router.ts";

/** What the log is told of: a request, or, of bytes that were none, the first two. */
export type Answered = Pick<Exchange, "requestId" | "connection"> & Partial<Exchange>;

/** What is open on one socket. */
export interface Connection {
  readonly socket: Socket;
  /** The peer's address: the socket forgets it when it closes. */
  readonly remote: string | undefined;
  readonly service: { readonly draining: boolean; inFlight: number; readonly reports: Reports };
  /** The requests that have no answer yet, in the order of their arrival. */
  open: readonly Exchange[];
  /** The latest request; undefined when there was none, or it is over. */
  last: Exchange | undefined;
  /** The last answer of this connection has been given: whatever else arrives is ignored. */
  closing: boolean;
  /** While lingering: how many bytes may have been read in all. */
  readLimit: number;
  /** Since when it has been idle, as performance.now() has it, and how many bytes had been read by then. */
  idleSince: number;
  idleBytes: number;
}

/** One for all connections: an idle one needs no list of its own. */
export const NOTHING_OPEN: readonly Exchange[] = [];

/** Where the service tells what happened. */
export interface Reports {
  /** Each answer, a `status` of null for a client that went away before its own; undefined: nobody wants to know. */
  readonly answered:
    | ((to: Answered, status: number | null, durationMs: number) => void)
    | undefined;
  /** What a dependency or a handler threw that is no HttpError. */
  readonly error: (error: unknown, requestId: string) => void;
}

/** One request and its answer, from its header section until the answer is handed over or the client is gone. */
export class Exchange implements Context {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly connection: Connection;
  readonly requestId: string;
  readonly path: string;
  readonly query: string;
  key: string | undefined = undefined;
  denied: string | undefined = undefined;
  onGone: (() => void) | undefined = undefined;
  /** Whether the header section is in order and the body under way: else what follows on the connection is ignored. */
  inStep = false;
  /** Answered, or nobody left to answer. */
  ended = false;
  /** Why the body will never be complete. */
  bodyError: HttpError | undefined = undefined;
  /** While the body is being read: ends the reading. */
  failBody: ((reason: HttpError) => void) | undefined = undefined;
  readonly #started: number = performance.now();
  #controller: AbortController | undefined = undefined;

  constructor(request: IncomingMessage, response: ServerResponse, connection: Connection) {
    this.request = request;
    this.response = response;
    this.connection = connection;
    this.requestId = requestIdOf(request.headers["x-request-id"]);
    ({ path: this.path, query: this.query } = splitTarget(request.url ?? ""));
    connection.last = this;
    connection.open = [...connection.open, this];
    connection.service.inFlight += 1;
  }

  get draining(): boolean {
    return this.connection.service.draining;
  }

  get signal(): AbortSignal {
    return (this.#controller ??= new AbortController()).signal;
  }

  /** The rest of the body will not come, or not in time. */
  breakBody(reason: HttpError): void {
    this.bodyError = reason;
    this.failBody?.(reason);
  }

  /** It has been answered with `status`, or, null, never will be: tells the log. */
  end(status: number | null): void {
    const { connection, request, response } = this;
    this.ended = true;
    connection.open =
      connection.open.length === 1
        ? NOTHING_OPEN
        : connection.open.filter((other) => other !== this);
    // Lest a connection hold on to all of a request that is over.
    if (connection.last === this && request.complete && response.writableLength === 0)
      connection.last = undefined;
    connection.service.inFlight -= 1;
    connection.service.reports.answered?.(this, status, performance.now() - this.#started);
  }

  /** The client has gone: cancels the work that is done for it. */
  abandon(): void {
    this.end(null);
    this.onGone?.();
    (this.#controller ??= new AbortController()).abort();
  }
}

/** The request id to use where the caller sent `field`: its own, if it is 1 to 128 visible ASCII characters. */
export const requestIdOf = (field?: string | string[]): string =>
  typeof field === "string" && /^[\x21-\x7e]{1,128}$/.test(field) ? field : `${PREFIX}${counter++}`;

// Unique without being secret: random per process, then a number. A UUID each would cost more.
const PREFIX = `${randomBytes(12).toString("base64url")}-`;
let counter = 0;
