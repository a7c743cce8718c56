import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";

import type { SweepPolicy } from "../../src/http/connection.ts";
import {
  connect,
  FakePending,
  type Fakes,
  type FakeSocket,
  largeBudget,
  POLICY,
} from "../support/fake-connection.ts";

/** When all connections are made: the clock stands still. Differences of integers are exact. */
const START = 1000;

/** A connection with some open requests. */
function connectAtStart(t: TestContext, requests: number): Fakes {
  t.mock.method(performance, "now", () => START);
  return connect(largeBudget(), requests);
}

test("an idle connection stays for its time while draining, but not past the deadline", (t) => {
  const idleMs = 1_000_000;
  for (const isDraining of [false, true]) {
    const { socket, connection } = connectAtStart(t, 0);
    const now = START;
    assert.equal(connection.sweep(now, { ...POLICY, idleMs, isDraining }), true);
    const policy = { ...POLICY, idleMs, isDraining, isPastDeadline: true };
    assert.equal(connection.sweep(now, policy), false);
    assert.equal(socket.destroyed, true);
  }
});

test("while draining, a connection may be idle for longer before its first request", (t) => {
  for (const [bytesWritten, idleMs, limitMs] of [
    [1, 50, 50],
    [0, 50, 500],
    [0, 600, 600],
  ] as const) {
    const { socket, connection } = connectAtStart(t, 0);
    socket.bytesWritten = bytesWritten;
    const policy = { ...POLICY, idleMs, isDraining: true };
    assert.equal(connection.sweep(START + limitMs - 1, policy), true);
    assert.equal(connection.sweep(START + limitMs, policy), false);
    assert.equal(socket.destroyed, true);
  }
});

test("a connection that closes after its last response is left alone by the sweep", (t) => {
  const { socket, connection } = connectAtStart(t, 0);
  connection.closeAfterResponse();
  const policy = { ...POLICY, isDraining: true, isPastDeadline: true };
  assert.equal(connection.sweep(START + 1_000_000, policy), false);
  assert.equal(socket.destroyed, false);
});

test("a connection is idle from the last sweep that found a response due", (t) => {
  const { connection, pendings } = connectAtStart(t, 1);
  const policy = { ...POLICY, idleMs: 100 };
  assert.equal(connection.sweep(START + 1000, policy), true);
  pendings[0]?.finish();
  assert.equal(connection.sweep(START + 1099, policy), true);
  assert.equal(connection.sweep(START + 1100, policy), false);
});

test("a sweep forgets requests that have their responses", (t) => {
  const { connection, pendings } = connectAtStart(t, 4);
  for (const pending of pendings) pending.finish();
  assert.equal(connection.sweep(START, { ...POLICY, idleMs: 100 }), true);
  assert.equal(connection.isLatest(pendings[3] as FakePending), false);
});

describe("a client that has reset its connection", () => {
  /** The kernel knows of no peer: node:http may not have noticed. */
  const reset = (socket: FakeSocket): unknown =>
    Object.assign(socket, { _handle: { getpeername: () => -107 } });

  test("is gone, if nothing is read from it", (t) => {
    const { socket, connection } = connectAtStart(t, 8);
    connection.holdBack(Buffer.from("abc"), 0);
    assert.equal(connection.sweep(START, POLICY), true);
    reset(socket);
    assert.equal(connection.sweep(START, POLICY), false);
    assert.equal(socket.destroyed, true);
  });

  test("is left to node:http while its bytes are read", (t) => {
    const { socket, connection } = connectAtStart(t, 1);
    reset(socket);
    assert.equal(connection.sweep(START, POLICY), true);
    assert.equal(socket.destroyed, false);
  });
});

describe("a client that does not read", () => {
  const policy: SweepPolicy = { ...POLICY, idleMs: 1_000_000, writeTimeoutMs: 1000 };

  /** Sweeps while bytes wait to be sent, after as many ms. */
  function sweep({ connection }: Fakes, ms: number): boolean {
    return connection.sweep(START + ms, policy);
  }

  for (const bytes of [1, 2, 100_000]) {
    test(`is closed after its time with ${bytes} unsent bytes`, (t) => {
      const fakes = connectAtStart(t, 0);
      fakes.socket.writableLength = bytes;
      assert.equal(sweep(fakes, 500), true);
      assert.equal(sweep(fakes, 1499), true);
      assert.equal(sweep(fakes, 1500), false);
      assert.equal(fakes.socket.destroyed, true);
    });
  }

  test("has its time again whenever it has read some", (t) => {
    const fakes = connectAtStart(t, 0);
    const { socket } = fakes;
    socket.writableLength = 3000;
    sweep(fakes, 0);
    socket.writableLength = 2000;
    assert.equal(sweep(fakes, 999), true);
    assert.equal(sweep(fakes, 1998), true);
    assert.equal(sweep(fakes, 1999), false);
  });

  test("has its time again if it has read all in between", (t) => {
    for (const bytes of [1, 1000]) {
      const fakes = connectAtStart(t, 0);
      const { socket } = fakes;
      socket.writableLength = bytes;
      sweep(fakes, 0);
      socket.writableLength = 0;
      sweep(fakes, 900);
      socket.writableLength = bytes;
      assert.equal(sweep(fakes, 1800), true);
      assert.equal(sweep(fakes, 2799), true);
      assert.equal(sweep(fakes, 2800), false);
    }
  });

  test("is not one that has read all, however long ago", (t) => {
    const fakes = connectAtStart(t, 0);
    fakes.socket.writableLength = 5;
    sweep(fakes, 0);
    fakes.socket.writableLength = 0;
    assert.equal(sweep(fakes, 10), true);
    assert.equal(sweep(fakes, 5000), true);
  });

  test("is not idle, and becomes so when it has read all", (t) => {
    const { socket, connection } = connectAtStart(t, 0);
    const idlePolicy = { ...POLICY, idleMs: 10, writeTimeoutMs: 1_000_000 };
    socket.writableLength = 1;
    assert.equal(connection.sweep(START + 1000, idlePolicy), true);
    socket.writableLength = 0;
    assert.equal(connection.sweep(START + 1009, idlePolicy), true);
    assert.equal(connection.sweep(START + 1010, idlePolicy), false);
  });
});
