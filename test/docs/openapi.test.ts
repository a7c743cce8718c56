import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";

import { openApiText } from "../../src/app.ts";
import {
  asObject,
  entriesOf,
  type OpenApiDocument,
  operationsOf,
  resolve,
  valuesOf,
} from "../../src/docs/document.ts";
import { root } from "../support/root.ts";

const json = readFileSync(new URL("src/docs/openapi.json", root), "utf8");
const document = JSON.parse(json) as OpenApiDocument;

const FIRST_PATHS = /^\/(?:process|health)$/;
const FIRST_SCHEMAS = /^(?:Process|Health|HTTP|Validation)/;

describe("the OpenAPI document", () => {
  test("is what the routes declare: run npm run openapi if not", () => {
    assert.ok(json === openApiText(), "src/docs/openapi.json is stale: run npm run openapi");
  });

  test("has references that all lead somewhere", () => {
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]*)"/g)];
    assert.ok(references.length > 20);
    for (const [, $ref = ""] of references) {
      assert.notDeepEqual(resolve(document, { $ref }), {});
    }
  });

  test("describes what the first endpoints have in a sentence or two", () => {
    const operations = operationsOf(document).filter(({ path }) => FIRST_PATHS.test(path));
    const responses = operations
      .flatMap((operation) => valuesOf(operation["responses"]))
      .map((response) => resolve(document, response));
    const schemas = entriesOf(asObject(document["components"])["schemas"])
      .filter(([name]) => FIRST_SCHEMAS.test(name))
      .map(([, schema]) => schema);
    const properties = schemas.flatMap((schema) => valuesOf(schema["properties"]));
    const described = [...operations, ...responses, ...schemas, ...properties];
    assert.ok(described.length > 30);
    for (const { description } of described) {
      assert.match(String(description), /^[^.]+\.( [^.]+\.)?$/);
    }
  });

  test("says of each operation whether it needs a key", () => {
    const operations = operationsOf(document);
    const securityOf = (path: string): unknown =>
      operations.find((operation) => operation.path === path)?.["security"];
    assert.deepEqual(securityOf("/process"), [{ APIKeyHeader: [] }]);
    assert.deepEqual(securityOf("/health"), []);
    for (const { security } of operations) assert.ok(Array.isArray(security));
  });

  test("has one server, relative to its own address, so that it works below any prefix", () => {
    const addresses = valuesOf(document["servers"]).map(({ url }) => String(url));
    const own = "https://example.com/svc/openapi.json";
    assert.deepEqual(
      addresses.map((address) => new URL(address, own).href),
      ["https://example.com/svc/"],
    );
    assert.doesNotMatch(addresses.join(), /^[a-z]+:|^\//);
  });

  test("uses only formats of JSON Schema", () => {
    const formats = [...json.matchAll(/"format": "([^"]*)"/g)].map(([, format]) => format);
    assert.ok(formats.includes("uuid"));
    for (const format of formats) assert.match(String(format), /^(?:uuid|uri|date-time|date)$/);
  });

  test("names a contact, and describes each tag that an operation has", () => {
    assert.match(String(asObject(asObject(document["info"])["contact"])["name"]), /./);
    const described = valuesOf(document["tags"]).map(({ name, description }) => {
      assert.match(String(description), /^[^.]+\.$/);
      return name;
    });
    const used = new Set(operationsOf(document).flatMap(({ tags }) => tags ?? []));
    assert.ok(used.has("process") && used.has("health"));
    assert.deepEqual(described, [...used].toSorted());
  });

  test("speaks of responses and problems", () => {
    assert.doesNotMatch(json, /\b(?:answer|fault)/i);
  });
});
