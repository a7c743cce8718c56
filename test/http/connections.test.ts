import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, type Socket } from "node:net";
import { describe, test } from "node:test";

import { json } from "../../src/http/reply.ts";
import { type Context, route } from "../../src/http/route.ts";
import type { Limits } from "../../src/http/server.ts";
import { exchange, until } from "../service.ts";
import { open, type Peer } from "../support/client.ts";
import { echo, lines, postEcho, serveRoutes, type Started } from "./start.ts";

/** A service whose `/slow` answers when it is let go. */
interface Slow extends Started {
  readonly entered: Context[];
  letGo(): void;
}

async function serveSlow(limits: Partial<Limits> = {}): Promise<Slow> {
  const entered: Context[] = [];
  let free = false;
  const slow = async (context: Context): Promise<void> => {
    entered.push(context);
    await until(() => free || context.signal.aborted, "being let go");
  };
  const started = await serveRoutes(
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
async function sending(port: number, bytes: string | Buffer): Promise<Peer> {
  const client = await open(port);
  client.send(bytes);
  return client;
}

describe("requests in flight", () => {
  test("a connection lets go of a request that is over, and holds on to one whose rest is still to come", async () => {
    const service = await serveSlow();
    const sockets: Socket[] = [];
    service.server.on("connection", (socket) => sockets.push(socket));
    const last = (): unknown => service.connections.get(sockets[0]!)?.receiving;
    const client = await sending(service.port, postEcho("1"));
    await client.until(1);
    await until(() => last() === undefined, "the request to be let go of");
    client.send("POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n1");
    await client.until(2);
    assert.notEqual(last(), undefined);
    client.send("2");
    client.send(postEcho("3"));
    await client.until(3);
    await until(() => last() === undefined, "the next one to be let go of");
    service.close();
  });

  test("past the limit they are 503 with Retry-After at once, and a route without a limit is answered", async () => {
    const service = await serveSlow({ maxInFlight: 2 });
    const held = [await sending(service.port, SLOW), await sending(service.port, SLOW)];
    await until(() => service.entered.length === 2, "two in flight");
    for (const request of [SLOW, postEcho("1")]) {
      const { answers } = await exchange(service.port, request);
      assert.deepEqual([answers[0]?.status, answers[0]?.headers["retry-after"]], [503, "1"]);
      assert.match(answers[0]?.body ?? "", /^\{"detail":"Service Unavailable: /);
    }
    assert.equal((await exchange(service.port, HEALTH)).answers[0]?.status, 200);
    service.letGo();
    for (const client of held) assert.equal((await client.until(1))[0]?.status, 200);
    assert.equal((await exchange(service.port, postEcho("1"))).answers[0]?.status, 200);
    service.close();
  });

  test("refusals of every kind, and clients that leave, free their places", async () => {
    const service = await serveSlow({ maxInFlight: 1, maxBodyBytes: 10 });
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
        () => service.answered.filter(({ status }) => status === null).length === round,
        "the client to be gone",
      );
    }
    const half = await sending(service.port, postEcho("12345").subarray(0, -1));
    await sleep(20);
    half.socket.destroy();
    service.letGo();
    const isFree = async (): Promise<boolean> =>
      (await exchange(service.port, SLOW)).answers[0]?.status === 200;
    for (let tries = 0; !(await isFree()); tries++) assert.ok(tries < 100, "a place is lost");
    service.close();
  });

  test("requests on one connection count each for itself", async () => {
    const service = await serveSlow({ maxInFlight: 2 });
    const client = await sending(service.port, SLOW.repeat(3));
    await until(() => service.entered.length === 2, "two in flight");
    service.letGo();
    assert.deepEqual(
      (await client.until(3)).map(({ status }) => status),
      [200, 200, 503],
    );
    client.socket.destroy();
    service.close();
  });
});

describe("connections", () => {
  test("past the limit new ones are closed, and the others served", async () => {
    const service = await serveSlow({ maxConnections: 2 });
    const held = [await sending(service.port, HEALTH), await sending(service.port, HEALTH)];
    for (const client of held) await client.until(1);
    const third = await open(service.port);
    await third.untilEnded();
    assert.equal(third.answers.length, 0);
    for (const client of held) {
      client.send(HEALTH);
      assert.equal((await client.until(2))[1]?.status, 200);
    }
    held[0]?.socket.destroy();
    const isServed = async (): Promise<boolean> =>
      (await exchange(service.port, HEALTH, { limitMs: 1000 })).answers.length === 1;
    for (let tries = 0; !(await isServed()); tries++) assert.ok(tries < 100, "a place is lost");
    service.close();
  });

  test("a connection is forgotten when it closes, whichever way", async () => {
    const service = await serveSlow();
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
    service.close();
  });

  test("several requests of a client that leaves are all told to the log once, without a status", async () => {
    const service = await serveSlow();
    const client = await sending(service.port, SLOW.repeat(5));
    await until(() => service.entered.length === 5, "the handlers");
    client.socket.destroy();
    await until(() => service.answered.length === 5, "the lines");
    await sleep(50);
    assert.deepEqual(
      service.answered.map(({ status }) => status),
      [null, null, null, null, null],
    );
    assert.ok(service.entered.every(({ signal }) => signal.aborted));
    assert.deepEqual(service.failures, []);
    service.close();
  });
});

describe("draining", () => {
  test("every answer says Connection: close from then on, and the connection is closed", async () => {
    const service = await serveSlow();
    service.connections.startDraining();
    for (const request of [HEALTH, postEcho("1"), lines("GET /nope HTTP/1.1", "Host: x")]) {
      const { answers, closed, reset } = await exchange(service.port, request, { close: true });
      assert.deepEqual(
        [answers.length, answers[0]?.headers["connection"], closed, reset],
        [1, "close", true, false],
      );
    }
    assert.equal((await exchange(service.port, HEALTH)).answers[0]?.body, "true");
    service.close();
  });

  test("idle and silent connections are closed, and half a request doesn't hold it up", async () => {
    const service = await serveSlow();
    const clients = [
      await open(service.port),
      await sending(service.port, HEALTH),
      await sending(service.port, "GET / HTTP/1.1\r\nHo"),
      await sending(service.port, HEALTH + "GET"),
    ];
    await clients[1]?.until(1);
    await clients[3]?.until(1);
    await service.connections.drain(service.server);
    for (const client of clients) await client.untilEnded();
    await assert.rejects(
      new Promise((resolve, reject) => {
        connect(service.port, "127.0.0.1").once("connect", resolve).once("error", reject);
      }),
      { code: "ECONNREFUSED" },
    );
  });

  test("answers in the making are given, also several on one connection, and none is reset", async () => {
    const service = await serveSlow();
    const clients: Peer[] = [];
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
        [client.answers[0]?.status, client.answers[0]?.body, client.reset],
        [200, '"slow"', false],
      );
      assert.equal(client.answers.at(-1)?.headers["connection"], "close");
    }
    assert.deepEqual(
      clients.at(-1)?.answers.map(({ body }) => body),
      ['"slow"', '"slow"'],
    );
  });

  test("a request that has arrived when it begins is answered, not reset", async () => {
    for (let round = 0; round < 10; round++) {
      const service = await serveSlow();
      const client = await sending(service.port, HEALTH);
      await client.until(1);
      client.send(HEALTH);
      // The bytes are in this machine's kernel by now, but not read.
      await new Promise((resolve) => client.socket.write("", resolve));
      await service.connections.drain(service.server);
      await client.untilEnded();
      assert.deepEqual(
        client.answers.map(({ status }) => status),
        [200, 200],
      );
      assert.equal(client.reset, false);
    }
  });

  test("a body that is on its way may arrive within a second", async () => {
    const service = await serveSlow();
    const request = postEcho('"body"');
    const client = await sending(service.port, request.subarray(0, -3));
    await sleep(50);
    const done = service.connections.drain(service.server);
    await sleep(100);
    client.send(request.subarray(-3));
    const [answer] = await client.until(1);
    assert.deepEqual(
      [answer?.status, answer?.body, answer?.headers["connection"]],
      [200, '"body"', "close"],
    );
    await done;
  });

  test("a body that doesn't arrive gets 408, and doesn't hold it up", async () => {
    const service = await serveSlow();
    const client = await sending(service.port, postEcho('"body"').subarray(0, -3));
    await sleep(50);
    await service.connections.drain(service.server);
    const [answer] = await client.until(1);
    assert.deepEqual([answer?.status, answer?.headers["connection"]], [408, "close"]);
    await client.untilEnded();
    assert.equal(client.reset, false);
    assert.equal(service.answered.at(-1)?.status, 408);
  });

  test("a client that leaves meanwhile doesn't hold it up", async () => {
    const service = await serveSlow();
    const client = await sending(service.port, SLOW);
    await until(() => service.entered.length === 1, "the handler");
    const done = service.connections.drain(service.server);
    client.socket.resetAndDestroy();
    await done;
    assert.equal(service.answered.at(-1)?.status, null);
  });

  test("without connections it is done at once", async () => {
    const service = await serveSlow();
    await service.connections.drain(service.server);
    assert.equal(service.server.listening, false);
  });
});
