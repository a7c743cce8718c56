import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { HttpError, json } from "../../src/http/reply.ts";
import type { Route } from "../../src/http/route.ts";
import { createRouter } from "../../src/http/router.ts";
import { array, integer, nullable, object, optional, string } from "../../src/models/model.ts";
import { parsePath } from "../../src/models/paths.ts";

/** A route with a model for each parameter of its path. */
function at(method: string, path: string, more: object = {}): Route {
  const names = parsePath(path)?.names ?? [];
  return {
    method,
    path,
    dependencies: [],
    parameters: Object.fromEntries(names.map((name) => [name, string()])),
    handler: () => json(200, null),
    ...more,
  } as unknown as Route;
}

/** What a table makes of a request, in words. */
function find(table: readonly Route[], method: string, path: string, query = ""): string {
  const found = createRouter(table)(method, path, query);
  if (found instanceof HttpError) {
    const [, , , , name = "", value = ""] = found.headers;
    return `${found.status} ${name}: ${value}`.replace(/ : $/, "");
  }
  return [found.route.method, found.route.path, ...found.texts].join(" ");
}

const TABLE = [
  at("GET", "/jobs/{id}"),
  at("DELETE", "/jobs/{id}"),
  at("GET", "/jobs"),
  at("GET", "/jobs/stats"),
  at("GET", "/{a}/{b}/{c}"),
  at("PUT", "/users/{user}/jobs"),
  at("GET", "/users/{user}/jobs/{id}"),
  at("GET", "/users/me/jobs/all"),
];

const FOUND: readonly (readonly [method: string, path: string, found: string])[] = [
  ["GET", "/jobs/5", "GET /jobs/{id} 5"],
  ["HEAD", "/jobs/5", "GET /jobs/{id} 5"],
  ["DELETE", "/jobs/5", "DELETE /jobs/{id} 5"],
  ["GET", "/jobs", "GET /jobs"],
  ["GET", "/jobs/stats", "GET /jobs/stats"],
  ["GET", "/jobs/Stats", "GET /jobs/{id} Stats"],
  ["GET", "/jobs/stats%20", "GET /jobs/{id} stats "],
  ["GET", "/jobs/%73tats", "GET /jobs/{id} stats"],
  ["GET", "/jobs/{id}", "GET /jobs/{id} {id}"],
  ["GET", "/jobs/{}", "GET /jobs/{id} {}"],
  ["GET", "/jobs/a:b@c;d=e,f+g!$&'()*", "GET /jobs/{id} a:b@c;d=e,f+g!$&'()*"],
  ["GET", "/jobs/%E2%82%AC", "GET /jobs/{id} €"],
  ["GET", "/jobs/__proto__", "GET /jobs/{id} __proto__"],
  ["GET", "/a/b/c", "GET /{a}/{b}/{c} a b c"],
  ["GET", "/users/5/jobs", "405 Allow: PUT"],
  ["PUT", "/users/5/jobs", "PUT /users/{user}/jobs 5"],
  ["PUT", "/users/me/jobs", "PUT /users/{user}/jobs me"],
  ["GET", "/users/5/logs", "GET /{a}/{b}/{c} users 5 logs"],
  ["GET", "/users/me/jobs/all", "GET /users/me/jobs/all"],
  ["GET", "/users/me/jobs/x", "GET /users/{user}/jobs/{id} me x"],
  ["GET", "/users/you/jobs/x", "GET /users/{user}/jobs/{id} you x"],
  // The methods of the most literal route are all that a path has.
  ["DELETE", "/jobs/stats", "405 Allow: GET, HEAD"],
  ["PUT", "/jobs/stats", "405 Allow: GET, HEAD"],
  ["PUT", "/jobs/5", "405 Allow: DELETE, GET, HEAD"],
  ["POST", "/a/b/c", "405 Allow: GET, HEAD"],
  ["GET", "/jobs/5/", "307 Location: ../5?q"],
  ["PUT", "/jobs/5/", "307 Location: ../5?q"],
  ["GET", "/jobs/%2541/", "307 Location: ../%2541?q"],
  ["GET", "/users/5/jobs/", "307 Location: ../jobs?q"],
  ["GET", "/jobs/", "307 Location: ../jobs?q"],
];

