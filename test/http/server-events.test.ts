import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, test } from "node:test";

import type { Connection } from "../../src/http/connection.ts";
import type { RequestRecord } from "../../src/http/exchange.ts";
import { createService, type Service } from "../../src/http/server.ts";
import { FakePending, FakeSocket } from "../support/fake-connection.ts";
import { request } from "../support/client.ts";
import { lines } from "../support/requests.ts";
import { echo, LIMITS, serveFor } from "../support/server.ts";

/** What a client may still send after its last response, in bytes. */
const LINGER_BYTES = 3_145_728;

/** A service that does not listen, with a connection whose events a test makes. */
class Silent {
  readonly records: RequestRecord[] = [];
  readonly service: Service = createService([echo], LIMITS, {
    response: (record) => this.records.push(record),
    error: () => assert.fail(),
  });
  readonly socket: FakeSocket = new FakeSocket();
  readonly connection: Connection;

  constructor() {
    this.service.connections.add(this.socket as unknown as Socket);
    this.connection = this.service.connections.get(this.socket as unknown as Socket) as Connection;
  }

  /** node:http can't make a request of some bytes. */
  fail(members: object, socket: FakeSocket = this.socket): void {
    const error = Object.assign(new Error("x"), members);
    this.service.server.emit("clientError", error, socket as unknown as Socket);
  }
}

test("a service counts one field more than it allows, and limits its connections", () => {
  const { server } = new Silent().service;
  assert.deepEqual([server.maxHeadersCount, server.maxConnections], [101, LIMITS.maxConnections]);
});

test("a request without Host gets the service's own response, not node:http's", async (t) => {
  const { port } = await serveFor(t, [echo]);
  const { body } = await request(port, lines("GET / HTTP/1.1"));
  assert.match(body, /^\{"detail":"Bad Request: exactly one valid Host /);
});

test("a service sweeps its connections every second until it is closed", (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const { server, connections } = new Silent().service;
  const sweep = t.mock.method(connections, "sweep", () => 0);
  t.mock.timers.tick(999);
  assert.equal(sweep.mock.callCount(), 0);
  t.mock.timers.tick(1);
  const [call] = sweep.mock.calls;
  assert.deepEqual(call?.arguments, [LIMITS.keepAliveTimeoutMs]);
  server.emit("close");
  t.mock.timers.tick(10_000);
  assert.equal(sweep.mock.callCount(), 1);
});

test("a TLS socket takes the place of the one below it", () => {
  const { service, socket } = new Silent();
  const secure = Object.assign(new FakeSocket(), { _parent: socket });
  service.server.emit("secureConnection", secure);
  assert.equal(service.connections.count, 1);
  assert.notEqual(service.connections.get(secure as unknown as Socket), undefined);
});

describe("CONNECT", () => {
  const duplex = (): EventEmitter => Object.assign(new EventEmitter(), { resume: () => {} });

  test("gets 400, and errors of its socket are nobody's problem", (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const { service, socket, records } = new Silent();
    const other = duplex();
    service.server.emit("connect", { socket }, other);
    assert.match(socket.written.join(), /^HTTP\/1\.1 400 /);
    for (const emitter of [socket, other]) emitter.emit("error", new Error("reset"));
    const [{ requestId, ...record } = {}] = records as Partial<RequestRecord>[];
    assert.deepEqual(record, { remote: "127.0.0.1", status: 400, durationMs: 0 });
  });

  test("on a socket that has closed gets nothing", () => {
    const { service } = new Silent();
    const closed = new FakeSocket();
    service.server.emit("connect", { socket: closed }, duplex());
    assert.deepEqual([closed.destroyed, closed.written], [true, []]);
  });
});

describe("bytes that node:http rejects", () => {
  test("are held back as a whole if the parser does not tell how far it got", async () => {
    const silent = new Silent();
    for (let count = 0; count < 4; count += 1) silent.connection.add(new FakePending());
    assert.equal(silent.connection.mustStop(), true);
    silent.fail({ code: "HPE_PAUSED", rawPacket: Buffer.from("abc") });
    await nextTurn();
    assert.deepEqual(silent.socket.parsed, ["abc"]);
  });

  test("get no response if the socket has failed, was reset or is not known", () => {
    const unknown = new FakeSocket();
    new Silent().fail({ code: "HPE_INVALID_METHOD" }, unknown);
    const failed = new Silent();
    failed.fail({ code: "EPIPE" });
    const reset = new Silent();
    Object.assign(reset.socket, { _handle: { getpeername: () => -107 } });
    reset.fail({ code: "HPE_INVALID_METHOD" });
    for (const { destroyed, written } of [unknown, failed.socket, reset.socket]) {
      assert.deepEqual([destroyed, written], [true, []]);
    }
  });

  test("behind the last request are read up to the limit", (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const silent = new Silent();
    const { socket, connection } = silent;
    connection.closeAfterResponse();
    socket.destroySoon();
    socket.bytesRead = LINGER_BYTES;
    silent.fail({ code: "HPE_CLOSED_CONNECTION" });
    assert.equal(socket.isPaused, false);
    socket.bytesRead += 1;
    silent.fail({ code: "HPE_CLOSED_CONNECTION" });
    assert.deepEqual([socket.isPaused, socket.written], [true, []]);
  });

  test("within the body of a request that has its response close the connection", () => {
    const silent = new Silent();
    const pending = new FakePending();
    pending.request.complete = false;
    pending.hasEnded = true;
    silent.connection.add(pending);
    silent.fail({ code: "HPE_INVALID_CHUNK_SIZE" });
    assert.deepEqual([silent.socket.destroyed, silent.socket.written], [true, []]);
  });
});
