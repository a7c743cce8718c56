import assert from "node:assert/strict";
import { test } from "node:test";

import {
  array,
  boolean,
  integer,
  literal,
  type Model,
  nullable,
  object,
  optional,
  string,
  union,
} from "../../src/models/model.ts";
import { Problems } from "../../src/models/problems.ts";

test("the message of a literal names its values as pydantic does", () => {
  const cases: readonly (readonly [model: Model<unknown>, words: string])[] = [
    [literal(), ""],
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

test("a model says which texts of a repeated parameter it takes", () => {
  const item = object({ a: string() });
  const cases: readonly (readonly [model: Model<unknown>, texts: Model<unknown>["texts"]])[] = [
    [literal("a"), "last"],
    [nullable(string()), "last"],
    [optional(array(string())), "all"],
    [union(integer(), boolean()), "last"],
    [array(union(integer(), boolean())), "all"],
    [item, undefined],
    [array(item), undefined],
    [array(array(string())), undefined],
    [union(integer(), item), undefined],
    [union(integer(), array(integer())), undefined],
  ];
  for (const [model, texts] of cases) assert.equal(model.texts, texts);
});
