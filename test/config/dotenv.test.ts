import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { DotenvError, parseDotenv, readDotenv } from "../../src/config/dotenv.ts";
import { root } from "../support/root.ts";
import { pairsOf, problemsOf } from "../support/dotenv.ts";

/** One case: a file as text or in Base64, and its pairs or the lines that are problems. */
interface Case {
  readonly id: string;
  readonly input?: string;
  readonly input_base64?: string;
  readonly values?: Readonly<Record<string, string>>;
  readonly fault_lines?: readonly number[];
}

const { cases } = JSON.parse(readFileSync(new URL("test/dotenv/cases.json", root), "utf8")) as {
  cases: Case[];
};

test("cases.json has at least 344 cases", () => {
  assert.ok(cases.length >= 344);
});

for (const { id, input = "", input_base64, values, fault_lines } of cases) {
  const bytes = Buffer.from(input_base64 ?? input, input_base64 === undefined ? "utf8" : "base64");
  if (fault_lines === undefined) {
    test(`case ${id} has its values`, () => {
      assert.deepEqual(new Map(pairsOf(bytes)), new Map(Object.entries(values ?? {})));
    });
  } else {
    test(`case ${id} has problems in its lines`, () => {
      const lines = problemsOf(bytes).map(({ line }) => line);
      assert.deepEqual(lines, fault_lines);
    });
  }
}

// Values as python-dotenv 1.2.4 reads them.
const VALUES: readonly (readonly [what: string, input: string, pairs: Record<string, string>])[] = [
  [
    "a reference starts right after one that fails",
    "A=${B:+${LAB_ENV_VAR}}",
    { A: "${B:+from-process}" },
  ],
  [
    "a reference starts after a lone colon",
    "A=${x:y${LAB_ENV_VAR}:-}",
    { A: "${x:yfrom-process:-}" },
  ],
  ["a reference starts right at a colon", "A=${x:${LAB_ENV_VAR}", { A: "${x:from-process" }],
  ["a reference that never closes is literal", "A=${LAB_ENV_VAR", { A: "${LAB_ENV_VAR" }],
  ["a default that never closes is literal", "A=${x:-y:z${", { A: "${x:-y:z${" }],
  ["${ at the end is literal", "A=${", { A: "${" }],
  ["a brace after a reference is literal", "A=$${LAB_ENV_VAR}}", { A: "$from-process}" }],
  ["no backslash escapes a brace", "A=${LAB_ENV_VAR:-a\\}b}", { A: "from-processb}" }],
  ["an empty default counts", "A=${:-}", { A: "" }],
  ["a default may span lines", "A='${x:-a\nb}'", { A: "a\nb" }],
  ["an escape is decoded before the default is taken", 'A="${x:-\\"}"', { A: '"' }],
  ["a name in a reference may hold a space", "'a b'=1\nB=${a b}", { "a b": "1", B: "1" }],
  ["a name in a reference may hold ${", "'${x'=1\nB=${${x}", { "${x": "1", B: "1" }],
  ["no name in a reference holds a colon", "'a:b'=1\nB=${a:b}", { "a:b": "1", B: "${a:b}" }],
  ["every literal ${ can be written", "A=a${:-$}{x:-b${:-$}{c}}", { A: "a${x:-b${c}}" }],
  ["a backslash is a name in quotes", "'\\'=1", { "\\": "1" }],
  ["any white space may stand round =", "'A' \u2003 =\x1c\u205f1", { A: "1" }],
  ["a backslash and then a quote may be escaped", 'A="\\\\\\""', { A: '\\"' }],
  ["a quote and then a backslash may be escaped", 'A="\\"\\\\"', { A: '"\\' }],
  ["a backslash and a quote are escaped in single quotes, too", "A='\\\\\\''", { A: "\\'" }],
  ["no other escape counts in single quotes", "A='\\\"\\a\\n'", { A: '\\"\\a\\n' }],
  ["escaped line ends stay as they are decoded", 'A="\\r\\n"', { A: "\r\n" }],
  ["a backslash before CRLF stays", 'A="\\\r\n"', { A: "\\\n" }],
  ["a value in quotes may be empty", "A=\"\"\nB=''# c", { A: "", B: "" }],
  ["a quote of the other kind is data", "A=\"'\"\nB='\"'", { A: "'", B: '"' }],
  ["a comment may follow a value of several lines", 'A="x\n" # \'\nB=1', { A: "x\n", B: "1" }],
  ["U+2028 is white space before #", "A=\u2028#c\nB=x\u2028#c", { A: "", B: "x" }],
  [
    "U+180E, U+200B and U+FEFF are not white space",
    "A=x\u180e#\nB=x\u200b#\nC=x\ufeff#",
    { A: "x\u180e#", B: "x\u200b#", C: "x\ufeff#" },
  ],
  ["a lone # after white space is a comment", "#\nA=x #\nB= #", { A: "x", B: "" }],
  ["white space is cut before the comment too", "A=x \t\u3000 # c", { A: "x" }],
  ["the first # after white space starts the comment", "A=x##y #z #w", { A: "x##y" }],
  ["a backslash does not keep a # from starting a comment", "A=1 \\ # x", { A: "1 \\" }],
  ["a value of white space is empty", "A=\x1c\x1d\x1e\x1f\nB= \u3000", { A: "", B: "" }],
  ["a value may start with =", "A==\nB = =", { A: "=", B: "=" }],
  ["a quoted pair may end with CR", "A='1'\r'B'='2'\r", { A: "1", B: "2" }],
  ["CR ends a comment", "#\rA=1\r", { A: "1" }],
  [
    "export needs white space after it",
    "exportA=1\nexport.=2\nexport-=3",
    { exportA: "1", "export.": "2", "export-": "3" },
  ],
  [
    "any white space may follow export",
    "export\u2028A=1\nexport\x1fexport=2",
    { A: "1", export: "2" },
  ],
  [
    "digits and letters of every script may begin a name",
    "\u0660=1\n\u2160=2\n\u00b2=3\n\u{1d400}=4",
    { "\u0660": "1", "\u2160": "2", "\u00b2": "3", "\u{1d400}": "4" },
  ],
  ["a combining mark goes on a name", "a\u0301=1", { "a\u0301": "1" }],
];

