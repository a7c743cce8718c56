import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";

import { checkBodyFields, parseBody, readBody } from "./body.ts";
import { Connections } from "./connections.ts";
import { HttpError } from "./error.ts";
import { Exchange, type Report, requestIdOf } from "./exchange.ts";
import { checkHead, HEADER_LIMITS, HEADER_TOO_LARGE, isExpecting, NOT_HTTP } from "./head.ts";
import type { Reply, Route } from "./route.ts";
import { createRouter, type Router } from "./router.ts";
import { send, sendRaw, stopAtLimit } from "./send.ts";

/** What the service will not exceed; times in ms, sizes in bytes. */
export type Limits = Readonly<Record<"maxBodyBytes" | "maxInFlight" | "maxConnections" | Timeout, number>>;
type Timeout = "headersTimeoutMs" | "requestTimeoutMs" | "keepAliveTimeoutMs";

/** Where the service tells what happened. `failed`: a handler or a dependency, with something that is no HttpError. */
export interface Reports { readonly answered: Report; readonly failed: (error: unknown, requestId: string) => void }

/** A server that isn't listening yet, and its connections. */
export interface Service { readonly server: Server; readonly connections: Connections }

interface Internals { connections: Connections; router: Router; limits: Limits; reports: Reports }

/** Puts the routes behind a node:http server. Throws when the route table holds a mistake. */
export function createService(routes: readonly Route[], limits: Limits, reports: Reports): Service {
  const connections = new Connections(reports.answered, limits.requestTimeoutMs);
  const service: Internals = { connections, router: createRouter(routes), limits, reports };
  const { headersTimeoutMs: headersTimeout, requestTimeoutMs: requestTimeout, keepAliveTimeoutMs } = limits;
  const times = { headersTimeout, requestTimeout, connectionsCheckingInterval: CHECK_INTERVAL_MS };
  // checkHead() sees to the Host, in JSON; closeIdle() to idle connections: node:http would arm a timer per request.
  const own = { requireHostHeader: false, keepAliveTimeout: 0 };
  const server = createServer({ insecureHTTPParser: false, maxHeaderSize: HEADER_LIMITS.bytes, ...times, ...own });
  // node:http drops what is past this without a word: one more than checkHead() lets through.
  server.maxHeadersCount = HEADER_LIMITS.fields + 1;
  server.maxConnections = limits.maxConnections;
  const timer = setInterval(() => connections.closeIdle(keepAliveTimeoutMs), CHECK_INTERVAL_MS).unref();
  server.on("close", () => clearInterval(timer));
  server.on("connection", (socket) => connections.add(socket));
  const onRequest = (request: IncomingMessage, response: ServerResponse): void => receive(service, request, response);
  server.on("request", onRequest).on("checkContinue", onRequest).on("checkExpectation", onRequest);
  // CONNECT is for proxies. node:http has let go of the socket by now.
  server.on("connect", (_request, socket) => refuseBytes(service, "HPE_CONNECT", socket.resume() as Socket));
  server.on("clientError", ({ code }: NodeJS.ErrnoException, socket) => refuseBytes(service, code, socket as Socket));
  server.on("timeout", (socket) => socket.writableLength > 0 && socket.destroy());
  return { server, connections };
}

const CHECK_INTERVAL_MS = 1000;

function receive(service: Internals, request: IncomingMessage, response: ServerResponse): void {
  const connection = service.connections.get(request.socket);
  // What follows the last request of a connection is ignored (RFC 9112 9.6).
  if (connection === undefined || connection.closing) request.resume();
  else void serve(service, new Exchange(request, response, connection));
}

/** The life of one request. Never rejects. */
async function serve(service: Internals, exchange: Exchange): Promise<void> {
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
  exchange.end(reply.status);
}

/** The order of the checks is the contract's: what a caller without a key can learn ends with the dependencies. */
async function replyTo({ router, connections, limits }: Internals, exchange: Exchange): Promise<Reply> {
  const { request, target } = exchange;
  const unsound = checkHead(request);
  if (unsound) return unsound;
  exchange.inStep = !isExpecting(request);
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
  if (route.limited && connections.inFlight > limits.maxInFlight) return TOO_BUSY;
  if (route.body === undefined) return route.handler(undefined, exchange);
  if (!exchange.inStep) exchange.response.writeContinue();
  exchange.inStep = true;
  const body = parseBody(await readBody(exchange, limits.maxBodyBytes), route.body);
  return body instanceof HttpError ? body : route.handler(body, exchange);
}

const TOO_BUSY = new HttpError(503, "Service Unavailable: too many requests are in flight", ["Retry-After", "1"]);
const INTERNAL_SERVER_ERROR = new HttpError(500, "Internal Server Error");

function failed({ reports }: Internals, { requestId }: Exchange, error: unknown): HttpError {
  reports.failed(error, requestId);
  return INTERNAL_SERVER_ERROR;
}

/** What node:http's parser or its clock objects to, as the answer to give. */
const REFUSALS: Readonly<Record<string, HttpError>> = {
  HPE_HEADER_OVERFLOW: HEADER_TOO_LARGE,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: new HttpError(413, "Content Too Large: the chunk extensions are too long"),
  ERR_HTTP_REQUEST_TIMEOUT: new HttpError(408, "Request Timeout: the request has not arrived in time"),
};

/** Answers what node:http can't make a request of. It is called again with each further read. */
function refuseBytes({ connections, reports }: Internals, code = "", socket: Socket): void {
  const connection = connections.get(socket);
  const refusal = REFUSALS[code] ?? (code.startsWith("HPE_") ? NOT_HTTP : undefined);
  const last = connection?.last;
  // Not the bytes are at fault but the socket: nobody is there to be told.
  if (connection === undefined || refusal === undefined) socket.destroy();
  // What follows the last request of a connection is ignored (RFC 9112 9.6).
  else if (connection.closing || code === "HPE_CLOSED_CONNECTION") stopAtLimit(connection);
  else if (last === undefined || last.request.complete) {
    const requestId = requestIdOf();
    sendRaw(connection, refusal, requestId);
    reports.answered?.({ requestId, remote: connection.remote, status: refusal.status, durationMs: 0 });
  }
  // Within a body: its request gets the answer, unless it has had one.
  else if (last.ended) socket.destroySoon();
  else last.breakBody(refusal);
}
