import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { createGuard } from "../../src/auth/security.ts";
import {
  asObject,
  entriesOf,
  type JsonObject,
  operationsOf,
  resolve,
  valuesOf,
} from "../../src/docs/document.ts";
import { openApiDocument } from "../../src/docs/openapi.ts";
import { renderPage } from "../../src/docs/page.ts";
import { json } from "../../src/http/reply.ts";
import { type Dependency, type Route, route } from "../../src/http/route.ts";
import { integer, object, optional, string } from "../../src/models/model.ts";
import { everyKind, onlyKey } from "../support/every-kind.ts";

const guard = createGuard({ current: [] });
const routes = everyKind(guard, onlyKey("admin"));

/** As it is written: members that are undefined are left out. */
function documentOf(table: readonly Route[]): JsonObject {
  return JSON.parse(JSON.stringify(openApiDocument(table))) as JsonObject;
}

describe("the document of a table with each kind of thing", () => {
  const document = documentOf(routes);
  const components = asObject(document["components"]);
  const operationOf = (name: string): JsonObject =>
    operationsOf(document).find(({ method, path }) => `${method} ${path}` === name) ?? {};
  const responsesOf = (name: string): JsonObject => asObject(operationOf(name)["responses"]);
  const put = operationOf("PUT /items/{id}/{part}");
  const find = operationOf("GET /items/{id}");

  test("has an operation for each route that is in the schema, named as by FastAPI", () => {
    const ids = operationsOf(document).map(({ operationId }) => operationId);
    assert.deepEqual(ids, [
      "items_items__id___part__put",
      "items_items__id__get",
      "items_items__id__delete",
      "items_items_export_get",
    ]);
  });

  test("has references that all lead somewhere, and no component that nothing refers to", () => {
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]*)"/g)];
    const targets = new Set(references.map(([, reference]) => String(reference)));
    for (const $ref of targets) assert.notDeepEqual(resolve(document, { $ref }), {});
    const unused = Object.entries(components)
      .filter(([kind]) => kind !== "securitySchemes")
      .flatMap(([kind, members]) =>
        Object.keys(asObject(members)).map((name) => `#/components/${kind}/${name}`),
      )
      .filter((reference) => !targets.has(reference));
    assert.deepEqual(unused, []);
  });

  test("describes the tags of its operations, by name", () => {
    assert.deepEqual(put["tags"], ["process", "health"]);
    const names = valuesOf(document["tags"]).map(({ name }) => name);
    assert.deepEqual(names, ["health", "process"]);
  });

  test("has the parameters of the path first, in its order, then those of the query", () => {
    const placesOf = (operation: JsonObject): string[] =>
      valuesOf(operation["parameters"]).map(({ name, in: place, required }) =>
        [place, name, required].join(" "),
      );
    assert.deepEqual(placesOf(put), ["path id true", "path part true"]);
    assert.deepEqual(placesOf(find), [
      "path id true",
      "query level false",
      "query limit false",
      "query ratio false",
      "query all false",
      "query exact true",
      "query day false",
      "query word false",
      "query tag false",
      "query code false",
    ]);
  });

  test("has a parameter's description beside its schema", () => {
    const [id, level] = valuesOf(find["parameters"]);
    assert.equal(id?.["description"], "Which item.");
    assert.deepEqual(id?.["schema"], { type: "string", format: "uuid" });
    assert.equal(level?.["description"], "How urgent it is.");
    assert.deepEqual(level?.["schema"], { $ref: "#/components/schemas/Level" });
  });

  test("has a component for each model with a title, wherever it stands", () => {
    const { Item, Level, Range, Part } = asObject(components["schemas"]) as Record<
      string,
      JsonObject
    >;
    const { properties } = Item ?? {};
    const { level, fallback, ranges, size } = asObject(properties) as Record<string, JsonObject>;
    const reference = { $ref: "#/components/schemas/Level" };
    assert.deepEqual(Level, { enum: ["low", "high"], description: "How urgent it is." });
    assert.deepEqual(level, reference);
    assert.deepEqual(fallback, { ...reference, default: "low" });
    assert.deepEqual(ranges?.["items"], { $ref: "#/components/schemas/Range" });
    assert.deepEqual(valuesOf(size?.["anyOf"]).at(-1), { $ref: "#/components/schemas/Range" });
    assert.equal(Range?.["additionalProperties"], false);
    assert.deepEqual(asObject(Part?.["properties"])["item"], { $ref: "#/components/schemas/Item" });
  });

  test("has the responses of handler, guards and service", () => {
    const statuses = operationsOf(document).map((operation) =>
      Object.keys(asObject(operation["responses"])).join(" "),
    );
    assert.deepEqual(statuses, [
      "200 400 401 404 408 409 413 415 417 422 429 431 501 503 505",
      "200 400 401 404 408 417 422 429 431 501 503 505",
      "204 400 401 403 404 408 417 422 429 431 501 503 505",
      "200 400 408 417 431 501 505",
    ]);
  });

  test("shares the responses of guards and service, but has those of handlers in place", () => {
    const { 403: forbidden, 404: notFound } = responsesOf("DELETE /items/{id}");
    assert.deepEqual(forbidden, { $ref: "#/components/responses/Forbidden" });
    assert.deepEqual(notFound, { $ref: "#/components/responses/NotFound" });
    const { description, content } = resolve(document, notFound);
    assert.equal(description, "Nothing has this path.");
    const [shared] = valuesOf(content);
    assert.deepEqual(shared?.["example"], { detail: "Not Found" });
    const own = asObject(responsesOf("GET /items/{id}")[404]);
    assert.equal(own["description"], "No such item.");
    const media = asObject(asObject(own["content"])["application/json"]);
    assert.deepEqual(media, { schema: { $ref: "#/components/schemas/HTTPError" } });
  });

  test("has the header fields of a response, and says which are always there", () => {
    const { headers } = asObject(asObject(put["responses"])[200]);
    const required = entriesOf(headers).map(([name, header]) => {
      const { required, description } = resolve(document, header);
      return [name, required, description];
    });
    const [, , requestId] = required;
    assert.deepEqual(required.slice(0, 2), [
      ["X-Part", true, undefined],
      ["X-Note", false, "A note."],
    ]);
    assert.deepEqual(requestId?.slice(0, 2), ["X-Request-Id", true]);
  });

  test("has the type of a stream, and no content for 204", () => {
    const { content } = asObject(responsesOf("GET /items/export")[200]);
    assert.deepEqual(content, { "text/csv": { schema: { type: "string" }, example: "a,b\r\n" } });
    assert.equal(asObject(responsesOf("DELETE /items/{id}")[204])["content"], undefined);
  });

  test("needs a key where a guard says so", () => {
    const security = operationsOf(document).map((operation) => operation["security"]);
    const needed = [{ APIKeyHeader: [] }];
    assert.deepEqual(security, [needed, needed, needed, []]);
  });

  test("has an example of each body", () => {
    const { content, required } = asObject(put["requestBody"]);
    const { example } = asObject(asObject(content)["application/json"]);
    assert.equal(required, true);
    assert.deepEqual(asObject(example)["ranges"], [{ from: 0, to: 0 }]);
    assert.deepEqual(asObject(example)["nested"], { on: true, code: 1 });
  });

  test("makes a page", () => {
    const page = renderPage(document);
    for (const text of ["403 Forbidden", "text/csv", "X-Note", "fallback", 'data-name="tag"']) {
      assert.ok(page.includes(text), text);
    }
  });
});