for (const [what, input, pairs] of VALUES) {
  test(`python-dotenv and parseDotenv agree that ${what}`, () => {
    assert.deepEqual(Object.fromEntries(pairsOf(input)), pairs);
  });
}

const BYTES = (hex: string): Uint8Array => Buffer.from(hex.replaceAll(" ", ""), "hex");
const NO_NAME = /no name/;
const BAD_NAME = /^a name holds letters/;
const QUOTED_NAME = /^a name in single quotes/;
const NO_EQUALS = /no = after/;
const UNCLOSED = /never closed/;
const AFTER_QUOTE = /after the closing quote/;
const UNDEFINED = /neither above nor in the environment/;
const NESTED = /default may not hold/;
const NUL = /NUL/;
const UTF8 = /not UTF-8/;

/** A problem that is expected: its line, its message, and its name if it has one. */
type Expected = readonly [line: number, message: RegExp, name?: string];

const PROBLEMS: readonly (readonly [
  what: string,
  input: string | Uint8Array,
  ...problems: Expected[],
])[] = [
  ["= alone", " = \n", [1, NO_NAME]],
  ["a value without a name", "\n=x\n", [2, NO_NAME]],
  ["export and white space alone", "export\t", [1, NO_NAME]],
  ["export with = after white space", "export =1\n", [1, NO_NAME]],
  ["export and a comment", "export # A=1\n", [1, NO_NAME]],
  ["the line after a value without a name", '="x\nA="\n', [1, NO_NAME], [2, UNCLOSED, "A"]],
  ["export alone", "export", [1, NO_EQUALS]],
  ["a name alone", "A=1\nB\nC=2", [2, NO_EQUALS]],
  ["a name and a comment", "A #=1\n", [1, NO_EQUALS]],
  ["two words before =", "A B=1\n", [1, NO_EQUALS]],
  ["two words with a multi-line value", 'A B="x\ny"\nC=1\n', [1, NO_EQUALS], [2, BAD_NAME]],
  ["a quoted name alone", "'A B'\n", [1, NO_EQUALS]],
  ["a quoted name and a comment", "'A'#=1\n", [1, NO_EQUALS]],
  [
    "text after a quoted name",
    "'A'B=1\n'A''B'=1\n'A\\'B'=1",
    [1, NO_EQUALS],
    [2, NO_EQUALS],
    [3, NO_EQUALS],
  ],
  ["a name with a mark first", "\u0301a=1\n", [1, BAD_NAME]],
  ["a name with - or . first", "-a=1\n.a=1\n", [1, BAD_NAME], [2, BAD_NAME]],
  ["U+200B after export", "export\u200bA=1\n", [1, BAD_NAME]],
  [
    "U+200D, U+00B7, U+203F within a name",
    "a\u200db=1\na\u00b7b=1\na\u203fb=1",
    [1, BAD_NAME],
    [2, BAD_NAME],
    [3, BAD_NAME],
  ],
  ["an emoji as a name", "\u{1f600}=1\n", [1, BAD_NAME]],
  ["a name with other characters alone", "A:\n", [1, BAD_NAME]],
  [
    "a bad name with a multi-line value, once",
    'A!="x\ny=${NO}"\nB\n',
    [1, BAD_NAME],
    [3, NO_EQUALS],
  ],
  ["a bad name with an open quote", "A!='x\nB\n", [1, UNCLOSED]],
  ["an empty quoted name", "''=1\n", [1, QUOTED_NAME]],
  ["a quoted name that is never closed", "A=1\nexport 'B=1\nC", [2, QUOTED_NAME], [3, NO_EQUALS]],
  ["a quoted name that closes on a later line", "'A\nB'=1\n", [1, QUOTED_NAME], [2, BAD_NAME]],
  ["an open double quote, and nothing after it", '\nA="x\nB\nC=${NO}\n', [2, UNCLOSED, "A"]],
  ["an open single quote after other problems", "A\nB='x\nC", [1, NO_EQUALS], [2, UNCLOSED, "B"]],
  ["a quote alone", "A='", [1, UNCLOSED, "A"]],
  ["an escaped closing quote", 'A="\\"', [1, UNCLOSED, "A"]],
  ["a backslash at the end", 'A="x\\', [1, UNCLOSED, "A"]],
  ["an open quote in a quoted name's pair", "'A B' = \"", [1, UNCLOSED, "A B"]],
  ["text after the closing quote, and nothing after that", "A='x'y\nB\n", [1, AFTER_QUOTE, "A"]],
  [
    "text after the quote at the line where the statement starts",
    '\nA="x\n\ny" z\n',
    [2, AFTER_QUOTE, "A"],
  ],
  ["= after the closing quote", 'A="x"=', [1, AFTER_QUOTE, "A"]],
  ["U+200B after the closing quote", "A='x'\u200b", [1, AFTER_QUOTE, "A"]],
  [
    "a quote that closes within the next pair",
    'A="x\nSERVICE_API_KEY="abc"\n',
    [1, AFTER_QUOTE, "A"],
  ],
  ["an undefined reference", "A=1\nB=x${C}\n", [2, UNDEFINED, "B"]],
  ["two undefined references in one value as one problem", "B=${C}${D}\n", [1, UNDEFINED, "B"]],
  [
    "an undefined reference within a name of a reference",
    "A=${${LAB_ENV_VAR}\n",
    [1, UNDEFINED, "A"],
  ],
  ["a reference to a name that stands later", "A=${B}\nB=1\n", [1, UNDEFINED, "A"]],
  [
    "a reference to a pair with a problem",
    "A=${NO}\nB=${A}",
    [1, UNDEFINED, "A"],
    [2, UNDEFINED, "B"],
  ],
  [
    "an inherited property as a reference",
    "A=${toString}\nB=${__proto__}\nC=${constructor}",
    [1, UNDEFINED, "A"],
    [2, UNDEFINED, "B"],
    [3, UNDEFINED, "C"],
  ],
  [
    "the line after a multi-line value with an undefined reference",
    'A="\n${NO}"\nB\n',
    [1, UNDEFINED, "A"],
    [3, NO_EQUALS],
  ],
  ["${ in a default", "A=${NO:-${LAB_ENV_VAR}}\n", [1, NESTED, "A"]],
  [
    "${ in a default rather than the undefined reference after it",
    "A=${NO:-${}${NO}\n",
    [1, NESTED, "A"],
  ],
  ["${ in a default that isn't needed", "A=${LAB_ENV_VAR:-x${}\n", [1, NESTED, "A"]],
  ["a NUL in a value", "A=1\nB=x\0\n", [2, NUL, "B"]],
  ["a NUL in the second line of a value", "A=1\nB='x\n\0'\nC", [2, NUL, "B"], [4, NO_EQUALS]],
  ["a NUL in a name", "A\0=1\n", [1, NUL]],
  ["a NUL in a quoted name", "'A\0'=1\n", [1, NUL, "A\0"]],
  ["a NUL in a comment", "A=1\n# \0\nB='x' # \0", [2, NUL], [3, NUL, "B"]],
  ["UTF-16LE without a BOM", BYTES("41 00 3d 00 31 00"), [1, NUL]],
  ["UTF-16BE without a BOM", BYTES("00 41 00 3d 00 31"), [1, NUL]],
  ["UTF-16LE with a BOM", BYTES("ff fe 41 00 3d 00 31 00 0a 00"), [1, UTF8]],
  ["UTF-16BE with a BOM", BYTES("fe ff 00 41 00 3d 00 31 00 0a"), [1, UTF8]],
  ["a Latin-1 byte, and no other problem", BYTES("41 0a 42 3d e9 0a 43 0a"), [2, UTF8]],
  [
    "a bad byte after CR in the first line: only LF counts",
    BYTES("41 3d 31 0d 42 3d ff 0d"),
    [1, UTF8],
  ],
  ["a bad byte in the last line of three", BYTES("0d 0a 0a 80"), [3, UTF8]],
  ["a sequence cut off by LF", BYTES("41 3d c3 0a a9 0a"), [1, UTF8]],
  ["a sequence cut off by the end", BYTES("0a 41 3d f0 9f 98"), [2, UTF8]],
  ["an encoded surrogate", BYTES("0a 41 3d ed a0 80"), [2, UTF8]],
  ["an overlong NUL", BYTES("41 3d c0 80"), [1, UTF8]],
  ["a code point over U+10FFFF", BYTES("41 3d f4 90 80 80"), [1, UTF8]],
  ["a second BOM", BYTES("ef bb bf ef bb bf 41 3d 31"), [1, BAD_NAME]],
];

