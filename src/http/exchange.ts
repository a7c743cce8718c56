import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";

import type { HttpError } from "./error.ts";
import type { Expectation } from "./head.ts";
import type { Context } from "./route.ts";
import { splitTarget } from "./router.ts";

/** What the log is told of one answer; `method` and `path` are missing when the bytes were no request. */
export interface Answered {
  readonly requestId: string;
  readonly remote: string | undefined;
  readonly method?: string | undefined;
  /** The target's path as received. */
  readonly path?: string | undefined;
  /** Null: the client went away before its answer. */
  readonly status: number | null;
  readonly durationMs: number;
  readonly key?: string | undefined;
  readonly denied?: string | undefined;
}

/** What is open on one socket. */
export interface Connection {
  readonly socket: Socket;
  /** The peer's address, kept for when the socket has none any more. */
  readonly remote: string | undefined;
  /** The requests that have no answer yet, in the order of their arrival. */
  readonly open: Exchange[];
  /** The latest request, answered or not. */
  last: Exchange | undefined;
  /** The last answer of this connection has been given: whatever else arrives is ignored. */
  closing: boolean;
  /** While lingering: how many bytes may have been read in all. */
  readLimit: number;
}

/** One request and its answer, from the header section to the answer's last byte handed over, or the client's leaving. */
export class Exchange implements Context {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly connection: Connection;
  readonly requestId: string;
  readonly path: string;
  readonly query: string;
  /** What the client waits for before it sends its body. */
  expectation: Expectation;
  key: string | undefined = undefined;
  denied: string | undefined = undefined;
  onGone: (() => void) | undefined = undefined;
  /** Whether the header section is in order: else nothing that follows on the connection can be relied on. */
  isSound = false;
  /** Whether it counts as one in flight. */
  counted = false;
  /** Answered, or nobody left to answer. */
  ended = false;
  /** Why the body will never be complete. */
  bodyError: HttpError | undefined = undefined;
  /** While the body is being read: ends the reading. */
  failBody: ((reason: HttpError) => void) | undefined = undefined;
  readonly #service: { readonly draining: boolean };
  readonly #started: number = performance.now();
  #controller: AbortController | undefined = undefined;

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    connection: Connection,
    service: { readonly draining: boolean },
    expectation: Expectation,
  ) {
    this.request = request;
    this.response = response;
    this.connection = connection;
    this.requestId = requestIdOf(request.headers["x-request-id"]);
    const { path, query } = splitTarget(request.url ?? "");
    this.path = path;
    this.query = query;
    this.expectation = expectation;
    this.#service = service;
  }

  get draining(): boolean {
    return this.#service.draining;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    return this.#controller.signal;
  }

  /** Tells the client to send its body. */
  sendContinue(): void {
    this.response.writeContinue();
    this.expectation = "none";
  }

  /** The rest of the body will not come, or not in time. */
  breakBody(reason: HttpError): void {
    this.bodyError = reason;
    this.failBody?.(reason);
  }

  /** The client has gone: cancels the work that is done for it. */
  cancel(): void {
    this.onGone?.();
    this.#controller ??= new AbortController();
    this.#controller.abort();
  }

  /** What the log is told. */
  answered(status: number | null): Answered {
    return {
      requestId: this.requestId,
      remote: this.connection.remote,
      method: this.request.method,
      path: this.path,
      status,
      durationMs: performance.now() - this.#started,
      key: this.key,
      denied: this.denied,
    };
  }
}

/** The request id to use where the caller sent `field`: its own, if it is 1 to 128 visible ASCII characters. */
export function requestIdOf(field?: string | string[]): string {
  if (typeof field === "string" && REQUEST_ID.test(field)) return field;
  nextId += 1;
  return PREFIX + nextId.toString(36);
}

const REQUEST_ID = /^[\x21-\x7e]{1,128}$/;

// Unique without being secret: random per process, then a number. A UUID each would cost ten times as much.
const PREFIX = `${randomBytes(12).toString("base64url")}-`;
let nextId = 0;
