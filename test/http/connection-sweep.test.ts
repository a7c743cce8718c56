import assert from "node:assert/strict";
import { describe, test } from "node:test";

import type { Connection, SweepPolicy } from "../../src/http/connection.ts";
import {
  connect,
  FakePending,
  type FakeSocket,
  largeBudget,
  POLICY,
} from "../support/fake-connection.ts";

test("an idle connection stays for its time while draining, but not past the deadline", () => {
  const idleMs = 1_000_000;
  for (const isDraining of [false, true]) {
    const { socket, connection } = connect(largeBudget(), 0);
    const now = performance.now();
    assert.equal(connection.sweep(now, { ...POLICY, idleMs, isDraining }), true);
    const policy = { ...POLICY, idleMs, isDraining, isPastDeadline: true };
    assert.equal(connection.sweep(now, policy), false);
    assert.equal(socket.destroyed, true);
  }
});

test("while draining, a connection may be idle for longer before its first request", () => {
  for (const [bytesWritten, idleMs, limitMs] of [
    [1, 50, 50],
    [0, 50, 500],
    [0, 600, 600],
  ] as const) {
    const { socket, connection } = connect(largeBudget(), 0);
    socket.bytesWritten = bytesWritten;
    const policy = { ...POLICY, idleMs, isDraining: true };
    const start = performance.now();
    assert.equal(connection.sweep(start + limitMs - 1, policy), true);
    // It was made before the test read the clock.
    assert.equal(connection.sweep(start + limitMs, policy), false);
    assert.equal(socket.destroyed, true);
  }
});

test("a connection that closes after its last response is left alone by the sweep", () => {
  const { socket, connection } = connect(largeBudget(), 0);
  connection.closeAfterResponse();
  const policy = { ...POLICY, isDraining: true, isPastDeadline: true };
  assert.equal(connection.sweep(performance.now() + 1_000_000, policy), false);
  assert.equal(socket.destroyed, false);
});

test("a connection is idle from the last sweep that found a response due", () => {
  const { connection, pendings } = connect(largeBudget(), 1);
  const policy = { ...POLICY, idleMs: 100 };
  const start = performance.now();
  assert.equal(connection.sweep(start + 1000, policy), true);
  pendings[0]?.finish();
  assert.equal(connection.sweep(start + 1099, policy), true);
  assert.equal(connection.sweep(start + 1100, policy), false);
});

test("a sweep forgets requests that have their responses", () => {
  const { connection, pendings } = connect(largeBudget(), 4);
  for (const pending of pendings) pending.finish();
  assert.equal(connection.sweep(performance.now(), { ...POLICY, idleMs: 100 }), true);
  assert.equal(connection.isLatest(pendings[3] as FakePending), false);
});

describe("a client that has reset its connection", () => {
  /** The kernel knows of no peer: node:http may not have noticed. */
  const reset = (socket: FakeSocket): unknown =>
    Object.assign(socket, { _handle: { getpeername: () => -107 } });

  test("is gone, if nothing is read from it", () => {
    const { socket, connection } = connect(largeBudget(), 8);
    connection.holdBack(Buffer.from("abc"), 0);
    assert.equal(connection.sweep(performance.now(), POLICY), true);
    reset(socket);
    assert.equal(connection.sweep(performance.now(), POLICY), false);
    assert.equal(socket.destroyed, true);
  });

  test("is left to node:http while its bytes are read", () => {
    const { socket, connection } = connect(largeBudget(), 1);
    reset(socket);
    assert.equal(connection.sweep(performance.now(), POLICY), true);
    assert.equal(socket.destroyed, false);
  });
});

describe("a client that does not read", () => {
  const policy: SweepPolicy = { ...POLICY, idleMs: 1_000_000, writeTimeoutMs: 1000 };
  const start = performance.now();

  /** Sweeps while bytes wait to be sent, after as many ms. */
  function sweep({ connection }: { readonly connection: Connection }, ms: number): boolean {
    return connection.sweep(start + ms, policy);
  }

  for (const bytes of [1, 2, 100_000]) {
    test(`is closed after its time with ${bytes} unsent bytes`, () => {
      const fakes = connect(largeBudget(), 0);
      fakes.socket.writableLength = bytes;
      assert.equal(sweep(fakes, 500), true);
      assert.equal(sweep(fakes, 1499), true);
      assert.equal(sweep(fakes, 1500), false);
      assert.equal(fakes.socket.destroyed, true);
    });
  }

  test("has its time again whenever it has read some", () => {
    const fakes = connect(largeBudget(), 0);
    const { socket } = fakes;
    socket.writableLength = 3000;
    sweep(fakes, 0);
    socket.writableLength = 2000;
    assert.equal(sweep(fakes, 999), true);
    assert.equal(sweep(fakes, 1998), true);
    assert.equal(sweep(fakes, 1999), false);
  });

  test("has its time again if it has read all in between", () => {
    for (const bytes of [1, 1000]) {
      const fakes = connect(largeBudget(), 0);
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

  test("is not idle, and becomes so when it has read all", () => {
    const { socket, connection } = connect(largeBudget(), 0);
    const idlePolicy = { ...POLICY, idleMs: 10, writeTimeoutMs: 1_000_000 };
    socket.writableLength = 1;
    assert.equal(connection.sweep(start + 1000, idlePolicy), true);
    socket.writableLength = 0;
    assert.equal(connection.sweep(start + 1009, idlePolicy), true);
    assert.equal(connection.sweep(start + 1010, idlePolicy), false);
  });
});
