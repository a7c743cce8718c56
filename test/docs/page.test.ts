import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { gzipSync } from "node:zlib";

import {
  asObject,
  entriesOf,
  type JsonObject,
  type OpenApiDocument,
  type Operation,
  operationsOf,
  resolve,
  valuesOf,
} from "../../src/docs/document.ts";
import { renderPage } from "../../src/docs/page.ts";
import { root } from "../support/root.ts";
import { jobs } from "../support/jobs.ts";
import { poison } from "../support/hostile.ts";

const read = (name: string): string => readFileSync(new URL(`src/docs/${name}`, root), "utf8");
const document = JSON.parse(read("openapi.json")) as OpenApiDocument;
const page = renderPage(document);

/** Statuses that each operation describes itself. */
const OWN = /^(?:2..|401|404|422|500)$/;
const sections = page.split("<section").slice(1);

describe("the docs page shows of the document", () => {
  test("title, version and description", () => {
    const { title, version, description } = asObject(document["info"]);
    assertIncludes(page, `<title>${title} ${version}</title>`);
    assertIncludes(sections[0], `<h1>${title} <small>${version}</small></h1>\n<p>${description}`);
  });

  test("contents with a link to each operation", () => {
    const nav = /<nav [^]*<\/nav>/.exec(page)?.[0];
    for (const { method, path } of operationsOf(document)) {
      const link = `<a href="#${method}${path}"><b>${method}</b> <code>${path}</code></a>`;
      assertIncludes(nav, link);
    }
    assertIncludes(nav, '<a href="#responses">');
    assertIncludes(nav, '<a href="#schemas">');
  });

  test("how a caller proves who it is", () => {
    const { description } = valuesOf(asObject(document["components"])["securitySchemes"])[0] ?? {};
    assertIncludes(sections[0], `<p>${description}`);
    assertIncludes(sections[0], "APIKeyHeader: apiKey in header <code>X-API-Key</code>");
  });

  for (const operation of operationsOf(document)) {
    const { method, path } = operation;
    const section = sections.find((text) => text.startsWith(` id="${method}${path}"`));

    test(`${method} ${path} with its summary, description and security`, () => {
      const { summary, description, security } = operation;
      assertIncludes(section, `<h2><b>${method}</b> <code>${path}</code></h2>`);
      assertIncludes(section, `<strong>${summary}.</strong> ${description}`);
      const names = valuesOf(security).flatMap(Object.keys);
      assertIncludes(section, `<p>Security: ${names.join(", ") || "none"}</div>`);
    });

    test(`${method} ${path} with each response that callers handle`, () => {
      const own = entriesOf(operation["responses"]).filter(([status]) => OWN.test(status));
      assert.ok(own.length > 0);
      for (const [status, response] of own) {
        const [, shown = ""] = section?.split(`<h4 data-status="${status}">`) ?? [];
        assertShowsMessage(shown, resolve(document, response));
      }
    });

    test(`${method} ${path} with links to the responses that it shares`, () => {
      const shared = entriesOf(operation["responses"]).filter(([, { $ref }]) => $ref !== undefined);
      const others = shared.filter(([status]) => !OWN.test(status));
      const links = others.map(([status, { $ref }]) => {
        const address = String($ref).replace("#/components/", "#");
        return `<a href="${address}">${status}</a>`;
      });
      assertIncludes(section, `<p>Also ${links.join(", ")}</div>`);
      for (const [status] of others) assert.ok(!section?.includes(`data-status="${status}"`));
    });
  }

  test("each shared response once, by status", () => {
    const shown = sections.find((text) => text.startsWith(' id="responses"')) ?? "";
    const statuses = [...shown.matchAll(/<h3 data-status="(\d+)">/g)].map(([, status]) => status);
    for (const status of ["400", "408", "413", "415", "417", "431", "501", "503", "505"]) {
      assert.ok(statuses.includes(status), status);
    }
    assert.deepEqual(statuses, statuses.toSorted());
    const components = asObject(asObject(document["components"])["responses"]);
    for (const [, id = "", block] of shown.matchAll(/<div id="responses\/(\w+)">([^]*?)<\/div>/g)) {
      assertShowsMessage(block, asObject(components[id]));
    }
  });

  test("reason phrases of RFC 9110", () => {
    assertIncludes(page, ">413 Content Too Large</h3>");
    assertIncludes(page, ">422 Unprocessable Content</h4>");
    assertIncludes(page, ">401 Unauthorized</h4>");
  });

  test("request bodies, whether they are required, and their properties", () => {
    const operations = operationsOf(document).filter(
      ({ requestBody }) => requestBody !== undefined,
    );
    assert.ok(operations.length > 0);
    for (const operation of operations) {
      const body = asObject(operation["requestBody"]);
      const [, shown = ""] =
        /<h3>Request body([^]*?)<h3>Responses/.exec(sectionOf(operation)) ?? [];
      assert.ok(shown.startsWith(body["required"] === true ? " <em>required</em></h3>" : "</h3>"));
      assertShowsMessage(shown, body);
      const [schema] = valuesOf(body["content"]).map((media) => resolve(document, media["schema"]));
      for (const name of namesOf(schema?.["properties"])) assertIncludes(shown, `<tr><th>${name}`);
    }
    const shown = sectionOf(operations.find(({ path }) => path === "/process"));
    assertIncludes(shown, "<table>\n<tr><th>status <em>required</em><td>string<td>");
  });

  test("schemas with their descriptions and properties", () => {
    for (const [name, schema] of entriesOf(asObject(document["components"])["schemas"])) {
      const [, shown] = sections.at(-1)?.split(`<div id="schemas/${name}"><h3>${name}</h3>`) ?? [];
      assertIncludes(shown, `<p>${schema["description"] ?? ""}`);
      for (const property of namesOf(schema["properties"])) {
        assertIncludes(shown, `<tr><th>${property}`);
      }
    }
  });

  test("header fields that every response has once, as such", () => {
    assert.equal(page.split("X-Request-Id").length, 2);
    assertIncludes(sections.at(-1), "<th>X-Request-Id <em>always</em>");
  });

  test("header fields with their descriptions", () => {
    for (const [name, { description }] of entriesOf(asObject(document["components"])["headers"])) {
      assertIncludes(sections.at(-1), `<th>${name}`);
      assertIncludes(sections.at(-1), `<td>${description}`);
    }
  });
});