for (const [what, input, ...expected] of PROBLEMS) {
  test(`parseDotenv reports ${what}`, () => {
    const found = problemsOf(input);
    assert.deepEqual(
      found.map(({ line, name }) => [line, name]),
      expected.map(([line, , name]) => [line, name]),
    );
    for (const [index, [, message]] of expected.entries()) {
      assert.match(found[index]?.message ?? "", message);
    }
  });
}

test("a line without = is never taken for a name: it may be the second line of a secret", () => {
  assert.equal(problemsOf("SERVICE_API_KEY=\nsvk_0123456789\n")[0]?.name, undefined);
});

test("DotenvError's message has every line and no text from the file", () => {
  const error = new DotenvError(problemsOf("A=${NO}\nhunter2\n\nB='hunter2\n"));
  assert.match(error.message, /^line 1: .+\nline 2: .+\nline 4: .+$/);
  assert.doesNotMatch(`${error.stack} ${JSON.stringify(error.problems)}`, /hunter2/);
});

test("one BOM is dropped, also before a name", () => {
  assert.deepEqual(pairsOf(BYTES("ef bb bf 41 3d 31 0a")), [["A", "1"]]);
});

test("the line of a name is that of its last pair", () => {
  const entries = readDotenv(Buffer.from("A=1\r\n\r\nexport B='x\ry'\r# c\n'A'=2\nC=3"));
  const lines = [...entries].map(([name, { line }]) => [name, line]);
  assert.deepEqual(lines, [
    ["A", 6],
    ["B", 3],
    ["C", 7],
  ]);
});

