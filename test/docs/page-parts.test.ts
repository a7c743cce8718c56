import assert from "node:assert/strict";
import { describe, test } from "node:test";

import type { JsonObject } from "../../src/docs/document.ts";
import { renderPage } from "../../src/docs/page.ts";

const KEY = { type: "apiKey", in: "header", name: "X-Key", description: "A key." };
const TOKEN = { type: "http", in: "header", name: "Token", description: "A token." };
const securitySchemes = { Key: KEY, Token: TOKEN };

/** The page of `GET /a`, which has these members, and these components. */
function pageOf(operation: JsonObject, components: JsonObject = {}): string {
  const paths = { "/a": { get: operation } };
  return renderPage({ paths, components: { securitySchemes, ...components } });
}

function assertIncludes(page: string, text: string): void {
  assert.ok(page.includes(text), `${text} is missing in ${page}`);
}

test("the page names its language, its files and the document, and has landmarks", () => {
  const page = pageOf({});
  assert.ok(page.startsWith('<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8">'));
  for (const text of [
    '<meta name="viewport" content="width=device-width">',
    '<link rel="icon" href="docs/icon.svg">',
    '<link rel="stylesheet" href="docs/docs.css">',
    '<script type="module" src="docs/docs.js"></script>',
    '<nav aria-label="Contents">',
    "<main>",
    '<a href="openapi.json">openapi.json</a>',
  ]) {
    assertIncludes(page, text);
  }
});

describe("the section of an operation", () => {
  test("names its schemes, and has a place for the key if there is one", () => {
    const rows: readonly (readonly [security: unknown, names: string, header: string])[] = [
      [[{ Key: [], Token: [] }], "Key, Token", "X-Key"],
      [[{ Key: [] }], "Key", "X-Key"],
      [[{ Token: [] }], "Token", "Token"],
      [[], "none", ""],
      [undefined, "none", ""],
    ];
    for (const [security, names, header] of rows) {
      const page = pageOf({ security });
      assertIncludes(page, `<p>Security: ${names}</div>`);
      assertIncludes(page, `data-header="${header}"`);
    }
  });

  test("asks for a key by the header fields of all schemes, if there are any", () => {
    const query = { type: "apiKey", in: "query", name: "key" };
    const rows: readonly (readonly [schemes: JsonObject, label: string | undefined])[] = [
      [{ Key: KEY }, "X-Key"],
      [{ Query: query, Token: TOKEN, Key: KEY }, "Token or X-Key"],
      [{ Query: query }, undefined],
      [{}, undefined],
    ];
    for (const [schemes, label] of rows) {
      const page = pageOf({}, { securitySchemes: schemes });
      assert.equal(/<label>(.*) <input id="key"/.exec(page)?.[1], label);
    }
  });

  test("has a title only if there is a summary", () => {
    const description = "Described.";
    assertIncludes(pageOf({ summary: "S", description }), "<p><strong>S.</strong> Described.");
    assertIncludes(pageOf({ description }), "<p>Described.");
  });

  test("has a table of its parameters, if it has any", () => {
    const parameter = (name: string): JsonObject => ({ name, in: "query", description: name });
    const row = (name: string): string => `<tr><th>${name} <em>query</em><td>any<td>${name}\n`;
    for (const names of [["a"], ["a", "b"]]) {
      const page = pageOf({ parameters: names.map(parameter) });
      const rows = names.map(row).join("");
      assertIncludes(page, `<h3>Parameters</h3>\n<table>\n${rows}</table>`);
    }
    assert.doesNotMatch(pageOf({ parameters: [] }), /<h3>Parameters/);
    assert.doesNotMatch(pageOf({}), /<h3>Parameters/);
  });

  test("says what a response is: its type, then the header fields that not all have", () => {
    const content = {
      "application/json": { schema: { type: "string" } },
      "text/csv": { schema: {} },
    };
    const fields = { "X-Every": {}, "X-One": {}, "X-Two": {} };
    const responses = {
      200: { description: "Fine.", headers: fields, content },
      404: { description: "Gone.", headers: { "X-Every": {} } },
    };
    assertIncludes(
      pageOf({ responses }),
      "<p>Fine.\n<p>application/json string, text/csv any, header X-One, header X-Two\n",
    );
  });

  test("has the examples of a response with their summaries", () => {
    const examples = { one: { summary: "First", value: 1 }, two: { value: 2 } };
    const responses = { 200: { description: "Fine.", content: { "a/b": { examples } } } };
    assertIncludes(pageOf({ responses }), "<p>First\n<pre>1</pre>\n<pre>2</pre>\n");
  });

  test("shows a required body as such, and no other", () => {
    const headingOf = (required?: boolean): string | undefined =>
      /<h3>Request body.*/.exec(pageOf({ requestBody: { required, content: {} } }))?.[0];
    assert.equal(headingOf(true), "<h3>Request body <em>required</em></h3>");
    assert.equal(headingOf(false), "<h3>Request body</h3>");
    assert.equal(headingOf(), "<h3>Request body</h3>");
  });
});

