import assert from "node:assert/strict";
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, test } from "node:test";

import { MemoryBudget } from "../../src/http/budget.ts";
import type { Connection } from "../../src/http/connection.ts";
import {
  connect,
  FakePending,
  type Fakes,
  largeBudget,
  POLICY,
} from "../support/fake-connection.ts";

/** How many requests may be open at once. */
const MAX_OPEN = 64;

/** A connection with as many open requests as may be, which holds back these bytes. */
function holdBack(text: string): Fakes {
  const fakes = connect(largeBudget(), MAX_OPEN);
  stopWithin(fakes.connection, Buffer.from(text), 0);
  return fakes;
}

/** The parser is told to stop, and does so at `bytesParsed` in the bytes. */
function stopWithin(connection: Connection, bytes: Buffer, bytesParsed: number): void {
  assert.equal(connection.mustStop(), true);
  connection.holdBack(bytes, bytesParsed);
}

describe("bytes that are held back behind 64 requests", () => {
  test("are read on when the request before the latest has its response", () => {
    const { socket, connection, pendings } = connect(largeBudget(), MAX_OPEN);
    stopWithin(connection, Buffer.from("abc"), 1);
    assert.equal(socket.isPaused, true);
    for (const pending of pendings.filter((_, index) => index !== MAX_OPEN - 2)) pending.close();
    assert.deepEqual(socket.parsed, []);
    pendings.at(-2)?.close();
    assert.deepEqual([socket.parsed, socket.isPaused], [["bc"], false]);
  });

  test("are read on in their order with those read before the pause took effect", () => {
    const { socket, connection, pendings } = holdBack("abc");
    // Where it has stopped in the bytes before says nothing about these.
    connection.holdBack(Buffer.from("def"), 1);
    connection.holdBack(Buffer.from("g"), 1);
    pendings.at(-2)?.close();
    assert.deepEqual(socket.parsed, ["abcdefg"]);
  });

  test("may be held back again, and then nothing has resumed the socket", () => {
    const { socket, connection, pendings } = holdBack("abc");
    let isPausedWhileParsing = false;
    socket.once("data", (bytes: Buffer) => {
      // As node:http does when a request has its response.
      socket.resume();
      isPausedWhileParsing = socket.isPaused;
      stopWithin(connection, bytes, 1);
    });
    pendings.at(-2)?.close();
    assert.deepEqual([socket.parsed, socket.isPaused], [["abc"], true]);
    assert.equal(isPausedWhileParsing, true);
    pendings.at(-2)?.close();
    assert.deepEqual([socket.parsed, socket.isPaused], [["abc", "bc"], false]);
  });

  test("are not overtaken: no one else can resume the socket", () => {
    const { socket, pendings } = holdBack("abc");
    socket.resume();
    assert.equal(socket.isPaused, true);
    pendings.at(-2)?.close();
    assert.equal(socket.isPaused, false);
    socket.pause();
    socket.resume();
    assert.equal(socket.isPaused, false);
  });

  test("wait while node:http waits for the client to read", async () => {
    const { socket, pendings } = holdBack("abc");
    Object.assign(socket, { _paused: true });
    pendings.at(-2)?.close();
    await nextTurn();
    assert.deepEqual([socket.parsed, socket.isPaused], [[], true]);
    Object.assign(socket, { _paused: false });
    socket.resume();
    assert.deepEqual([socket.parsed, socket.isPaused], [[], true], "node:http may be parsing");
    await nextTurn();
    assert.deepEqual([socket.parsed, socket.isPaused], [["abc"], false]);
  });

  test("are read on once, however often node:http resumes the socket", async () => {
    const { socket, connection, pendings } = holdBack("abc");
    Object.assign(socket, { _paused: true });
    pendings.at(-2)?.close();
    Object.assign(socket, { _paused: false });
    socket.resume();
    socket.resume();
    socket.once("data", (bytes: Buffer) => stopWithin(connection, bytes, 1));
    await nextTurn();
    await nextTurn();
    assert.deepEqual(socket.parsed, ["abc"]);
  });

  test("leave the socket paused if node:http begins to wait for the client", () => {
    const { socket, pendings } = holdBack("abc");
    socket.once("data", () => Object.assign(socket, { _paused: true }));
    pendings.at(-2)?.close();
    assert.deepEqual([socket.parsed, socket.isPaused], [["abc"], true]);
    Object.assign(socket, { _paused: false });
    socket.resume();
    assert.equal(socket.isPaused, false);
  });

  test("are a request that is due: the connection is not idle", () => {
    const { socket, connection, pendings } = holdBack("abc");
    for (const pending of pendings) pending.finish(connection);
    assert.equal(connection.sweep(performance.now() + 1_000_000, POLICY), true);
    assert.equal(socket.destroyed, false);
  });

  test("mean that no request is the latest", () => {
    const { connection, pendings } = connect(largeBudget(), 4);
    const [first, last] = [pendings[0], pendings[3]] as [FakePending, FakePending];
    assert.deepEqual([connection.isLatest(first), connection.isLatest(last)], [false, true]);
    stopWithin(connection, Buffer.from("abc"), 3);
    assert.equal(connection.isLatest(last), true, "none are held back");
    connection.holdBack(Buffer.from("a"), 0);
    assert.equal(connection.isLatest(last), false);
  });

  test("are ignored behind a response that closes the connection", () => {
    const { socket, connection, pendings } = holdBack("abc");
    connection.closeAfterResponse();
    pendings.at(-2)?.close();
    assert.deepEqual(socket.parsed, []);
    const other = connect(largeBudget(), MAX_OPEN);
    other.connection.closeAfterResponse();
    other.connection.holdBack(Buffer.from("abc"), 0);
    assert.equal(other.socket.isPaused, false);
  });

  test("are dropped when the socket closes", () => {
    const { socket, connection, pendings } = holdBack("abc");
    connection.close();
    pendings.at(-2)?.close();
    assert.deepEqual(socket.parsed, []);
    assert.ok(pendings.every(({ isAbandoned }) => isAbandoned));
  });
});

