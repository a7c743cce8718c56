import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";

import { HttpError, json } from "../../src/http/reply.ts";
import { type Dependency, type Route, route } from "../../src/http/route.ts";
import { type Client, open } from "../support/client.ts";
import { get, lines, postEcho, postHead } from "../support/requests.ts";
import type { Scope } from "../support/scope.ts";
import { anything, serveFor, type TestService } from "../support/server.ts";
import { until } from "../support/wait.ts";

/** How a body can break, and the response. */
const BREAKS: readonly (readonly [what: string, bytes: string, status: number])[] = [
  ["a chunk size that is none", "x\r\n", 400],
  ["a chunk without its line end", "1\r\n1x\r\n", 400],
  ["chunk extensions of 20,000 bytes", `1;${"a".repeat(20_000)}\r\n1\r\n`, 413],
  ["a trailer field without a colon", "1\r\n1\r\n0\r\nA\r\n\r\n", 400],
];

const CHUNKED = postHead(["Transfer-Encoding: chunked"], { path: "/echo", key: "" });

interface WaitingService extends TestService {
  /** How many handlers have run. */
  handled(): number;
  /** Ends the dependency of all requests, with a rejection or none. */
  decide(rejection?: HttpError): void;
}

/** `POST /echo` and `GET /echo`, whose dependency waits for a decision. */
async function serveWaiting(scope: Scope, requestTimeoutMs = 20_000): Promise<WaitingService> {
  let decide: (rejection?: HttpError) => void = () => {};
  const decision = new Promise<HttpError | undefined>((resolve) => {
    decide = resolve;
  });
  let count = 0;
  const dependencies: readonly Dependency[] = [() => decision];
  const handler: Route["handler"] = (body) => {
    count += 1;
    return json(200, body ?? null);
  };
  const routes = [
    route({ method: "POST", path: "/echo", dependencies, body: anything, handler }),
    route({ method: "GET", path: "/echo", dependencies, handler }),
  ];
  const limits = { headersTimeoutMs: requestTimeoutMs, requestTimeoutMs };
  const service = await serveFor(scope, routes, limits);
  return { ...service, handled: () => count, decide };
}

/** Sends a request, and waits until its dependency runs. */
async function start(service: WaitingService, bytes: string | Buffer): Promise<Client> {
  const client = await open(service.port, bytes);
  await until(() => service.connections.inFlight === 1, "the request");
  return client;
}

function statusesOf({ responses }: Client): number[] {
  return responses.map(({ status }) => status);
}

describe("a body that breaks while a dependency is busy", () => {
  for (const [what, bytes, status] of BREAKS) {
    test(`by ${what} is ${status}, and no handler sees it`, async (t) => {
      const service = await serveWaiting(t);
      const client = await start(service, Buffer.concat([CHUNKED, Buffer.from(bytes)]));
      service.decide();
      await client.untilEnded();
      assert.deepEqual([statusesOf(client), client.reset], [[status], false]);
      assert.equal(client.responses[0]?.headers["connection"], "close");
      assert.equal(service.handled(), 0);
      assert.deepEqual(
        service.records.map((record) => record.status),
        [status],
      );
    });

    test(`by ${what} is not revealed to a caller who is denied`, async (t) => {
      const service = await serveWaiting(t);
      const client = await start(service, Buffer.concat([CHUNKED, Buffer.from(bytes)]));
      service.decide(new HttpError(401, "denied"));
      await client.untilEnded();
      assert.deepEqual(statusesOf(client), [401]);
      assert.equal(client.responses[0]?.headers["connection"], "close");
    });
  }

  test("by not arriving in time is 408", async (t) => {
    const service = await serveWaiting(t, 300);
    const client = await start(service, Buffer.concat([CHUNKED, Buffer.from("1\r\n")]));
    // A second request that is too late shows that the first one is, too.
    const other = await open(service.port, "GET /");
    await other.untilEnded();
    service.decide();
    await client.untilEnded();
    assert.deepEqual(statusesOf(client), [408]);
    assert.equal(service.handled(), 0);
  });

  test("by not arriving while the service drains is 408", async (t) => {
    const service = await serveWaiting(t);
    const client = await start(service, CHUNKED);
    let now = performance.now();
    t.mock.method(performance, "now", () => now);
    const drained = service.connections.drain(service.server);
    // Only then has the second begun that the body has.
    await until(() => !service.server.listening, "the service to drain");
    now += 1000;
    service.connections.sweep(50);
    service.decide();
    await client.untilEnded();
    assert.deepEqual(statusesOf(client), [408]);
    assert.match(client.responses[0]?.body ?? "", /the service is stopping/);
    await drained;
  });

  test("is nothing to a route that takes none, but the connection closes", async (t) => {
    const service = await serveWaiting(t);
    const head = lines("GET /echo HTTP/1.1", "Host: x", "Transfer-Encoding: chunked");
    const client = await start(service, `${head}x\r\n${get("/echo")}`);
    service.decide();
    await client.untilEnded();
    assert.deepEqual([statusesOf(client), service.handled()], [[200], 1]);
    assert.equal(client.responses[0]?.headers["connection"], "close");
  });
});

describe("a body that breaks after its response", () => {
  for (const [what, bytes] of BREAKS) {
    test(`by ${what} ends the connection, without a second response`, async (t) => {
      const service = await serveWaiting(t);
      service.decide(new HttpError(401, "denied"));
      const client = await open(service.port, CHUNKED);
      await client.untilResponses();
      client.send(bytes);
      await client.untilEnded();
      assert.deepEqual(statusesOf(client), [401]);
      assert.equal(service.records.length, 1);
    });
  }

  test("by not arriving in time ends the connection, without a second response", async (t) => {
    const service = await serveWaiting(t, 300);
    const head = lines("POST /nope HTTP/1.1", "Host: x", "Content-Length: 10");
    const client = await open(service.port, `${head}12345`);
    await client.untilEnded();
    assert.deepEqual([statusesOf(client), client.reset], [[404], false]);
    assert.equal(client.responses[0]?.headers["connection"], "keep-alive");
    assert.equal(service.records.length, 1);
  });
});

test("a small body that arrives after its response keeps the connection", async (t) => {
  const service = await serveWaiting(t);
  const small = lines("POST /nope HTTP/1.1", "Host: x", "Content-Length: 10");
  const client = await open(service.port, `${small}12345`);
  await client.untilResponses();
  assert.equal(client.responses[0]?.headers["connection"], "keep-alive");
  client.send(`67890${get("/nope")}`);
  await client.untilResponses(2);
  assert.deepEqual(statusesOf(client), [404, 404]);
});

for (const [name, bytes] of [
  ["GET", get("/echo")],
  ["POST", postEcho('"body"')],
] as const) {
  test(`a client that leaves while a dependency is busy is not handled (${name})`, async (t) => {
    const service = await serveWaiting(t);
    const client = await start(service, bytes);
    client.socket.resetAndDestroy();
    await until(() => service.records.length === 1, "the record");
    service.decide();
    for (let turn = 0; turn < 10; turn += 1) await nextTurn();
    assert.equal(service.handled(), 0);
    assert.deepEqual(
      service.records.map(({ status }) => status),
      [null],
    );
    assert.deepEqual(service.failures, []);
  });
}
