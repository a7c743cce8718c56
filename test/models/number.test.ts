import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { integer, type Model, number } from "../../src/models/model.ts";
import { Problems } from "../../src/models/problems.ts";

/** Whether the model takes a value of a body. */
function takes(model: Model<number>, value: number): boolean {
  const problems = new Problems();
  model.check(value, ["body"], problems);
  return problems.isEmpty;
}

/** pydantic says the same, but where a comment says otherwise. */
const MULTIPLES: readonly (readonly [value: number, step: number, isMultiple: boolean])[] = [
  [0, 0.1, true],
  [0.3, 0.1, true],
  [0.1 + 0.2, 0.1, true],
  [-0.7, 0.1, true],
  [0.35, 0.1, false],
  [1.000_000_000_5, 1, true],
  [0.999_999_999_5, 1, true],
  [1.000_000_002, 1, false],
  [0.999_999_998, 1, false],
  [12_345.67, 0.01, true],
  [12_345.675, 0.01, false],
  [10_000_000.005, 0.01, false],
  [500_000_000, 1.5, false],
  [-98_765_432_109.87, 0.01, true],
  [98_765_432_109.875, 0.01, false],
  // Here pydantic takes rounding for a remainder.
  [123_456_789.1, 0.1, true],
];

for (const [value, step, isMultiple] of MULTIPLES) {
  test(`${value} is ${isMultiple ? "a" : "no"} multiple of ${step}`, () => {
    assert.equal(takes(number({ multipleOf: step }), value), isMultiple);
  });
}

test("multiples of an integer are exact up to the largest integer", () => {
  const largest = Number.MAX_SAFE_INTEGER;
  for (const model of [integer({ multipleOf: 7 }), number({ multipleOf: 7 })]) {
    // 2^53 - 1 leaves 3 when divided by 7.
    assert.ok(takes(model, largest - 3));
    for (const rest of [0, 1, 2, 4]) assert.ok(!takes(model, largest - rest));
  }
});

describe("the text of a number", () => {
  for (const [text, value] of [
    ["25e-2", 0.25],
    ["1E+3", 1000],
    ["-1e3", -1000],
    [".5e1", 5],
  ] as const) {
    test(`may have an exponent: ${text} is ${value}`, () => {
      const problems = new Problems();
      assert.equal(number().check(text, ["query", "a"], problems), value);
      assert.ok(problems.isEmpty);
    });
  }
});
