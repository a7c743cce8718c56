import type { IncomingMessage, ServerResponse } from "node:http";

import type { Model } from "../models/model.ts";
import { type BodyLimits, checkBodyFields, checkBodyMemory, parseBody, readBody } from "./body.ts";
import { MemoryBudget } from "./budget.ts";
import type { Connections, ServerEvents } from "./connections.ts";
import type { Exchange } from "./exchange.ts";
import { checkHead, isExpectingContinue } from "./head.ts";
import { HttpError, type Reply } from "./reply.ts";
import type { Context, Dependency, InputRecord, Rejection, Route } from "./route.ts";
import type { Router } from "./router.ts";
import { send } from "./send.ts";

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
  readonly #maxInFlight: number;
  readonly #bodyLimits: BodyLimits;
  readonly #connections: Connections;
  readonly #events: ServerEvents;

  constructor(router: Router, limits: FlowLimits, connections: Connections, events: ServerEvents) {
    this.#router = router;
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
      const route = this.#findRoute(exchange);
      if (route instanceof HttpError) this.#respond(exchange, route);
      else this.#authorize(exchange, route);
    } catch (error) {
      this.#respondToError(exchange, error);
    }
  }

  /** The route of a request, or the response that rejects it. */
  #findRoute(exchange: Exchange): Route | HttpError {
    const { request } = exchange;
    const rejection = checkHead(request);
    if (rejection !== undefined) return rejection;
    exchange.isHeadValid = true;
    exchange.awaitsContinue = isExpectingContinue(request);
    return this.#router(request.method ?? "", exchange.path, exchange.query);
  }

  /** Runs the dependencies, and goes on if they let the request pass. */
  #authorize(exchange: Exchange, route: Route): void {
    exchange.isProbe = route.isProbe;
    const rejection = runDependencies(route.dependencies, exchange.context);
    // Wait only for what takes time: each wait costs memory and a turn of the microtask queue.
    if (!(rejection instanceof Promise)) {
      this.#admit(exchange, route, rejection);
      return;
    }
    rejection
      .then((late) => this.#admit(exchange, route, late))
      .catch((error: unknown) => this.#respondToError(exchange, error));
  }

  /** Goes on with a request after its dependencies, with their verdict. */
  #admit(exchange: Exchange, route: Route, verdict: Rejection): void {
    const { body: model } = route;
    const rejection =
      verdict ?? this.#checkBody(exchange, route) ?? this.#checkLoad(exchange, route);
    if (rejection) {
      this.#respond(exchange, rejection);
      return;
    }
    if (model === undefined) {
      this.#handle(exchange, route, {});
      return;
    }
    if (exchange.awaitsContinue) exchange.response.writeContinue();
    exchange.awaitsContinue = false;
    readBody(exchange, this.#bodyLimits, (bytes) => {
      // It may have got its response while the body was on its way.
      if (exchange.hasEnded) return;
      if (bytes instanceof HttpError) this.#respond(exchange, bytes);
      else this.#handleBody(exchange, route, model, bytes);
    });
  }

  #checkBody({ request }: Exchange, { body }: Route): HttpError | undefined {
    return body === undefined ? undefined : checkBodyFields(request, this.#bodyLimits.maxBytes);
  }

  #checkLoad({ request }: Exchange, { body, limited }: Route): HttpError | undefined {
    if (limited && this.#connections.inFlight > this.#maxInFlight) return TOO_BUSY;
    return body === undefined ? undefined : checkBodyMemory(request, this.#bodyLimits.budget);
  }

  #handleBody(exchange: Exchange, route: Route, model: Model<unknown>, bytes: Buffer): void {
    try {
      const rejection = recheckDependencies(route.dependencies, exchange.context);
      const body = rejection ?? parseBody(bytes, model);
      if (body instanceof HttpError) this.#respond(exchange, body);
      else this.#handle(exchange, route, { body });
    } catch (error) {
      this.#respondToError(exchange, error);
    }
  }

  /** Calls the handler and responds with its reply. */
  #handle(exchange: Exchange, route: Route, input: InputRecord): void {
    // The client may have gone while a dependency was busy.
    if (exchange.hasEnded) return;
    const reply = route.handler(input, exchange.context);
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
    if (exchange.hasEnded) return;
    const { isDraining } = this.#connections;
    let sent = reply;
    try {
      send(exchange, reply, isDraining);
    } catch (error) {
      sent = this.#toHttpError(exchange, error);
      send(exchange, sent, isDraining);
    }
    exchange.end(sent.status);
  }

  #respondToError(exchange: Exchange, error: unknown): void {
    this.#respond(exchange, this.#toHttpError(exchange, error));
  }

  /** The response to what a dependency or a handler threw. What is not an HttpError is logged. */
  #toHttpError(exchange: Exchange, error: unknown): HttpError {
    if (error instanceof HttpError) return error;
    this.#events.error(error, exchange.requestId);
    return INTERNAL_SERVER_ERROR;
  }
}

const TOO_BUSY = new HttpError(503, "Service Unavailable: too many requests are in flight", [
  "Retry-After",
  "1",
]);
const INTERNAL_SERVER_ERROR = new HttpError(500, "Internal Server Error");

/** Runs the checks that dependencies repeat when the body has arrived. */
function recheckDependencies(dependencies: readonly Dependency[], context: Context): Rejection {
  for (let i = 0; i < dependencies.length; i += 1) {
    const rejection = dependencies[i]?.recheck?.(context);
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
