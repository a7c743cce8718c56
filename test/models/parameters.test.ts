import assert from "node:assert/strict";
import { test } from "node:test";

import {
  array,
  boolean,
  integer,
  type Members,
  nullable,
  optional,
  refine,
  string,
  union,
} from "../../src/models/model.ts";
import { readParameters, sortParameters } from "../../src/models/parameters.ts";
import { Problems, type ValidationProblem } from "../../src/models/problems.ts";

/** What is read of a request's texts and query, or the problems. */
function read(
  parameters: Members,
  query: string,
  path = "/",
  texts: readonly string[] = [],
): Record<string, unknown> | readonly ValidationProblem[] {
  const problems = new Problems();
  const values = {};
  readParameters(sortParameters(path, parameters), texts, query, values, problems);
  return problems.isEmpty ? values : problems.list;
}

test("parameters are sorted by the path's order, and the declaration's", () => {
  const a = string();
  const sets = sortParameters("/{b}/x/{c}", { d: a, c: a, a, b: a });
  const names = [sets.path, sets.query].map((set) => set.map(([name]) => name));
  assert.deepEqual(names, [
    ["b", "c"],
    ["d", "a"],
  ]);
});

test("an absent parameter is its default, undefined, or one problem", () => {
  const models = {
    a: optional(integer()),
    b: optional(integer(), 5),
    c: optional(array(string()), ["x"]),
    d: optional(nullable(string()), null),
  };
  for (const query of ["", "?", "?&", "?e=1", "?A=1"]) {
    assert.deepEqual(read(models, query), { b: 5, c: ["x"], d: null });
  }
  const msg = "Field required";
  for (const model of [string(), array(string()), nullable(string())]) {
    assert.deepEqual(read({ a: model }, "?b=1"), [
      { type: "missing", loc: ["query", "a"], msg, input: null },
    ]);
  }
});

test("a list takes each repetition, also behind nullable, optional and refine", () => {
  const list = array(integer());
  for (const model of [
    list,
    nullable(list),
    optional(list),
    optional(list, [1]),
    refine(list, ({ length }) => length > 0, "empty"),
  ]) {
    assert.deepEqual(read({ a: model }, "?a=1&b=x&a=2"), { a: [1, 2] });
    assert.deepEqual(read({ a: model }, "?a=3"), { a: [3] });
  }
  const outcome = read({ a: list }, "?a=1&a=x&a=2&a=") as readonly ValidationProblem[];
  assert.deepEqual(
    outcome.map(({ loc, input }) => [...loc, input]),
    [
      ["query", "a", 1, "x"],
      ["query", "a", 3, ""],
    ],
  );
});

test("of a repeated single value the last counts, also of a union", () => {
  const model = union(integer(), boolean());
  assert.deepEqual(read({ a: model, b: string() }, "?a=x&b=1&a=on&b=2"), { a: true, b: "2" });
});

test("names that every object has are names like others", () => {
  const models = { toString: optional(string()), constructor: optional(string(), "c") };
  assert.deepEqual(Object.entries(read(models, "?__proto__=1&valueOf=2")), [["constructor", "c"]]);
  assert.deepEqual(Object.entries(read(models, "?toString=1")), [
    ["toString", "1"],
    ["constructor", "c"],
  ]);
});

test("problems come in the order of path, then query, and end at 100", () => {
  const path = "/{b}/{a}";
  const models = { c: integer(), a: integer(), b: integer(), d: array(integer()) };
  const query = `?c=x${"&d=x".repeat(200)}`;
  const outcome = read(models, query, path, ["x", "y"]) as readonly ValidationProblem[];
  assert.equal(outcome.length, 100);
  assert.deepEqual(
    outcome.slice(0, 4).map(({ loc, input }) => [...loc, input]),
    [
      ["path", "b", "x"],
      ["path", "a", "y"],
      ["query", "c", "x"],
      ["query", "d", 0, "x"],
    ],
  );
});

test("a query of any form takes time linear in its length", () => {
  const models = { a: optional(array(integer()), []), b: optional(integer()) };
  const started = performance.now();
  for (const unit of ["&", "=", "%", "+", "a=1&", "%61=%", "a=%F0&", "b=1&", "&&a", "%C3%A9"]) {
    read(models, `?${unit.repeat(100_000)}`);
  }
  assert.ok(performance.now() - started < 10_000);
});

test("a list of values stays the service's own: a default is a copy", () => {
  const models = { a: optional(array(string()), ["x"]) };
  const first = read(models, "") as { a: string[] };
  first.a.push("y");
  assert.deepEqual(read(models, ""), { a: ["x"] });
});
