import assert from "node:assert/strict";
import { test } from "node:test";

import { HttpError, json, type Reply } from "../../src/http/reply.ts";
import { object, string } from "../../src/http/model.ts";
import { type Route, route } from "../../src/http/route.ts";
import { splitTarget } from "../../src/http/head.ts";
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

/** What is answered where there is no route, or undefined. */
function refusal(
  method: string,
  path: string,
  query = "",
  table: Router = router,
): HttpError | undefined {
  const found = table(method, path, query);
  return found instanceof HttpError ? found : undefined;
}

/** A field of a refusal. */
function field(error: HttpError | undefined, name: string): string | undefined {
  const headers = error?.headers ?? [];
  const index = headers.indexOf(name);
  return index === -1 ? undefined : headers[index + 1];
}

test("every route of a table is found by its method and path", () => {
  for (const one of TABLE) assert.equal(router(one.method, one.path, ""), one);
});

test("a query doesn't matter to the match", () => {
  for (const query of ["?", "?a=b", "?%", "?/x", "??"])
    assert.equal(router("POST", "/process", query), TABLE[0]);
});

test("a GET route answers HEAD", () => {
  assert.equal(router("HEAD", "/health", ""), TABLE[1]);
  assert.equal(router("HEAD", "/a/b/c", ""), TABLE[6]);
  assert.equal(refusal("HEAD", "/process")?.status, 405);
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
  test(`${JSON.stringify(path)} is 404: paths match as they are written`, () => {
    for (const method of ["GET", "HEAD", "POST", "DELETE", "OPTIONS"]) {
      const error = refusal(method, path, "?a=b");
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
    const error = refusal(method, path);
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
  test(`${path}${query} is 307 to ${location}, whatever the method, also behind a prefix`, () => {
    for (const method of ["GET", "POST", "DELETE", "OPTIONS"]) {
      const error = refusal(method, path, query);
      assert.deepEqual([error?.status, field(error, "Location")], [307, location]);
    }
    for (const prefix of ["", "/svc", "/a/b"]) {
      const target = new URL(location, `https://proxy.example${prefix}${path}${query}`);
      assert.equal(target.href, `https://proxy.example${prefix}${path.slice(0, -1)}${query}`);
    }
  });
}

test("a route may stand at the root, and only there", () => {
  const atRoot = createRouter([at("GET", "/")]);
  assert.equal(refusal("GET", "/", "", atRoot), undefined);
  for (const path of ["", "///", "/.", "/a"])
    assert.equal(refusal("GET", path, "", atRoot)?.status, 404);
});

test("an empty table answers 404", () => {
  assert.equal(refusal("GET", "/", "", createRouter([]))?.status, 404);
});

test("two routes with one method and path die at the start, with both places named", () => {
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
  for (const [table, message] of rows)
    assert.throws(() => createRouter(table), { name: "Error", message });
});

test("one path may have several methods, in any order", () => {
  const table = [at("POST", "/a"), at("GET", "/b"), at("GET", "/a")];
  const several = createRouter(table);
  assert.equal(several("POST", "/a", ""), table[0]);
  assert.equal(several("HEAD", "/a", ""), table[2]);
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
  "/{id}",
  "/:id",
  "/*",
  "/a+b",
  "/a\\b",
  "http://x/a",
  "/a'",
  '/a"',
];

for (const path of BAD_PATHS) {
  test(`a route at ${JSON.stringify(path)} dies at the start: no request is meant to match it as written`, () => {
    assert.throws(
      () => createRouter([at("GET", "/ok"), at("POST", path)]),
      (error: Error) => error.message.startsWith(`routes[1] POST ${path}: the path must be `),
    );
  });
}

test("a path may have dots, dashes, underscores and tildes", () => {
  for (const path of ["/a.b", "/...", "/.a", "/a.", "/..a", "/a-b_c~d", "/a/b.json", "/A", "/0"]) {
    assert.equal(refusal("GET", path, "", createRouter([at("GET", path)])), undefined);
  }
});

const BROKEN: readonly (readonly [string, object, RegExp])[] = [
  ["a method in small letters", { method: "get" }, /^routes\[0\] get \/a: the method must be /],
  ["an unknown method", { method: "FOO" }, /^routes\[0\] FOO \/a: the method must be /],
  ["no method", { method: "" }, /^routes\[0\] {2}\/a: the method must be /],
  ["a method with a blank", { method: "GET " }, /the method must be /],
  ["HEAD", { method: "HEAD" }, /^routes\[0\] HEAD \/a: HEAD is answered by the GET route$/],
  ["CONNECT", { method: "CONNECT" }, /^routes\[0\] CONNECT \/a: CONNECT is for proxies$/],
  [
    "GET with a body",
    { method: "GET", body: object({ a: string() }) },
    /^routes\[0\] GET \/a: a GET request has no body/,
  ],
  [
    "no handler",
    { handler: undefined },
    /^routes\[0\] POST \/a: the handler, the body's model and each dependency must be functions$/,
  ],
  [
    "a handler that is no function",
    { handler: {} },
    /^routes\[0\] POST \/a: the handler, the body's model and each dependency must be functions$/,
  ],
  [
    "a dependency that was called",
    { dependencies: [undefined] },
    /^routes\[0\] POST \/a: the handler, the body's model and each dependency must be functions$/,
  ],
  [
    "a dependency's name",
    { dependencies: [(): void => {}, "guard"] },
    /^routes\[0\] POST \/a: the handler, the body's model and each dependency must be /,
  ],
  [
    "a body that is no model",
    { body: { status: "string" } },
    /^routes\[0\] POST \/a: the handler, the body's model /,
  ],
];

for (const [what, members, message] of BROKEN) {
  test(`a route with ${what} dies at the start, named`, () => {
    const broken = { ...at("POST", "/a"), ...members } as Route;
    assert.throws(() => createRouter([broken]), { name: "Error", message });
  });
}

const TARGETS: readonly (readonly [string, string, string])[] = [
  ["/", "/", ""],
  ["/a", "/a", ""],
  ["/a?", "/a", "?"],
  ["/a?b", "/a", "?b"],
  ["/a?b?c", "/a", "?b?c"],
  ["/a?b=/c", "/a", "?b=/c"],
  ["/?", "/", "?"],
  ["/a#b", "/a#b", ""],
  ["/a#b?c", "/a#b", "?c"],
  ["//a/b", "//a/b", ""],
  ["/http://x/y", "/http://x/y", ""],
  ["/a%3Fb", "/a%3Fb", ""],
  ["*", "*", ""],
  ["http://x", "/", ""],
  ["http://x/", "/", ""],
  ["http://x/a?b", "/a", "?b"],
  ["http://x?b", "/", "?b"],
  ["http://x:8/a", "/a", ""],
  ["http://u:p@x/a", "/a", ""],
  ["http://[::1]:80/a", "/a", ""],
  ["http://[::1", "/", ""],
  ["http:///a", "/a", ""],
  ["HTTP://X/A", "/A", ""],
  ["https://x/a", "/a", ""],
  ["http://x#a", "#a", ""],
  ["ftp://x/a", "ftp://x/a", ""],
  ["http:/a", "http:/a", ""],
  ["x:1", "x:1", ""],
  ["", "/", ""],
];

for (const [target, path, query] of TARGETS) {
  test(`the target ${JSON.stringify(target)} has the path ${path} and the query ${JSON.stringify(query)}`, () => {
    assert.deepEqual(splitTarget(target), { path, query });
  });
}
