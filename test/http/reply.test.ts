import assert from "node:assert/strict";
import { test } from "node:test";

import {
  checkField,
  checkIsNoFraming,
  countFields,
  empty,
  HttpError,
  json,
  JSON_HEADERS,
  text,
} from "../../src/http/reply.ts";

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

test("the replies of json, text and empty have their fields, then those that are added", () => {
  const added = ["X-A", "b"];
  assert.deepEqual(json(201, { a: 1 }, added), {
    status: 201,
    headers: ["Content-Type", "application/json", "Cache-Control", "no-store", "X-A", "b"],
    body: '{"a":1}',
  });
  assert.deepEqual(text(200, "text/csv", "a,b", added), {
    status: 200,
    headers: ["Content-Type", "text/csv", "Cache-Control", "no-store", "X-A", "b"],
    body: "a,b",
  });
  assert.deepEqual(empty(added), {
    status: 204,
    headers: ["Cache-Control", "no-store", "X-A", "b"],
    body: "",
  });
  assert.equal(new HttpError(418, "x").status, 418);
});

test("what is added replaces what every reply of its kind has, in any case", () => {
  const stored = ["cache-control", "max-age=60"];
  const type = "application/problem+json";
  assert.deepEqual(json(200, 1, stored).headers, ["Content-Type", "application/json", ...stored]);
  assert.deepEqual(text(200, "a/b", "", stored).headers, ["Content-Type", "a/b", ...stored]);
  assert.deepEqual(empty(stored).headers, stored);
  assert.deepEqual(new HttpError(409, "x", ["CONTENT-TYPE", type]).headers, [
    "Cache-Control",
    "no-store",
    "CONTENT-TYPE",
    type,
  ]);
  // The value of a field is not a name.
  const named = ["Vary", "Content-Type", "X-A", "no-store"];
  assert.deepEqual(json(200, 1, named).headers, [...JSON_HEADERS, ...named]);
});

test("a promise is no JSON", () => {
  const message = "the body of a reply is a promise: await it";
  assert.throws(() => json(200, Promise.resolve(1)), { name: "TypeError", message });
});

test("neither the value of a field is taken for a name, nor another name as long", () => {
  const fields = ["Host", "x", "X-A", "host", "host", "y", "From", "z"];
  assert.equal(countFields(fields, "host"), 2);
  assert.equal(countFields(["X-A", "host"], "host"), 0);
});

for (const name of ["Connection", "Content-Length", "Transfer-Encoding", "TRANSFER-ENCODING"]) {
  test(`${name} is the service's to set`, () => {
    const message = `a reply must not have the header field ${name}: the service sets it`;
    assert.throws(() => checkField(name, "1"), { name: "TypeError", message });
    assert.throws(() => checkIsNoFraming(name), { name: "TypeError", message });
  });
}

for (const name of [
  "Connections",
  "Content-Lengths",
  "Transfer-Encodings",
  "Keep-Alive",
  "X-Aaaaaaa",
]) {
  test(`${name} may be set by a reply`, () => checkField(name, "1"));
}

test("a field whose name or value is not valid is refused", () => {
  assert.throws(() => checkField("a b", "1"), { code: "ERR_INVALID_HTTP_TOKEN" });
  assert.throws(() => checkField("A", "1\r\nB: 2"), { code: "ERR_INVALID_CHAR" });
});
