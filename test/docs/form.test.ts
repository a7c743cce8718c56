import assert from "node:assert/strict";
import { describe, test } from "node:test";

import type { OpenApiDocument, Operation } from "../../src/docs/document.ts";
import { keyForm, operationForm } from "../../src/docs/form.ts";

/** The form of an operation that has these members, in a document with these schemas. */
function formOf(members: object, schemas: object = {}): string {
  const document: OpenApiDocument = { components: { schemas } };
  const operation: Operation = { method: "GET", path: "/a/{p}", ...members };
  return `${operationForm(document, operation, "X-Key")}`;
}

/** The field of the only parameter. */
function fieldOf(schema: object, parameter: object = {}): string {
  const form = formOf({ parameters: [{ name: "p", in: "query", schema, ...parameter }] });
  return /<label>([^]*?)<\/label>/.exec(form)?.[1] ?? "";
}

describe("the field of a parameter", () => {
  const IN = 'data-name="p" data-in="query"';
  const TEXT = `<input spellcheck="false" ${IN}`;
  const NUMBER = `<input type="number" step="any" ${IN}`;
  const cases: readonly [what: string, schema: object, parameter: object, field: string][] = [
    ["a text", { type: "string" }, {}, `p ${TEXT} value="" placeholder="">`],
    ["any value", {}, {}, `p ${TEXT} value="" placeholder="">`],
    [
      "a text with a default",
      { type: "string", default: '"' },
      {},
      `p ${TEXT} value="" placeholder="&#34;">`,
    ],
    [
      "a text with an example",
      { type: ["string", "null"] },
      { example: "e" },
      `p ${TEXT} value="e" placeholder="">`,
    ],
    ["an integer", { type: "integer", default: 5 }, {}, `p ${NUMBER} value="" placeholder="5">`],
    [
      "a number that may be null",
      { anyOf: [{ type: "number" }, { type: "null" }] },
      { example: 0 },
      `p ${NUMBER} value="0" placeholder="">`,
    ],
    [
      "a required text",
      { type: "string" },
      { required: true },
      `p <em>required</em> ${TEXT} data-required value="" placeholder="">`,
    ],
    ["a boolean", { type: "boolean" }, {}, `<input type="checkbox" ${IN}> p`],
    [
      "a boolean that is true by default",
      { type: "boolean", default: true },
      {},
      `<input type="checkbox" ${IN} checked> p`,
    ],
    [
      "a boolean whose example is another one than its default",
      { type: "boolean", default: true },
      { example: false },
      `<input type="checkbox" ${IN}> p`,
    ],
    [
      "a choice",
      { enum: ["a", 2] },
      {},
      `p <select ${IN}><option value=""></option><option>a</option><option>2</option></select>`,
    ],
    [
      "a choice with a default",
      { enum: ["a", "b"], default: "b" },
      {},
      `p <select ${IN}><option value="">b (default)</option>` +
        "<option>a</option><option>b</option></select>",
    ],
    [
      "a required choice with an example",
      { enum: ["a", "b"] },
      { required: true, example: "b" },
      `p <em>required</em> <select ${IN} data-required>` +
        "<option>a</option><option selected>b</option></select>",
    ],
    [
      "a list",
      { type: "array", items: { type: "integer" } },
      { example: [1, 2] },
      `p, one per line <textarea ${IN} rows="2">\n1\n2</textarea>`,
    ],
    [
      "a list of choices",
      { type: "array", items: { enum: ["a", "b"] } },
      { example: ["b"] },
      `p <select ${IN} multiple><option>a</option><option selected>b</option></select>`,
    ],
  ];
  for (const [what, schema, parameter, field] of cases) {
    test(`fits ${what}`, () => assert.equal(fieldOf(schema, parameter), field));
  }

  test("must be filled in if it is a part of the path", () => {
    const field = fieldOf({ type: "string" }, { in: "path", required: true });
    const constraints = 'required pattern="(?!\\.\\.?$).+"';
    assert.ok(field.includes(` data-in="path" data-required ${constraints} value=""`), field);
  });

  test("follows a reference to a schema", () => {
    const schema = { $ref: "#/components/schemas/Mode" };
    const members = { parameters: [{ name: "p", in: "query", schema }] };
    assert.match(formOf(members, { Mode: { enum: ["x"] } }), /<option>x<\/option>/);
  });

  test("is missing for a header field or a cookie", () => {
    const parameters = [
      { name: "a", in: "header", schema: {} },
      { name: "b", in: "cookie", schema: {} },
    ];
    assert.doesNotMatch(formOf({ parameters }), /data-name="[ab]"/);
  });
});

describe("the form of an operation", () => {
  test("names its method, path, type and header field", () => {
    const requestBody = { content: { "text/a": {}, "text/b": {} } };
    const form = formOf({ requestBody });
    const data = 'data-method="GET" data-path="/a/{p}" data-type="text/a" data-header="X-Key"';
    assert.ok(form.startsWith(`<form ${data} hidden>`));
  });

  test("has the example of its body, else a sample", () => {
    const bodyOf = (media: object): string => {
      const form = formOf({ requestBody: { content: { "application/json": media } } });
      return /<textarea name="body"[^>]*>\n([^]*?)<\/textarea>/.exec(form)?.[1] ?? "";
    };
    const schema = { type: "object", properties: { a: { type: "string" } } };
    assert.equal(bodyOf({ schema, example: { a: "e" } }), '{"a": "e"}');
    assert.equal(bodyOf({ schema, examples: { one: { value: { a: "1" } } } }), '{"a": "1"}');
    assert.equal(bodyOf({ schema }), '{"a": "text"}');
  });

  test("has no field for a body if there is none", () => {
    assert.doesNotMatch(formOf({}), /textarea/);
  });

  test("speaks of a key only if one is needed", () => {
    assert.match(formOf({}), /<a href="#key">No key is set<\/a>.*Reads your key from API_KEY/s);
    const form = `${operationForm({}, { method: "GET", path: "/" }, undefined)}`;
    assert.match(form, /data-header="" hidden>.*<small>Needs no key\.<\/small>/s);
    assert.doesNotMatch(form, /#key/);
  });
});

describe("what the page's script and a screen reader look for", () => {
  const assertIncludes = (form: string, texts: readonly string[]): void => {
    for (const text of texts) assert.ok(form.includes(text), `${text} is missing in ${form}`);
  };

  test("is in the form of an operation", () => {
    assertIncludes(formOf({ requestBody: { content: { "text/a": {} } } }), [
      '<label>Body <textarea name="body"',
      '<button aria-label="Send GET /a/{p}">Send</button>',
      '<div aria-live="polite">',
      '<pre tabindex="0" data-name="cURL for GET /a/{p}"></pre>',
    ]);
  });

  test("is in the form of the key, which names its header field", () => {
    assertIncludes(`${keyForm("X-<Key>")}`, [
      "<form hidden>",
      '<label>X-&#60;Key&#62; <input id="key" name="entry" type="password" autocomplete="off">',
      '<button name="forget" type="button">',
      '<output name="state">No key is set. A key stays in this page\'s memory only.</output>',
    ]);
  });
});