describe("bytes that are held back behind fewer requests", () => {
  test("are read on in the next turn", async () => {
    const { socket, connection } = connect(largeBudget(), 8);
    stopWithin(connection, Buffer.from("abc"), 1);
    assert.deepEqual([socket.parsed, socket.isPaused], [[], true]);
    await nextTurn();
    assert.deepEqual([socket.parsed, socket.isPaused], [["bc"], false]);
  });

  test("have the room of requests whose responses have been written", async () => {
    const { socket, connection, pendings } = connect(new MemoryBudget(8192 + 3), 2);
    connection.holdBack(Buffer.from("abc"), 0);
    for (const pending of pendings) pending.finish();
    socket.on("data", () => connection.add(new FakePending()));
    await nextTurn();
    assert.deepEqual([socket.parsed, socket.destroyed], [["abc"], false]);
  });

  test("are dropped when the socket closes before", async () => {
    const { socket, connection } = connect(largeBudget(), 8);
    connection.holdBack(Buffer.from("abc"), 0);
    connection.close();
    await nextTurn();
    assert.deepEqual(socket.parsed, []);
  });
});

describe("bytes that a parser which node:http has paused was not given", () => {
  for (const requests of [1, 2, MAX_OPEN - 1]) {
    test(`behind ${requests} are read on when the client reads`, async () => {
      const { socket, connection } = connect(largeBudget(), requests);
      Object.assign(socket, { _paused: true });
      connection.holdBack(Buffer.from("abc"), 1);
      connection.holdBack(Buffer.from("d"), 1);
      await nextTurn();
      assert.deepEqual([socket.parsed, socket.isPaused], [[], true]);
      Object.assign(socket, { _paused: false });
      socket.parser.isPaused = false;
      socket.resume();
      assert.equal(socket.parser.isPaused, true, "what comes next must not overtake them");
      await nextTurn();
      assert.deepEqual([socket.parsed, socket.isPaused], [["abcd"], false]);
      assert.equal(socket.parser.isPaused, false);
    });
  }
});

