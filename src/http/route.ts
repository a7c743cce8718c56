import type { IncomingMessage } from "node:http";

import { type HttpError, JSON_HEADERS } from "./reply.ts";

/**
 * What a handler returns; `json()` makes one. `headers`: field names and values in turn, with Content-Type and
 * Cache-Control, without Content-Length.
 */
export type Reply = Readonly<{
  status: number;
  headers: readonly string[];
  body: string | Uint8Array;
}>;

/** What a dependency or a handler may know of its request. */
export interface Context {
  readonly request: IncomingMessage;
  /** The caller's X-Request-Id where it is usable, else a fresh one. */
  readonly requestId: string;
  /** Aborted when the client goes away before its answer; made only when it is asked for. */
  readonly signal: AbortSignal;
  /** Called at the same moment, for what a call can cancel: a signal may cost as much as the rest of a request. */
  onGone: (() => void) | undefined;
  /** Whether the service is about to stop. */
  readonly draining: boolean;
  /** For the log: the name of the key that matched. */
  key: string | undefined;
  /** For the log: why the guard refused. */
  denied: string | undefined;
}

/** Runs before the body is read: lets the request pass, or returns the answer that refuses it. */
export type Dependency = (context: Context) => Refusal | Promise<Refusal>;

/** What a check returns: nothing where nothing is wrong. */
export type Refusal = HttpError | undefined | void;

/** One thing that is wrong with a body, in the shape of pydantic's errors. */
export interface Fault {
  readonly type: string;
  readonly loc: Location;
  readonly msg: string;
  readonly input?: unknown;
}

/** The way to a value: "body", then the names and indices that lead there. */
export type Location = readonly (string | number)[];

/** Checks `input`, found at `loc`: returns it as a T, or adds to `faults`; then what it returns is not looked at. */
export type Model<T> = (input: unknown, loc: Location, faults: Fault[]) => T;

/** One endpoint. `T` is what its handler gets for a body: undefined when the route has no model. */
export interface Route<T = unknown> {
  readonly method: string;
  /** Matched as written: no parameters, no percent-decoding. */
  readonly path: string;
  readonly dependencies: readonly Dependency[];
  readonly body: Model<T> | undefined;
  /** False: not part of the OpenAPI document. */
  readonly includeInSchema: boolean;
  /** False: answered even when MAX_IN_FLIGHT requests are in flight. */
  readonly limited: boolean;
  readonly handler: (body: T, context: Context) => Reply | Promise<Reply>;
}

/** A route as it is declared: what is left out is none, or true. */
export type Declaration<T> = Pick<Route<T>, "method" | "path" | "handler"> & Partial<Route<T>>;

/** Declares a route; the handler's body has the type of the model, and is undefined without one. */
export function route<T>(declaration: Declaration<T> & { readonly body: Model<T> }): Route;
/** Declares a route without a model. */
export function route(declaration: Declaration<undefined>): Route;
/** Fills in what a declaration leaves out. */
export function route<T>(declaration: Declaration<T>): Route {
  // Only its own model makes the handler's body, so the pair may forget what T is.
  return {
    dependencies: [],
    body: undefined,
    includeInSchema: true,
    limited: true,
    ...declaration,
  } as Route;
}

/** An answer whose body is `value` as JSON; `headers`: further names and values in turn. */
export const json = (status: number, value: unknown, headers: readonly string[] = []): Reply => ({
  status,
  headers: [...JSON_HEADERS, ...headers],
  body: JSON.stringify(value),
});
