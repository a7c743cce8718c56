import assert from "node:assert/strict";
import { test } from "node:test";

import { HttpError, json, type Reply } from "../../src/http/reply.ts";
import { object, string } from "../../src/models/model.ts";
import { type Route, route } from "../../src/http/route.ts";
import { createRouter, type Router } from "../../src/http/router.ts";

const handler = (): Reply => json(200, null);
const at = (method: string, path: string): Route => route({ method, path, handler });

const TABLE = [
  at("POST", "/process"),
  at("GET", "/health"),
  at("GET", "/docs"),
  at("GET", "/docs/docs.css"),
  at("PUT", "/a/b/c"),
  at("DELETE", "/a/b/c"),
  at("GET", "/a/b/c"),
  at("GET", "/A~b.c_d-9"),
];
const router = createRouter(TABLE);

/** The route that fits. */
function routeFor(method: string, path: string, query = "", table: Router = router): unknown {
  const found = table(method, path, query);
  return found instanceof HttpError ? found : found.route;
}

/** The response if no route fits. */
function rejection(
  method: string,
  path: string,
  query = "",
  table: Router = router,
): HttpError | undefined {
  const found = table(method, path, query);
  return found instanceof HttpError ? found : undefined;
}

/** The value of a header field of a rejection. */
function field(error: HttpError | undefined, name: string): string | undefined {
  const headers = error?.headers ?? [];
  const index = headers.indexOf(name);
  return index === -1 ? undefined : headers[index + 1];
}

test("every route of a table is found by its method and path", () => {
  for (const one of TABLE) assert.equal(routeFor(one.method, one.path), one);
});

test("a query does not matter to the match", () => {
  for (const query of ["?", "?a=b", "?%", "?/x", "??"]) {
    assert.equal(routeFor("POST", "/process", query), TABLE[0]);
  }
});

test("a GET route also takes HEAD", () => {
  assert.equal(routeFor("HEAD", "/health"), TABLE[1]);
  assert.equal(routeFor("HEAD", "/a/b/c"), TABLE[6]);
  assert.equal(rejection("HEAD", "/process")?.status, 405);
});

const UNKNOWN = [
  "",
  "/",
  "//",
  "///",
  "*",
  "process",
  "/Process",
  "/PROCESS",
  "/proces",
  "/processs",
  "/process/x",
  "//process",
  "/process//",
  "/./process",
  "/process/.",
  "/x/../process",
  "/proc%65ss",
  "/process%2f",
  "/%2fprocess",
  "/process%00",
  "/process\0",
  "/process;a",
  "/process#a",
  "/process ",
  " /process",
  "\\process",
  "/docs%2f",
  "/%",
  "/%zz",
  "/%E0%A4%A",
  "//[",
  "http://[::1",
  "/__proto__",
  "/constructor",
  "__proto__",
  "toString",
  "/a",
  "/a/b",
  "/a/b/c/d",
  "/a/b/c//",
  "/é",
];

for (const path of UNKNOWN) {
  test(`${JSON.stringify(path)} is 404: a path matches only as written`, () => {
    for (const method of ["GET", "HEAD", "POST", "DELETE", "OPTIONS"]) {
      const error = rejection(method, path, "?a=b");
      assert.deepEqual([error?.status, error?.body], [404, '{"detail":"Not Found"}']);
    }
  });
}

const WRONG_METHODS: readonly (readonly [string, string, string])[] = [
  ["GET", "/process", "POST"],
  ["HEAD", "/process", "POST"],
  ["OPTIONS", "/process", "POST"],
  ["post", "/process", "POST"],
  ["__proto__", "/process", "POST"],
  ["constructor", "/process", "POST"],
  ["", "/process", "POST"],
  ["POST", "/health", "GET, HEAD"],
  ["get", "/health", "GET, HEAD"],
  ["TRACE", "/health", "GET, HEAD"],
  ["POST", "/a/b/c", "DELETE, GET, HEAD, PUT"],
];

for (const [method, path, allow] of WRONG_METHODS) {
  test(`${JSON.stringify(method)} ${path} is 405 with Allow: ${allow}`, () => {
    const error = rejection(method, path);
    assert.deepEqual(
      [error?.status, error?.body, field(error, "Allow")],
      [405, '{"detail":"Method Not Allowed"}', allow],
    );
  });
}

const REDIRECTS: readonly (readonly [string, string, string])[] = [
  ["/process/", "", "../process"],
  ["/process/", "?", "../process?"],
  ["/process/", "?a=b&c=%2F", "../process?a=b&c=%2F"],
  ["/docs/", "?x", "../docs?x"],
  ["/docs/docs.css/", "", "../docs.css"],
  ["/a/b/c/", "?/..", "../c?/.."],
];

for (const [path, query, location] of REDIRECTS) {
  test(`${path}${query} is 307 to ${location}, also behind a prefix`, () => {
    for (const method of ["GET", "POST", "DELETE", "OPTIONS"]) {
      const error = rejection(method, path, query);
      assert.deepEqual([error?.status, field(error, "Location")], [307, location]);
      assert.equal(error?.body, '{"detail":"Temporary Redirect"}');
    }
    for (const prefix of ["", "/svc", "/a/b"]) {
      const target = new URL(location, `https://proxy.example${prefix}${path}${query}`);
      assert.equal(target.href, `https://proxy.example${prefix}${path.slice(0, -1)}${query}`);
    }
  });
}