describe("shared responses", () => {
  const $ref = (name: string): JsonObject => ({ $ref: `#/components/responses/${name}` });
  const components = { responses: { Late: { description: "L" }, Full: { description: "F" } } };

  test("come by status, whichever operation names them first, with links to them", () => {
    const paths = {
      "/a": { get: { responses: { 503: $ref("Full") } } },
      "/b": { get: { responses: { 408: $ref("Late"), 503: $ref("Full") } } },
    };
    const page = renderPage({ paths, components });
    const statuses = [...page.matchAll(/<h3 data-status="(\d+)">/g)].map(([, status]) => status);
    assert.deepEqual(statuses, ["408", "503"]);
    assertIncludes(page, '<a href="#responses">Responses</a>');
    const links = '<a href="#responses/Late">408</a>, <a href="#responses/Full">503</a>';
    assertIncludes(page, `<p>Also ${links}</div>`);
    assertIncludes(page, '<p>Also <a href="#responses/Full">503</a></div>');
  });

  test("do not include those that every caller has to handle", () => {
    for (const status of ["200", "204", "299", "401", "404", "422", "500"]) {
      const page = renderPage({
        paths: { "/a": { get: { responses: { [status]: $ref("Full") } } } },
        components,
      });
      assertIncludes(page, `<h4 data-status="${status}">`);
      assert.doesNotMatch(page, /"responses\//);
    }
    for (const status of ["307", "400", "402", "501", "503"]) {
      const page = renderPage({
        paths: { "/a": { get: { responses: { [status]: $ref("Full") } } } },
        components,
      });
      assertIncludes(page, `<div id="responses/Full">\n<h3 data-status="${status}">`);
      assert.doesNotMatch(page, /<h4 data-status/);
    }
  });
});

describe("the table of header fields", () => {
  const headers = {
    "X-Every": { required: true, schema: { type: "string" }, description: "E." },
    "X-Must": { required: true, schema: { type: "integer" }, description: "M." },
    "X-May": { schema: { type: "string" }, description: "O." },
  };

  test("says which of them are always there, and which are required where they stand", () => {
    const responses = { 200: { headers: { "X-Every": {} } } };
    const page = pageOf({ responses }, { headers });
    assertIncludes(page, "<tr><th>X-Every <em>always</em><td>string<td>E.\n");
    assertIncludes(page, "<tr><th>X-Must <em>required</em><td>integer<td>M.\n");
    assertIncludes(page, "<tr><th>X-May<td>string<td>O.\n");
  });

  test("is there for one field, and missing without any", () => {
    const one = { "X-May": headers["X-May"] };
    assertIncludes(pageOf({}, { headers: one }), "<h3>Headers</h3>\n<table>\n<tr><th>X-May<td>");
    assert.doesNotMatch(pageOf({}), /<h3>Headers/);
  });
});
