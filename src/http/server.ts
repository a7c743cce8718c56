import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";

import { checkBodyFields, parseBody, readBody } from "./body.ts";
import { Connections } from "./connections.ts";
import { HttpError } from "./error.ts";
import { type Answered, type Connection, Exchange, requestIdOf } from "./exchange.ts";
import { checkHead, type Expectation, HEADER_LIMITS, HEADER_TOO_LARGE, NOT_HTTP } from "./head.ts";
import type { Reply, Route } from "./route.ts";
import { createRouter, type Router } from "./router.ts";
import { send, sendRaw, stopAtLimit } from "./send.ts";

/** What the service will not exceed; times in ms, sizes in bytes. */
export interface Limits {
  readonly maxBodyBytes: number;
  readonly maxInFlight: number;
  readonly maxConnections: number;
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly keepAliveTimeoutMs: number;
}

/** Where the service tells what happened. */
export interface Reports {
  /** One answer given, or one client gone. Undefined: nobody wants to know. */
  readonly answered: ((record: Answered) => void) | undefined;
  /** A handler or a dependency failed with something that is no HttpError. */
  readonly failed: (error: unknown, requestId: string) => void;
}

/** A server that isn't listening yet, and what its requests are answered with. */
export interface Service {
  readonly server: Server;
  readonly connections: Connections;
  readonly router: Router;
  readonly limits: Limits;
  readonly reports: Reports;
}

/** Puts the routes behind a node:http server. Throws when the route table holds a mistake. */
export function createService(routes: readonly Route[], limits: Limits, reports: Reports): Service {
  const router = createRouter(routes);
  const report = (exchange: Exchange): void => reports.answered?.(exchange.answered(null));
  const connections = new Connections(report);
  const server = createServer({
    insecureHTTPParser: false,
    maxHeaderSize: HEADER_LIMITS.bytes,
    // checkHead() sees to it, in JSON.
    requireHostHeader: false,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    // Connections.sweep() sees to it.
    keepAliveTimeout: 0,
    connectionsCheckingInterval: CHECK_INTERVAL_MS,
  });
  const service: Service = { server, connections, router, limits, reports };
  // node:http drops what is past this without a word: one more than checkHead() lets through.
  server.maxHeadersCount = HEADER_LIMITS.fields + 1;
  server.maxConnections = limits.maxConnections;
  const sweep = (): void => connections.sweep(limits.keepAliveTimeoutMs, limits.requestTimeoutMs);
  const timer = setInterval(sweep, CHECK_INTERVAL_MS).unref();
  server.on("close", () => clearInterval(timer));
  server.on("connection", (socket) => connections.add(socket));
  server.on("request", (request, response) => receive(service, request, response, "none"));
  server.on("checkContinue", (request, response) => receive(service, request, response, "100-continue"));
  server.on("checkExpectation", (request, response) => receive(service, request, response, "unknown"));
  // CONNECT is for proxies. node:http has let go of the socket by now, and of its errors.
  server.on("connect", (_request, socket) => refuseBytes(service, { code: "HPE_CONNECT" }, socket.resume() as Socket));
  server.on("clientError", (error, socket) => refuseBytes(service, error, socket as Socket));
  server.on("timeout", (socket) => socket.writableLength > 0 && socket.destroy());
  return service;
}

const CHECK_INTERVAL_MS = 1000;

function receive(service: Service, request: IncomingMessage, response: ServerResponse, expects: Expectation): void {
  const connection = service.connections.get(request.socket);
  if (connection === undefined || connection.closing) {
    request.resume();
    return;
  }
  const exchange = new Exchange(request, response, connection, expects);
  connection.open.push(exchange);
  connection.last = exchange;
  void serve(service, exchange);
}

/** The life of one request. Never rejects. */
async function serve(service: Service, exchange: Exchange): Promise<void> {
  let reply: Reply;
  try {
    reply = await replyTo(service, exchange);
  } catch (error) {
    reply = error instanceof HttpError ? error : failed(service, exchange, error);
  }
  if (exchange.ended) return;
  try {
    send(exchange, reply);
  } catch (error) {
    reply = failed(service, exchange, error);
    send(exchange, reply);
  }
  service.connections.end(exchange);
  service.reports.answered?.(exchange.answered(reply.status));
}

/** The order of the checks is the contract's: what a caller without a key can learn ends with the dependencies. */
async function replyTo({ router, connections, limits }: Service, exchange: Exchange): Promise<Reply> {
  const { request, target } = exchange;
  const unsound = checkHead(request, exchange.expectation);
  if (unsound) return unsound;
  exchange.isSound = true;
  const route = router.match(request.method ?? "", target.path, target.query);
  if (route instanceof HttpError) return route;
  for (const dependency of route.dependencies) {
    const result = dependency(exchange);
    // An await costs a turn of the microtask queue; most dependencies don't need it.
    const refusal = result instanceof Promise ? await result : result;
    if (refusal) return refusal;
  }
  const unfit = route.body && checkBodyFields(request, limits.maxBodyBytes);
  if (unfit) return unfit;
  if (route.limited && !connections.admit(exchange, limits.maxInFlight)) return TOO_BUSY;
  if (route.body === undefined) return route.handler(undefined, exchange);
  if (exchange.expectation !== "none") exchange.response.writeContinue();
  exchange.expectation = "none";
  const body = parseBody(await readBody(exchange, limits.maxBodyBytes), route.body);
  return body instanceof HttpError ? body : route.handler(body, exchange);
}

const TOO_BUSY = new HttpError(503, "Service Unavailable: too many requests are in flight", ["Retry-After", "1"]);
const INTERNAL_SERVER_ERROR = new HttpError(500, "Internal Server Error");

function failed({ reports }: Service, exchange: Exchange, error: unknown): HttpError {
  reports.failed(error, exchange.requestId);
  return INTERNAL_SERVER_ERROR;
}

/** What node:http's parser or its clock objects to, as the answer to give. */
const REFUSALS: Readonly<Record<string, HttpError>> = {
  HPE_HEADER_OVERFLOW: HEADER_TOO_LARGE,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: new HttpError(413, "Content Too Large: the chunk extensions are too long"),
  ERR_HTTP_REQUEST_TIMEOUT: new HttpError(408, "Request Timeout: the request has not arrived in time"),
};

/** Answers what node:http can't make a request of. It is called again with each further read. */
function refuseBytes(service: Service, error: Error | { code: string }, socket: Socket): void {
  const code = "code" in error ? String(error.code) : "";
  const connection = service.connections.get(socket);
  const refusal = REFUSALS[code] ?? (code.startsWith("HPE_") ? NOT_HTTP : undefined);
  // Not the bytes are at fault but the socket: nobody is there to be told.
  if (connection === undefined || refusal === undefined) socket.destroy();
  // What follows the last request of a connection is ignored (RFC 9112 9.6).
  else if (connection.closing || code === "HPE_CLOSED_CONNECTION") stopAtLimit(connection);
  else if (connection.last === undefined || connection.last.request.complete) refuse(service, connection, refusal);
  // Within a body: its request gets the answer, unless it has had one.
  else if (connection.last.ended) socket.destroySoon();
  else connection.last.breakBody(refusal);
}

function refuse({ reports }: Service, connection: Connection, refusal: HttpError): void {
  const requestId = requestIdOf();
  sendRaw(connection, refusal, requestId);
  const remote = connection.socket.remoteAddress;
  reports.answered?.({ requestId, remote, status: refusal.status, durationMs: 0 });
}
