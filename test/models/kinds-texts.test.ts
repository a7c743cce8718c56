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

test("a model says which texts of a repeated parameter it takes", () => {
  const item = object({ a: string() });
  const cases: readonly (readonly [model: Model<unknown>, texts: Model<unknown>["texts"]])[] = [
    [literal("a"), "last"],
    [array(literal("a")), "all"],
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