test("a route at the root matches nothing else", () => {
  const atRoot = createRouter([at("GET", "/")]);
  assert.equal(rejection("GET", "/", "", atRoot), undefined);
  for (const path of ["", "///", "/.", "/a"]) {
    assert.equal(rejection("GET", path, "", atRoot)?.status, 404);
  }
});

test("an empty table is 404 for everything", () => {
  assert.equal(rejection("GET", "/", "", createRouter([]))?.status, 404);
});

test("two routes with one method and path are an error that names both", () => {
  const rows: readonly (readonly [Route[], RegExp])[] = [
    [[at("GET", "/a"), at("GET", "/a")], /^routes\[1\] GET \/a: .* routes\[0\] GET \/a$/],
    [
      [at("GET", "/a"), at("POST", "/a"), at("GET", "/b"), at("POST", "/a")],
      /^routes\[3\] POST \/a: .* routes\[1\] POST \/a$/,
    ],
    [
      [at("GET", "/a"), at("GET", "/b"), at("GET", "/a"), at("GET", "/b")],
      /^routes\[2\] GET \/a: .* routes\[0\] GET \/a$/,
    ],
  ];
  for (const [table, message] of rows) {
    assert.throws(() => createRouter(table), { name: "Error", message });
  }
});

test("one path may have several methods, in any order", () => {
  const table = [at("POST", "/a"), at("GET", "/b"), at("GET", "/a")];
  const several = createRouter(table);
  assert.equal(routeFor("POST", "/a", "", several), table[0]);
  assert.equal(routeFor("HEAD", "/a", "", several), table[2]);
});

const BAD_PATHS = [
  "",
  "a",
  "a/b",
  "*",
  "//",
  "/a/",
  "/a//b",
  "//a",
  "/.",
  "/..",
  "/./a",
  "/a/.",
  "/a/..",
  "/a/../b",
  "/%41",
  "/a%2Fb",
  "/a?",
  "/a?b=c",
  "/a#b",
  "/a b",
  " /a",
  "/a ",
  "/a\n",
  "/a\0",
  "/é",
  "/a;b",
  "/a:b",
  "/{id}.csv",
  "/{}",
  "/:id",
  "/*",
  "/a+b",
  "/a\\b",
  "http://x/a",
  "/a'",
  '/a"',
];

for (const path of BAD_PATHS) {
  test(`a route at ${JSON.stringify(path)} is an error: no request could match it`, () => {
    const message =
      `routes[1] POST ${path}: the path must be /segments, each {name} or letters, digits ` +
      "and . _ ~ -, without a slash at the end";
    assert.throws(() => createRouter([at("GET", "/ok"), at("POST", path)]), { message });
  });
}

test("a path may have dots, dashes, underscores and tildes", () => {
  for (const path of ["/a.b", "/...", "/.a", "/a.", "/..a", "/a-b_c~d", "/a/b.json", "/A", "/0"]) {
    assert.equal(rejection("GET", path, "", createRouter([at("GET", path)])), undefined);
  }
});

const BROKEN: readonly (readonly [string, object, RegExp])[] = [
  ["a method in small letters", { method: "get" }, /^routes\[0\] get \/a: the method must be /],
  ["an unknown method", { method: "FOO" }, /^routes\[0\] FOO \/a: the method must be /],
  ["no method", { method: "" }, /^routes\[0\] {2}\/a: the method must be /],
  ["a method with a blank", { method: "GET " }, /the method must be /],
  ["HEAD", { method: "HEAD" }, /^routes\[0\] HEAD \/a: a GET route responds to HEAD, too$/],
  ["CONNECT", { method: "CONNECT" }, /^routes\[0\] CONNECT \/a: CONNECT is for proxies$/],
  [
    "GET with a body",
    { method: "GET", body: object({ a: string() }) },
    /^routes\[0\] GET \/a: a GET request has no body/,
  ],
  [
    "no handler",
    { handler: undefined },
    /^routes\[0\] POST \/a: the handler, the body's check and each dependency must be functions$/,
  ],
  [
    "a handler that is not a function",
    { handler: {} },
    /^routes\[0\] POST \/a: the handler, the body's check and each dependency must be functions$/,
  ],
  [
    "a dependency that was called",
    { dependencies: [undefined] },
    /^routes\[0\] POST \/a: the handler, the body's check and each dependency must be functions$/,
  ],
  [
    "a dependency's name",
    { dependencies: [(): void => {}, "guard"] },
    /^routes\[0\] POST \/a: the handler, the body's check and each dependency must be /,
  ],
  [
    "a body that is not a model",
    { body: { status: "string" } },
    /^routes\[0\] POST \/a: the handler, the body's check /,
  ],
];

for (const [name, members, message] of BROKEN) {
  test(`a route with ${name} is an error that names it`, () => {
    const broken = { ...at("POST", "/a"), ...members } as Route;
    assert.throws(() => createRouter([broken]), { name: "Error", message });
  });
}
