import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";

import { readParameters } from "../models/parameters.ts";
import { Problems } from "../models/problems.ts";
import {
  type BodyLimits,
  checkBodyFields,
  checkBodyMemory,
  isBodyDue,
  parseBody,
  readBody,
} from "./body.ts";
import { MemoryBudget } from "./budget.ts";
import type { Connections, ServerEvents } from "./connections.ts";
import type { Exchange } from "./exchange.ts";
import { checkHead, isExpectingContinue } from "./head.ts";
import { HttpError, type Reply } from "./reply.ts";
import type { Context, Dependency, InputRecord, Interceptor, Rejection, Route } from "./route.ts";
import type { Match, Router } from "./router.ts";
import { send } from "./send.ts";
import { dropStream } from "./stream.ts";

/** The limits that the flow of a request observes. */
export interface FlowLimits {
  /** The longest body, in bytes; past it 413. */
  readonly maxBodyBytes: number;
  /** Requests in progress at once; past it 503. */
  readonly maxInFlight: number;
  /** What bodies that have not arrived in full may hold, in bytes; past it 503. */
  readonly maxBodyMemory: number;
}

/**
 * The flow of each request, from its header section to its response. The order of the checks is the
 * contract's: nothing after the dependencies is revealed to callers without a key.
 */
export class RequestFlow {
  readonly #router: Router;
  readonly #interceptors: readonly Interceptor[];
  readonly #maxInFlight: number;
  readonly #bodyLimits: BodyLimits;
  readonly #connections: Connections;
  readonly #events: ServerEvents;

  constructor(
    router: Router,
    interceptors: readonly Interceptor[],
    limits: FlowLimits,
    connections: Connections,
    events: ServerEvents,
  ) {
    this.#router = router;
    this.#interceptors = interceptors;
    this.#maxInFlight = limits.maxInFlight;
    this.#bodyLimits = {
      maxBytes: limits.maxBodyBytes,
      budget: new MemoryBudget(limits.maxBodyMemory),
    };
    this.#connections = connections;
    this.#events = events;
  }

  /** Receives a request whose header section has arrived. Never throws. */
  receive(request: IncomingMessage, response: ServerResponse): void {
    const connection = this.#connections.get(request.socket);
    // RFC 9112 9.6: what follows the last request of a connection is ignored.
    if (connection === undefined || connection.isClosing) {
      request.resume();
      return;
    }
    const exchange = this.#connections.begin(connection, request, response);
    if (exchange.asksToClose) connection.closeAfterResponse();
    try {
      const reply = this.#checkHead(exchange) ?? this.#intercept(exchange);
      if (reply) this.#respond(exchange, reply);
      else this.#route(exchange);
    } catch (error) {
      this.#respondToError(exchange, error);
    }
  }

  #checkHead(exchange: Exchange): HttpError | undefined {
    const { request } = exchange;
    const rejection = checkHead(request);
    if (rejection !== undefined) return rejection;
    exchange.isHeadValid = true;
    exchange.awaitsContinue = isExpectingContinue(request);
    return undefined;
  }

  /** Runs the functions that come before routing, up to the first that replies. */
  #intercept({ context }: Exchange): Reply | undefined {
    for (const interceptor of this.#interceptors) {
      const reply = interceptor(context);
      if (reply) return reply;
    }
    return undefined;
  }

  #route(exchange: Exchange): void {
    const { method = "" } = exchange.request;
    const match = this.#router(method, exchange.path, exchange.query);
    if (match instanceof HttpError) this.#respond(exchange, match);
    else this.#authorize(exchange, match);
  }

  /** Runs the dependencies, and goes on if they let the request pass. */
  #authorize(exchange: Exchange, match: Match): void {
    exchange.route = match.route;
    const rejection = runDependencies(match.route.dependencies, exchange.context);
    // Wait only for what takes time: each wait costs memory and a turn of the microtask queue.
    if (!(rejection instanceof Promise)) {
      this.#admit(exchange, match, rejection);
      return;
    }
    rejection
      .then((late) => this.#admit(exchange, match, late))
      .catch((error: unknown) => this.#respondToError(exchange, error));
  }

  /** Goes on with a request after its dependencies, with their verdict. */
  #admit(exchange: Exchange, match: Match, verdict: Rejection): void {
    // The client may have gone while a dependency was busy.
    if (exchange.hasEnded) return;
    const { route } = match;
    const rejection =
      verdict ??
      checkBodyFields(exchange.request, route, this.#bodyLimits.maxBytes) ??
      this.#checkLoad(exchange, route) ??
      askDependencies(route.dependencies, "admit", exchange.context);
    if (rejection) this.#respond(exchange, rejection);
    else if (isBodyDue(exchange.request, route)) this.#readBody(exchange, match);
    else this.#handle(exchange, match, undefined);
  }

  #checkLoad({ request }: Exchange, { body, limited }: Route): HttpError | undefined {
    if (limited && this.#connections.inFlight > this.#maxInFlight) return TOO_BUSY;
    return body === undefined ? undefined : checkBodyMemory(request, this.#bodyLimits.budget);
  }

  #readBody(exchange: Exchange, match: Match): void {
    if (exchange.awaitsContinue) exchange.response.writeContinue();
    exchange.awaitsContinue = false;
    readBody(exchange, this.#bodyLimits, (bytes) => {
      // It may have got its response while the body was on its way.
      if (exchange.hasEnded) return;
      if (bytes instanceof HttpError) this.#respond(exchange, bytes);
      else this.#handleBody(exchange, match, bytes);
    });
  }

  #handleBody(exchange: Exchange, match: Match, bytes: Buffer): void {
    try {
      const { dependencies, body: model } = match.route;
      const rejection = askDependencies(dependencies, "recheck", exchange.context);
      const body = rejection ?? parseBody(bytes, model?.absent !== undefined);
      if (body instanceof HttpError) this.#respond(exchange, body);
      else this.#handle(exchange, match, body);
    } catch (error) {
      this.#respondToError(exchange, error);
    }
  }

  /** Calls the handler, unless its input has problems, and responds with its reply. */
  #handle(exchange: Exchange, match: Match, body: unknown): void {
    const input = readInput(match, exchange.query, body);
    const reply = input instanceof HttpError ? input : match.route.handler(input, exchange.context);
    if (!(reply instanceof Promise)) {
      this.#respond(exchange, reply);
      return;
    }
    reply.then(
      (late) => this.#respond(exchange, late),
      (error: unknown) => this.#respondToError(exchange, error),
    );
  }

  /** Responds if the client is still there; with a 500 if the reply can't be sent. */
  #respond(exchange: Exchange, reply: Reply): void {
    if (exchange.hasEnded) {
      drop(reply);
      return;
    }
    const { isDraining } = this.#connections;
    let rest: Promise<void> | undefined;
    let sent = reply;
    try {
      rest = send(exchange, reply, isDraining);
    } catch (error) {
      drop(reply);
      sent = this.#toHttpError(exchange, error);
      rest = send(exchange, sent, isDraining);
    }
    if (rest === undefined) exchange.end(sent.status);
    else this.#endAfter(rest, exchange, sent.status);
  }

  /** Ends an exchange when its stream has ended; cuts the connection if the stream has failed. */
  #endAfter(rest: Promise<void>, exchange: Exchange, status: number): void {
    rest
      .catch((error: unknown) => {
        this.#events.error(error, exchange.requestId);
        exchange.connection.socket.destroy();
      })
      .finally(() => {
        if (!exchange.hasEnded) exchange.end(status);
      });
  }

  #respondToError(exchange: Exchange, error: unknown): void {
    // The client is gone, so its work was canceled.
    if (exchange.hasEnded && isAbort(error)) return;
    this.#respond(exchange, this.#toHttpError(exchange, error));
  }

  /** The response to what a dependency or a handler threw. What is not an HttpError is logged. */
  #toHttpError(exchange: Exchange, error: unknown): HttpError {
    if (error instanceof HttpError) return error;
    this.#events.error(error, exchange.requestId);
    return INTERNAL_SERVER_ERROR;
  }
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === "AbortError";
}

