import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { type Limits, longLines, overLimits } from "./limits.ts";
import { type FunctionFigures, measure } from "./measures.ts";
import { scan } from "./scan.ts";

function functionsIn(text: string): readonly FunctionFigures[] {
  return measure(scan(text)).functions;
}

test("lines of code are those that are not blank and hold more than a comment", () => {
  const text = "// a\n  const a = `\n\n// b\n`; // c\n/* d\ne */\n\n/** f */ const g = 1;\n";
  const { lines, characters } = measure(scan(text));
  assert.equal(lines, 4);
  assert.equal(characters, "const a = `// b`; // c/** f */ const g = 1;".length);
});

test("functions of every kind are found, with the lines from their parameters to their end", () => {
  const text = [
    "export async function f<T>(a: { b: T }): Promise<{ c: T }> {",
    "  return a.map((b) => {",
    "    return b;",
    "  });",
    "}",
    "class A extends B {",
    "  #g = (): Map<string, number> => new Map();",
    "  get h(): string {",
    "    if (a) { b(); }",
    "",
    "    // c",
    "    return `${c}`;",
    "  }",
    "}",
    "function k(",
    "  a = {},",
    "): (() => string) | { a: 1 } {",
    "  return () =>",
    '    "l";',
    "}",
    "const m = { n(): void {}, o: async (a) => a, p: { q: 1 } };",
  ];
  assert.deepEqual(
    functionsIn(text.join("\n")).map(({ line, lines }) => [line, lines]),
    [
      [1, 5],
      [2, 3],
      [7, 1],
      [8, 4],
      [15, 6],
      [18, 2],
      [21, 1],
      [21, 1],
    ],
  );
});

for (const text of [
  "function a(b: 1): void;",
  "interface A { b: (c: D) => E; f(): G; h?: I }",
  "export type A = (b: C extends D ? E : F) => G;",
  "const a: () => B = c;",
  "let a: ((b: C) => D) | undefined;",
  "const a = new Set<() => void>();",
  "if (a) { b(); } else { c(); }",
  "const a = b ? c(d) : { e };",
]) {
  test(`there is no function in ${text}`, () => assert.deepEqual(functionsIn(text), []));
}

describe("decisions are counted as ESLint counts them:", () => {
  for (const [decisions, body] of [
    [0, "a(); return b;"],
    [1, "if (a) b(); else c();"],
    [2, "if (a) b(); else if (c) d();"],
    [1, "for (let a = 0; ; ) b();"],
    [1, "for await (const a of b) c();"],
    [1, "do { a(); } while (b);"],
    [2, 'switch (a) { case "b": case "c": d(); break; default: e(); }'],
    [1, "try { a(); } catch { b(); } finally { c(); }"],
    [0, "a.catch(b).finally(c);"],
    [3, "return a && b || c ?? d;"],
    [3, "a &&= b; c ||= d; e ??= f;"],
    [2, "return a?.b?.(c);"],
    [2, "return a ? b : c ? d : e;"],
    [1, "const { a = 1, b: c } = d;"],
    [1, "const [a = 1] = d;"],
    [0, "a = (b = c); d({ e: f });"],
  ] as const) {
    test(`${decisions} in ${body}`, () => {
      assert.equal(functionsIn(`function f(): void { ${body} }`)[0]?.decisions, decisions + 1);
    });
  }

  test("a default value of a parameter is one", () => {
    assert.equal(functionsIn("function f(a: A = 1): void {}")[0]?.decisions, 2);
  });

  test("those of a function inside are its own", () => {
    const figures = functionsIn("function f(): void { if (a) b((c) => (c ? d : e)); }");
    assert.deepEqual(
      figures.map(({ decisions }) => decisions),
      [2, 2],
    );
  });
});

test("a field of a class with a value counts as a function", () => {
  const text = "class A extends B<C> { #a = 1; static b = 2; c: D; e(): void { f = g; } }";
  assert.equal(measure(scan(text)).decisions, 3);
});

describe("levels are those of statements in statements:", () => {
  for (const [depth, body] of [
    [0, "a();"],
    [1, "if (a) b(); else c();"],
    [1, "if (a) { b(); } else if (c) { d(); } else { e(); }"],
    [2, "for (const a of b) if (a) c();"],
    [2, "if (a) { b(); } else { while (c) d(); }"],
    [3, "try { for (;;) { if (a) b(); } } catch { c(); }"],
    [1, "if (a) b(); if (c) d();"],
    [1, "if (a) b(() => { if (c) d(); });"],
  ] as const) {
    test(`${depth} in ${body}`, () => {
      assert.equal(functionsIn(`function f(): void { ${body} }`)[0]?.depth, depth);
    });
  }
});

describe("each limit can be exceeded:", () => {
  const text = "function f(): void {\n  if (a)\n    if (b) c();\n}\n";
  for (const [name, limits] of [
    ["lines of a file", { fileLines: 3 }],
    ["lines of a function", { functionLines: 3 }],
    ["decisions", { decisions: 2 }],
    ["depth", { depth: 1 }],
    ["lines of all files", { totalLines: 3 }],
    ["characters per line", { charactersPerLine: 9 }],
    ["decisions per line", { decisionsPerLine: 0.7 }],
  ] satisfies [string, Limits][]) {
    test(name, () => {
      const [limit] = Object.entries(limits)[0] ?? [""];
      const sources = new Map([["a.ts", scan(text)]]);
      assert.equal(overLimits(sources, limits).length, 1, limit);
      const larger = Object.fromEntries(
        Object.entries(limits).map(([key, most]) => [key, most + 1]),
      );
      assert.deepEqual(overLimits(sources, larger), []);
    });
  }

  test("length of a line", () => {
    const sources = new Map([["a.ts", scan("\n12345\n1234\n")]]);
    assert.deepEqual(longLines(sources, 4), ["a.ts:2: 5 characters"]);
  });
});
