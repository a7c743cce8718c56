import assert from "node:assert/strict";
import {
  createServer,
  type IncomingMessage,
  type Server as HttpServer,
  type ServerResponse,
} from "node:http";
import { Server, type Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, test, type TestContext } from "node:test";

import { MemoryBudget } from "../../src/http/budget.ts";
import { Connections } from "../../src/http/connections.ts";
import { connect, FakePending, FakeSocket } from "../support/fake-connection.ts";

/** What pipelined requests of all connections may take in memory, in requests behind another. */
const MAX_PIPELINED = 1024;

function noConnections(): Connections {
  return new Connections({ response: undefined, error: () => {} }, 1000);
}

function addTo(connections: Connections): FakeSocket {
  const socket = new FakeSocket();
  connections.add(socket as unknown as Socket);
  return socket;
}

test("connections are counted until they close", () => {
  const connections = noConnections();
  const sockets = [addTo(connections), addTo(connections)];
  assert.equal(connections.count, 2);
  sockets[0]?.destroy();
  assert.equal(connections.count, 1);
});

test("a TLS socket takes the place of the one that it was made of, if that is known", () => {
  const connections = noConnections();
  const raw = addTo(connections);
  const [first, second] = [new FakeSocket(), new FakeSocket()];
  connections.replace(raw as unknown as Socket, first as unknown as Socket);
  assert.equal(connections.count, 1);
  assert.equal(connections.get(raw as unknown as Socket), undefined);
  connections.replace(undefined, second as unknown as Socket);
  assert.equal(connections.count, 2);
});

test("requests that are pipelined behind others may take 8 MiB on all connections", () => {
  const connections = noConnections();
  const sockets = [addTo(connections), addTo(connections)];
  for (const [index, socket] of sockets.entries()) {
    const connection = connections.get(socket as unknown as Socket);
    // One that no other precedes is free.
    const count = MAX_PIPELINED / 2 + 1;
    for (let request = 0; request < count; request += 1) connection?.add(new FakePending());
    assert.equal(socket.destroyed, false, `connection ${index}`);
  }
  const third = addTo(connections);
  connections.get(third as unknown as Socket)?.holdBack(Buffer.from("a"), 0);
  assert.deepEqual(
    [...sockets, third].map(({ destroyed }) => destroyed),
    [false, false, true],
  );
});

test("an exchange is in flight until it ends, and then runs what waits for that", () => {
  const failures: unknown[][] = [];
  const error = (...values: unknown[]): unknown => failures.push(values);
  const connections = new Connections({ response: undefined, error }, 1000);
  const { connection } = connect(new MemoryBudget(0), 0);
  const request = { headers: { "x-request-id": "mine" }, url: "/" } as unknown as IncomingMessage;
  const exchange = connections.begin(connection, request, {} as ServerResponse);
  assert.equal(connections.inFlight, 1);
  const why = new Error("why");
  exchange.onEnd(() => {
    throw why;
  });
  exchange.end(200);
  assert.equal(connections.inFlight, 0);
  assert.deepEqual(failures, [[why, "mine"]]);
});

test("the parser of a connection stops when that has had its turn", () => {
  const connections = noConnections();
  const socket = new FakeSocket();
  const parser = Object.assign(socket.parser, { onIncoming: () => 0 });
  connections.add(socket as unknown as Socket);
  const results: number[] = [];
  for (let request = 0; request < 4; request += 1) {
    connections.get(socket as unknown as Socket)?.add(new FakePending());
    results.push(parser.onIncoming());
  }
  // llhttp's HPE_PAUSED
  assert.deepEqual(results, [0, 0, 0, 21]);
});

/** Under a clock that stands still. */
class Drain {
  readonly connections: Connections = noConnections();
  now = 1000;
  /** How often the server was told to stop listening. */
  readonly closes: () => number;
  readonly #server: HttpServer = createServer();
  #isAccepting = true;

  constructor(t: TestContext) {
    t.mock.method(performance, "now", () => this.now);
    const close = t.mock.method(Server.prototype, "close", () => this.#server);
    this.closes = () => close.mock.callCount();
    t.after(() => this.stopAccepting());
  }

  start(timeoutMs: number): Promise<void> {
    return this.connections.drain(this.#server, timeoutMs);
  }

  /** One client after the other connects, and leaves at once. */
  accept(): void {
    if (!this.#isAccepting) return;
    addTo(this.connections).destroy();
    setImmediate(() => this.accept());
  }

  stopAccepting(): void {
    this.#isAccepting = false;
  }
}

async function someTurns(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await nextTurn();
}

describe("draining accepts the connections that wait", () => {
  test("as long as there are any", async (t) => {
    const drain = new Drain(t);
    drain.accept();
    const drained = drain.start(1000);
    assert.equal(drain.connections.isDraining, true);
    await someTurns();
    assert.equal(drain.closes(), 0);
    drain.stopAccepting();
    await drained;
    assert.equal(drain.closes(), 1);
  });

  test("for half of the time at most", async (t) => {
    const drain = new Drain(t);
    drain.accept();
    const drained = drain.start(1000);
    drain.now += 499;
    await someTurns();
    assert.equal(drain.closes(), 0);
    drain.now += 1;
    await drained;
    assert.equal(drain.closes(), 1);
  });

  test("but does not wait for any", async (t) => {
    const drain = new Drain(t);
    await drain.start(1000);
    assert.equal(drain.closes(), 1);
  });
});