/** A route with what most declarations have, and more. */
function routeWith(members: Partial<Route>): Route {
  const one = route({ method: "GET", path: "/process", handler: () => json(200, null) });
  return { ...one, ...members };
}

describe("a declaration that has no place in a document", () => {
  const titled = (title: string): Route["body"] => object({ a: string() }, { title });
  const schemed: Dependency = Object.assign(() => undefined, { security: "Other" });
  const mistakes: readonly (readonly [what: string, members: Partial<Route>, problem: RegExp])[] = [
    ["a tag without a description", { tags: ["x"] }, /add x to TAGS in src\/docs\/base\.ts/],
    ["a group of paths without one", { path: "/x/y" }, /add x to TAGS/],
    ["an inherited name as a tag", { tags: ["constructor"] }, /add constructor to TAGS/],
    ["an unknown scheme", { dependencies: [schemed] }, /GET \/process: add Other to SECURITY_SC/],
    ["a method that OpenAPI lacks", { method: "SEARCH" }, /SEARCH \/process: .*includeInSchema/],
    ["a title with a blank", { method: "PUT", body: titled("A b") }, /the title "A b" must be /],
    ["an empty title", { method: "PUT", body: titled("") }, /the title "" must be /],
    [
      "the title of an error",
      { method: "PUT", body: titled("HTTPError") },
      /two models have the title HTTPError/,
    ],
    ["a mistake in the table", { method: "get" }, /routes\[0\] get \/process: the method must be /],
    [
      "an example that is not valid",
      { responses: { 200: { description: "", body: integer(), example: "x" } } },
      /GET \/process: the example is not valid at body: Input should be a valid integer/,
    ],
  ];
  for (const [what, members, problem] of mistakes) {
    test(`such as ${what}, is an error`, () => {
      assert.throws(() => openApiDocument([routeWith(members)]), problem);
    });
  }
});

describe("a response", () => {
  const responsesOf = (...members: Partial<Route>[]): JsonObject[] =>
    operationsOf(documentOf(members.map(routeWith))).map(({ responses }) => asObject(responses));
  const rejecting = (status: number, description: string): Dependency =>
    Object.assign((): void => {}, { responses: { [status]: { description } } });

  test("of a guard stands in place if another guard's has its name", () => {
    const [first, second] = responsesOf(
      { dependencies: [rejecting(403, "Not this key.")] },
      { path: "/health", dependencies: [rejecting(403, "Not at night.")] },
    );
    assert.deepEqual(first?.[403], { $ref: "#/components/responses/Forbidden" });
    assert.equal(asObject(second?.[403])["description"], "Not at night.");
  });

  test("of several for a status is the handler's, else the first guard's", () => {
    const dependencies = [rejecting(403, "One."), rejecting(403, "Two."), rejecting(404, "Three.")];
    const responses = { 404: { description: "Own." } };
    const document = documentOf([routeWith({ dependencies, responses })]);
    const [operation] = operationsOf(document);
    const described = ["403", "404"].map((status) => {
      const response = asObject(operation?.["responses"])[status];
      return resolve(document, response)["description"];
    });
    assert.deepEqual(described, ["One.", "Own."]);
  });

  test("has no example if a sample does not match", () => {
    const body = object({ code: string({ pattern: "^[0-9]{4}$" }) });
    const [responses] = responsesOf({ responses: { 200: { description: "", body } } });
    const { content } = asObject(responses?.[200]);
    assert.deepEqual(Object.keys(asObject(asObject(content)["application/json"])), ["schema"]);
  });
});

test("a value among examples that looks like a schema stays a value", () => {
  const body = object({ a: optional(string()) }, { examples: [{ title: "x", properties: {} }] });
  const [operation] = operationsOf(documentOf([routeWith({ method: "POST", body })]));
  const { content } = asObject(operation?.["requestBody"]);
  const { schema } = asObject(asObject(content)["application/json"]);
  assert.deepEqual(asObject(schema)["examples"], [{ title: "x", properties: {} }]);
});
