import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { describeType, propertyTable } from "../../src/docs/schema.ts";

describe("the type of a schema in words:", () => {
  const $ref = "#/components/schemas/A";
  const link = '<a href="#schemas/A">A</a>';
  const cases: readonly [schema: unknown, words: string][] = [
    [{}, "any"],
    [true, "any"],
    [undefined, "any"],
    [{ type: "string" }, "string"],
    [{ type: "string", format: "uuid" }, "string (uuid)"],
    [{ type: ["string", "null"] }, "string or null"],
    [{ type: ["string", "null"], format: "date" }, "string (date) or null"],
    [{ type: "integer", nullable: true }, "integer or null"],
    [{ $ref }, link],
    [{ $ref, nullable: true }, `${link} or null`],
    [{ type: "array" }, "array of any"],
    [{ type: "array", items: { type: "string" } }, "array of string"],
    [{ type: "array", items: { type: ["string", "null"] } }, "array of string or null"],
    [{ type: ["array", "null"], items: { $ref } }, `array of ${link} or null`],
    [{ anyOf: [{ type: "string" }, { type: "integer" }] }, "string or integer"],
    [{ oneOf: [{ type: "string" }, true] }, "string or any"],
    [{ allOf: [{ $ref }, { type: "object" }] }, `${link} and object`],
    [{ anyOf: [{ type: "string" }], type: "object" }, "string"],
    [{ allOf: [{ $ref }], type: "object" }, link],
    [{ enum: ["a", 1, null] }, '<code>"a"</code> or <code>1</code> or <code>null</code>'],
    [{ const: false }, "<code>false</code>"],
    [{ const: null }, "<code>null</code>"],
    [{ type: "<b>" }, "&#60;b&#62;"],
    [{ type: "integer", minimum: 0, maximum: 9 }, "integer (at least 0, at most 9)"],
    [{ type: "integer", minimum: 0, maximum: 9007199254740991 }, "integer (at least 0)"],
    [{ type: "integer", minimum: -9007199254740991, maximum: 9007199254740991 }, "integer"],
    [
      { type: "number", exclusiveMinimum: -0.5, exclusiveMaximum: 1, multipleOf: 0.5 },
      "number (more than -0.5, less than 1, a multiple of 0.5)",
    ],
    [
      { type: "string", format: "uri", minLength: 1, maxLength: 100, pattern: "^<$&" },
      "string (uri, 1 or more characters, up to 100 characters, pattern ^&#60;$&#38;)",
    ],
    [
      { type: "array", items: { type: "integer", minimum: 1 }, minItems: 1, maxItems: 10 },
      "array of integer (at least 1) (1 or more items, up to 10 items)",
    ],
    [{ type: "integer", default: 5 }, "integer, default <code>5</code>"],
    [{ enum: ["a"], default: "a" }, '<code>"a"</code>, default <code>"a"</code>'],
    [
      { anyOf: [{ type: "string", maxLength: 5 }, { type: "null" }], default: null },
      "string (up to 5 characters) or null, default <code>null</code>",
    ],
  ];
  for (const [schema, words] of cases) {
    test(`${JSON.stringify(schema)} is ${words}`, () => {
      assert.equal(`${describeType(schema)}`, words);
    });
  }
});

describe("the table of a schema's properties", () => {
  test("has a row for each, with name, mark, type and description", () => {
    const properties = { a: { type: "string", description: "One." }, b: {} };
    const table = propertyTable({ required: ["a"], properties });
    const rows = "<tr><th>a <em>required</em><td>string<td>One.\n<tr><th>b<td>any<td>\n";
    assert.equal(`${table}`, `<table>\n${rows}</table>`);
  });

  test("is missing if there are none", () => {
    assert.equal(propertyTable({ type: "string" }), undefined);
  });

  test("has the properties of objects inside it, with the path to them", () => {
    const inner = { required: ["b"], properties: { b: { type: "string", description: "Deep." } } };
    const properties = {
      a: inner,
      list: { type: "array", items: inner },
      c: { anyOf: [inner] },
      d: { oneOf: [inner] },
      e: { allOf: [inner] },
      f: { items: { items: inner } },
      g: { properties: { list: { items: inner } } },
    };
    const table = `${propertyTable({ properties })}`;
    for (const name of ["a.b", "list[].b", "c.b", "d.b", "e.b", "f[][].b", "g.list[].b"]) {
      assert.ok(table.includes(`<tr><th>${name} <em>required</em><td>string<td>Deep.\n`), name);
    }
  });

  test("shows a reference to the schema itself as a link", () => {
    const children = { type: "array", items: { $ref: "#/components/schemas/Tree" } };
    const table = `${propertyTable({ properties: { children } })}`;
    assert.ok(table.includes('array of <a href="#schemas/Tree">Tree</a>'));
  });
});
