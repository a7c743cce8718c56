import assert from "node:assert/strict";
import { test } from "node:test";

import { literal, type Model } from "../../src/models/model.ts";
import { Problems } from "../../src/models/problems.ts";

test("the message of a literal names its values as pydantic does", () => {
  const cases: readonly (readonly [model: Model<unknown>, words: string])[] = [
    [literal("a"), "'a'"],
    [literal("a", ""), "'a' or ''"],
    [literal("a", 1, true), "'a', 1 or true"],
  ];
  for (const [model, words] of cases) {
    const problems = new Problems();
    model.check(null, ["body"], problems);
    const [problem] = problems.list;
    assert.equal(problem?.msg, `Input should be ${words}`);
    assert.deepEqual(problem?.ctx, { expected: words });
  }
});
