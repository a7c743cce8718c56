import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { operationsOf, resolve } from "../../src/docs/document.ts";

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

  test("in a circle is an error that shows one of the circle", () => {
    assert.throws(
      () => resolve(document, { $ref: "#/components/responses/loop" }),
      /responses\/(?:loop|other)"/,
    );
  });
});

test("a value that is not an object is read as an empty one", () => {
  for (const value of [undefined, null, true, 7, "text"]) {
    assert.deepEqual(resolve({}, value), {});
    assert.deepEqual(operationsOf({ paths: value }), []);
    assert.deepEqual(operationsOf({ paths: { "/a": value } }), []);
    assert.equal(operationsOf({ paths: { "/a": { get: value } } }).length, 1);
  }
});
