import assert from "node:assert/strict";
import { test } from "node:test";

import { object, string } from "../../src/models/model.ts";
import { json, type Reply } from "../../src/http/reply.ts";
import { type Context, route } from "../../src/http/route.ts";

const handler = (): Reply => json(200, null);

const MODEL = object({ status: string() });

test("members that a declaration leaves out are empty, and it is an ordinary route", () => {
  const made = route({ method: "GET", path: "/a", handler });
  assert.deepEqual(made, {
    method: "GET",
    path: "/a",
    dependencies: [],
    summary: undefined,
    description: undefined,
    tags: [],
    parameters: {},
    body: undefined,
    responses: {},
    includeInSchema: true,
    limited: true,
    isProbe: false,
    handler,
  });
});

test("members of a declaration are kept as they are", () => {
  const dependencies = [(): void => {}];
  const body = MODEL;
  const made = route({
    method: "POST",
    path: "/a",
    dependencies,
    body,
    includeInSchema: false,
    limited: false,
    handler,
  });
  assert.equal(made.dependencies, dependencies);
  assert.equal(made.body, body);
  assert.deepEqual([made.includeInSchema, made.limited], [false, false]);
});

test("a handler's body has the type of its model: another member does not compile", () => {
  const made = route({
    method: "POST",
    path: "/a",
    body: MODEL,
    // @ts-expect-error: the model has no such member
    handler: ({ body }) => json(200, body.other),
  });
  assert.equal(made.path, "/a");
});

test("a handler without a model has no body: a member of it does not compile", () => {
  const made = route({
    method: "POST",
    path: "/a",
    // @ts-expect-error: there is no body
    handler: ({ body }) => json(200, body),
  });
  assert.equal(made.body, undefined);
});

test("a handler may take the context", () => {
  const made = route({
    method: "GET",
    path: "/a",
    handler: (_input, { requestId }: Context) => json(200, requestId),
  });
  assert.equal(made.handler.length, 2);
});

const VALUES: readonly (readonly [string, unknown, string])[] = [
  ["an object", { status: "SUCCESS", id: "x" }, '{"status":"SUCCESS","id":"x"}'],
  ["a list", [1, "2", null], '[1,"2",null]'],
  ["null", null, "null"],
  ["text", "é", '"é"'],
  ["a member that is undefined", { a: undefined, b: 1 }, '{"b":1}'],
];

for (const [name, value, body] of VALUES) {
  test(`json() writes ${name} as compact JSON`, () => {
    assert.deepEqual(json(200, value), {
      status: 200,
      headers: ["Content-Type", "application/json", "Cache-Control", "no-store"],
      body,
    });
  });
}

test("json() puts further fields after those of every JSON response", () => {
  const { headers } = json(201, null, ["Location", "/a/1"]);
  assert.deepEqual(headers, [
    "Content-Type",
    "application/json",
    "Cache-Control",
    "no-store",
    "Location",
    "/a/1",
  ]);
});
