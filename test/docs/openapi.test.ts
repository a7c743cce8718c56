import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import {
  membersOf,
  type OpenApiDocument,
  operationsOf,
  partOf,
  resolve,
} from "../../src/docs/document.ts";
import { root } from "../root.ts";

const document = JSON.parse(
  readFileSync(new URL("src/docs/openapi.json", root), "utf8"),
) as OpenApiDocument;

test("every reference of the document leads somewhere", () => {
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]*)"/g)];
  assert.ok(references.length > 20);
  for (const [, $ref = ""] of references)
    assert.equal(typeof resolve(document, { $ref }), "object");
});

test("every operation, status, schema and property has a description of one or two sentences", () => {
  const operations = operationsOf(document);
  const schemas = membersOf(partOf(document["components"])["schemas"]);
  const described = [
    ...operations,
    ...operations
      .flatMap(({ responses }) => membersOf(responses))
      .map(([, each]) => resolve(document, each)),
    ...schemas.map(([, schema]) => schema),
    ...schemas
      .flatMap(([, { properties }]) => membersOf(properties))
      .map(([, property]) => property),
  ];
  assert.ok(described.length > 30);
  for (const { description } of described)
    assert.match(String(description), /^[^.]+\.( [^.]+\.)?$/);
});
