import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { listedValues, mainType, mainVariant, sampleOf } from "../../src/docs/sample.ts";
import { jobs } from "../support/jobs.ts";

describe("a sample of a schema", () => {
  const cases: readonly [schema: unknown, sample: unknown][] = [
    [{ type: "string" }, "text"],
    [{ type: "string", minLength: 6 }, "textxx"],
    [{ type: "string", maxLength: 2 }, "te"],
    [{ type: "string", format: "date" }, "2027-01-31"],
    [{ type: "string", format: "date-time" }, "2027-01-31T12:00:00Z"],
    [{ type: "string", format: "uri" }, "https://example.com/"],
    [{ type: "string", format: "uuid" }, "5f0c6b0e-3d2a-4b8f-9c1d-7e6a5b4c3d2e"],
    [{ type: "integer" }, 0],
    [{ type: "integer", minimum: 3 }, 3],
    [{ type: "integer", minimum: -9007199254740991, maximum: 9007199254740991 }, 0],
    [{ type: "integer", minimum: -9, maximum: -3 }, -3],
    [{ type: "integer", maximum: 3 }, 0],
    [{ type: "number", exclusiveMinimum: 0 }, 1],
    [{ type: "number", exclusiveMaximum: 0 }, -1],
    [{ type: "number", exclusiveMaximum: 1 }, 0],
    [{ type: "number", maximum: -2, exclusiveMaximum: 5 }, -2],
    [{ type: "boolean" }, false],
    [{ type: "null" }, null],
    [{}, null],
    [true, null],
    [{ enum: ["b", "a"] }, "b"],
    [{ const: 7 }, 7],
    [{ type: "integer", default: 5 }, 5],
    [{ type: "integer", default: 5, examples: [6, 7] }, 6],
    [{ type: "integer", example: 8, examples: [6] }, 8],
    [{ type: ["null", "string"] }, "text"],
    [{ anyOf: [{ type: "null" }, { type: "integer", minimum: 2 }] }, 2],
    [{ oneOf: [{ type: "boolean" }, { type: "integer" }] }, false],
    [{ allOf: [{ type: "string" }], default: "d" }, "d"],
    [{ type: "array", items: { type: "boolean" } }, [false]],
    [
      { type: "object", properties: { a: {}, b: { const: 1 } } },
      { a: null, b: 1 },
    ],
    [{ type: "object" }, {}],
  ];
  for (const [schema, sample] of cases) {
    test(`${JSON.stringify(schema)} is ${JSON.stringify(sample)}`, () => {
      assert.deepEqual(sampleOf({}, schema), sample);
    });
  }

  test("has the members of all its objects", () => {
    const { parent: _parent, ...sample } = sampleOf(jobs, {
      $ref: "#/components/schemas/NewJob",
    }) as Record<string, unknown>;
    assert.deepEqual(sample, {
      name: "textxx",
      priority: 5,
      tags: [],
      callback: "https://example.com/",
      mode: "fast",
      due: "2027-01-31T12:00:00Z",
      options: { dry_run: false, timeout_s: 1 },
    });
  });

  test("comes to an end if a schema contains itself", () => {
    const list = { type: "array", items: { $ref: "#/components/schemas/List" } };
    const loop = { anyOf: [{ $ref: "#/components/schemas/Loop" }] };
    const document = { components: { schemas: { List: list, Loop: loop } } };
    assert.deepEqual(sampleOf(document, list), [[[[[[[[[]]]]]]]]]);
    assert.equal(sampleOf(document, loop), null);
    assert.ok(JSON.stringify(sampleOf(jobs, { $ref: "#/components/schemas/NewJob" })));
  });

  test("has objects eight levels deep", () => {
    const tree = { type: "object", properties: { a: { $ref: "#/components/schemas/Tree" } } };
    const document = { components: { schemas: { Tree: tree } } };
    assert.deepEqual(
      sampleOf(document, tree),
      JSON.parse(`${'{"a":'.repeat(8)}{}${"}".repeat(8)}`),
    );
  });

  test("is an error if a reference leads nowhere", () => {
    const schema = { type: "array", items: { $ref: "#/components/schemas/Gone" } };
    assert.throws(() => sampleOf({}, schema), /schemas\/Gone/);
  });
});

test("the main variant of a schema is not null, and keeps what the schema says itself", () => {
  const document = { components: { schemas: { A: { type: "string", default: "a", title: "A" } } } };
  const schema = { anyOf: [{ type: "null" }, { $ref: "#/components/schemas/A" }], default: "b" };
  assert.deepEqual(mainVariant(document, schema), { type: "string", default: "b", title: "A" });
});

test("the main variant is at most eight deep, and the schema itself if it has none", () => {
  const within = (schema: object, depth: number): object =>
    depth === 0 ? schema : { anyOf: [within(schema, depth - 1)] };
  const text = { type: "string" };
  assert.deepEqual(mainVariant({}, within(text, 8)), text);
  assert.deepEqual(mainVariant({}, within(text, 9)), within(text, 1));
  const onlyNull = { anyOf: [{ type: "null" }] };
  assert.deepEqual(mainVariant({}, onlyNull), onlyNull);
});

test("the main type of a schema is the first that is not null", () => {
  assert.equal(mainType({ type: ["null", "integer", "string"] }), "integer");
  assert.equal(mainType({ type: "null" }), undefined);
  assert.equal(mainType({}), undefined);
});

test("a schema lists the values of enum, or the one of const", () => {
  assert.deepEqual(listedValues({ enum: ["a", null] }), ["a", null]);
  assert.deepEqual(listedValues({ const: null }), [null]);
  assert.deepEqual(listedValues({ enum: "a" }), []);
});