describe("the budget of a connection", () => {
  test("is not touched by a request that no other precedes", () => {
    const { socket, connection } = connect(new MemoryBudget(0), 1);
    assert.equal(socket.destroyed, false);
    connection.add(new FakePending());
    assert.deepEqual(
      [socket.destroyed, connection.isClosing, connection.mustStop()],
      [true, true, true],
    );
  });

  test("takes 8 KiB for each request behind another, and gives them back", () => {
    const budget = new MemoryBudget(3 * 8192);
    const { socket, connection, pendings } = connect(budget, 4);
    assert.deepEqual([socket.destroyed, budget.has(1)], [false, false]);
    pendings[0]?.finish(connection);
    assert.deepEqual([budget.has(8192), budget.has(8193)], [true, false]);
    pendings[2]?.finish(connection);
    assert.equal(budget.has(8193), false, "a response waits for the one before");
    pendings[1]?.finish(connection);
    assert.equal(budget.has(3 * 8192), true);
    connection.close();
    assert.deepEqual([budget.has(3 * 8192), budget.has(3 * 8192 + 1)], [true, false]);
  });

  test("counts bytes that are held back, until they are read", async () => {
    const budget = new MemoryBudget(8192 + 10);
    const { socket, connection } = connect(budget, 2);
    connection.holdBack(Buffer.from("0123456789"), 3);
    assert.deepEqual([socket.destroyed, budget.has(1)], [false, false]);
    await nextTurn();
    assert.deepEqual([budget.has(10), budget.has(11)], [true, false]);
    connection.holdBack(Buffer.from("0123456789a"), 0);
    assert.equal(socket.destroyed, true);
  });

  test("is no matter to a connection that gives some back while another has overdrawn", () => {
    const budget = new MemoryBudget(2 * 8192);
    const { socket, connection, pendings } = connect(budget, 2);
    const other = connect(budget, 4);
    assert.equal(other.socket.destroyed, true);
    pendings[0]?.finish(connection);
    assert.equal(socket.destroyed, false);
    other.connection.close();
    assert.equal(budget.has(2 * 8192), true);
  });

  test("is no matter to one that takes nothing, or gives back a single byte, either", async () => {
    const budget = new MemoryBudget(1);
    const { socket, connection } = connect(budget, 1);
    connection.holdBack(Buffer.from("a"), 0);
    assert.equal(connect(budget, 2).socket.destroyed, true);
    assert.equal(connect(budget, 1).socket.destroyed, false);
    await nextTurn();
    assert.deepEqual([socket.parsed, socket.destroyed], [["a"], false]);
  });
});

test("a connection forgets requests in their order, when they are complete and written", () => {
  const { connection, pendings } = connect(largeBudget(), MAX_OPEN);
  assert.equal(connection.mustStop(), true);
  pendings[1]?.finish(connection);
  assert.equal(connection.mustStop(), true);
  const [first] = pendings as [FakePending];
  first.hasEnded = true;
  assert.equal(connection.mustStop(), true, "its response is not written yet");
  first.finish();
  Object.assign(first.request, { complete: false });
  assert.equal(connection.mustStop(), true, "its body is still arriving");
  Object.assign(first.request, { complete: true });
  assert.equal(connection.mustStop(), false);
  connection.add(new FakePending());
  assert.equal(connection.mustStop(), false);
  connection.add(new FakePending());
  assert.equal(connection.mustStop(), true);
});

test("the parser must stop behind each fourth request, but not before a last one's body", () => {
  const { socket, connection } = connect(largeBudget(), 0);
  const stops: number[] = [];
  for (let count = 1; count <= MAX_OPEN; count += 1) {
    connection.add(new FakePending());
    if (connection.mustStop()) stops.push(count);
  }
  assert.deepEqual(
    stops,
    Array.from({ length: 16 }, (_, index) => 4 * (index + 1)),
  );
  connection.closeAfterResponse();
  assert.equal(connection.mustStop(), false);
  socket.destroy();
  assert.equal(connection.mustStop(), true);
});
