import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";

import type { Connection, Pending } from "./connection.ts";
import { asksToClose, splitTarget } from "./head.ts";
import { checkField, type HttpError } from "./reply.ts";
import type { Context, Route } from "./route.ts";

/** One response, for the log. Bytes that were not a request have no `method` and no `path`. */
export interface RequestRecord {
  readonly requestId: string;
  /** The peer's address; undefined on a Unix socket. */
  readonly remote: string | undefined;
  /** The value of its X-Forwarded-For fields, joined with commas: anyone can write one. */
  readonly forwardedFor?: string | undefined;
  readonly method?: string | undefined;
  /** The path of its route, if it has one. */
  readonly route?: string | undefined;
  /** The path of its route; if it has none, the path as received, without its query. */
  readonly path?: string;
  /** The name of the key that matched. */
  readonly key?: string | undefined;
  /** Why the guard denied the request. */
  readonly denied?: string | undefined;
  /** Which limit of its key it has met. */
  readonly limited?: string | undefined;
  /** The route is a probe, which load balancers call all the time. */
  readonly isProbe?: boolean;
  /** null if the client went away before its response. */
  readonly status: number | null;
  readonly durationMs: number;
}

/** Reads the body of an exchange. */
export interface BodyReader {
  /** The rest of the body will not arrive. */
  fail(reason: HttpError): void;
  /** Gives up the memory that it holds. */
  release(): void;
}

/** One request and its response: from the header section until the response is handed over. */
export class Exchange implements Pending {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly connection: Connection;
  readonly requestId: string;
  /** The path and the query of the request target, as received. */
  readonly path: string;
  readonly query: string;
  /** What dependencies and the handler see of it. */
  readonly context: Context;
  /** The client wants the connection to close, but node:http has not noticed. */
  readonly asksToClose: boolean;
  /** The header section is valid. If not, the end of the request can't be known. */
  isHeadValid = false;
  /** The client holds its body back until it gets 100 Continue. */
  awaitsContinue = false;
  /** Its route, once it is known. */
  route: Route | undefined = undefined;
  /** The reader of the body, while it reads. */
  bodyReader: BodyReader | undefined = undefined;
  #bodyError: HttpError | undefined = undefined;
  #hasEnded = false;
  #addedFields: string[] = NO_FIELDS;
  #endCallbacks: (() => void)[] = NO_CALLBACKS;
  readonly #started: number = performance.now();
  readonly #onEnd: EndListener;
  #controller: AbortController | undefined = undefined;

  /** `onEnd` is called once, with the status of the response, or null if the client went away. */
  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    connection: Connection,
    onEnd: EndListener,
  ) {
    this.request = request;
    this.response = response;
    this.connection = connection;
    this.#onEnd = onEnd;
    this.requestId = requestIdOf(request.headers["x-request-id"]);
    const { path, query } = splitTarget(request.url ?? "");
    this.path = path;
    this.query = query;
    this.context = new HandlerContext(this);
    this.asksToClose = response.shouldKeepAlive && asksToClose(request);
    connection.add(this);
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Why the body will never be complete. */
  get bodyError(): HttpError | undefined {
    return this.#bodyError;
  }

  get signal(): AbortSignal {
    return this.#abortController().signal;
  }

  /** Header fields for whatever response it gets: names and values in turn. */
  get addedFields(): readonly string[] {
    return this.#addedFields;
  }

  /** See `Context.addHeader`. */
  addHeader(name: string, value: string): void {
    checkField(name, value);
    if (this.#addedFields === NO_FIELDS) this.#addedFields = [];
    this.#addedFields.push(name, value);
  }

  /** See `Context.onEnd`. */
  onEnd(callback: () => void): void {
    if (this.#endCallbacks === NO_CALLBACKS) this.#endCallbacks = [];
    if (this.#hasEnded) callback();
    else this.#endCallbacks.push(callback);
  }

  failBody(reason: HttpError): void {
    this.#bodyError = reason;
    this.bodyReader?.fail(reason);
  }

  /** It has its response, with this status. */
  end(status: number | null): void {
    this.#hasEnded = true;
    this.bodyReader?.release();
    this.connection.forgetWritten();
    this.#onEnd(this, status);
  }

  /** Runs what waits for its end. `report` gets what one of the callbacks throws. */
  runEndCallbacks(report: (error: unknown, requestId: string) => void): void {
    for (const callback of this.#endCallbacks) {
      try {
        callback();
      } catch (error) {
        report(error, this.requestId);
      }
    }
  }

  /** The client is gone: cancels the work that is done for it. */
  abandon(): void {
    const { onGone } = this.context;
    if (onGone !== undefined) this.onEnd(onGone);
    this.end(null);
    this.#abortController().abort();
  }

  /** What the log needs to know of it, with the time until now. */
  toRecord(status: number | null): RequestRecord {
    return {
      requestId: this.requestId,
      remote: this.connection.remoteAddress,
      // node:http joins several fields.
      forwardedFor: this.request.headers["x-forwarded-for"] as string | undefined,
      method: this.request.method,
      route: this.route?.path,
      path: this.route?.path ?? this.path,
      key: this.context.key,
      denied: this.context.denialReason,
      limited: this.context.limited,
      isProbe: this.route?.isProbe ?? false,
      status,
      durationMs: performance.now() - this.#started,
    };
  }

  #abortController(): AbortController {
    this.#controller ??= new AbortController();
    return this.#controller;
  }
}

/** Called when an exchange is over. */
export type EndListener = (exchange: Exchange, status: number | null) => void;

/** The request id to use: the caller's own if it is 1 to 128 visible ASCII characters. */
export function requestIdOf(field?: string | string[]): string {
  if (typeof field === "string" && REQUEST_ID.test(field)) return field;
  requestCount += 1;
  return `${REQUEST_ID_PREFIX}${requestCount}`;
}

const REQUEST_ID = /^[\x21-\x7e]{1,128}$/;

// Unique but not secret: random per process, then a number. A UUID for each would cost more.
const REQUEST_ID_PREFIX = `${randomBytes(8).toString("hex")}-`;
let requestCount = 0;

/** Keeps the exchange private, so that a handler can neither end it nor write its response. */
class HandlerContext implements Context {
  readonly request: IncomingMessage;
  readonly requestId: string;
  onGone: (() => void) | undefined = undefined;
  key: string | undefined = undefined;
  denialReason: string | undefined = undefined;
  limited: string | undefined = undefined;
  credential: unknown = undefined;
  readonly #exchange: Exchange;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
    this.request = exchange.request;
    this.requestId = exchange.requestId;
  }

  get signal(): AbortSignal {
    return this.#exchange.signal;
  }

  onEnd(callback: () => void): void {
    this.#exchange.onEnd(callback);
  }

  addHeader(name: string, value: string): void {
    this.#exchange.addHeader(name, value);
  }
}

// Shared by all exchanges: most need no list of their own. Nothing is added to these.
const NO_FIELDS: string[] = [];
const NO_CALLBACKS: (() => void)[] = [];
