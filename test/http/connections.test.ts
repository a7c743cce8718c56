import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { describe, test } from "node:test";

import { exchange, open, openMany, request, statusOf } from "../support/client.ts";
import { lines, postEcho } from "../support/requests.ts";
import { connectionCount } from "../support/server.ts";
import { HEALTH, serveSlow, SLOW } from "../support/slow-service.ts";
import { CONNECTION } from "../support/transport.ts";
import { until } from "../support/wait.ts";

describe("requests in flight", () => {
  test("past the limit get 503 at once, except on a route without one", async (t) => {
    const slow = await serveSlow(t, { maxInFlight: 2 });
    const held = await openMany(slow.port, 2, SLOW);
    await slow.untilEntered(2);
    for (const bytes of [SLOW, postEcho("1")]) {
      const { status, headers, body } = await request(slow.port, bytes);
      assert.deepEqual([status, headers["retry-after"]], [503, "1"]);
      assert.match(body, /^\{"detail":"Service Unavailable: /);
    }
    assert.equal(await statusOf(slow.port, HEALTH), 200);
    slow.release();
    for (const client of held) assert.equal((await client.untilResponses())[0]?.status, 200);
    assert.equal(await statusOf(slow.port, postEcho("1")), 200);
  });

  test("free their places when they are rejected", async (t) => {
    const { service, port } = await serveSlow(t, { maxInFlight: 1, maxBodyBytes: 10 });
    const rejected = [
      postEcho("x"),
      postEcho(""),
      postEcho("1".repeat(11)),
      postEcho(Buffer.of(0xff)),
      lines("POST /echo HTTP/1.1", "Host: x"),
      lines("GET /slow HTTP/1.1"),
    ];
    for (const bytes of rejected) assert.notEqual(await statusOf(port, bytes), 200);
    assert.equal(service.connections.inFlight, 0);
  });

  test("free their places when their clients leave", async (t) => {
    const slow = await serveSlow(t, { maxInFlight: 1 });
    const { connections, records } = slow.service;
    for (let round = 1; round <= 3; round += 1) {
      const client = await open(slow.port, SLOW);
      await slow.untilEntered(round);
      client.socket.resetAndDestroy();
      await until(() => records.length === round, "the client to be gone");
    }
    assert.ok(records.every(({ status }) => status === null));
    const half = await open(slow.port, postEcho("12345").subarray(0, -1));
    await until(() => connections.inFlight === 1, "half a body");
    half.socket.destroy();
    await until(() => connections.inFlight === 0, "its place to be free");
    slow.release();
    assert.equal(await statusOf(slow.port, SLOW), 200);
  });

  test("on one connection count one by one", async (t) => {
    const slow = await serveSlow(t, { maxInFlight: 2 });
    const client = await open(slow.port, SLOW.repeat(3));
    await slow.untilEntered(2);
    slow.release();
    const responses = await client.untilResponses(3);
    assert.deepEqual(
      responses.map(({ status }) => status),
      [200, 200, 503],
    );
  });
});

describe("connections", () => {
  test("past the limit are closed, and the others served", async (t) => {
    const { service, port } = await serveSlow(t, { maxConnections: 2 });
    const held = await openMany(port, 2, HEALTH);
    for (const client of held) await client.untilResponses();
    const third = await open(port);
    await third.untilEnded();
    assert.equal(third.responses.length, 0);
    for (const client of held) {
      client.send(HEALTH);
      assert.equal((await client.untilResponses(2))[1]?.status, 200);
    }
    held[0]?.socket.destroy();
    const isFree = async (): Promise<boolean> => (await connectionCount(service.server)) === 1;
    await until(isFree, "a free place");
    assert.equal(await statusOf(port, HEALTH), 200);
  });

  test("are forgotten when they close, however they do", async (t) => {
    const { service, port } = await serveSlow(t);
    const sockets: Socket[] = [];
    service.server.on(CONNECTION, (socket) => sockets.push(socket));
    const [first, second] = [await open(port), await open(port, HEALTH)];
    await until(() => sockets.length === 2, "two connections");
    first.socket.destroy();
    second.socket.resetAndDestroy();
    await exchange(port, "garbage\r\n\r\n", { close: true });
    await exchange(port, HEALTH);
    const isEmpty = async (): Promise<boolean> => (await connectionCount(service.server)) === 0;
    await until(isEmpty, "all connections to close");
    assert.equal(sockets.length, 4);
    for (const socket of sockets) assert.equal(service.connections.get(socket), undefined);
  });

  test("that close end each of their requests once, without a status", async (t) => {
    const { service, port, entered } = await serveSlow(t);
    const client = await open(port, SLOW.repeat(5));
    await until(() => entered.length === 5, "the handlers");
    client.socket.destroy();
    await until(() => service.connections.inFlight === 0, "the end of the requests");
    assert.deepEqual(
      service.records.map(({ status }) => status),
      [null, null, null, null, null],
    );
    assert.ok(entered.every(({ signal }) => signal.aborted));
    assert.deepEqual(service.failures, []);
  });
});
