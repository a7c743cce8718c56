import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import { test } from "node:test";

import { declaredLength, splitTarget } from "../../src/http/head.ts";

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
  ["http:///a", "http:///a", ""],
  ["http://?a", "http://", "?a"],
  ["HTTP://X/A", "/A", ""],
  ["https://x/a", "/a", ""],
  ["http://x#a", "#a", ""],
  ["ftp://x/a", "ftp://x/a", ""],
  ["xhttp://x/a", "xhttp://x/a", ""],
  ["http:/a", "http:/a", ""],
  ["x:1", "x:1", ""],
  ["", "/", ""],
];

for (const [target, path, query] of TARGETS) {
  test(`the target ${JSON.stringify(target)} is the path ${path} and the query "${query}"`, () => {
    assert.deepEqual(splitTarget(target), { path, query });
  });
}

const LENGTHS: readonly (readonly [
  headers: Readonly<Record<string, string>>,
  length: number | undefined,
])[] = [
  [{}, 0],
  [{ "content-length": "0" }, 0],
  [{ "content-length": "00" }, 0],
  [{ "content-length": "1" }, 1],
  [{ "content-length": "0010" }, 10],
  [{ "content-length": "1048577" }, 1_048_577],
  [{ "transfer-encoding": "chunked" }, undefined],
  [{ "content-type": "application/json" }, 0],
];

for (const [headers, length] of LENGTHS) {
  test(`the declared length with ${JSON.stringify(headers)} is ${length}`, () => {
    assert.equal(declaredLength({ headers } as IncomingMessage), length);
  });
}
