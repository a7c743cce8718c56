import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, type Socket } from "node:net";
import { describe, test, type TestContext } from "node:test";

import { json } from "../../src/http/reply.ts";
import { type Context, route } from "../../src/http/route.ts";
import type { Limits } from "../../src/http/server.ts";
import { type Client, exchange, open } from "../support/client.ts";
import { lines, postEcho } from "../support/requests.ts";
import { echo, serveFor, type TestService } from "../support/server.ts";
import { until } from "../support/wait.ts";

/** A service whose `/slow` responses when it is let go. */
interface Slow extends TestService {
  readonly entered: Context[];
  letGo(): void;
}

async function serveSlow(t: TestContext, limits: Partial<Limits> = {}): Promise<Slow> {
  const entered: Context[] = [];
  let free = false;
  const slow = async (context: Context): Promise<void> => {
    entered.push(context);
    await until(() => free || context.signal.aborted, "being let go");
  };
  const started = await serveFor(
    t,
    [
      echo,
      route({
        method: "GET",
        path: "/slow",
        handler: async (_body, context) => (await slow(context), json(200, "slow")),
      }),
      route({
        method: "GET",
        path: "/health",
        limited: false,
        handler: () => json(200, "fine"),
      }),
    ],
    limits,
  );
  return { ...started, entered, letGo: () => void (free = true) };
}

const SLOW = lines("GET /slow HTTP/1.1", "Host: x");
const HEALTH = lines("GET /health HTTP/1.1", "Host: x");

/** Opens a connection and sends `bytes` on it. */
async function sending(port: number, bytes: string | Buffer): Promise<Client> {
  const client = await open(port);
  client.send(bytes);
  return client;
}

