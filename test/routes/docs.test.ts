import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { renderPage } from "../../src/docs/page.ts";
import { docsRoutes } from "../../src/routes/docs.ts";
import { type Answer, exchange } from "../service.ts";
import { lines, serveRoutes, type Started } from "../http/start.ts";

const FILES = {
  "openapi.json": '{"openapi":"3.1.0","info":{"title":"é"}}',
  "docs.css": "a{}",
  "docs.js": "'use strict'",
  "icon.svg": "<svg/>",
};

const read = (name: string): string => FILES[name as keyof typeof FILES];

const PATHS: readonly (readonly [string, string, string])[] = [
  ["/docs", "text/html; charset=utf-8", renderPage(JSON.parse(FILES["openapi.json"]))],
  ["/docs/docs.css", "text/css; charset=utf-8", FILES["docs.css"]],
  ["/docs/docs.js", "text/javascript; charset=utf-8", FILES["docs.js"]],
  ["/docs/icon.svg", "image/svg+xml", FILES["icon.svg"]],
  ["/openapi.json", "application/json", FILES["openapi.json"]],
];

/** Fields that are one answer's own. */
const OWN = new Set(["date", "x-request-id"]);

describe("the docs' routes", { concurrency: 8 }, () => {
  let service: Started;
  before(async () => {
    service = await serveRoutes(docsRoutes(read));
  });
  after(() => service.close());

  async function ask(
    path: string,
    fields: readonly string[] = [],
    method = "GET",
  ): Promise<Answer> {
    const request = lines(`${method} ${path} HTTP/1.1`, "Host: x", ...fields);
    const { answers } = await exchange(service.port, request, { isHead: method === "HEAD" });
    assert.equal(answers.length, 1);
    return answers[0] as Answer;
  }

  const etagOf = async (path: string): Promise<string> => (await ask(path)).headers["etag"] ?? "";

  test("none of them is in the OpenAPI document, needs a key, or has a body", () => {
    for (const one of docsRoutes(read)) {
      assert.deepEqual(
        [one.method, one.includeInSchema, one.dependencies, one.body],
        ["GET", false, [], undefined],
      );
    }
  });

  for (const [path, type, text] of PATHS) {
    test(`${path} is served with its type, a strong ETag and Cache-Control: no-cache`, async () => {
      const { status, headers, body } = await ask(path);
      assert.deepEqual([status, headers["content-type"], body], [200, type, text]);
      assert.equal(headers["content-length"], String(Buffer.byteLength(text)));
      assert.match(headers["etag"] ?? "", /^"[A-Za-z0-9_-]{22}"$/);
      assert.deepEqual(
        [headers["cache-control"], headers["x-content-type-options"]],
        ["no-cache", "nosniff"],
      );
    });

    test(`HEAD ${path} has the fields of GET and no body`, async () => {
      const common = ({ headers }: Answer): object =>
        Object.fromEntries(Object.entries(headers).filter(([name]) => !OWN.has(name)));
      assert.deepEqual(common(await ask(path, [], "HEAD")), common(await ask(path)));
    });

    test(`${path} is 304 without a body for a client that has it, with the fields its copy needs`, async () => {
      const whole = await ask(path);
      const { status, headers, body } = await ask(path, [
        `If-None-Match: ${whole.headers["etag"]}`,
      ]);
      assert.deepEqual(
        [status, body, headers["content-length"], headers["content-type"]],
        [304, "", undefined, undefined],
      );
      // RFC 9110 15.4.5
      for (const name of ["etag", "cache-control", "content-security-policy"])
        assert.equal(headers[name], whole.headers[name]);
    });
  }

  test("each file has its own ETag, which changes with its text and with nothing else", async () => {
    const tags = await Promise.all(PATHS.map(([path]) => etagOf(path)));
    assert.equal(new Set(tags).size, PATHS.length);
    const other = await serveRoutes(
      docsRoutes((name) => (name === "docs.css" ? "b{}" : read(name))),
    );
    const { answers } = await exchange(other.port, lines("GET /docs/docs.css HTTP/1.1", "Host: x"));
    assert.notEqual(answers[0]?.headers["etag"], tags[1]);
    const { answers: same } = await exchange(other.port, lines("GET /docs HTTP/1.1", "Host: x"));
    assert.equal(same[0]?.headers["etag"], tags[0]);
    other.close();
  });

  const matching: readonly (readonly [string, (etag: string) => readonly string[]])[] = [
    ["the tag", (etag) => [etag]],
    ["the tag, marked weak", (etag) => [`W/${etag}`]],
    ["a list with the tag last", (etag) => [`"a", "b",${etag}`]],
    ["a list with the tag first", (etag) => [`${etag} , W/"a"`]],
    ["a list with the tag, weak, in the middle", (etag) => [`"a",\tW/${etag}\t,"b"`]],
    ["a list with empty members", (etag) => [`,, ${etag},`]],
    ["two fields, the second with the tag", (etag) => ['"a"', etag]],
    ["a star", () => ["*"]],
    ["a star between blanks", () => ["  *  "]],
  ];
  for (const [what, valuesOf] of matching) {
    test(`If-None-Match with ${what} is 304`, async () => {
      const fields = valuesOf(await etagOf("/docs")).map((value) => `If-None-Match: ${value}`);
      for (const method of ["GET", "HEAD"])
        assert.equal((await ask("/docs", fields, method)).status, 304);
    });
  }

  const others: readonly (readonly [string, (etag: string) => string])[] = [
    ["nothing", () => ""],
    ["another tag", () => '"a"'],
    ["the tag without its quotes", (etag) => etag.slice(1, -1)],
    ["half of the tag", (etag) => `${etag.slice(0, 9)}"`],
    ["the tag and more within the quotes", (etag) => `${etag.slice(0, -1)}a"`],
    ["the tag marked weak in a small letter", (etag) => `w/${etag}`],
    ["the tag marked weak twice", (etag) => `W/W/${etag}`],
    ["the tag in capitals", (etag) => (etag === etag.toUpperCase() ? '""' : etag.toUpperCase())],
    ["the tag within a longer one", (etag) => `"x${etag.slice(1)}`],
    ["a star in quotes", () => '"*"'],
    ["a star in a list", () => '"a", *'],
    ["two stars", () => "**"],
    ["the tag of another file", () => "other"],
  ];
  for (const [what, valueOf] of others) {
    test(`If-None-Match with ${what} gets the whole file`, async () => {
      const value = what.startsWith("the tag of")
        ? await etagOf("/docs/docs.css")
        : valueOf(await etagOf("/docs"));
      assert.equal((await ask("/docs", [`If-None-Match: ${value}`])).status, 200);
    });
  }

  test("If-Match, If-Modified-Since and Range change nothing", async () => {
    for (const field of [
      'If-Match: "a"',
      "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT",
      "Range: bytes=0-1",
    ]) {
      assert.equal((await ask("/docs", [field])).status, 200);
    }
  });

  test("the page may load its own files only, be framed by nobody, and tell nobody where it is", async () => {
    const { headers } = await ask("/docs");
    const policy = Object.fromEntries(
      (headers["content-security-policy"] ?? "").split("; ").map((part) => part.split(/ (.*)/s)),
    );
    assert.deepEqual(policy, {
      "default-src": "'none'",
      "script-src": "'self'",
      "style-src": "'self'",
      "connect-src": "'self'",
      "img-src": "'self'",
      "base-uri": "'none'",
      "form-action": "'none'",
      "frame-ancestors": "'none'",
      "require-trusted-types-for": "'script'",
      "trusted-types": "'none'",
    } as unknown as typeof policy);
    assert.equal(headers["referrer-policy"], "no-referrer");
    assert.equal(headers["cross-origin-opener-policy"], "same-origin");
    for (const [path] of PATHS.slice(0, 4))
      assert.equal((await ask(path)).headers["cross-origin-resource-policy"], "same-origin");
  });

  test("other spellings are 404, a slash at the end redirects relatively, other methods are 405", async () => {
    for (const path of [
      "/docs/x",
      "/docs//docs.css",
      "/docs/../openapi.json",
      "/docs/docs.css.map",
      "/docs/openapi.json",
      "/docs%2fdocs.css",
      "/DOCS",
    ]) {
      assert.equal((await ask(path)).status, 404);
    }
    const { status, headers } = await ask("/docs/?a=b");
    assert.deepEqual([status, headers["location"]], [307, "../docs?a=b"]);
    const { status: refused, headers: fields } = await ask("/openapi.json", [], "PUT");
    assert.deepEqual([refused, fields["allow"]], [405, "GET, HEAD"]);
  });
});
