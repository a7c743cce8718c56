import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { STATUS_CODES } from "node:http";
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { gzipSync } from "node:zlib";

import {
  membersOf,
  type OpenApiDocument,
  operationsOf,
  type Part,
  partOf,
  resolve,
} from "../../src/docs/document.ts";
import { renderPage } from "../../src/docs/page.ts";
import { root } from "../root.ts";
import { poison } from "./hostile.ts";

const read = (name: string): string => readFileSync(new URL(`src/docs/${name}`, root), "utf8");
const document = JSON.parse(read("openapi.json")) as OpenApiDocument;
const page = renderPage(document);

test("the page has every operation, status, header, example, schema and property of the document", () => {
  const { schemas, headers } = partOf(document["components"]);
  const sections = page.split("<section ");
  const has = (section: string, text: unknown): void =>
    assert.ok(section.includes(escape(String(text))), String(text));
  for (const { method, path, description, responses } of operationsOf(document)) {
    const section = sections.find((each) => each.startsWith(`id="${method}${path}"`)) ?? "";
    has(section, path);
    has(section, description);
    for (const [status, response] of membersOf(responses)) {
      has(section, `${status} ${STATUS_CODES[status]}`);
      const { description, headers, content } = resolve(document, response);
      for (const text of [description, ...namesOf(headers), ...namesOf(content)])
        has(section, text);
      for (const [, { schema, example, examples }] of membersOf(content)) {
        has(section, String(partOf(schema)["$ref"]).replace("#/components/schemas/", ""));
        const shown = [...section.matchAll(/<pre>([^<]*)<\/pre>/g)].map(
          ([, json = ""]) => JSON.parse(json) as unknown,
        );
        const values =
          example === undefined ? membersOf(examples).map(([, { value }]) => value) : [example];
        assert.ok(values.length > 0);
        for (const value of values)
          assert.ok(
            shown.some((each) => isDeepStrictEqual(each, value)),
            `${status}`,
          );
      }
    }
  }
  const last = sections.at(-1) ?? "";
  for (const [name, { properties, description }] of membersOf(schemas)) {
    assert.ok(last.includes(`<div id="${name}">`));
    for (const text of [description, ...namesOf(properties)]) has(last, text);
  }
  for (const name of namesOf(headers)) has(last, name);
});

test("the page and what it loads have at most 24 KiB, and 8 KiB gzipped", () => {
  const files = [page, read("docs.css"), read("docs.js"), read("icon.svg")].map((text) =>
    Buffer.from(text),
  );
  const sum = (sizes: number[]): number => sizes.reduce((total, size) => total + size, 0);
  assert.ok(sum(files.map((file) => file.length)) <= 24 * 1024);
  assert.ok(sum(files.map((file) => gzipSync(file).length)) <= 8 * 1024);
});

