import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";

import { type Hashed, KeyIndex } from "../../src/auth/key-index.ts";
import { countCalls } from "../support/crypto-calls.ts";

/** Entries with the hashes of these texts. */
function entriesOf(...texts: readonly string[]): Hashed[] {
  return texts.map((text) => ({ hash: sha256(text) }));
}

function sha256(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}

/** 32 bytes of `value`, but for one. */
function bytesOf(value: number, position: number, other: number): Uint8Array {
  const bytes = new Uint8Array(32).fill(value);
  bytes[position] = other;
  return bytes;
}

function textsOf(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `key ${index}`);
}

for (const count of [0, 1, 2, 3, 64, 65, 1000]) {
  test(`each of ${count} entries is found, and nothing else`, () => {
    const texts = textsOf(count);
    const entries = entriesOf(...texts);
    const index = new KeyIndex(entries);
    for (const [position, text] of texts.entries()) {
      assert.equal(index.find(sha256(text)), entries[position]);
    }
    for (let i = 0; i < 2000; i += 1) assert.equal(index.find(sha256(`other ${i}`)), undefined);
  });
}

test("entries are told apart by any one byte of their hashes", () => {
  const positions = Array.from({ length: 32 }, (_, position) => position);
  const hashes = positions.flatMap((position) => [
    bytesOf(0, position, 1),
    bytesOf(0xff, position, 0x7f),
  ]);
  const entries = hashes.map((hash) => ({ hash }));
  const index = new KeyIndex(entries);
  for (const [position, hash] of hashes.entries()) {
    assert.equal(index.find(hash), entries[position]);
    assert.equal(index.find(hash.with(position >> 1, 0x80)), undefined);
  }
  for (const value of [0, 0xff]) assert.equal(index.find(bytesOf(value, 0, value)), undefined);
});

test("two entries may differ in any one byte of their hashes", () => {
  const zeros = { hash: new Uint8Array(32) };
  for (let position = 0; position < 32; position += 1) {
    const other = { hash: bytesOf(0, position, 1) };
    const index = new KeyIndex([zeros, other]);
    assert.deepEqual([index.find(zeros.hash), index.find(other.hash)], [zeros, other]);
  }
});

test("of entries with the same hash, the last one counts", () => {
  const entries = entriesOf("a", "b", "a", "a");
  const index = new KeyIndex(entries);
  assert.equal(index.find(sha256("a")), entries[3]);
  assert.equal(index.find(sha256("b")), entries[1]);
});

for (const count of [0, 1, 64]) {
  test(`one of ${count} entries is found with one comparison, and so is none`, (t) => {
    const texts = textsOf(count);
    const index = new KeyIndex(entriesOf(...texts));
    const compare = countCalls(t, "timingSafeEqual");
    // Of these, some fall into a slot with an entry, and most into an empty one.
    for (const text of [...texts, ...texts.map((each) => `not ${each}`), "", "x"]) {
      index.find(sha256(text));
      assert.equal(compare(), 1, text);
    }
  });
}

test("each index has coefficients of its own", (t) => {
  const draw = countCalls(t, "randomFillSync");
  for (let i = 0; i < 5; i += 1) {
    new KeyIndex(entriesOf("a"));
    assert.equal(draw(), 1);
  }
});

test("a hash of another length is an error", () => {
  const index = new KeyIndex(entriesOf("a"));
  for (const length of [0, 31, 33]) {
    assert.throws(() => index.find(new Uint8Array(length)), RangeError);
  }
});
