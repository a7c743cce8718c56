import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { describe, test } from "node:test";

import {
  isOtherVersion,
  isPausedByNode,
  isReset,
  pauseParser,
  rawSocketOf,
  resumeParser,
  stopParserIf,
  unsentBytes,
} from "../../src/http/node-internals.ts";

/** A socket with these members, which may be all that a Node has. */
function socketWith(members: object = {}): Socket {
  return Object.assign(new EventEmitter(), { writableLength: 5 }, members) as unknown as Socket;
}

/** llhttp's code to pause. */
const HPE_PAUSED = 21;

describe("a parser", () => {
  test("stops after a header section only if it must, and node:http has no other wish", () => {
    for (const [result, mustStop, expected] of [
      [0, false, 0],
      [0, true, HPE_PAUSED],
      [2, false, 2],
      [2, true, 2],
    ]) {
      const parser = { onIncoming: (): unknown => result };
      stopParserIf(socketWith({ parser }), () => Boolean(mustStop));
      assert.equal(parser.onIncoming(), expected);
    }
  });

  test("passes on the request and whether to keep the connection", () => {
    const calls: unknown[][] = [];
    const parser = {
      onIncoming: (...values: unknown[]): number => {
        calls.push(values);
        return 0;
      },
    };
    stopParserIf(socketWith({ parser }), () => true);
    parser.onIncoming("request", true);
    assert.deepEqual(calls, [["request", true]]);
  });

  test("goes on with bytes after it has been resumed", () => {
    const calls: string[] = [];
    const parser = {
      pause: () => calls.push("pause"),
      resume: () => calls.push("resume"),
    };
    const socket = socketWith({ parser });
    socket.on("data", (bytes: Buffer) => calls.push(bytes.toString()));
    pauseParser(socket);
    resumeParser(socket, Buffer.from("abc"));
    assert.deepEqual(calls, ["pause", "resume", "abc"]);
  });

  for (const members of [{}, { parser: null }, { parser: {} }]) {
    test(`is left alone if a socket has ${JSON.stringify(members)}`, () => {
      const before = structuredClone(members);
      stopParserIf(socketWith(members), () => true);
      assert.deepEqual(members, before);
    });
  }

  test("that is gone is neither paused nor resumed", () => {
    for (const members of [{}, { parser: null }]) {
      const socket = socketWith(members);
      let bytes: unknown;
      socket.on("data", (chunk) => (bytes = chunk));
      pauseParser(socket);
      resumeParser(socket, Buffer.from("abc"));
      assert.deepEqual(bytes, Buffer.from("abc"));
    }
  });
});

test("only llhttp's words tell another version from bytes that are none", () => {
  const errorWith = (reason?: string): Error => Object.assign(new Error("x"), { reason });
  assert.equal(isOtherVersion(errorWith("Invalid HTTP version")), true);
  assert.equal(isOtherVersion(errorWith("Expected HTTP/")), false);
  assert.equal(isOtherVersion(errorWith()), false);
});

test("a socket is paused by node:http only if that says so", () => {
  assert.equal(isPausedByNode(socketWith({ _paused: true })), true);
  assert.equal(isPausedByNode(socketWith({ _paused: false })), false);
  assert.equal(isPausedByNode(socketWith()), false);
});

test("unsent bytes are those that wait in Node and in the kernel's queue, with TLS or not", () => {
  assert.equal(unsentBytes(socketWith()), 5);
  assert.equal(unsentBytes(socketWith({ _handle: null })), 5);
  assert.equal(unsentBytes(socketWith({ _handle: {} })), 5);
  assert.equal(unsentBytes(socketWith({ _handle: { writeQueueSize: 20 } })), 25);
  const tls = { writeQueueSize: 20, _parent: { writeQueueSize: 300 } };
  assert.equal(unsentBytes(socketWith({ _handle: tls })), 325);
  assert.equal(unsentBytes(socketWith({ _handle: { _parent: {} } })), 5);
});

test("a TLS socket has the one that it was made of", () => {
  const raw = socketWith();
  assert.equal(rawSocketOf(socketWith({ _parent: raw })), raw);
  assert.equal(rawSocketOf(raw), undefined);
});

test("a socket is reset if the kernel knows no peer", () => {
  assert.equal(isReset(socketWith({ _handle: { getpeername: () => -107 } })), true);
  assert.equal(isReset(socketWith({ _handle: { getpeername: () => 0 } })), false);
  assert.equal(isReset(socketWith({ _handle: {} })), false);
  assert.equal(isReset(socketWith({ _handle: null })), false);
  assert.equal(isReset(socketWith()), false);
});