test("the last of two pairs wins, also when it is empty", () => {
  assert.deepEqual(pairsOf("A=1\nA=\n"), [["A", ""]]);
});

test("a reference takes the pair above, else the environment, else the default", () => {
  const env = { E: "", F: "f", G: undefined };
  assert.deepEqual(pairsOf("E=${E:-d}\nF=${F:-d}\nF=file${F}\nG=${G:-d}\nH=${F}", env), [
    ["E", ""],
    ["F", "filef"],
    ["G", "d"],
    ["H", "filef"],
  ]);
  assert.equal(problemsOf("A=${G}", env).length, 1);
});

test("without an environment only pairs above are known", () => {
  assert.deepEqual(
    [...parseDotenv(Buffer.from("A=1\nB=${A}${PATH:-none}"))],
    [
      ["A", "1"],
      ["B", "1none"],
    ],
  );
  assert.throws(() => parseDotenv(Buffer.from("A=${PATH}")), DotenvError);
});

test("names of inherited properties are names like any other", () => {
  const env = JSON.parse('{"__proto__": "own"}') as Record<string, string>;
  const text =
    "A=${__proto__}\n__proto__=1\nconstructor=2\nB=${__proto__}${constructor}${valueOf:-3}";
  assert.deepEqual(pairsOf(text, env), [
    ["A", "own"],
    ["__proto__", "1"],
    ["constructor", "2"],
    ["B", "123"],
  ]);
});

test("a value that a reference stands for is not scanned again, nor for $ patterns", () => {
  assert.deepEqual(pairsOf("A=${E}\nB=<${A}>", { E: "$&${E}$1$$" }), [
    ["A", "$&${E}$1$$"],
    ["B", "<$&${E}$1$$>"],
  ]);
});

test("exactly Python's white space is white space", () => {
  const blanks: number[] = [];
  for (let code = 1; code <= 0xffff; code += 1) {
    if (code >= 0xd800 && code <= 0xdfff) continue;
    const value = pairsOf(`A=x${String.fromCharCode(code)}\n`)[0]?.[1];
    if (value === "x") blanks.push(code);
  }
  const range = (from: number, to: number): number[] =>
    Array.from({ length: to - from + 1 }, (_, i) => from + i);
  assert.deepEqual(blanks, [
    ...range(0x09, 0x0d),
    ...range(0x1c, 0x20),
    0x85,
    0xa0,
    0x1680,
    ...range(0x2000, 0x200a),
    0x2028,
    0x2029,
    0x202f,
    0x205f,
    0x3000,
  ]); // LF and CR end the line
});
