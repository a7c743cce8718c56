import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";

import {
  asObject,
  type OpenApiDocument,
  operationsOf,
  resolve,
  valuesOf,
} from "../../src/docs/document.ts";
import { root } from "../root.ts";

const json = readFileSync(new URL("src/docs/openapi.json", root), "utf8");
const document = JSON.parse(json) as OpenApiDocument;

describe("the OpenAPI document", () => {
  test("has references that all lead somewhere", () => {
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]*)"/g)];
    assert.ok(references.length > 20);
    for (const [, $ref = ""] of references) {
      assert.notDeepEqual(resolve(document, { $ref }), {});
    }
  });

  test("describes operations, responses, schemas and properties in a sentence or two", () => {
    const operations = operationsOf(document);
    const responses = operations
      .flatMap((operation) => valuesOf(operation["responses"]))
      .map((response) => resolve(document, response));
    const schemas = valuesOf(asObject(document["components"])["schemas"]);
    const properties = schemas.flatMap((schema) => valuesOf(schema["properties"]));
    const described = [...operations, ...responses, ...schemas, ...properties];
    assert.ok(described.length > 30);
    for (const { description } of described) {
      assert.match(String(description), /^[^.]+\.( [^.]+\.)?$/);
    }
  });
});
