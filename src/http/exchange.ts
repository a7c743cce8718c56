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
  readonly path?: string;
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
  remote: string | undefined;
  /** When it was accepted, or had its latest answer; as performance.now() has it. */
  since: number;
  readonly service: { readonly draining: boolean };
  /** The requests that have no answer yet, in the order of their arrival. */
  readonly open: Exchange[];
  /** The latest request, answered or not. */
  last: Exchange | undefined;
  /** The last answer of this connection has been given: whatever else arrives is ignored. */
  closing: boolean;
  /** While lingering: how many bytes may have been read in all. */
  readLimit: number;
  /** How many had been read when it was found idle. */
  idleAt: number;
}

/** One request and its answer, from its header section until the answer is handed over or the client is gone. */
export class Exchange implements Context {
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
  /** What the client still waits for before it sends its body. */
  expectation: Expectation;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly connection: Connection;
  readonly requestId: string;
  readonly target: { readonly path: string; readonly query: string };
  readonly #started: number = performance.now();
  #controller: AbortController | undefined = undefined;

  constructor(request: IncomingMessage, response: ServerResponse, connection: Connection, expectation: Expectation) {
    this.request = request;
    this.response = response;
    this.connection = connection;
    connection.remote ??= connection.socket.remoteAddress;
    this.expectation = expectation;
    this.requestId = requestIdOf(request.headers["x-request-id"]);
    this.target = splitTarget(request.url ?? "");
  }

  get draining(): boolean {
    return this.connection.service.draining;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    return this.#controller.signal;
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
    const { requestId, connection, request, target, key, denied } = this;
    const durationMs = performance.now() - this.#started;
    const { method } = request;
    return { requestId, remote: connection.remote, method, path: target.path, status, durationMs, key, denied };
  }
}

/** The request id to use where the caller sent `field`: its own, if it is 1 to 128 visible ASCII characters. */
export function requestIdOf(field?: string | string[]): string {
  if (typeof field === "string" && /^[\x21-\x7e]{1,128}$/.test(field)) return field;
  counter += 1;
  return `${PREFIX}${counter}`;
}

// Unique without being secret: random per process, then a number. A UUID each would cost more.
const PREFIX = `${randomBytes(12).toString("base64url")}-`;
let counter = 0;