describe("the docs page and its files", () => {
  test("have at most 24 KiB, and 8 KiB gzipped, for the first two endpoints", () => {
    const names = ["docs.css", "docs.js", "icon.svg"];
    const texts = [renderPage(firstDocument()), ...names.map(read)];
    const files = texts.map((text) => Buffer.from(text));
    const sum = (sizes: number[]): number => sizes.reduce((total, size) => total + size, 0);
    assert.ok(sum(files.map((file) => file.length)) <= 24 * 1024);
    assert.ok(sum(files.map((file) => gzipSync(file).length)) <= 8 * 1024);
  });

  test("have relative addresses only, which work below any prefix", () => {
    const matches = [...page.matchAll(/\b(?:href|src|action)="([^"]*)"/g)];
    assert.ok(matches.length > 10);
    const relative = /^(#[\w/{}.~-]+|docs\/(docs\.css|docs\.js|icon\.svg)|openapi\.json)$/;
    for (const [, address = ""] of matches) assert.match(address, relative);
    for (const text of [read("docs.css"), read("docs.js")]) {
      assert.doesNotMatch(text, /https?:|\burl\(|@import|import\(/);
    }
  });

  test("have links that lead to exactly one element each", () => {
    const ids = [...page.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id);
    assert.equal(new Set(ids).size, ids.length);
    for (const [, id] of page.matchAll(/href="#([^"]*)"/g)) assert.ok(ids.includes(id), id);
  });

  test("have no inline script or style, and no text that becomes code", () => {
    assert.doesNotMatch(page, /<style|<script(?! type="module" src="docs\/docs\.js"><\/script>)/i);
    assert.doesNotMatch(page, / style=| on\w+=|<details/i);
    const script = read("docs.js");
    assert.doesNotMatch(script, /innerHTML|outerHTML|insertAdjacentHTML|document\.write/);
    assert.doesNotMatch(script, /eval|Function\(/);
  });

  test("keep nothing in the browser's stores", () => {
    assert.doesNotMatch(read("docs.js"), /localStorage|sessionStorage|indexedDB|cookie/);
  });

  test("have controls in hidden forms only", () => {
    assert.match(page, /<form [^>]*\bhidden>/);
    const outside = page.replace(/<form [^>]*\bhidden>[^]*?<\/form>/g, "");
    assert.doesNotMatch(outside, /<form|<button|<input|<textarea|<select/);
  });
});

describe("the docs page of another document", () => {
  test("shows its text as text, wherever it stands", () => {
    const attack = `</script></title></textarea></pre><img src=x onerror=alert(1)>"'&<!--`;
    const poisoned = poison(document, attack);
    const components = asObject(poisoned["components"]);
    const properties = { [attack]: { enum: [attack] } };
    const schema = { type: attack, properties, required: [attack] };
    const schemas = { ...asObject(components["schemas"]), [attack]: schema };
    const hostile = renderPage({ ...poisoned, components: { ...components, schemas } });
    assert.doesNotMatch(hostile, /<img|<!--/);
    assert.ok(hostile.includes("onerror=alert(1)&#62;"));
    const known = tagsOf(page);
    const foreign = [...tagsOf(hostile)].filter((tag) => !known.has(tag));
    assert.deepEqual(foreign, []);
    for (const [tag] of hostile.matchAll(/<[a-z][^>]*>/g)) {
      assert.match(tag, /^<[a-z0-9]+( [a-z-]+(="[^"<>]*")?)*>$/);
    }
  });

  test("has a link in place of each reference between schemas, also in a circle", () => {
    const shown = renderSchemas({
      A: { $ref: "#/components/schemas/B" },
      B: { $ref: "#/components/schemas/A" },
    });
    assertIncludes(
      shown,
      '<div id="schemas/A"><h3>A</h3>\n<p>\n<p><a href="#schemas/B">B</a></div>',
    );
  });

  test("is an error if a response is a reference that leads nowhere", () => {
    const reference = { $ref: "#/components/responses/gone" };
    const paths = { "/a": { get: { responses: { 200: reference } } } };
    assert.throws(() => renderPage({ ...document, paths }), /responses\/gone/);
  });

  test("shows an operation without body, responses, security and description", () => {
    const bare = renderPage({ ...document, paths: { "/bare": { get: {} } } });
    assertIncludes(bare, '<section id="GET/bare">');
    assertIncludes(bare, "Security: none");
    assert.doesNotMatch(bare, /<textarea|Request body/);
  });

  test("shows its parameters with place, type, bounds, default and description", () => {
    const shown = renderPage(jobs);
    const rows = [
      "queue <em>path, required</em><td>string (1 or more characters, up to 20 characters, pattern",
      "id <em>path, required</em><td>string (uuid)<td>The job.",
      "priority <em>query</em><td>integer (at least 0, at most 9), default <code>5</code><td>High",
      'mode <em>query</em><td><code>"fast"</code> or <code>"safe"</code>, default',
      "level <em>query, required</em><td><code>1</code> or <code>2</code> or <code>3</code><td>",
      "notify <em>query</em><td>array of string (up to 10 items)<td>Addresses to write to.",
      "note <em>query</em><td>string (up to 50 characters) or null<td>A text of your own.",
      "X-Reason <em>header</em><td>string<td>Why.",
    ];
    for (const row of rows) assertIncludes(shown, `<tr><th>${row}`);
    assert.equal(shown.split("<h3>Parameters</h3>").length, 3);
  });

  test("describes a response of its own under its operation, whatever its status", () => {
    const [, section = ""] = renderPage(jobs).split('<section id="PUT/');
    assertIncludes(section, '<h4 data-status="409">409 Conflict</h4>\n<p>The queue is closed.');
  });

  test("has no shared responses, and no link to them, if there are none", () => {
    const paths = { "/bare": { get: { responses: { 200: { description: "Fine." } } } } };
    assert.doesNotMatch(renderPage({ ...document, paths }), /#responses|id="responses|Also/);
  });

  test("has no form for a key if no header field carries one", () => {
    const query = { type: "apiKey", in: "query", name: "key" };
    const components = { securitySchemes: { Query: query } };
    assert.doesNotMatch(renderPage({ paths: {}, components }), /type="password"/);
  });

  const malformed = [
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
  ];
  for (const value of malformed) {
    test(`shows nothing for ${JSON.stringify(value)} in place of a member`, () => {
      for (const odd of documentsWith(value)) {
        const shown = renderPage(odd);
        assert.doesNotMatch(shown, /\[object|NaN|undefined/);
        assert.match(shown, /<\/main>/);
      }
    });
  }
});

/** The document without endpoints that have been added: a page may grow with them. */
function firstDocument(): OpenApiDocument {
  const { "/process": task, "/health": health } = asObject(document["paths"]);
  const paths = { "/process": task, "/health": health };
  const components = Object.entries(asObject(document["components"])).map(([group, members]) => {
    return [group, usedMembers(group, asObject(members), JSON.stringify([paths, members]))];
  });
  return { ...document, paths, components: Object.fromEntries(components) as JsonObject };
}

/** The members of a group of components that a text refers to, or names as security schemes. */
function usedMembers(group: string, members: JsonObject, text: string): JsonObject {
  const used = Object.entries(members).filter(([name]) => {
    return text.includes(`"#/components/${group}/${name}"`) || text.includes(`{"${name}":[]}`);
  });
  return Object.fromEntries(used);
}

/** Documents in which one or several members are `value`. */
function documentsWith(value: unknown): OpenApiDocument[] {
  const components = { schemas: value, headers: value, securitySchemes: value };
  const responses = { 200: value, 400: { headers: value, content: value } };
  const get = { security: value, requestBody: value, responses };
  const q = { anyOf: value, items: value, properties: value, enum: value };
  const A = { type: "object", properties: { p: value, q } };
  return [
    { ...document, info: value },
    { ...document, paths: value },
    { components: value },
    { components },
    { paths: { "/a": { get } }, components: { schemas: { A } } },
  ];
}

function renderSchemas(schemas: JsonObject): string {
  return renderPage({ ...document, paths: {}, components: { schemas } });
}

function sectionOf(operation: Operation | undefined): string {
  const start = ` id="${operation?.method}${operation?.path}"`;
  return sections.find((text) => text.startsWith(start)) ?? "";
}

/** Everything that a request body or a response says about itself. */
function assertShowsMessage(shown: string | undefined, message: JsonObject): void {
  const { description, headers, content } = message;
  const fields = namesOf(headers).filter((name) => name !== "X-Request-Id");
  for (const text of [description, ...fields, ...namesOf(content)]) {
    assertIncludes(shown, String(text));
  }
  const values = [...(shown ?? "").matchAll(/<pre>([^<]*)<\/pre>/g)].map(
    ([, json = ""]) => JSON.parse(json) as unknown,
  );
  for (const { schema, example, examples } of valuesOf(content)) {
    const { $ref } = asObject(schema);
    if ($ref !== undefined) assertIncludes(shown, String($ref).split("/").at(-1));
    const expected = example === undefined ? valuesOf(examples) : [{ value: example }];
    for (const { value } of expected) {
      assert.ok(values.some((each) => isDeepStrictEqual(each, value)));
    }
  }
}

function assertIncludes(shown: string | undefined, text: string | undefined): void {
  assert.ok(text !== undefined && shown?.includes(text), `${text} is missing in ${shown}`);
}

function tagsOf(shown: string): Set<string> {
  return new Set([...shown.matchAll(/<\/?[a-zA-Z!][^\s>]*/g)].map(([tag]) => tag));
}

function namesOf(value: unknown): string[] {
  return Object.keys(asObject(value));
}
