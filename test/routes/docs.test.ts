import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type IncomingHttpHeaders, type IncomingMessage, request } from "node:http";
import { text } from "node:stream/consumers";
import { before, describe, test } from "node:test";

import { renderPage } from "../../src/docs/page.ts";
import type { Context } from "../../src/http/route.ts";
import { docsRoutes } from "../../src/routes/docs.ts";
import { type Program, startProgram } from "../support/program.ts";
import { root } from "../support/root.ts";
import { suiteScope } from "../support/scope.ts";

const read = (name: string): string => readFileSync(new URL(`src/docs/${name}`, root), "utf8");

const openapi = read("openapi.json");

const FILES: readonly (readonly [path: string, type: string, text: string])[] = [
  ["/docs", "text/html; charset=utf-8", renderPage(JSON.parse(openapi))],
  ["/docs/docs.css", "text/css; charset=utf-8", read("docs.css")],
  ["/docs/docs.js", "text/javascript; charset=utf-8", read("docs.js")],
  ["/docs/icon.svg", "image/svg+xml; charset=utf-8", read("icon.svg")],
  ["/openapi.json", "application/json", openapi],
];

/** A response with all of its body. */
interface Received {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Header fields: names and values in turn. */
type Fields = readonly string[];

describe("the docs' routes", () => {
  const suite = suiteScope();
  let service: Program;
  before(async () => {
    service = await startProgram(suite);
  });

  async function send(method: string, path: string, fields: Fields = []): Promise<Received> {
    const headers = ["Host", "x", "Connection", "close", ...fields];
    const outgoing = request({ host: "127.0.0.1", port: service.port, method, path, headers });
    outgoing.end();
    const [response] = (await once(outgoing, "response")) as [IncomingMessage];
    return { status: response.statusCode, headers: response.headers, body: await text(response) };
  }

  const get = (path: string, fields: Fields = []): Promise<Received> => send("GET", path, fields);

  const etagOf = async (path: string): Promise<string> => (await get(path)).headers.etag ?? "";

  for (const [path, type, content] of FILES) {
    test(`serve ${path} with its type, a strong ETag and Cache-Control: no-cache`, async () => {
      const { status, headers, body } = await get(path);
      assert.equal(status, 200);
      assert.equal(headers["content-type"], type);
      assert.equal(body, content);
      assert.equal(headers["content-length"], String(Buffer.byteLength(content)));
      assert.match(headers.etag ?? "", /^"[A-Za-z0-9_-]{22}"$/);
      assert.equal(headers["cache-control"], "no-cache");
      assert.equal(headers["x-content-type-options"], "nosniff");
    });

    test(`respond to HEAD ${path} as to GET, without a body`, async () => {
      const response = await send("HEAD", path);
      assert.equal(response.body, "");
      assert.deepEqual(commonFields(response), commonFields(await get(path)));
    });

    test(`respond to ${path} with 304 and the fields that a kept copy needs`, async () => {
      const full = await get(path);
      const response = await get(path, ["If-None-Match", full.headers.etag ?? ""]);
      assert.equal(response.status, 304);
      assert.equal(response.body, "");
      assert.equal(response.headers["content-length"], undefined);
      assert.equal(response.headers["content-type"], undefined);
      // RFC 9110 15.4.5
      for (const name of ["etag", "cache-control", "content-security-policy"]) {
        assert.equal(response.headers[name], full.headers[name]);
      }
    });
  }

  for (const [path] of FILES.slice(1)) {
    test(`let a browser do nothing with ${path} as a page of its own`, async () => {
      const policy = "default-src 'none'; frame-ancestors 'none'; sandbox";
      const full = await get(path);
      const notModified = await get(path, ["If-None-Match", full.headers.etag ?? ""]);
      const refused = await get(path, ["If-Match", '"zz"']);
      const statuses = [full, notModified, refused].map(({ status, headers }) => {
        assert.equal(headers["content-security-policy"], policy);
        return status;
      });
      assert.deepEqual(statuses, [200, 304, 412]);
    });
  }

  const matching: readonly [what: string, fieldsOf: (etag: string) => Fields][] = [
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
  for (const [what, fieldsOf] of matching) {
    test(`respond to If-None-Match with ${what} with 304`, async () => {
      const fields = fieldsOf(await etagOf("/docs")).flatMap((value) => ["If-None-Match", value]);
      for (const method of ["GET", "HEAD"]) {
        assert.equal((await send(method, "/docs", fields)).status, 304);
      }
    });
  }

  const different: readonly [what: string, valueOf: (etag: string) => string][] = [
    ["no tag", () => ""],
    ["another tag", () => '"a"'],
    ["the tag without its quotes", (etag) => etag.slice(1, -1)],
    ["half of the tag", (etag) => `${etag.slice(0, 9)}"`],
    ["the tag and more within the quotes", (etag) => `${etag.slice(0, -1)}a"`],
    ["the tag marked weak in a small letter", (etag) => `w/${etag}`],
    ["the tag marked weak twice", (etag) => `W/W/${etag}`],
    ["the tag with its case changed", swapCase],
    ["the tag within a longer one", (etag) => `"x${etag.slice(1)}`],
    ["a star in quotes", () => '"*"'],
    ["a star in a list", () => '"a", *'],
    ["two stars", () => "**"],
  ];
  for (const [what, valueOf] of different) {
    test(`respond to If-None-Match with ${what} with 200`, async () => {
      const value = valueOf(await etagOf("/docs"));
      assert.equal((await get("/docs", ["If-None-Match", value])).status, 200);
    });
  }

  test("respond to If-None-Match with the tag of another file with 200", async () => {
    const value = await etagOf("/docs/docs.css");
    assert.equal((await get("/docs", ["If-None-Match", value])).status, 200);
  });

  const accepted: readonly [what: string, fieldsOf: (etag: string) => Fields][] = [
    ["the tag", (etag) => [etag]],
    ["a list with the tag last", (etag) => [`"a", W/"b",${etag}`]],
    ["a list with the tag first", (etag) => [`${etag} , W/"a"`]],
    ["a list with empty members", (etag) => [`,, ${etag},`]],
    ["a list with a tag that has a comma", (etag) => [`"a,b", ${etag}`]],
    ["a list with the tag and something that is no tag", (etag) => [`a, ${etag}`]],
    ["two fields, the second with the tag", (etag) => ['"a"', etag]],
    ["a star", () => ["*"]],
    ["a star between blanks", () => ["  *  "]],
  ];
  for (const [what, fieldsOf] of accepted) {
    test(`respond to If-Match with ${what} with 200`, async () => {
      const fields = fieldsOf(await etagOf("/docs")).flatMap((value) => ["If-Match", value]);
      for (const method of ["GET", "HEAD"]) {
        assert.equal((await send(method, "/docs", fields)).status, 200);
      }
    });
  }

  const refused: readonly [what: string, fieldsOf: (etag: string) => Fields][] = [
    ["no tag", () => [""]],
    ["another tag", () => ['"zz"']],
    // RFC 9110 13.1.1: a strong comparison.
    ["the tag, marked weak", (etag) => [`W/${etag}`]],
    ["a list with the tag, marked weak", (etag) => [`"a", W/${etag}`]],
    ["the tag without its quotes", (etag) => [etag.slice(1, -1)]],
    ["half of the tag", (etag) => [etag.slice(0, 9)]],
    ["the tag with its case changed", (etag) => [swapCase(etag)]],
    ["the tag within a longer one", (etag) => [`"x${etag.slice(1)}`]],
    ["the tag and another one without a comma", (etag) => [`${etag} "a"`]],
    ["a star in quotes", () => ['"*"']],
    ["a star in a list", () => ['"a", *']],
    ["two fields with a star", () => ["*", "*"]],
  ];
  for (const [what, fieldsOf] of refused) {
    test(`respond to If-Match with ${what} with 412`, async () => {
      const fields = fieldsOf(await etagOf("/docs")).flatMap((value) => ["If-Match", value]);
      const { status, headers, body } = await get("/docs", fields);
      assert.equal(status, 412);
      const detail = "Precondition Failed: If-Match does not name the current entity tag";
      assert.deepEqual(JSON.parse(body), { detail });
      assert.equal(headers["content-type"], "application/json");
      assert.equal(headers["cache-control"], "no-store");
      // It would be the tag of the response's own content (RFC 9110 8.8.3).
      assert.equal(headers.etag, undefined);
      const head = await send("HEAD", "/docs", fields);
      assert.deepEqual([head.status, head.body], [412, ""]);
      assert.equal(head.headers["content-length"], headers["content-length"]);
    });
  }

  for (const [path] of FILES) {
    test(`respond to ${path} with 412 for If-Match with another file's tag`, async () => {
      const other = path === "/docs" ? "/openapi.json" : "/docs";
      assert.equal((await get(path, ["If-Match", await etagOf(other)])).status, 412);
      assert.equal((await get(path, ["If-Match", await etagOf(path)])).status, 200);
    });
  }

  // RFC 9110 13.2.2
  test("evaluate If-Match before If-None-Match", async () => {
    const etag = await etagOf("/docs");
    const statusOf = async (ifMatch: string, ifNoneMatch: string): Promise<number | undefined> =>
      (await get("/docs", ["If-None-Match", ifNoneMatch, "If-Match", ifMatch])).status;
    assert.equal(await statusOf('"zz"', etag), 412);
    assert.equal(await statusOf('"zz"', '"zz"'), 412);
    assert.equal(await statusOf(etag, etag), 304);
    assert.equal(await statusOf("*", "*"), 304);
    assert.equal(await statusOf(etag, '"zz"'), 200);
  });

  // RFC 9110 13.2.1
  test("evaluate If-Match only if the response would be 200 without it", async () => {
    const fields = ["If-Match", '"zz"'];
    assert.equal((await get("/docs/", fields)).status, 307);
    assert.equal((await get("/docs/x", fields)).status, 404);
    assert.equal((await send("PUT", "/docs", fields)).status, 405);
  });

  // RFC 9110 13.1.4: not for a file without Last-Modified.
  const ignored: readonly [name: string, value: string][] = [
    ["If-Modified-Since", "Fri, 01 Jan 2100 00:00:00 GMT"],
    ["If-Unmodified-Since", "Sat, 01 Jan 2000 00:00:00 GMT"],
    ["Range", "bytes=0-1"],
  ];
  for (const [name, value] of ignored) {
    test(`ignore ${name}`, async () => {
      assert.equal((await get("/docs", [name, value])).status, 200);
    });
  }

  test("let the page load its own files only, in no frame, and send no Referer", async () => {
    const { headers } = await get("/docs");
    const directives = String(headers["content-security-policy"]).split("; ");
    assert.deepEqual(Object.fromEntries(directives.map((each) => each.split(/ (.*)/))), {
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
    });
    assert.equal(headers["referrer-policy"], "no-referrer");
    assert.equal(headers["cross-origin-opener-policy"], "same-origin");
  });

  for (const path of ["/docs", "/docs/docs.css", "/docs/docs.js", "/docs/icon.svg"]) {
    test(`keep other origins from loading ${path}`, async () => {
      const { headers } = await get(path);
      assert.equal(headers["cross-origin-resource-policy"], "same-origin");
    });
  }

  for (const path of [
    "/docs/x",
    "/docs//docs.css",
    "/docs/../openapi.json",
    "/docs/docs.css.map",
    "/docs/openapi.json",
    "/docs%2fdocs.css",
    "/DOCS",
  ]) {
    test(`respond to ${path} with 404`, async () => {
      assert.equal((await get(path)).status, 404);
    });
  }

  test("redirect from a path with a trailing slash, relatively", async () => {
    const { status, headers } = await get("/docs/?a=b");
    assert.equal(status, 307);
    assert.equal(headers.location, "../docs?a=b");
  });

  test("respond to other methods with 405", async () => {
    const { status, headers } = await send("PUT", "/openapi.json");
    assert.equal(status, 405);
    assert.equal(headers.allow, "GET, HEAD");
  });
});

describe("the declarations of the docs' routes", () => {
  test("are not in the OpenAPI document, and have neither guard nor body", () => {
    for (const { method, includeInSchema, dependencies, body } of docsRoutes(read)) {
      assert.deepEqual(
        [method, includeInSchema, dependencies, body],
        ["GET", false, [], undefined],
      );
    }
  });

  test("have nothing to send with a 304", () => {
    const headers = { "if-none-match": "*" };
    const context = { request: { headers } } as Context;
    for (const { handler } of docsRoutes(read)) {
      const reply = handler({}, context);
      assert.ok(!(reply instanceof Promise));
      assert.deepEqual([reply.status, reply.body], [304, ""]);
    }
  });

  test("give each file an ETag that changes with its text, and with nothing else", () => {
    const before = etags(read);
    const after = etags((name) => read(name) + (name === "docs.css" ? "b{}" : ""));
    assert.equal(new Set(before).size, FILES.length);
    assert.notEqual(after[1], before[1]);
    assert.deepEqual(after.toSpliced(1, 1), before.toSpliced(1, 1));
  });
});

/** The header fields, without those that every response has its own value for. */
function commonFields({ headers }: Received): IncomingHttpHeaders {
  const { date: _date, "x-request-id": _requestId, ...common } = headers;
  return common;
}

function swapCase(text: string): string {
  const swap = (letter: string): string =>
    letter === letter.toUpperCase() ? letter.toLowerCase() : letter.toUpperCase();
  return [...text].map(swap).join("");
}

/** The ETags of the files as `readFile` returns them, in the order of FILES. */
function etags(readFile: (name: string) => string): string[] {
  const context = { request: { headers: {} } } as Context;
  return docsRoutes(readFile).map(({ handler }) => {
    const reply = handler({}, context);
    assert.ok(!(reply instanceof Promise));
    return reply.headers[reply.headers.indexOf("ETag") + 1] ?? "";
  });
}
