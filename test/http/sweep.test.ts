import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { describe, test, type TestContext } from "node:test";

import { json } from "../../src/http/reply.ts";
import { route } from "../../src/http/route.ts";
import { type Client, open } from "../support/client.ts";
import { get, postEcho } from "../support/requests.ts";
import { connectionCount, echo, serveFor, type TestService } from "../support/server.ts";
import { CONNECTION } from "../support/transport.ts";
import { until } from "../support/wait.ts";

/** The time of performance.now(), which stands still unless a test moves it. */
interface Clock {
  now: number;
}

function stopClock(t: TestContext): Clock {
  const clock: Clock = { now: Math.ceil(performance.now()) };
  t.mock.method(performance, "now", () => clock.now);
  return clock;
}

/** A client, and the service's end of its connection. */
interface Pair {
  readonly client: Client;
  readonly socket: Socket;
}

interface Swept {
  readonly service: TestService;
  readonly clock: Clock;
  /** Opens a connection and sends bytes, which the service has read when this resolves. */
  connect(bytes?: string | Buffer): Promise<Pair>;
  /** How many connections are left when those are gone that a sweep has closed. */
  left(): Promise<number>;
}

async function serveSwept(t: TestContext): Promise<Swept> {
  const clock = stopClock(t);
  const stuck = route({
    method: "GET",
    path: "/stuck",
    handler: () => new Promise<never>(() => {}),
  });
  const fine = route({ method: "GET", path: "/", handler: () => json(200, null) });
  const service = await serveFor(t, [echo, stuck, fine]);
  const sockets: Socket[] = [];
  service.server.on(CONNECTION, (socket) => sockets.push(socket));
  const connect = async (bytes: string | Buffer = ""): Promise<Pair> => {
    const count = sockets.length;
    const client = await open(service.port, bytes);
    await until(() => sockets[count]?.bytesRead === bytes.length, "the bytes to be read");
    return { client, socket: sockets[count] as Socket };
  };
  const left = async (): Promise<number> => {
    const open = sockets.filter(({ destroyed }) => !destroyed).length;
    await until(async () => (await connectionCount(service.server)) === open, "the closed ones");
    return open;
  };
  return { service, clock, connect, left };
}

describe("a sweep", () => {
  test("closes a connection that has been idle for so long, and no sooner", async (t) => {
    const { service, clock, connect, left } = await serveSwept(t);
    const { client } = await connect(get("/"));
    await client.untilResponses();
    assert.equal(service.connections.sweep(1000), 1);
    clock.now += 999;
    assert.equal(service.connections.sweep(1000), 1);
    clock.now += 1;
    assert.equal(service.connections.sweep(1000), 0);
    await client.untilEnded();
    assert.equal(await left(), 0);
  });

  test("counts from the last bytes, which may begin a request", async (t) => {
    const { service, clock, connect } = await serveSwept(t);
    const { client, socket } = await connect(get("/"));
    await client.untilResponses();
    service.connections.sweep(1000);
    clock.now += 999;
    client.send("G");
    await until(() => socket.bytesRead === get("/").length + 1, "the letter to be read");
    assert.equal(service.connections.sweep(1000), 1);
    clock.now += 999;
    assert.equal(service.connections.sweep(1000), 1);
    clock.now += 1;
    assert.equal(service.connections.sweep(1000), 0);
  });

  test("leaves a connection alone that has yet to send its first request", async (t) => {
    const { service, clock, connect } = await serveSwept(t);
    const pairs = [await connect(), await connect("GET / HTTP/1.1\r\nHo")];
    service.connections.sweep(1000);
    clock.now += 1_000_000;
    assert.equal(service.connections.sweep(1000), 2);
    assert.ok(pairs.every(({ client }) => !client.ended));
  });

  test("leaves a request in progress alone, however long it takes", async (t) => {
    const { service, clock, connect } = await serveSwept(t);
    const pairs = [await connect(get("/stuck")), await connect(postEcho("1").subarray(0, -1))];
    for (let round = 0; round < 3; round += 1) {
      clock.now += 1_000_000;
      assert.equal(service.connections.sweep(1), 2);
    }
    assert.ok(pairs.every(({ client }) => !client.ended));
  });

  test("counts what has yet to arrive of a body that no one needs as idle time", async (t) => {
    const { service, clock, connect, left } = await serveSwept(t);
    const { client } = await connect(
      "POST /nope HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1",
    );
    await client.untilResponses();
    service.connections.sweep(1000);
    clock.now += 1000;
    assert.equal(service.connections.sweep(1000), 0);
    assert.equal(await left(), 0);
  });
});

describe("draining", () => {
  test("closes silent, idle and half-sent connections before bodies are too late", async (t) => {
    const { service, clock, connect, left } = await serveSwept(t);
    const idle = await connect(get("/"));
    await idle.client.untilResponses();
    const others = [await connect(), await connect("GET / HTTP/1.1\r\nHo")];
    const drained = service.connections.drain(service.server);
    await until(() => !service.server.listening, "the service to drain");
    // A twentieth of the second that bodies have.
    clock.now += 50;
    await idle.client.untilEnded();
    clock.now += 450;
    for (const { client } of others) await client.untilEnded();
    await drained;
    // Much later, node:http would have responded with 408.
    assert.ok(others.every(({ client }) => client.responses.length === 0));
    assert.equal(await left(), 0);
  });

  test("serves a client that sends its first request within half a second", async (t) => {
    const { service, clock, connect, left } = await serveSwept(t);
    const idle = await connect(get("/"));
    await idle.client.untilResponses();
    const { client } = await connect();
    const drained = service.connections.drain(service.server);
    await until(() => !service.server.listening, "the service to drain");
    clock.now += 499;
    await idle.client.untilEnded();
    client.send(get("/"));
    await client.untilEnded();
    await drained;
    assert.deepEqual(
      client.responses.map(({ status, headers }) => [status, headers["connection"]]),
      [[200, "close"]],
    );
    assert.equal(await left(), 0);
  });

  test("closes an idle connection after 50 ms, and no sooner", async (t) => {
    const { service, clock, connect } = await serveSwept(t);
    const { client, socket } = await connect(get("/"));
    await client.untilResponses();
    const sweep = t.mock.method(service.connections, "sweep");
    const drained = service.connections.drain(service.server);
    await until(() => sweep.mock.callCount() > 0, "the first sweep");
    clock.now += 49;
    const count = sweep.mock.callCount();
    await until(() => sweep.mock.callCount() > count + 1, "another sweep");
    assert.equal(socket.destroyed, false);
    clock.now += 1;
    await drained;
    assert.equal(socket.destroyed, true);
  });

  test("gives a body a second to arrive, then a response that says why", async (t) => {
    const { service, clock, connect } = await serveSwept(t);
    const { client } = await connect(postEcho("1").subarray(0, -1));
    await until(() => service.connections.inFlight === 1, "the request");
    const drained = service.connections.drain(service.server);
    await until(() => !service.server.listening, "the service to drain");
    clock.now += 999;
    assert.equal(service.connections.sweep(1), 1);
    assert.equal(service.connections.inFlight, 1);
    clock.now += 1;
    service.connections.sweep(1);
    assert.equal(service.connections.inFlight, 0);
    const [response] = await client.untilResponses();
    assert.equal(response?.status, 408);
    assert.deepEqual(JSON.parse(response?.body ?? ""), {
      detail: "Request Timeout: the service is stopping and the body has not arrived",
    });
    await drained;
  });

  test("without connections, does not wait", async (t) => {
    const { service } = await serveSwept(t);
    await service.connections.drain(service.server);
    assert.equal(service.server.listening, false);
  });
});