/** Destroys the body of a reply that is not sent, if it is a stream. */
function drop(reply: Reply): void {
  if (reply?.body instanceof Readable) dropStream(reply.body);
}

const TOO_BUSY = new HttpError(503, "Service Unavailable: too many requests are in flight", [
  "Retry-After",
  "1",
]);
const INTERNAL_SERVER_ERROR = new HttpError(500, "Internal Server Error");

/** The parameters and the body of a request, or the 422 that lists the problems with them. */
function readInput(match: Match, query: string, body: unknown): InputRecord | HttpError {
  const { route, parameters, texts } = match;
  const problems = new Problems();
  const input: InputRecord = {};
  readParameters(parameters, texts, query, input, problems);
  if (body !== undefined) input["body"] = route.body?.check(body, ["body"], problems);
  else if (route.body !== undefined) input["body"] = route.body.absent?.value;
  return problems.isEmpty ? input : new HttpError(422, problems.list);
}

/** Runs one of the later checks of dependencies that have it, up to the first that rejects. */
function askDependencies(
  dependencies: readonly Dependency[],
  check: "admit" | "recheck",
  context: Context,
): Rejection {
  for (let i = 0; i < dependencies.length; i += 1) {
    const rejection = (dependencies[i] as Dependency)[check]?.(context);
    if (rejection) return rejection;
  }
  return undefined;
}

/** Runs the dependencies from `start` on, up to the first that rejects the request. */
function runDependencies(
  dependencies: readonly Dependency[],
  context: Context,
  start = 0,
): Rejection | Promise<Rejection> {
  for (let i = start; i < dependencies.length; i += 1) {
    const result = (dependencies[i] as Dependency)(context);
    if (result instanceof Promise) {
      return result.then((late) => late ?? runDependencies(dependencies, context, i + 1));
    }
    if (result) return result;
  }
  return undefined;
}
