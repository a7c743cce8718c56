import assert from "node:assert/strict";
import { describe, test } from "node:test";

import {
  examplesOf,
  type JsonObject,
  type Operation,
  operationsOf,
  parametersOf,
  resolve,
} from "../../src/docs/document.ts";

test("operations have their method in capitals, their path, and the document's order", () => {
  const paths = {
    "/b": { post: { summary: "B" }, get: {} },
    "/a": { delete: {}, parameters: [{}], summary: "Not a method", "x-get": {} },
  };
  const names = operationsOf({ paths }).map(({ method, path }) => `${method} ${path}`);
  assert.deepEqual(names, ["POST /b", "GET /b", "DELETE /a"]);
  assert.equal(operationsOf({ paths })[0]?.["summary"], "B");
});

describe("a reference", () => {
  const responses = {
    first: { $ref: "#/components/responses/second" },
    second: { $ref: "#/components/responses/constructor" },
    constructor: { description: "Own." },
    loop: { $ref: "#/components/responses/other" },
    other: { $ref: "#/components/responses/loop" },
  };
  const document = { components: { responses }, list: [{ name: "a" }, { name: "b" }] };

  test("may lead to another one, and to a name that every object has", () => {
    const reference = { $ref: "#/components/responses/first" };
    assert.deepEqual(resolve(document, reference), { description: "Own." });
  });

  test("may lead to an item of a list", () => {
    assert.deepEqual(resolve(document, { $ref: "#/list/1" }), { name: "b" });
  });

  for (const $ref of [
    "#/components/responses/gone",
    "#/components/responses/gone/further",
    "#/components/responses/toString",
    "#/components/responses/second/description/length",
    "x.json#/components",
    "/components",
    "",
  ]) {
    test(`to ${JSON.stringify($ref)} is an error that shows it`, () => {
      assert.throws(
        () => resolve(document, { $ref }),
        ({ message }: Error) => message.includes(JSON.stringify({ $ref })),
      );
    });
  }

  test("may be the first of nine that follow each other, and of no more", () => {
    const name = (index: number): string => `r${index}`;
    const members = Array.from({ length: 10 }, (_, index): [string, JsonObject] => {
      return [name(index), { $ref: `#/${name(index + 1)}` }];
    });
    const chain = Object.fromEntries([...members, [name(10), { description: "Last." }]]);
    assert.deepEqual(resolve(chain, { $ref: "#/r2" }), { description: "Last." });
    assert.throws(() => resolve(chain, { $ref: "#/r1" }), /#\/r10"/);
  });

  test("in a circle is an error that shows one of the circle", () => {
    assert.throws(
      () => resolve(document, { $ref: "#/components/responses/loop" }),
      /responses\/(?:loop|other)"/,
    );
  });
});

describe("the parameters of an operation", () => {
  const operation = (parameters: unknown): Operation => ({ method: "GET", path: "/", parameters });
  const schema = { type: "string" };

  test("have name, place, schema, description and example, and may be references", () => {
    const id = { name: "id", in: "path", required: true, schema, description: "D", example: 1 };
    const document = { components: { parameters: { id } } };
    const examples = { first: { value: "a" }, second: { value: "b" } };
    const reference = { $ref: "#/components/parameters/id" };
    const found = parametersOf(
      document,
      operation([reference, { name: "q", in: "query", examples }]),
    );
    assert.deepEqual(found, [
      { name: "id", place: "path", isRequired: true, schema, description: "D", example: 1 },
      {
        name: "q",
        place: "query",
        isRequired: false,
        schema: undefined,
        description: undefined,
        example: "a",
      },
    ]);
  });

  test("have the first example of their schema if they have none themselves", () => {
    const exampleOf = (parameter: object): unknown =>
      parametersOf({}, operation([{ name: "a", in: "query", ...parameter }]))[0]?.example;
    const examples = ["first", "second"];
    assert.equal(exampleOf({ schema: { examples } }), "first");
    assert.equal(exampleOf({ schema: { examples }, example: "own" }), "own");
    assert.equal(exampleOf({ schema: {} }), undefined);
  });

  test("are none if there is no list of them", () => {
    assert.deepEqual(parametersOf({}, operation(undefined)), []);
  });

  test("are an error if a reference leads nowhere", () => {
    const reference = { $ref: "#/components/parameters/gone" };
    assert.throws(() => parametersOf({}, operation([reference])), /parameters\/gone/);
  });
});

test("the only example has no name, others keep the document's order", () => {
  const b = { summary: "B", value: 2 };
  const a = { summary: "A", value: 1 };
  assert.deepEqual(examplesOf({ example: 0 }), [{ value: 0 }]);
  assert.deepEqual(examplesOf({ examples: { b, a } }), [b, a]);
  assert.deepEqual(examplesOf({}), []);
});

test("a value that is not an object is read as an empty one", () => {
  for (const value of [undefined, null, true, 7, "text"]) {
    assert.deepEqual(resolve({}, value), {});
    assert.deepEqual(operationsOf({ paths: value }), []);
    assert.deepEqual(operationsOf({ paths: { "/a": value } }), []);
    assert.equal(operationsOf({ paths: { "/a": { get: value } } }).length, 1);
  }
});
