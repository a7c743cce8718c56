import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { decodeSegment, PARAMETER, parsePath } from "../../src/models/paths.ts";

const GOOD: Readonly<Record<string, readonly [segments: string[], names: string[]]>> = {
  "/": [[], []],
  "/a": [["a"], []],
  "/a/b.c_d~e-F9": [["a", "b.c_d~e-F9"], []],
  "/.../..a": [["...", "..a"], []],
  "/{id}": [["{}"], ["id"]],
  "/jobs/{id}/log": [["jobs", PARAMETER, "log"], ["id"]],
  "/{jobId}/{log_id}": [
    [PARAMETER, PARAMETER],
    ["jobId", "log_id"],
  ],
  "/{_a}/{B9}": [
    [PARAMETER, PARAMETER],
    ["_a", "B9"],
  ],
  "/{a}/{a}": [
    [PARAMETER, PARAMETER],
    ["a", "a"],
  ],
};

for (const [path, [segments, names]] of Object.entries(GOOD)) {
  test(`${path} has its segments and names`, () => {
    assert.deepEqual(parsePath(path), { segments, names });
  });
}

const BAD = [
  "",
  "a",
  "/a/",
  "//",
  "//a",
  "/a//b",
  "/.",
  "/..",
  "/a/..",
  "/./{a}",
  "/%41",
  "/a b",
  "/a?b",
  "/é",
  "/{}",
  "/{id",
  "/id}",
  "/{i d}",
  "/{9}",
  "/{a-b}",
  "/{a.b}",
  "/{é}",
  "/{{a}}",
  "/{a}{b}",
  "/a{b}",
  "/{a}b",
  "/{a}.csv",
  "/{a:path}",
  "/{a/b}",
  "/:id",
  "/*",
  "/a\n",
];

for (const path of BAD) {
  test(`${JSON.stringify(path)} is no path of a route`, () => {
    assert.equal(parsePath(path), undefined);
  });
}

describe("a segment is decoded once:", () => {
  for (const [segment, text] of [
    ["a", "a"],
    ["0", "0"],
    ["%41", "A"],
    ["%e2%82%AC", "€"],
    ["%F0%9F%98%80", "😀"],
    ["%2541", "%41"],
    ["%252F", "%2F"],
    ["%2E%2Ea", "..a"],
    ["...", "..."],
    ["a%20b", "a b"],
    ["%0A", "\n"],
    ["%5C", "\\"],
    ["a+b", "a+b"],
    ["a:b;c=d,e@f", "a:b;c=d,e@f"],
    ["{a}|^`\"<>\\'", "{a}|^`\"<>\\'"],
    ["%3F%23", "?#"],
  ]) {
    test(`${segment} is ${JSON.stringify(text)}`, () => {
      assert.equal(decodeSegment(segment as string), text);
    });
  }

  for (const segment of [
    "",
    ".",
    "..",
    "%2e",
    "%2E%2e",
    ".%2E",
    "%2F",
    "a%2fb",
    "%00",
    "a%00",
    "\0",
    "%",
    "%4",
    "%zz",
    "%u0041",
    "a%",
    "%E0%A4%A",
    "%FF",
    "%C0%AF",
    "%C0%80",
    "%ED%A0%80",
    "%F5%80%80%80",
    "%E2%82",
    "é",
    "\xe9",
    "a\x7f",
    "a b",
    "a\tb",
    "a#b",
  ]) {
    test(`${JSON.stringify(segment)} matches no parameter`, () => {
      assert.equal(decodeSegment(segment), undefined);
    });
  }
});
