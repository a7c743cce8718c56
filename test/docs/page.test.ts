import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { STATUS_CODES } from "node:http";
import { test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { gzipSync } from "node:zlib";

import { operationsOf, resolve } from "../../src/docs/document.ts";
import { type OpenApiDocument, renderPage } from "../../src/docs/page.ts";
import type { Schema } from "../../src/docs/schema.ts";
import { root } from "../root.ts";
import { poison } from "./hostile.ts";

const read = (name: string): string => readFileSync(new URL(`src/docs/${name}`, root), "utf8");
const document = JSON.parse(read("openapi.json")) as OpenApiDocument;
const page = renderPage(document);

test("the page has every operation, status, header, example, schema and property of the document", () => {
  const { schemas = {}, headers = {} } = document.components ?? {};
  const sections = page.split("<section ");
  const has = (section: string, text: string): void => assert.ok(section.includes(escape(text)), text);
  for (const { method, path, description = "", responses = {} } of operationsOf(document)) {
    const section = sections.find((each) => each.startsWith(`id="${method}${path}"`)) ?? "";
    has(section, path);
    has(section, description);
    for (const [status, response] of Object.entries(responses)) {
      has(section, `${status} ${STATUS_CODES[status]}`);
      const { description = "", headers = {}, content = {} } = resolve(document, response);
      for (const text of [description, ...Object.keys(headers), ...Object.keys(content)]) has(section, text);
      for (const { schema, example, examples } of Object.values(content)) {
        has(section, (schema?.$ref ?? "").replace("#/components/schemas/", ""));
        const shown = [...section.matchAll(/<pre>([^<]*)<\/pre>/g)].map(([, json = ""]) => JSON.parse(json) as unknown);
        const values = example === undefined ? Object.values(examples ?? {}).map((each) => each.value) : [example];
        for (const value of values) assert.ok(shown.some((each) => isDeepStrictEqual(each, value)), `${status}`);
      }
    }
  }
  const last = sections.at(-1) ?? "";
  for (const [name, { properties = {}, description = "" }] of Object.entries(schemas)) {
    assert.ok(last.includes(`<div id="${name}">`));
    for (const text of [description, ...Object.keys(properties)]) has(last, text);
  }
  for (const name of Object.keys(headers)) has(last, name);
});

test("the page and what it loads have at most 24 KiB, and 8 KiB gzipped", () => {
  const files = [page, read("docs.css"), read("docs.js"), read("icon.svg")].map((text) => Buffer.from(text));
  const sum = (sizes: number[]): number => sizes.reduce((total, size) => total + size, 0);
  assert.ok(sum(files.map((file) => file.length)) <= 24 * 1024);
  assert.ok(sum(files.map((file) => gzipSync(file).length)) <= 8 * 1024);
});

test("the page has relative addresses only, which work below any prefix", () => {
  const addresses = [...page.matchAll(/\b(?:href|src|action)="([^"]*)"/g)].map(([, address]) => address ?? "");
  assert.ok(addresses.length > 10);
  const relative = /^(#[\w/]+|docs\/(docs\.css|docs\.js|icon\.svg)|openapi\.json)$/;
  for (const address of addresses) assert.match(address, relative);
  for (const text of [read("docs.css"), read("docs.js")]) assert.doesNotMatch(text, /https?:|\burl\(|@import|import\(/);
});

test("the page leads each of its links to one element", () => {
  const ids = [...page.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id);
  assert.equal(new Set(ids).size, ids.length);
  for (const [, id] of page.matchAll(/href="#([^"]*)"/g)) assert.ok(ids.includes(id), id);
});

test("there is no inline script or style, no handler, no closed details, and no control outside a hidden form", () => {
  assert.doesNotMatch(page, /<style|<script(?! type="module" src="docs\/docs\.js"><\/script>)/i);
  assert.doesNotMatch(page, / style=| on\w+=|<details/i);
  assert.doesNotMatch(read("docs.js"), /innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval|Function\(/);
  assert.doesNotMatch(read("docs.js"), /localStorage|sessionStorage|indexedDB|cookie/);
  const outside = page.replace(/<form [^>]*\bhidden>[^]*?<\/form>/g, "");
  assert.doesNotMatch(outside, /<form|<button|<input|<textarea|<select/);
  assert.match(page, /<form [^>]*\bhidden>/);
});

test("text from the document stays text, wherever it stands", () => {
  const attack = `</script></title></textarea></pre><img src=x onerror=alert(1)>"'&<!--`;
  const { components, ...rest } = poison(document, attack);
  const schema = { type: attack, properties: { [attack]: { enum: [attack] } }, required: [attack] };
  const schemas = { ...components?.schemas, [attack]: schema };
  const html = renderPage({ ...rest, components: { ...components, schemas } });
  assert.doesNotMatch(html, /<img|<!--/);
  assert.ok(html.includes("onerror=alert(1)&#62;"));
  const tags = (text: string): Set<string> => new Set([...text.matchAll(/<\/?[a-zA-Z!][^\s>]*/g)].map(([tag]) => tag));
  assert.deepEqual([...tags(html)].filter((tag) => !tags(page).has(tag)), []);
  for (const [tag] of html.matchAll(/<[a-z][^>]*>/g)) assert.match(tag, /^<[a-z0-9]+( [a-z-]+(="[^"<>]*")?)*>$/);
});

test("types are told in words", () => {
  const cases: [Schema | boolean, string][] = [
    [{}, "any"],
    [true, "any"],
    [false, "nothing"],
    [{ type: "string" }, "string"],
    [{ type: "string", format: "uuid4" }, "string (uuid4)"],
    [{ type: ["string", "null"] }, "string or null"],
    [{ type: ["string", "null"], format: "date" }, "string (date) or null"],
    [{ type: "integer", nullable: true }, "integer or null"],
    [{ $ref: "#/components/schemas/A", nullable: true }, '<a href="#A">A</a> or null'],
    [{ type: "array" }, "array of any"],
    [{ type: "array", items: { type: "string" } }, "array of string"],
    [{ type: "array", items: { type: ["string", "null"] } }, "array of string or null"],
    [{ type: ["array", "null"], items: { $ref: "#/components/schemas/A" } }, 'array of <a href="#A">A</a> or null'],
    [{ anyOf: [{ type: "string" }, { type: "integer" }] }, "string or integer"],
    [{ oneOf: [{ type: "string" }, true] }, "string or any"],
    [{ allOf: [{ $ref: "#/components/schemas/A" }, { type: "object" }] }, '<a href="#A">A</a> and object'],
    [{ enum: ["a", 1, null] }, '<code>"a"</code> or <code>1</code> or <code>null</code>'],
    [{ const: false }, "<code>false</code>"],
    [{ $ref: "#/components/parameters/P/schema" }, "schema"],
  ];
  for (const [schema, words] of cases) {
    const html = renderSchemas({ A: { properties: { p: schema }, type: "object" } });
    assert.ok(html.includes(`<tr><th>p</th><td>${words}</td>`), words);
  }
});

test("properties of objects inside an object or a list have rows of their own, with the path to them", () => {
  const inner: Schema = { required: ["b"], properties: { b: { type: "string", description: "Deep." } } };
  const properties: Schema["properties"] = { a: inner, list: { type: "array", items: inner }, c: { anyOf: [inner] } };
  const html = renderSchemas({ A: { properties } });
  for (const name of ["a.b", "list[].b", "c.b"]) {
    assert.ok(html.includes(`<tr><th>${name} <em>required</em></th><td>string</td><td>Deep.</td></tr>`), name);
  }
});

test("schemas that contain themselves, or that only name each other, end", () => {
  const html = renderSchemas({
    Tree: { type: "object", properties: { children: { type: "array", items: { $ref: "#/components/schemas/Tree" } } } },
    A: { $ref: "#/components/schemas/B" },
    B: { $ref: "#/components/schemas/A" },
  });
  assert.ok(html.includes('array of <a href="#Tree">Tree</a>'));
  assert.ok(html.includes('<div id="A">\n<h3>A</h3>\n<p></p>\n<p><a href="#B">B</a></p>'));
});

test("a reference that leads nowhere, or in a circle, or to no object, is an error that shows it", () => {
  const responses = { loop: { $ref: "#/components/responses/loop" }, text: "x" };
  const names = ["gone", "loop", "text"].map((name) => `#/components/responses/${name}`);
  for (const ref of [...names, "x.json#/info", "/info", ""]) {
    const paths = { "/a": { get: { responses: { 200: { $ref: ref } } } } };
    const broken = { ...document, paths, components: { responses } } as OpenApiDocument;
    assert.throws(() => renderPage(broken), (error: Error) => error.message.includes(JSON.stringify(ref)), ref);
  }
});

test("references may hold escaped names, also those that every object has", () => {
  const responses = { "a/b~c": { description: "Slash." }, constructor: { description: "Own." } };
  const refs = ["#/components/responses/a~1b~0c", "#/components/responses/constructor"];
  const paths = { "/a": { get: { responses: { 200: { $ref: refs[0] }, 400: { $ref: refs[1] } } } } };
  const html = renderPage({ ...document, paths, components: { responses } } as OpenApiDocument);
  assert.ok(html.includes("Slash.") && html.includes("Own."));
  const inherited = { "/a": { get: { responses: { 200: { $ref: "#/components/toString" } } } } };
  assert.throws(() => renderPage({ ...document, paths: inherited }));
});

test("an operation without body, responses, security, description or identifier is shown all the same", () => {
  const html = renderPage({ ...document, paths: { "/bare": { get: {}, parameters: [], summary: "Not a method" } } });
  assert.ok(html.includes('<section id="GET/bare">'));
  assert.ok(html.includes("Security: none"));
  assert.equal(html.match(/<textarea/g), null);
});

function renderSchemas(schemas: Record<string, Schema>): string {
  return renderPage({ ...document, paths: {}, components: { schemas } });
}

function escape(text: string): string {
  return text.replace(/[&<>]/g, (character) => `&#${character.charCodeAt(0)};`);
}
