import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";

import { checkBodyFields, parseBody, readBody } from "./body.ts";
import { Connections } from "./connections.ts";
import { HttpError } from "./reply.ts";
import { Exchange, type Reports, requestIdOf } from "./exchange.ts";
import { checkHead, HEADER_LIMITS, HEADER_TOO_LARGE, isExpecting, NOT_HTTP } from "./head.ts";
import type { Reply, Route } from "./route.ts";
import { createRouter, type Router } from "./router.ts";
import { send, sendRaw, stopAtLimit } from "./send.ts";

/** What the service will not exceed; times in ms, sizes in bytes. */
export type Limits = Readonly<
  Record<"maxBodyBytes" | "maxInFlight" | "maxConnections" | Timeout, number>
>;
type Timeout = "headersTimeoutMs" | "requestTimeoutMs" | "keepAliveTimeoutMs";

/** A server that isn't listening yet, and its connections. */
export interface Service {
  readonly server: Server;
  readonly connections: Connections;
}

interface Internals {
  readonly connections: Connections;
  readonly router: Router;
  readonly limits: Limits;
}

/** Puts the routes behind a node:http server. Throws when the route table holds a mistake. */
export function createService(routes: readonly Route[], limits: Limits, reports: Reports): Service {
  const connections = new Connections(reports, limits.requestTimeoutMs);
  const service: Internals = { connections, router: createRouter(routes), limits };
  const server = createServer({
    insecureHTTPParser: false,
    maxHeaderSize: HEADER_LIMITS.bytes,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    connectionsCheckingInterval: CHECK_INTERVAL_MS,
    // closeIdle() sees to idle connections, for which node:http would arm a timer per request.
    keepAliveTimeout: 0,
    // checkHead() sees to the Host, in JSON.
    requireHostHeader: false,
  });
  // node:http drops what is past this without a word: one more than checkHead() lets through.
  server.maxHeadersCount = HEADER_LIMITS.fields + 1;
  server.maxConnections = limits.maxConnections;
  const timer = setInterval(
    () => connections.closeIdle(limits.keepAliveTimeoutMs),
    CHECK_INTERVAL_MS,
  ).unref();
  server.on("close", () => clearInterval(timer));
  server.on("connection", (socket) => connections.add(socket));
  const onRequest = receive.bind(undefined, service);
  server.on("request", onRequest).on("checkContinue", onRequest).on("checkExpectation", onRequest);
  // CONNECT is for proxies. node:http has let go of the socket by now; errors end in "close".
  server.on("connect", (_request, socket) => {
    refuseBytes(service, "HPE_CONNECT", socket.resume().on("error", () => {}) as Socket);
  });
  server.on("clientError", ({ code }: NodeJS.ErrnoException, socket) =>
    refuseBytes(service, code, socket as Socket),
  );
  server.on("timeout", (socket) => socket.writableLength > 0 && socket.destroy());
  return { server, connections };
}

const CHECK_INTERVAL_MS = 1000;

/**
 * The life of one request, up to its body. Never rejects. The order of the checks is the contract's: what a caller
 * without a key can learn ends with the dependencies.
 */
async function receive(
  service: Internals,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const connection = service.connections.get(request.socket);
  // What follows the last request of a connection is ignored (RFC 9112 9.6).
  if (connection === undefined || connection.closing) return void request.resume();
  const exchange = new Exchange(request, response, connection);
  try {
    const unsound = checkHead(request);
    if (unsound) return answer(exchange, unsound);
    exchange.inStep = !isExpecting(request);
    const route = service.router(request.method ?? "", exchange.path, exchange.query);
    if (route instanceof HttpError) return answer(exchange, route);
    for (const dependency of route.dependencies) {
      const result = dependency(exchange);
      // An await takes memory, and a turn of two queues: only what takes time is waited for.
      const refusal = result instanceof Promise ? await result : result;
      if (refusal) return answer(exchange, refusal);
    }
    const unfit = route.body && checkBodyFields(request, service.limits.maxBodyBytes);
    if (unfit) return answer(exchange, unfit);
    if (route.limited && service.connections.inFlight > service.limits.maxInFlight)
      return answer(exchange, TOO_BUSY);
    if (route.body === undefined) return handle(exchange, route);
    if (!exchange.inStep) response.writeContinue();
    exchange.inStep = true;
    readBody(exchange, service.limits.maxBodyBytes, (body) => handle(exchange, route, body));
  } catch (error) {
    answer(exchange, refusalOf(exchange, error));
  }
}

/** The rest of it: from the body, or the reason why it can't be had, to the answer. Never throws. */
function handle(
  exchange: Exchange,
  { body: model, handler }: Route,
  bytes?: Buffer | HttpError,
): void {
  // Refused while the body was on its way.
  if (exchange.ended) return;
  const fail = (error: unknown): void => answer(exchange, refusalOf(exchange, error));
  try {
    const body = model && bytes instanceof Buffer ? parseBody(bytes, model) : bytes;
    const reply = body instanceof HttpError ? body : handler(body, exchange);
    if (reply instanceof Promise) reply.then((late) => answer(exchange, late), fail);
    else answer(exchange, reply);
  } catch (error) {
    fail(error);
  }
}

/** Answers, if somebody is left to be answered; with a 500 where the reply can't be sent. */
function answer(exchange: Exchange, reply: Reply): void {
  if (exchange.ended) return;
  let sent = reply;
  try {
    send(exchange, reply);
  } catch (error) {
    sent = refusalOf(exchange, error);
    send(exchange, sent);
  }
  exchange.end(sent.status);
}

/** The answer for what a check, a dependency or a handler threw: an HttpError itself, or else a 500, which is told. */
function refusalOf({ connection, requestId }: Exchange, error: unknown): HttpError {
  if (error instanceof HttpError) return error;
  connection.service.reports.error(error, requestId);
  return INTERNAL_SERVER_ERROR;
}

const TOO_BUSY = new HttpError(503, "Service Unavailable: too many requests are in flight", [
  "Retry-After",
  "1",
]);
const INTERNAL_SERVER_ERROR = new HttpError(500, "Internal Server Error");

/** What node:http's parser or its clock objects to, as the answer to give. */
const REFUSALS: Readonly<Record<string, HttpError>> = {
  HPE_HEADER_OVERFLOW: HEADER_TOO_LARGE,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: new HttpError(
    413,
    "Content Too Large: the chunk extensions are too long",
  ),
  ERR_HTTP_REQUEST_TIMEOUT: new HttpError(
    408,
    "Request Timeout: the request has not arrived in time",
  ),
};

/** Answers what node:http can't make a request of. It is called again with each further read. */
function refuseBytes({ connections }: Internals, code = "", socket: Socket): void {
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
    connections.reports.answered?.({ requestId, connection }, refusal.status, 0);
  }
  // Within a body: its request gets the answer, unless it has had one.
  else if (last.ended) socket.destroySoon();
  else last.breakBody(refusal);
}
