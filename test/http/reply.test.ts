import assert from "node:assert/strict";
import { test } from "node:test";

import { HttpError, JSON_HEADERS } from "../../src/http/reply.ts";

const DETAILS: readonly (readonly [string, unknown, string])[] = [
  ["a sentence", "Not Found", '{"detail":"Not Found"}'],
  ["no text at all", "", '{"detail":""}'],
  [
    "a list of problems",
    [{ type: "missing", loc: ["body"] }],
    '{"detail":[{"type":"missing","loc":["body"]}]}',
  ],
  ["an empty list", [], '{"detail":[]}'],
  ["null", null, '{"detail":null}'],
  ["quotes and line breaks", 'a "b"\r\n', '{"detail":"a \\"b\\"\\r\\n"}'],
  ["half of a surrogate pair", "\ud800", '{"detail":"\\ud800"}'],
  ["letters beyond ASCII", "é😀", '{"detail":"é😀"}'],
];

for (const [name, detail, body] of DETAILS) {
  test(`an HttpError with the detail ${name} is compact JSON, as in FastAPI`, () => {
    assert.equal(new HttpError(400, detail).body, body);
  });
}

test("an HttpError has the fields of every JSON response, then its own", () => {
  const { headers } = new HttpError(503, "busy", ["Retry-After", "1", "X-A", "b"]);
  assert.deepEqual(headers, [...JSON_HEADERS, "Retry-After", "1", "X-A", "b"]);
  assert.deepEqual(new HttpError(404, "x").headers, JSON_HEADERS);
});

test("every JSON response is application/json and must not be stored", () => {
  assert.deepEqual(JSON_HEADERS, ["Content-Type", "application/json", "Cache-Control", "no-store"]);
});

test("an HttpError has no stack, so one can be thrown for every request", () => {
  const error: object = new HttpError(401, "x");
  assert.ok(!(error instanceof Error));
  assert.ok(!("stack" in error));
  assert.deepEqual(Object.keys(error).sort(), ["body", "headers", "status"]);
});