describe("a path finds", () => {
  const tables = [TABLE, TABLE.toReversed()];
  for (const [method, path, found] of FOUND) {
    test(`${method} ${path}: ${found}, whatever the order of the table`, () => {
      for (const table of tables) assert.equal(find(table, method, path, "?q"), found);
    });
  }

  for (const path of [
    "/jobs//",
    "/jobs/.",
    "/jobs/..",
    "/jobs/%2e%2E",
    "/jobs/a%2Fb",
    "/jobs/%00",
    "/jobs/%",
    "/jobs/%zz",
    "/jobs/%ff",
    "/jobs/\xe9",
    "/jobs/a b",
    "/jobs/a#b",
    "/jobs/%zz/",
    "/jobs/5//",
    "//5",
    "/Jobs/5",
    "/job%73/5",
    "/{a}",
    "/a/b/",
    "/a//c",
    "//b/c",
    "/a/b/c/d/e",
    "/users/5/jobs/7/x",
    "jobs/5",
    "x/jobs/5",
    "*",
    "",
    "/",
  ]) {
    test(`${JSON.stringify(path)} finds nothing`, () => {
      for (const table of tables) assert.equal(find(table, "GET", path), "404");
    });
  }

  test("a route without a way back: a literal segment does not hide another shape", () => {
    const table = [at("GET", "/users/me/settings/{x}"), at("GET", "/users/{id}/posts/{y}")];
    assert.equal(find(table, "GET", "/users/me/posts/3"), "GET /users/{id}/posts/{y} me 3");
    assert.equal(find(table, "GET", "/users/me/settings/3"), "GET /users/me/settings/{x} 3");
  });

  test("a long path of slashes in no time", () => {
    const router = createRouter(TABLE);
    const started = performance.now();
    for (let i = 0; i < 1000; i += 1) router("GET", "/".repeat(16_000), "");
    assert.ok(performance.now() - started < 2000);
  });
});

const CONFLICTS: readonly (readonly [table: readonly Route[], message: RegExp])[] = [
  [
    [at("GET", "/jobs/{id}"), at("GET", "/jobs/{id}")],
    /^routes\[1\] GET \/jobs\/\{id\}: the same method and path as routes\[0\] GET \/jobs\/\{id\}$/,
  ],
  [
    [at("GET", "/x"), at("GET", "/jobs/{id}"), at("PUT", "/jobs/{name}")],
    /^routes\[2\] PUT \/jobs\/\{name\}: the parameters must have the same names as in routes\[1\] /,
  ],
  [
    [at("GET", "/a/{b}"), at("PUT", "/{a}/b")],
    /^routes\[1\] PUT \/\{a\}\/b: some paths fit both this route and routes\[0\] GET \/a\/\{b\}$/,
  ],
  [
    [at("GET", "/users/me/{thing}"), at("GET", "/users/{user}/jobs")],
    /^routes\[1\] .*: some paths fit both this route and routes\[0\] /,
  ],
  [
    [at("GET", "/{a}/x/{c}"), at("GET", "/a/{b}/{c}")],
    /^routes\[1\] .*: some paths fit both this route and routes\[0\] /,
  ],
  [[at("GET", "/{a}/b/{a}")], /^routes\[0\] GET \/\{a\}\/b\/\{a\}: the path has \{a\} twice$/],
  [
    [at("GET", "/{a}", { parameters: {} })],
    /^routes\[0\] GET \/\{a\}: \{a\} must have a model in `parameters`$/,
  ],
  [[at("GET", "/{toString}", { parameters: {} })], /\{toString\} must have a model/],
  [
    [at("GET", "/{a}", { parameters: { a: optional(string()) } })],
    /: \{a\} must be one value that is not optional$/,
  ],
  [
    [at("GET", "/{a}", { parameters: { a: array(string()) } })],
    /: \{a\} must be one value that is not optional$/,
  ],
  [
    [at("GET", "/a", { parameters: { b: object({}) } })],
    /: the parameter b must have a model of a text or of a list of texts$/,
  ],
  [[at("GET", "/a", { parameters: { b: array(object({})) } })], /: the parameter b must have/],
  [[at("GET", "/a", { parameters: { b: array(array(string())) } })], /: the parameter b must have/],
  [[at("GET", "/a", { parameters: { b: "string" } })], /: the parameter b must have a model/],
  [
    [at("POST", "/a", { parameters: { body: string() }, body: object({}) })],
    /: a parameter can't have the name of the body$/,
  ],
];

for (const [table, message] of CONFLICTS) {
  test(`a table does not start: ${message.source}`, () => {
    assert.throws(() => createRouter(table), { name: "Error", message });
  });
}

test("routes that no path can mistake for each other may stand beside each other", () => {
  const table = [
    at("GET", "/a/{b}/c"),
    at("GET", "/{a}/b/d"),
    at("GET", "/a/b/c"),
    at("GET", "/{a}/{b}/{c}"),
    at("GET", "/{a}/{b}"),
    at("POST", "/{a}/{b}"),
    at("GET", "/{x}"),
    at("GET", "/lists", { parameters: { a: array(integer()), b: nullable(integer()) } }),
    at("GET", "/query", { parameters: { body: string() } }),
  ];
  assert.equal(find(table, "GET", "/a/b/c"), "GET /a/b/c");
  assert.equal(find(table, "GET", "/a/x/c"), "GET /a/{b}/c x");
  assert.equal(find(table, "GET", "/x/b/d"), "GET /{a}/b/d x");
  assert.equal(find(table, "GET", "/x/b/c"), "GET /{a}/{b}/{c} x b c");
});
