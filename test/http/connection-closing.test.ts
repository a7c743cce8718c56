import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { describe, test, type TestContext } from "node:test";

import { MemoryBudget } from "../../src/http/budget.ts";
import { Connection } from "../../src/http/connection.ts";
import { Turns } from "../../src/http/turns.ts";
import {
  connect,
  FakePending,
  type Fakes,
  FakeSocket,
  largeBudget,
} from "../support/fake-connection.ts";

test("a connection knows its peer's address, and whether it uses TLS", () => {
  for (const isEncrypted of [false, true]) {
    const socket = new FakeSocket();
    if (isEncrypted) Object.assign(socket, { encrypted: true });
    const connection = new Connection(socket as unknown as Socket, largeBudget(), new Turns());
    assert.equal(connection.remoteAddress, "127.0.0.1");
    assert.equal(connection.isEncrypted, isEncrypted);
  }
});

test("a connection receives the latest request until that is complete", () => {
  const { connection, pendings } = connect(largeBudget(), 2);
  const [first, second] = pendings as [FakePending, FakePending];
  assert.equal(connection.receiving, undefined);
  second.request.complete = false;
  assert.equal(connection.receiving, second);
  first.request.complete = false;
  second.request.complete = true;
  assert.equal(connection.receiving, undefined);
});

test("a connection that closes abandons only what has no response yet", () => {
  const budget = new MemoryBudget(8192);
  const { connection, pendings } = connect(budget, 2);
  const [first, second] = pendings as [FakePending, FakePending];
  first.hasEnded = true;
  connection.close();
  assert.deepEqual([first.isAbandoned, second.isAbandoned], [false, true]);
  assert.equal(budget.has(8192), true);
});

describe("the last response of a connection", () => {
  test("is written at once if no other is due, and then the write side closes", () => {
    for (const requests of [0, 1]) {
      const { socket, connection, pendings } = connect(largeBudget(), requests);
      pendings[0]?.finish();
      connection.writeLast("last");
      assert.deepEqual([socket.written, socket.hasEnded], [["last"], true]);
      assert.deepEqual([connection.isClosing, socket.destroyed], [true, false]);
      socket.destroy();
    }
  });

  test("is written after the latest one that is due", () => {
    const { socket, connection, pendings } = connect(largeBudget(), 2);
    connection.writeLast("last");
    assert.deepEqual([socket.written, socket.hasEnded], [[], false]);
    pendings[0]?.finish(connection);
    assert.deepEqual(socket.written, []);
    pendings[1]?.finish(connection);
    assert.deepEqual([socket.written, socket.hasEnded], [["last"], true]);
    socket.destroy();
  });

  test("is not written to a client that no longer reads", () => {
    const { socket, connection } = connect(largeBudget(), 0);
    socket.writable = false;
    connection.writeLast("last");
    assert.deepEqual(socket.written, []);
    socket.destroy();
  });
});

/** What a client may still send that lingers, in bytes. */
const LINGER_BYTES = 3_145_728;

/** A connection that lingers, under a clock that stands still. */
function linger(t: TestContext, requests = 0): Fakes {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const fakes = connect(largeBudget(), requests);
  fakes.socket.bytesRead = 1000;
  fakes.connection.closeAfterResponse();
  fakes.socket.destroySoon();
  return fakes;
}

describe("a connection that lingers after its last response", () => {
  test("is not destroyed by node:http: it closes its write side, and 2 s later all", (t) => {
    const { socket } = linger(t);
    assert.deepEqual([socket.hasEnded, socket.destroyed], [true, false]);
    t.mock.timers.tick(1999);
    assert.equal(socket.destroyed, false);
    t.mock.timers.tick(1);
    assert.equal(socket.destroyed, true);
  });

  test("is left alone if it closes before", (t) => {
    const { socket } = linger(t);
    socket.destroy();
    t.mock.timers.tick(10_000);
    assert.equal(socket.destroyCalls, 1);
  });

  test("reads another 3 MiB, and no more", (t) => {
    const { socket, connection, pendings } = linger(t, 3);
    const { request } = pendings[2] as FakePending;
    socket.bytesRead += LINGER_BYTES;
    connection.stopReadingAtLimit();
    assert.deepEqual([request.isPaused(), socket.isPaused], [false, false]);
    socket.bytesRead += 1;
    connection.stopReadingAtLimit();
    assert.deepEqual([request.isPaused(), socket.isPaused], [true, true]);
  });

  test("reads no more than that of a body that no one needs, either", (t) => {
    const { socket, connection, pendings } = linger(t, 1);
    const [{ request }] = pendings as [FakePending];
    connection.discard(request);
    socket.bytesRead += LINGER_BYTES + 1;
    request.emit("data", Buffer.from("a"));
    assert.equal(socket.isPaused, true);
  });

  test("reads without a limit until then", () => {
    const { socket, connection } = connect(largeBudget(), 0);
    connection.closeAfterResponse();
    socket.bytesRead = 1_000_000_000;
    connection.holdBack(Buffer.from("abc"), 0);
    assert.equal(socket.isPaused, false);
  });

  test("stops at the limit in bytes that the parser does not take, too", (t) => {
    const { socket, connection } = linger(t);
    socket.bytesRead += LINGER_BYTES + 1;
    connection.holdBack(Buffer.from("abc"), 0);
    assert.equal(socket.isPaused, true);
  });

  for (const isPausedByNode of [false, true]) {
    test(`drops what it held back; node:http ${isPausedByNode ? "waits" : "reads on"}`, (t) => {
      t.mock.timers.enable({ apis: ["setTimeout"] });
      const budget = new MemoryBudget(10);
      const { socket, connection } = connect(budget, 1);
      connection.holdBack(Buffer.from("0123456789"), 0);
      assert.deepEqual([socket.isPaused, budget.has(1)], [true, false]);
      Object.assign(socket, { _paused: isPausedByNode });
      connection.closeAfterResponse();
      socket.destroySoon();
      assert.deepEqual([socket.isPaused, budget.has(10)], [isPausedByNode, true]);
      assert.deepEqual(socket.parsed, []);
      // Its own resume() is back.
      socket.resume();
      assert.equal(socket.isPaused, false);
    });
  }
});
