import assert from "node:assert/strict";
import { test } from "node:test";

import { Problems } from "../../src/http/problems.ts";

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
