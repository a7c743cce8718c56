import assert from "node:assert/strict";
import { test } from "node:test";

import { scan } from "./scan.ts";

function kindsOf(text: string): string[] {
  return scan(text).tokens.map((token) => `${token.kind} ${token.text}`);
}

test("brackets in strings, templates, comments and regular expressions are none", () => {
  const { tokens, comments } = scan('a(/* { */ "{" + `{` + /[/{]"/.test(c)); // {');
  const texts = ["a", "(", '"{"', "+", "`{`", "+", '/[/{]"/', ".", "test", "(", "c", ")", ")", ";"];
  assert.deepEqual(
    tokens.map(({ text }) => text),
    texts,
  );
  assert.deepEqual(
    comments.map(({ text }) => text),
    ["/* { */", "// {"],
  );
});

test("a template is a token before, between and after its holes, which may hold templates", () => {
  assert.deepEqual(kindsOf("`a${b(`}${c}`)}{` + d"), [
    "template `a${",
    "word b",
    "punctuator (",
    "template `}${",
    "word c",
    "punctuator }",
    "template `",
    "punctuator )",
    "punctuator }",
    "template {`",
    "punctuator +",
    "word d",
  ]);
});

test("a slash is a division after a value, and else begins a regular expression", () => {
  const slashes = (text: string): string[] => kindsOf(text).filter((kind) => kind.includes("/"));
  assert.deepEqual(slashes('a / b("x") / c'), ["punctuator /", "punctuator /"]);
  assert.deepEqual(slashes("return /a/g"), ["regex /a/g"]);
});

test("operators of several characters are one token", () => {
  const text = "=> ?. ?? ??= && &&= || ||= === !== += ...";
  assert.deepEqual(
    kindsOf(text),
    text.split(" ").map((operator) => `punctuator ${operator}`),
  );
  assert.deepEqual(kindsOf("a?.5:b").slice(1, 2), ["punctuator ?"]);
});

test("tokens know the lines of their first and last character", () => {
  const { tokens } = scan("a;\n`b\nc`;\n");
  assert.deepEqual(
    tokens.map(({ line, endLine }) => [line, endLine]),
    [
      [1, 1],
      [1, 1],
      [2, 3],
      [3, 3],
    ],
  );
});

test("brackets know each other", () => {
  const { pairs } = scan("a([b], `${c}`)");
  assert.deepEqual(
    [...pairs].sort(([a], [b]) => a - b),
    [
      [1, 10],
      [2, 4],
      [4, 2],
      [6, 8],
      [8, 6],
      [10, 1],
    ],
  );
});

for (const [name, text] of [
  ["a string", 'const a = "b;\n'],
  ["a template", "const a = `b;"],
  ["a hole in a template", "const a = `${b`;"],
  ["a comment", "/* a"],
  ["a comment after a value", "a /* b"],
  ["a regular expression", "const a = /b;\n"],
  ["a brace", "function f() { if (a) {"],
  ["a bracket of another kind", "f(]"],
  ["a bracket too many", "f())"],
] as const) {
  test(`${name} that has no end is an error that names the line`, () => {
    assert.throws(() => scan(`\n${text}`), /^Error: line 2: /);
  });
}