test("the page has relative addresses only, which work below any prefix", () => {
  const addresses = [...page.matchAll(/\b(?:href|src|action)="([^"]*)"/g)].map(
    ([, address]) => address ?? "",
  );
  assert.ok(addresses.length > 10);
  const relative = /^(#[\w/]+|docs\/(docs\.css|docs\.js|icon\.svg)|openapi\.json)$/;
  for (const address of addresses) assert.match(address, relative);
  for (const text of [read("docs.css"), read("docs.js")])
    assert.doesNotMatch(text, /https?:|\burl\(|@import|import\(/);
});

test("the page leads each of its links to one element", () => {
  const ids = [...page.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id);
  assert.equal(new Set(ids).size, ids.length);
  for (const [, id] of page.matchAll(/href="#([^"]*)"/g)) assert.ok(ids.includes(id), id);
});

test("there is no inline script or style, no handler, no closed details, and no control outside a hidden form", () => {
  assert.doesNotMatch(page, /<style|<script(?! type="module" src="docs\/docs\.js"><\/script>)/i);
  assert.doesNotMatch(page, / style=| on\w+=|<details/i);
  assert.doesNotMatch(
    read("docs.js"),
    /innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval|Function\(/,
  );
  assert.doesNotMatch(read("docs.js"), /localStorage|sessionStorage|indexedDB|cookie/);
  const outside = page.replace(/<form [^>]*\bhidden>[^]*?<\/form>/g, "");
  assert.doesNotMatch(outside, /<form|<button|<input|<textarea|<select/);
  assert.match(page, /<form [^>]*\bhidden>/);
});

test("text from the document stays text, wherever it stands", () => {
  const attack = `</script></title></textarea></pre><img src=x onerror=alert(1)>"'&<!--`;
  const poisoned = poison(document, attack);
  const components = partOf(poisoned["components"]);
  const schema = { type: attack, properties: { [attack]: { enum: [attack] } }, required: [attack] };
  const schemas = { ...partOf(components["schemas"]), [attack]: schema };
  const html = renderPage({ ...poisoned, components: { ...components, schemas } });
  assert.doesNotMatch(html, /<img|<!--/);
  assert.ok(html.includes("onerror=alert(1)&#62;"));
  const tags = (text: string): Set<string> =>
    new Set([...text.matchAll(/<\/?[a-zA-Z!][^\s>]*/g)].map(([tag]) => tag));
  assert.deepEqual(
    [...tags(html)].filter((tag) => !tags(page).has(tag)),
    [],
  );
  for (const [tag] of html.matchAll(/<[a-z][^>]*>/g))
    assert.match(tag, /^<[a-z0-9]+( [a-z-]+(="[^"<>]*")?)*>$/);
});

test("types are told in words", () => {
  const cases: [unknown, string][] = [
    [{}, "any"],
    [true, "any"],
    [{ type: "string" }, "string"],
    [{ type: "string", format: "uuid4" }, "string (uuid4)"],
    [{ type: ["string", "null"] }, "string or null"],
    [{ type: ["string", "null"], format: "date" }, "string (date) or null"],
    [{ type: "integer", nullable: true }, "integer or null"],
    [{ $ref: "#/components/schemas/A", nullable: true }, '<a href="#A">A</a> or null'],
    [{ type: "array" }, "array of any"],
    [{ type: "array", items: { type: "string" } }, "array of string"],
    [{ type: "array", items: { type: ["string", "null"] } }, "array of string or null"],
    [
      { type: ["array", "null"], items: { $ref: "#/components/schemas/A" } },
      'array of <a href="#A">A</a> or null',
    ],
    [{ anyOf: [{ type: "string" }, { type: "integer" }] }, "string or integer"],
    [{ oneOf: [{ type: "string" }, true] }, "string or any"],
    [
      { allOf: [{ $ref: "#/components/schemas/A" }, { type: "object" }] },
      '<a href="#A">A</a> and object',
    ],
    [{ enum: ["a", 1, null] }, '<code>"a"</code> or <code>1</code> or <code>null</code>'],
    [{ const: false }, "<code>false</code>"],
  ];
  for (const [schema, words] of cases) {
    const html = renderSchemas({ A: { properties: { p: schema }, type: "object" } });
    assert.ok(html.includes(`<tr><th>p<td>${words}<td>`), words);
  }
});

test("properties of objects inside an object or a list have rows of their own, with the path to them", () => {
  const inner = { required: ["b"], properties: { b: { type: "string", description: "Deep." } } };
  const properties = { a: inner, list: { type: "array", items: inner }, c: { anyOf: [inner] } };
  const html = renderSchemas({ A: { properties } });
  for (const name of ["a.b", "list[].b", "c.b"]) {
    assert.ok(html.includes(`<tr><th>${name} <em>required</em><td>string<td>Deep.\n`), name);
  }
});

test("schemas that contain themselves, or that only name each other, end", () => {
  const html = renderSchemas({
    Tree: {
      type: "object",
      properties: { children: { type: "array", items: { $ref: "#/components/schemas/Tree" } } },
    },
    A: { $ref: "#/components/schemas/B" },
    B: { $ref: "#/components/schemas/A" },
  });
  assert.ok(html.includes('array of <a href="#Tree">Tree</a>'));
  assert.ok(html.includes('<div id="A"><h3>A</h3>\n<p>\n<p><a href="#B">B</a></div>'));
});

test("a reference that leads nowhere, or in a circle, is an error that shows it", () => {
  const responses = { loop: { $ref: "#/components/responses/loop" } };
  const names = ["gone", "loop", "toString", "loop/gone"].map(
    (name) => `#/components/responses/${name}`,
  );
  for (const ref of [...names, "x.json#/info", "/info", ""]) {
    const paths = { "/a": { get: { responses: { 200: { $ref: ref } } } } };
    const broken = { ...document, paths, components: { responses } };
    assert.throws(
      () => renderPage(broken),
      (error: Error) => error.message.includes(JSON.stringify(ref)),
      ref,
    );
  }
});

test("a reference may lead to another, and to a name that every object has", () => {
  const responses = {
    Same: { $ref: "#/components/responses/constructor" },
    constructor: { description: "Own." },
  };
  const paths = { "/a": { get: { responses: { 200: { $ref: "#/components/responses/Same" } } } } };
  assert.ok(renderPage({ ...document, paths, components: { responses } }).includes("Own."));
});

test("a member that is odd or missing shows as nothing", () => {
  for (const odd of [
    undefined,
    null,
    true,
    false,
    7,
    "text",
    [],
    [null],
    {},
    { "/a": null },
    { a: { get: null } },
  ]) {
    for (const name of ["info", "paths"]) renderPage({ ...document, [name]: odd });
    renderPage({ info: {}, paths: {}, components: odd });
    renderPage({
      info: {},
      paths: {},
      components: { schemas: odd, headers: odd, securitySchemes: odd },
    });
    const get = {
      security: odd,
      requestBody: odd,
      responses: { 200: odd, 400: { headers: odd, content: odd } },
    };
    const A = {
      type: "object",
      properties: { p: odd, q: { anyOf: odd, items: odd, properties: odd, enum: odd } },
    };
    const html = renderPage({ info: {}, paths: { "/a": { get } }, components: { schemas: { A } } });
    assert.doesNotMatch(html, /\[object|NaN/);
    assert.ok(html.includes("<tr><th>q<td>"));
  }
});

test("an example of one value or a few short ones stands on one line, and its text does not change", () => {
  const text = "[\n  1,\n  2\n]";
  const values = [
    ["a", 1],
    { a: "x".repeat(99) },
    { list: [1, [2, 3]], text },
    { a: "x".repeat(99), b: 1 },
    {},
    7,
  ];
  const shown = values.map((value) => {
    const content = { "application/json": { example: value } };
    const html = renderPage({
      ...document,
      paths: { "/a": { get: { responses: { 200: { content } } } } },
    });
    return /<pre>([^<]+)<\/pre>/.exec(html)?.[1] ?? "";
  });
  assert.deepEqual(
    shown.map((text) => JSON.parse(text) as unknown),
    values,
  );
  assert.equal(shown[0], '["a", 1]');
  assert.equal(shown[1]?.includes("\n"), false);
  assert.match(shown[2] ?? "", /\n {2}"list": \[\n {4}1,\n {4}\[2, 3\]\n/);
  assert.match(shown[3] ?? "", /^\{\n {2}"a"/);
});

test("an operation without body, responses, security, description or identifier is shown all the same", () => {
  const html = renderPage({
    ...document,
    paths: { "/bare": { get: {}, parameters: [], summary: "Not a method" } },
  });
  assert.ok(html.includes('<section id="GET/bare">'));
  assert.ok(html.includes("Security: none"));
  assert.equal(html.match(/<textarea/g), null);
});

function renderSchemas(schemas: Part): string {
  return renderPage({ ...document, paths: {}, components: { schemas } });
}

function namesOf(value: unknown): string[] {
  return Object.keys(partOf(value));
}

function escape(text: string): string {
  return text.replace(/[&<>]/g, (character) => `&#${character.charCodeAt(0)};`);
}
