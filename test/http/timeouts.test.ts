import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { before, describe, test, type TestContext } from "node:test";

import { json } from "../../src/http/reply.ts";
import { route } from "../../src/http/route.ts";
import type { Limits } from "../../src/http/server.ts";
import { type Client, open } from "../support/client.ts";
import { get, postChunks, postEcho } from "../support/requests.ts";
import { suiteScope } from "../support/scope.ts";
import { connectionCount, echo, serveFor, type TestService } from "../support/server.ts";
import { CONNECTION } from "../support/transport.ts";
import { until } from "../support/wait.ts";

describe("time limits", { concurrency: 8 }, () => {
  const suite = suiteScope();
  let service: TestService;
  before(async () => {
    const limits = { headersTimeoutMs: 300, requestTimeoutMs: 600, keepAliveTimeoutMs: 200 };
    service = await serveFor(suite, [echo], limits);
  });

  for (const start of ["GET /", "POST /echo HTTP/1.1\r\nHost: x\r\n"]) {
    const name = JSON.stringify(start);
    test(`a header section that begins with ${name} and is too slow gets 408`, async (t) => {
      const client = await open(service.port, start);
      const timer = setInterval(() => client.send("a"), 100);
      t.after(() => clearInterval(timer));
      const [response] = await client.untilResponses();
      assert.deepEqual([response?.status, response?.headers["connection"]], [408, "close"]);
      assert.match(response?.body ?? "", /^\{"detail":"Request Timeout: /);
      await client.untilEnded();
    });
  }

  for (const [framing, bytes] of [
    ["of a declared length", postEcho('"body"').subarray(0, -3)],
    ["in chunks", postChunks('"body"', 1).subarray(0, -8)],
  ] as const) {
    test(`a body ${framing} that is too slow gets one 408, and its record has a path`, async () => {
      const id = `slow-${framing.length}`;
      const first = bytes.toString("latin1").replace("Host: x", `Host: x\r\nX-Request-Id: ${id}`);
      const client = await open(service.port, first);
      const [response] = await client.untilResponses();
      assert.deepEqual([response?.status, response?.headers["connection"]], [408, "close"]);
      await client.untilEnded();
      assert.equal(client.responses.length, 1);
      const record = service.records.find(({ requestId }) => requestId === id);
      assert.deepEqual([record?.status, record?.path], [408, "/echo"]);
    });
  }

  test("a connection that never sends anything is closed, with 408 at most", async () => {
    const client = await open(service.port);
    await client.untilEnded();
    assert.ok(client.responses.every(({ status }) => status === 408));
  });

  test("an idle connection is closed without a word", async () => {
    const client = await open(service.port, postEcho("1"));
    await client.untilResponses();
    await client.untilEnded();
    assert.deepEqual([client.responses.length, client.reset], [1, false]);
  });
});

test("a handler may take longer than the time for a request", async (t) => {
  let release: (() => void) | undefined;
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const slow = route({
    method: "GET",
    path: "/",
    handler: async () => {
      await gate;
      return json(200, null);
    },
  });
  const limits = { headersTimeoutMs: 100, requestTimeoutMs: 200, keepAliveTimeoutMs: 100 };
  const service = await serveFor(t, [slow], limits);
  const client = await open(service.port, get("/"));
  await until(() => service.connections.inFlight === 1, "the handler");
  // When a later request is too late, the handler's has been so for even longer.
  const late = await open(service.port, "GET /");
  await late.untilEnded();
  assert.equal(client.ended, false);
  release?.();
  const [response] = await client.untilResponses();
  assert.equal(response?.status, 200);
});

/** A client that has had a response, and the service's end of its connection. */
interface Idle {
  readonly service: TestService;
  readonly client: Client;
  readonly socket: Socket;
}

async function startIdle(t: TestContext, limits: Partial<Limits> = {}): Promise<Idle> {
  const service = await serveFor(t, [echo], limits);
  const sockets: Socket[] = [];
  service.server.on(CONNECTION, (socket) => sockets.push(socket));
  const client = await open(service.port, postEcho("1"));
  const [response] = await client.untilResponses();
  assert.equal(response?.headers["connection"], "keep-alive");
  return { service, client, socket: sockets[0] as Socket };
}

test("an idle connection stays open for KEEP_ALIVE_TIMEOUT_MS, and no longer", async (t) => {
  const { service, client } = await startIdle(t);
  // node:http's own timer would close it after 5 s.
  assert.equal(service.server.keepAliveTimeout, 0);
  assert.equal(service.connections.sweep(60_000), 1);
  client.send(postEcho("2"));
  assert.equal((await client.untilResponses(2))[1]?.body, "2");
  // The first sweep after a request finds bytes that may be the beginning of the next one.
  service.connections.sweep(60_000);
  await until(() => service.connections.sweep(1) === 0, "the connection to be idle");
  await client.untilEnded();
  assert.equal(client.reset, false);
});

test("a connection is not idle while its next request arrives", async (t) => {
  const { service, client, socket } = await startIdle(t);
  const bytes = postEcho("2").toString("latin1");
  for (const letter of bytes.slice(0, 40)) {
    const before = socket.bytesRead;
    client.send(letter);
    await until(() => socket.bytesRead > before, "the letter to be read");
    assert.equal(service.connections.sweep(1), 1);
  }
  client.send(bytes.slice(40));
  assert.equal((await client.untilResponses(2))[1]?.body, "2");
});

test("a client that does not read its responses is closed in the end", async (t) => {
  const large = route({
    method: "GET",
    path: "/",
    handler: () => ({ status: 200, headers: [], body: Buffer.alloc(1_048_576) }),
  });
  const limits = { headersTimeoutMs: 500, requestTimeoutMs: 500 };
  const service = await serveFor(t, [large], limits);
  const client = await open(service.port);
  client.socket.pause();
  client.send(get("/").repeat(50));
  const isGone = async (): Promise<boolean> => (await connectionCount(service.server)) === 0;
  await until(isGone, "the connection to be closed");
});
