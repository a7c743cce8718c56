import type { Server, ServerOptions } from "node:http";
import type { Socket } from "node:net";
import type { TlsOptions } from "node:tls";

import type { Connection } from "./connection.ts";
import { Connections, type ServerEvents } from "./connections.ts";
import { requestIdOf } from "./exchange.ts";
import { type FlowLimits, RequestFlow } from "./flow.ts";
import { HEADER_LIMITS, NOT_HTTP } from "./head.ts";
import { isReset, rawSocketOf } from "./node-internals.ts";
import { createServer, loadHttps } from "./node-modules.ts";
import { type ParseError, rejectionOf } from "./parse-error.ts";
import type { HttpError } from "./reply.ts";
import type { Interceptor, Route } from "./route.ts";
import { createRouter } from "./router.ts";
import { rawResponse } from "./send.ts";

/** What a service does not exceed. Each limit holds for one process. */
export interface Limits extends FlowLimits {
  /** Open connections; past it new ones are closed. */
  readonly maxConnections: number;
  /** How long a header section may take to arrive, in ms. */
  readonly headersTimeoutMs: number;
  /** How long a whole request may take to arrive, and a response may stay unread, in ms. */
  readonly requestTimeoutMs: number;
  /** How long a connection may wait for its next request, in ms. */
  readonly keepAliveTimeoutMs: number;
}

/** What a service may have beyond its routes. */
export interface ServiceOptions {
  /** Run in this order before routing, up to the first that replies. */
  readonly interceptors?: readonly Interceptor[];
  /** What to speak TLS with. Without it, the service speaks plain HTTP. */
  readonly tls?: TlsOptions | undefined;
}

/** A service that does not listen yet. */
export interface Service {
  readonly server: Server;
  readonly connections: Connections;
}

/**
 * Puts routes behind a node:http server, or with TLS behind one of node:https. Throws an Error
 * that names the routes if the table holds a mistake.
 */
export function createService(
  routes: readonly Route[],
  limits: Limits,
  events: ServerEvents,
  options: ServiceOptions = {},
): Service {
  const { interceptors = [], tls } = options;
  const router = createRouter(routes);
  const connections = new Connections(events, limits.requestTimeoutMs);
  const flow = new RequestFlow(router, interceptors, limits, connections, events);
  const server = createHttpServer(limits, tls);
  const sweep = (): unknown => connections.sweep(limits.keepAliveTimeoutMs);
  const timer = setInterval(sweep, CHECK_INTERVAL_MS).unref();
  server.on("close", () => clearInterval(timer));
  server.on("connection", (socket) => connections.add(socket));
  server.on("secureConnection", (socket: Socket) => {
    connections.replace(rawSocketOf(socket), socket);
  });
  forwardRequests(server, flow);
  rejectOtherBytes(server, connections, events);
  return { server, connections };
}

const CHECK_INTERVAL_MS = 1000;

function createHttpServer(limits: Limits, tls: TlsOptions | undefined): Server {
  const options: ServerOptions = {
    insecureHTTPParser: false,
    maxHeaderSize: HEADER_LIMITS.bytes,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    connectionsCheckingInterval: CHECK_INTERVAL_MS,
    // The sweep closes idle connections; node:http would arm a timer for each request.
    keepAliveTimeout: 0,
    // checkHead() checks the Host field, and its response is JSON.
    requireHostHeader: false,
  };
  const server = tls ? loadHttps().createServer({ ...options, ...tls }) : createServer(options);
  // node:http silently drops further fields: one more than checkHead() allows, so that it can tell.
  server.maxHeadersCount = HEADER_LIMITS.fields + 1;
  server.maxConnections = limits.maxConnections;
  return server;
}

function forwardRequests(server: Server, flow: RequestFlow): void {
  const receive = flow.receive.bind(flow);
  server.on("request", receive);
  server.on("checkContinue", receive);
  server.on("checkExpectation", receive);
}

/** Responds to bytes that are not a request, and to CONNECT, which is for proxies. */
function rejectOtherBytes(server: Server, connections: Connections, events: ServerEvents): void {
  server.on("connect", ({ socket }, duplex) => {
    // node:http has let go of the socket. Ignore its errors: "close" follows.
    socket.on("error", () => {});
    // From Node 26 on, `duplex` is another stream, which reads from the socket.
    duplex.on("error", () => {});
    const connection = connections.get(socket);
    duplex.resume();
    socket.on("data", () => connection?.stopReadingAtLimit());
    if (connection === undefined) socket.destroy();
    else rejectBytes(connection, events, NOT_HTTP);
  });
  server.on("clientError", (error: ParseError, duplex) => {
    const socket = duplex as Socket;
    const connection = connections.get(socket);
    const rejection = rejectionOf(error);
    const { code, rawPacket, bytesParsed = 0 } = error;
    // The socket failed, not the bytes: there is no one to respond to.
    if (connection === undefined || rejection === undefined || isReset(socket)) socket.destroy();
    else if (code === "HPE_PAUSED" && rawPacket) connection.holdBack(rawPacket, bytesParsed);
    // RFC 9112 9.6: what follows the last request of a connection is ignored.
    else if (code === "HPE_CLOSED_CONNECTION") connection.stopReadingAtLimit();
    else rejectBytes(connection, events, rejection);
  });
}

/** Responds once; node:http reports the same bytes again with each further read. */
function rejectBytes(connection: Connection, events: ServerEvents, rejection: HttpError): void {
  const { receiving } = connection;
  const isAwaited = receiving?.hasEnded === false;
  // Within a body: its request gets the response, unless it has had one.
  if (isAwaited) receiving.failBody(rejection);
  else if (connection.isClosing) connection.stopReadingAtLimit();
  else if (receiving !== undefined) connection.socket.destroySoon();
  else respondToBytes(connection, events, rejection);
}

function respondToBytes(connection: Connection, events: ServerEvents, rejection: HttpError): void {
  const requestId = requestIdOf();
  connection.writeLast(rawResponse(rejection, requestId, connection.isEncrypted));
  const { remoteAddress: remote } = connection;
  events.response?.({ requestId, remote, status: rejection.status, durationMs: 0 });
}
