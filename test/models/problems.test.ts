import assert from "node:assert/strict";
import { test } from "node:test";

import { Problems } from "../../src/models/problems.ts";

const SIZES: readonly (readonly [string, unknown, boolean])[] = [
  ["text of 1,024 bytes as JSON", "a".repeat(1022), true],
  ["text of 1,025 bytes as JSON", "a".repeat(1023), false],
  ["text whose quotes make it 1,024 bytes", '"'.repeat(511), true],
  ["text whose quotes make it 1,026 bytes", '"'.repeat(512), false],
  ["letters of two bytes that come to 1,024", "é".repeat(511), true],
  ["letters of two bytes that come to 1,026", "é".repeat(512), false],
  ["a list of 1,024 bytes", ["a".repeat(1020)], true],
  ["a list of 1,025 bytes", ["a".repeat(1021)], false],
  ["half surrogate pairs that come to 1,022 bytes", "\ud800".repeat(170), true],
  ["half surrogate pairs that come to 1,028 bytes", "\udc00".repeat(171), false],
  ["null", null, true],
  ["a number too large for JSON", Infinity, true],
];

for (const [name, input, isShown] of SIZES) {
  test(`${name} ${isShown ? "is shown" : "is left out"}`, () => {
    const problems = new Problems();
    problems.add({ type: "t", msg: "m" }, input, ["body"]);
    const others = { type: "t", loc: ["body"], msg: "m" };
    assert.deepEqual(problems.list, [isShown ? { ...others, input } : others]);
  });
}

const KIND = { type: "t", msg: "m" };

test("at most 100 problems are kept, and all are counted", () => {
  const problems = new Problems();
  assert.deepEqual([problems.count, problems.isEmpty, problems.isFull], [0, true, false]);
  for (let index = 0; index < 150; index += 1) {
    assert.equal(problems.isFull, index >= 100);
    problems.add(KIND, index, ["body", index]);
  }
  assert.deepEqual([problems.count, problems.isEmpty, problems.isFull], [150, false, true]);
  assert.deepEqual(
    problems.list.map(({ input }) => input),
    Array.from({ length: 100 }, (_, index) => index),
  );
});

test("without room, problems are only counted", () => {
  const problems = new Problems(0);
  assert.ok(!problems.isFull);
  problems.add(KIND, 1, ["body"]);
  assert.deepEqual([problems.isEmpty, problems.isFull, problems.list], [false, true, []]);
});

test("a problem has its members in pydantic's order, and keeps its location", () => {
  const location = ["body", "a"];
  const problems = new Problems();
  problems.add({ ctx: { le: 1 }, msg: "m", type: "t" }, 2, location);
  location.pop();
  assert.equal(
    JSON.stringify(problems.list),
    '[{"type":"t","loc":["body","a"],"msg":"m","input":2,"ctx":{"le":1}}]',
  );
});

/** Items that count how often one of them is written. */
function countedItems(length: number): { items: object[]; reads: () => number } {
  let reads = 0;
  const item = {
    toJSON: () => {
      reads += 1;
      return 1;
    },
  };
  return { items: Array.from({ length }, () => item), reads: () => reads };
}

test("of an input that is too large to be shown, only the beginning is looked at", () => {
  const { items, reads } = countedItems(100_000);
  const problems = new Problems();
  problems.add(KIND, items, ["body"]);
  assert.deepEqual(Object.keys(problems.list[0] ?? {}), ["type", "loc", "msg"]);
  assert.ok(reads() <= 1024, `${reads()}`);
});

test("a text counts as its characters: what comes after a long one is not looked at", () => {
  const { items, reads } = countedItems(1);
  const problems = new Problems();
  problems.add(KIND, ["a".repeat(1025), ...items], ["body"]);
  assert.deepEqual(Object.keys(problems.list[0] ?? {}), ["type", "loc", "msg"]);
  assert.equal(reads(), 0);
});

test("an input of several problems is looked at once", () => {
  const { items, reads } = countedItems(100_000);
  const once = new Problems();
  once.add(KIND, items, ["body"]);
  assert.equal(once.list.length, 1);
  const readsOfOne = reads();
  const problems = new Problems();
  for (let index = 0; index < 100; index += 1) problems.add(KIND, items, ["body", index]);
  assert.equal(problems.list.length, 100);
  assert.equal(reads(), 2 * readsOfOne);
});
