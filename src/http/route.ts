import type { IncomingMessage } from "node:http";

import type { Members, Model, ObjectOf } from "../models/model.ts";
import type { PathNames } from "../models/paths.ts";
import type { HttpError, Reply } from "./reply.ts";

/**
 * What a dependency or a handler knows of its request. It has no way to write the response: a
 * handler returns a reply. Call its methods on it: they can't be taken out of it.
 */
export interface Context {
  readonly request: IncomingMessage;
  /** The caller's X-Request-Id if it is usable, else a fresh one. */
  readonly requestId: string;
  /** Aborts when the client goes away before its response. It is made when it is first read. */
  readonly signal: AbortSignal;
  /**
   * Called when `signal` would abort. It is the cheap alternative: a signal may cost as much as the
   * rest of a request. What it throws is logged.
   */
  onGone: (() => void) | undefined;
  /**
   * Calls `callback` once, when the response has been handed over or the client is gone: the place
   * to give back what the request took. What it throws is logged.
   */
  onEnd(this: Context, callback: () => void): void;
  /**
   * Adds a header field to the response, whatever that will be. Throws a TypeError if it is not
   * valid, or is one that the service sets: Content-Length, Transfer-Encoding, Connection.
   */
  addHeader(this: Context, name: string, value: string): void;
  /** For the log: the name of the key that matched. */
  key: string | undefined;
  /** For the log: why the guard denied the request. */
  denialReason: string | undefined;
  /** For the log: which limit of its key the request has met. */
  limited: string | undefined;
  /** For the guard: what it let the request pass with. */
  credential: unknown;
}

/**
 * A check that runs before parameters and body are looked at, such as a guard. It returns nothing
 * to let the request pass, or the response that rejects it.
 */
export interface Dependency {
  (context: Context): Rejection | Promise<Rejection>;
  /**
   * If present, runs after all dependencies have let the request pass and there is room for it,
   * but before its body is read: here a request may be counted, or rejected with 429.
   */
  readonly admit?: (context: Context) => Rejection;
  /** If present, runs when the body has arrived: meanwhile the request may have lost its right. */
  readonly recheck?: (context: Context) => Rejection;
  /** For the document: the name of the security scheme that it stands for. */
  readonly security?: string;
  /** For the document: the responses with which it rejects requests. */
  readonly responses?: Responses;
}

/** The result of a dependency: undefined if the request passes. */
export type Rejection = HttpError | undefined | void;

/**
 * A function that runs before routing, such as one for CORS. It sees each request whose header
 * section is valid, and may reply to it.
 */
export type Interceptor = (context: Context) => Reply | undefined | void;

/** Responses by their status. */
export type Responses = Readonly<Record<number, ResponseDeclaration>>;

/** What the document says of a response. In tests a response that is not declared is an error. */
export interface ResponseDeclaration {
  readonly description: string;
  /**
   * What its content is. Without it, the content is text if there is a `type`; else an error has
   * that of HttpError, and others have none.
   */
  readonly body?: Model<unknown>;
  /** A value that its content may be, to be shown. */
  readonly example?: unknown;
  /** Its media type: `application/json` if it is left out and there is a body. */
  readonly type?: string;
  /** Header fields beyond those of every response, by name. One that is optional may be absent. */
  readonly headers?: Members;
}

/** One endpoint. */
export interface Route {
  /** A method of node:http, in capitals. */
  readonly method: string;
  /** Segments match as written; `{name}` matches any one segment, which is percent-decoded. */
  readonly path: string;
  /** Run in this order. */
  readonly dependencies: readonly Dependency[];
  /** For the document: a few words. FastAPI makes them from the name of a function. */
  readonly summary: string | undefined;
  /** For the document: what the endpoint does, in CommonMark. */
  readonly description: string | undefined;
  /** For the document: its groups. Without any, the first literal segment of its path. */
  readonly tags: readonly string[];
  /** Models by name: of the path if the name stands in braces in it, else of the query. */
  readonly parameters: Members;
  /** What the body must be; undefined if the route takes none. */
  readonly body: Model<unknown> | undefined;
  /** The responses of the handler. */
  readonly responses: Responses;
  /** Whether the OpenAPI document lists the route. */
  readonly includeInSchema: boolean;
  /** Whether MAX_IN_FLIGHT applies. If false, the route responds even past it. */
  readonly limited: boolean;
  /** Whether it is called all the time, such as a health check: the log can leave successes out. */
  readonly isProbe: boolean;
  readonly handler: (input: InputRecord, context: Context) => Reply | Promise<Reply>;
}

/** The parameters of a request by name, and under `body` its body if the route has a model. */
export type InputRecord = Record<string, unknown>;

/** The members that every declaration has, and those that it may leave out. */
type CommonMembers = Pick<Route, "method"> &
  Partial<Omit<Route, "method" | "path" | "parameters" | "body" | "handler">>;

/** What a handler gets: its parameters by name, and its body. */
export type Input<P extends Members, B> = ObjectOf<P> &
  ([B] extends [undefined] ? unknown : { body: B });

/** A route as it is declared. Each name in braces in the path needs a model. */
export type RouteDeclaration<Path extends string, P extends Members, B> = CommonMembers & {
  readonly path: Path;
  readonly body?: Model<B>;
  readonly handler: (input: Input<P, B>, context: Context) => Reply | Promise<Reply>;
} & ([PathNames<Path>] extends [never]
    ? { readonly parameters?: P }
    : { readonly parameters: P & Readonly<Record<PathNames<Path>, Model<unknown>>> });

/**
 * Declares a route. The handler's first argument has the types of its models: a member for each
 * parameter, and `body`.
 *
 * @example
 *     route({
 *       method: "GET",
 *       path: "/jobs/{id}",
 *       parameters: { id: string({ format: "uuid" }), verbose: optional(boolean(), false) },
 *       handler: ({ id, verbose }) => json(200, { id, verbose }),
 *     });
 */
export function route<const Path extends string, P extends Members = {}, B = undefined>(
  declaration: RouteDeclaration<Path, P, B>,
): Route {
  const defaults: Omit<Route, "method" | "path" | "handler"> = {
    dependencies: [],
    summary: undefined,
    description: undefined,
    tags: [],
    parameters: {},
    body: undefined,
    responses: {},
    includeInSchema: true,
    limited: true,
    isProbe: false,
  };
  // The cast is safe: a route's handler only ever sees what its own models returned.
  return { ...defaults, ...(declaration as object) } as Route;
}
