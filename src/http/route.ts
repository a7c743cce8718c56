import type { IncomingMessage } from "node:http";

import type { Model } from "./model.ts";
import type { HttpError, Reply } from "./reply.ts";

/**
 * What a dependency or a handler knows of its request. It has no way to write the response: a
 * handler returns a reply.
 */
export interface Context {
  readonly request: IncomingMessage;
  /** The caller's X-Request-Id if it is usable, else a fresh one. */
  readonly requestId: string;
  /** Aborts when the client goes away before its response. It is made when it is first read. */
  readonly signal: AbortSignal;
  /**
   * Called when `signal` would abort. It is the cheap alternative: a signal may cost as much as the
   * rest of a request.
   */
  onGone: (() => void) | undefined;
  /** For the log: the name of the key that matched. */
  key: string | undefined;
  /** For the log: why the guard denied the request. */
  denialReason: string | undefined;
  /** For the guard: what it let the request pass with. */
  credential: unknown;
}

/**
 * A check that runs before the body is read. It returns nothing to let the request pass, or the
 * response that rejects it.
 */
export interface Dependency {
  (context: Context): Rejection | Promise<Rejection>;
  /** If present, runs when the body has arrived: meanwhile the request may have lost its right. */
  readonly recheck?: (context: Context) => Rejection;
}

/** The result of a dependency: undefined if the request passes. */
export type Rejection = HttpError | undefined | void;

/** One endpoint. `T` is the type of the handler's body: undefined if the route has no model. */
export interface Route<T = unknown> {
  /** A method of node:http, in capitals. */
  readonly method: string;
  /** Matched as written: no parameters, no percent-decoding. */
  readonly path: string;
  /** Run in this order. */
  readonly dependencies: readonly Dependency[];
  /** What the body must be; undefined if the route takes none. */
  readonly body: Model<T> | undefined;
  /** Whether the OpenAPI document lists the route. */
  readonly includeInSchema: boolean;
  /** Whether MAX_IN_FLIGHT applies. If false, the route responds even past it. */
  readonly limited: boolean;
  /** Whether it is called all the time, such as a health check: the log can leave successes out. */
  readonly isProbe: boolean;
  readonly handler: (body: T, context: Context) => Reply | Promise<Reply>;
}

/** A route as it is declared. `route` fills in what is left out. */
export type RouteDeclaration<T> = Pick<Route<T>, "method" | "path" | "handler"> & Partial<Route<T>>;

/**
 * Declares a route. The handler's body has the type of the model, and is undefined without one.
 *
 * @example
 *     route({ method: "GET", path: "/time", handler: () => json(200, { now: Date.now() }) });
 */
export function route<T>(declaration: RouteDeclaration<T> & { readonly body: Model<T> }): Route;
/** Declares a route without a model. */
export function route(declaration: RouteDeclaration<undefined>): Route;
/** Fills in the members that a declaration leaves out. */
export function route<T>(declaration: RouteDeclaration<T>): Route {
  const defaults = {
    dependencies: [],
    body: undefined,
    includeInSchema: true,
    limited: true,
    isProbe: false,
  };
  // The cast is safe: a route's handler only ever sees what its own model returned.
  return { ...defaults, ...declaration } as Route;
}