describe("requests in flight", () => {
  test("a connection lets go of a request that is over, and holds on to one whose rest is still to come", async (t) => {
    const service = await serveSlow(t);
    const sockets: Socket[] = [];
    service.server.on("connection", (socket) => sockets.push(socket));
    const last = (): unknown => service.connections.get(sockets[0]!)?.receiving;
    const client = await sending(service.port, postEcho("1"));
    await client.untilResponses(1);
    await until(() => last() === undefined, "the request to be let go of");
    client.send("POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n1");
    await client.untilResponses(2);
    assert.notEqual(last(), undefined);
    client.send("2");
    client.send(postEcho("3"));
    await client.untilResponses(3);
    await until(() => last() === undefined, "the next one to be let go of");
  });

  test("past the limit they are 503 with Retry-After at once, and a route without a limit is answered", async (t) => {
    const service = await serveSlow(t, { maxInFlight: 2 });
    const held = [await sending(service.port, SLOW), await sending(service.port, SLOW)];
    await until(() => service.entered.length === 2, "two in flight");
    for (const request of [SLOW, postEcho("1")]) {
      const { responses } = await exchange(service.port, request);
      assert.deepEqual([responses[0]?.status, responses[0]?.headers["retry-after"]], [503, "1"]);
      assert.match(responses[0]?.body ?? "", /^\{"detail":"Service Unavailable: /);
    }
    assert.equal((await exchange(service.port, HEALTH)).responses[0]?.status, 200);
    service.letGo();
    for (const client of held) assert.equal((await client.untilResponses(1))[0]?.status, 200);
    assert.equal((await exchange(service.port, postEcho("1"))).responses[0]?.status, 200);
  });

  test("refusals of every kind, and clients that leave, free their places", async (t) => {
    const service = await serveSlow(t, { maxInFlight: 1, maxBodyBytes: 10 });
    const refused = [
      postEcho("x"),
      postEcho(""),
      postEcho("1".repeat(11)),
      postEcho("\xff"),
      Buffer.from(lines("POST /echo HTTP/1.1", "Host: x")),
      Buffer.from(lines("GET /slow HTTP/1.1")),
    ];
    for (let round = 0; round < 3; round++)
      for (const request of refused) await exchange(service.port, request);
    for (let round = 1; round <= 3; round++) {
      const client = await sending(service.port, SLOW);
      await until(() => service.entered.length === round, "the handler");
      client.socket.resetAndDestroy();
      await until(
        () => service.records.filter(({ status }) => status === null).length === round,
        "the client to be gone",
      );
    }
    const half = await sending(service.port, postEcho("12345").subarray(0, -1));
    await sleep(20);
    half.socket.destroy();
    service.letGo();
    const isFree = async (): Promise<boolean> =>
      (await exchange(service.port, SLOW)).responses[0]?.status === 200;
    for (let tries = 0; !(await isFree()); tries++) assert.ok(tries < 100, "a place is lost");
  });

  test("requests on one connection count each for itself", async (t) => {
    const service = await serveSlow(t, { maxInFlight: 2 });
    const client = await sending(service.port, SLOW.repeat(3));
    await until(() => service.entered.length === 2, "two in flight");
    service.letGo();
    assert.deepEqual(
      (await client.untilResponses(3)).map(({ status }) => status),
      [200, 200, 503],
    );
  });
});

describe("connections", () => {
  test("past the limit new ones are closed, and the others served", async (t) => {
    const service = await serveSlow(t, { maxConnections: 2 });
    const held = [await sending(service.port, HEALTH), await sending(service.port, HEALTH)];
    for (const client of held) await client.untilResponses(1);
    const third = await open(service.port);
    await third.untilEnded();
    assert.equal(third.responses.length, 0);
    for (const client of held) {
      client.send(HEALTH);
      assert.equal((await client.untilResponses(2))[1]?.status, 200);
    }
    held[0]?.socket.destroy();
    const isServed = async (): Promise<boolean> =>
      (await exchange(service.port, HEALTH, { limitMs: 1000 })).responses.length === 1;
    for (let tries = 0; !(await isServed()); tries++) assert.ok(tries < 100, "a place is lost");
  });

  test("a connection is forgotten when it closes, whichever way", async (t) => {
    const service = await serveSlow(t);
    const sockets: unknown[] = [];
    service.server.on("connection", (socket) => sockets.push(socket));
    (await open(service.port)).socket.destroy();
    (await sending(service.port, HEALTH)).socket.resetAndDestroy();
    await exchange(service.port, "garbage\r\n\r\n", { close: true });
    await exchange(service.port, HEALTH);
    const count = (): Promise<number> =>
      new Promise((resolve) => service.server.getConnections((_error, number) => resolve(number)));
    for (let tries = 0; (await count()) > 0; tries++) {
      assert.ok(tries < 1000, "a connection stays");
      await sleep(5);
    }
    for (const socket of sockets) assert.equal(service.connections.get(socket as never), undefined);
    assert.ok(sockets.length >= 4);
  });

  test("several requests of a client that leaves are all told to the log once, without a status", async (t) => {
    const service = await serveSlow(t);
    const client = await sending(service.port, SLOW.repeat(5));
    await until(() => service.entered.length === 5, "the handlers");
    client.socket.destroy();
    await until(() => service.records.length === 5, "the lines");
    await sleep(50);
    assert.deepEqual(
      service.records.map(({ status }) => status),
      [null, null, null, null, null],
    );
    assert.ok(service.entered.every(({ signal }) => signal.aborted));
    assert.deepEqual(service.failures, []);
  });
});

describe("draining", () => {
  test("every answer says Connection: close from then on, and the connection is closed", async (t) => {
    const service = await serveSlow(t);
    service.connections.startDraining();
    for (const request of [HEALTH, postEcho("1"), lines("GET /nope HTTP/1.1", "Host: x")]) {
      const { responses, closed, reset } = await exchange(service.port, request, { close: true });
      assert.deepEqual(
        [responses.length, responses[0]?.headers["connection"], closed, reset],
        [1, "close", true, false],
      );
    }
    assert.equal((await exchange(service.port, HEALTH)).responses[0]?.body, '"fine"');
  });

  test("idle and silent connections are closed, and half a request doesn't hold it up", async (t) => {
    const service = await serveSlow(t);
    const clients = [
      await open(service.port),
      await sending(service.port, HEALTH),
      await sending(service.port, "GET / HTTP/1.1\r\nHo"),
      await sending(service.port, HEALTH + "GET"),
    ];
    await clients[1]?.untilResponses(1);
    await clients[3]?.untilResponses(1);
    await service.connections.drain(service.server);
    for (const client of clients) await client.untilEnded();
    await assert.rejects(
      new Promise((resolve, reject) => {
        connect(service.port, "127.0.0.1").once("connect", resolve).once("error", reject);
      }),
      { code: "ECONNREFUSED" },
    );
  });

  test("responses in the making are given, also several on one connection, and none is reset", async (t) => {
    const service = await serveSlow(t);
    const clients: Client[] = [];
    for (let i = 0; i < 20; i++) clients.push(await sending(service.port, SLOW));
    clients.push(await sending(service.port, SLOW + SLOW));
    await until(() => service.entered.length === 22, "the handlers");
    let isDone = false;
    const done = service.connections.drain(service.server).then(() => (isDone = true));
    await sleep(60);
    assert.equal(isDone, false);
    service.letGo();
    await done;
    for (const client of clients) {
      await client.untilEnded();
      assert.deepEqual(
        [client.responses[0]?.status, client.responses[0]?.body, client.reset],
        [200, '"slow"', false],
      );
      assert.equal(client.responses.at(-1)?.headers["connection"], "close");
    }
    assert.deepEqual(
      clients.at(-1)?.responses.map(({ body }) => body),
      ['"slow"', '"slow"'],
    );
  });

  test("a request that has arrived when it begins is answered, not reset", async (t) => {
    for (let round = 0; round < 10; round++) {
      const service = await serveSlow(t);
      const client = await sending(service.port, HEALTH);
      await client.untilResponses(1);
      client.send(HEALTH);
      // The bytes are in this machine's kernel by now, but not read.
      await new Promise((resolve) => client.socket.write("", resolve));
      await service.connections.drain(service.server);
      await client.untilEnded();
      assert.deepEqual(
        client.responses.map(({ status }) => status),
        [200, 200],
      );
      assert.equal(client.reset, false);
    }
  });

  test("a body that is on its way may arrive within a second", async (t) => {
    const service = await serveSlow(t);
    const request = postEcho('"body"');
    const client = await sending(service.port, request.subarray(0, -3));
    await sleep(50);
    const done = service.connections.drain(service.server);
    await sleep(100);
    client.send(request.subarray(-3));
    const [answer] = await client.untilResponses(1);
    assert.deepEqual(
      [answer?.status, answer?.body, answer?.headers["connection"]],
      [200, '"body"', "close"],
    );
    await done;
  });

  test("a body that doesn't arrive gets 408, and doesn't hold it up", async (t) => {
    const service = await serveSlow(t);
    const client = await sending(service.port, postEcho('"body"').subarray(0, -3));
    await sleep(50);
    await service.connections.drain(service.server);
    const [answer] = await client.untilResponses(1);
    assert.deepEqual([answer?.status, answer?.headers["connection"]], [408, "close"]);
    await client.untilEnded();
    assert.equal(client.reset, false);
    assert.equal(service.records.at(-1)?.status, 408);
  });

  test("a client that leaves meanwhile doesn't hold it up", async (t) => {
    const service = await serveSlow(t);
    const client = await sending(service.port, SLOW);
    await until(() => service.entered.length === 1, "the handler");
    const done = service.connections.drain(service.server);
    client.socket.resetAndDestroy();
    await done;
    assert.equal(service.records.at(-1)?.status, null);
  });

  test("without connections it is done at once", async (t) => {
    const service = await serveSlow(t);
    await service.connections.drain(service.server);
    assert.equal(service.server.listening, false);
  });
});
