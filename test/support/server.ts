import assert from "node:assert/strict";
import type { Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";

import type { RequestRecord } from "../../src/http/exchange.ts";
import type { Model } from "../../src/models/model.ts";
import { json } from "../../src/http/reply.ts";
import { type Route, route } from "../../src/http/route.ts";
import {
  createService,
  type Limits,
  type Service,
  type ServiceOptions,
} from "../../src/http/server.ts";
import { watchResponses } from "./declared.ts";
import type { TlsOptions } from "node:tls";
import { tlsServerOptions } from "../../src/config/tls-context.ts";
import type { Scope } from "./scope.ts";
import { CONNECTION, testCertificate, USES_TLS } from "./transport.ts";

/** A service in this process. */
export interface TestService extends Service {
  readonly port: number;
  /** What the log got: a record of each response. */
  readonly records: RequestRecord[];
  /** What the log got of handlers and dependencies that failed. */
  readonly failures: Failure[];
}

/** An error that a handler or a dependency threw. */
export interface Failure {
  readonly error: unknown;
  readonly requestId: string;
}

/** Limits that no test meets by accident. */
export const LIMITS: Limits = {
  maxBodyBytes: 1_048_576,
  maxInFlight: 100,
  maxBodyMemory: 67_108_864,
  maxConnections: 1000,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 20_000,
  keepAliveTimeoutMs: 60_000,
};

/**
 * Serves `routes` on a free port until the test ends. A response that its route does not declare
 * fails the test; routes that declare none may respond as they like.
 */
export async function serveFor(
  scope: Scope,
  routes: readonly Route[],
  limits: Partial<Limits> = {},
  options: ServiceOptions = {},
): Promise<TestService> {
  const records: RequestRecord[] = [];
  const failures: Failure[] = [];
  const watched = watchResponses(routes);
  const service = createService(
    watched.routes,
    { ...LIMITS, ...limits },
    {
      response: (record) => records.push(record),
      error: (error, requestId) => failures.push({ error, requestId }),
    },
    USES_TLS ? { ...options, tls: tlsOptions(limits) } : options,
  );
  const { server } = service;
  scope.after(() => {
    server.close();
    server.closeAllConnections();
    assert.deepEqual(watched.problems, []);
  });
  // A lingering connection must not keep the process from ending.
  server.on(CONNECTION, (socket: Socket) => socket.unref());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { ...service, port, records, failures };
}

function tlsOptions({ headersTimeoutMs = LIMITS.headersTimeoutMs }: Partial<Limits>): TlsOptions {
  const { cert, key } = testCertificate();
  return tlsServerOptions({ certificates: cert, privateKey: key }, headersTimeoutMs);
}

/** How many connections a server has. */
export function connectionCount(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.getConnections((error, count) => {
      if (error === null) resolve(count);
      else reject(error);
    });
  });
}

/** Resolves when the next connection of a server has closed, to the bytes that were read on it. */
export function bytesReadAtClose(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.on("connection", (socket) => socket.on("close", () => resolve(socket.bytesRead)));
  });
}

/** A model that takes any JSON as it is. */
export const anything: Model<unknown> = { schema: {}, check: (input) => input };

/** `POST /echo`: responds with the body of the request. */
export const echo: Route = route({
  method: "POST",
  path: "/echo",
  body: anything,
  handler: ({ body }) => json(200, body ?? null),
});
