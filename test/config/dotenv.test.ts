import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { DotenvError, parseDotenv, readDotenv } from "../../src/config/dotenv.ts";
import type { DotenvFault } from "../../src/config/dotenv.ts";
import { root } from "../root.ts";

interface Case {
  id: string;
  input?: string;
  input_base64?: string;
  values?: Record<string, string>;
  fault_lines?: number[];
}

const ENV = { LAB_ENV_VAR: "from-process" };

function parse(
  input: string | Uint8Array,
  env: Record<string, string | undefined> = ENV,
): [string, string][] {
  return [...parseDotenv(typeof input === "string" ? Buffer.from(input) : input, env)];
}

function faultsOf(
  input: string | Uint8Array,
  env: Record<string, string | undefined> = ENV,
): DotenvFault[] {
  try {
    parse(input, env);
  } catch (error) {
    assert.ok(error instanceof DotenvError, String(error));
    assert.notEqual(error.faults.length, 0);
    return error.faults;
  }
  return [];
}

/** The pairs, or the lines at fault. */
function outcome(input: string | Uint8Array): [string, string][] | number[] {
  const lines = faultsOf(input).map(({ line }) => line);
  return lines.length > 0 ? lines : parse(input);
}

const { cases } = JSON.parse(readFileSync(new URL("test/dotenv/cases.json", root), "utf8")) as {
  cases: Case[];
};

test("there are cases", () => {
  assert.ok(cases.length >= 344);
});

for (const { id, input = "", input_base64, values, fault_lines } of cases) {
  test(`case ${id} gives the ${values === undefined ? "faults" : "values"} it asks for`, () => {
    const bytes = input_base64 === undefined ? input : Buffer.from(input_base64, "base64");
    const sort = (pairs: [string, string][]): [string, string][] =>
      pairs.sort(([a], [b]) => (a < b ? -1 : 1));
    if (fault_lines === undefined)
      assert.deepEqual(sort(parse(bytes)), sort(Object.entries(values ?? {})));
    else
      assert.deepEqual(
        faultsOf(bytes).map(({ line }) => line),
        fault_lines,
      );
  });
}

// Values as python-dotenv 1.2.4 reads them.
const GOOD: [what: string, input: string, pairs: Record<string, string>][] = [
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
  ["an escaped backslash and an escaped quote", 'A="\\\\\\""', { A: '\\"' }],
  ["an escaped quote and an escaped backslash", 'A="\\"\\\\"', { A: '"\\' }],
  ["the same in single quotes", "A='\\\\\\''", { A: "\\'" }],
  ["no other escape counts in single quotes", "A='\\\"\\a\\n'", { A: '\\"\\a\\n' }],
  ["escaped line ends stay as they are decoded", 'A="\\r\\n"', { A: "\r\n" }],
  ["a backslash before CRLF stays", 'A="\\\r\n"', { A: "\\\n" }],
  ["an empty value in quotes", "A=\"\"\nB=''# c", { A: "", B: "" }],
  ["a quote of the other kind is data", "A=\"'\"\nB='\"'", { A: "'", B: '"' }],
  ["a comment may follow a value of several lines", 'A="x\n" # \'\nB=1', { A: "x\n", B: "1" }],
  ["U+2028 is white space before #", "A=\u2028#c\nB=x\u2028#c", { A: "", B: "x" }],
  [
    "U+180E, U+200B and U+FEFF are no white space",
    "A=x\u180e#\nB=x\u200b#\nC=x\ufeff#",
    { A: "x\u180e#", B: "x\u200b#", C: "x\ufeff#" },
  ],
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
    "digits and letters of every script begin a name",
    "\u0660=1\n\u2160=2\n\u00b2=3\n\u{1d400}=4",
    { "\u0660": "1", "\u2160": "2", "\u00b2": "3", "\u{1d400}": "4" },
  ],
  ["a combining mark goes on a name", "a\u0301=1", { "a\u0301": "1" }],
];

for (const [what, input, pairs] of GOOD) {
  test(`python-dotenv's reading: ${what}`, () => {
    assert.deepEqual(Object.fromEntries(parse(input)), pairs);
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

type Fault = [line: number, message: RegExp, name?: string];
const BAD: [what: string, input: string | Uint8Array, ...faults: Fault[]][] = [
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
  ["an open double quote: nothing after it", '\nA="x\nB\nC=${NO}\n', [2, UNCLOSED, "A"]],
  ["an open single quote after other faults", "A\nB='x\nC", [1, NO_EQUALS], [2, UNCLOSED, "B"]],
  ["a quote alone", "A='", [1, UNCLOSED, "A"]],
  ["an escaped closing quote", 'A="\\"', [1, UNCLOSED, "A"]],
  ["a backslash at the end", 'A="x\\', [1, UNCLOSED, "A"]],
  ["an open quote in a quoted name's pair", "'A B' = \"", [1, UNCLOSED, "A B"]],
  ["text after the closing quote: nothing after it", "A='x'y\nB\n", [1, AFTER_QUOTE, "A"]],
  [
    "the line where the statement starts, not where the quote closes",
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
  ["two undefined references in one value: one fault", "B=${C}${D}\n", [1, UNDEFINED, "B"]],
  [
    "an undefined reference within a name of a reference",
    "A=${${LAB_ENV_VAR}\n",
    [1, UNDEFINED, "A"],
  ],
  ["a reference to a name that stands later", "A=${B}\nB=1\n", [1, UNDEFINED, "A"]],
  ["a reference to a pair at fault", "A=${NO}\nB=${A}", [1, UNDEFINED, "A"], [2, UNDEFINED, "B"]],
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
    "${ in a default, then an undefined reference: the first counts",
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
  ["a Latin-1 byte, and no other fault", BYTES("41 0a 42 3d e9 0a 43 0a"), [2, UTF8]],
  ["a bad byte after CR: only LF counts", BYTES("41 3d 31 0d 42 3d ff 0d"), [1, UTF8]],
  ["a bad byte in the last line of three", BYTES("0d 0a 0a 80"), [3, UTF8]],
  ["a sequence cut off by LF", BYTES("41 3d c3 0a a9 0a"), [1, UTF8]],
  ["a sequence cut off by the end", BYTES("0a 41 3d f0 9f 98"), [2, UTF8]],
  ["an encoded surrogate", BYTES("0a 41 3d ed a0 80"), [2, UTF8]],
  ["an overlong NUL", BYTES("41 3d c0 80"), [1, UTF8]],
  ["a code point over U+10FFFF", BYTES("41 3d f4 90 80 80"), [1, UTF8]],
  ["a second BOM", BYTES("ef bb bf ef bb bf 41 3d 31"), [1, BAD_NAME]],
];

for (const [what, input, ...expected] of BAD) {
  test(`a fault: ${what}`, () => {
    const found = faultsOf(input);
    assert.deepEqual(
      found.map(({ line, name }) => [line, name]),
      expected.map(([line, , name]) => [line, name]),
    );
    expected.forEach(([, message], index) => assert.match(found[index]?.message ?? "", message));
  });
}

test("a fault without a valid name has no property name", () => {
  assert.deepEqual(Object.keys(faultsOf("A!=1")[0] ?? {}), ["line", "message"]);
});

test("a line without = is never taken for a name: it may be the second line of a secret", () => {
  assert.equal(faultsOf("SERVICE_API_KEY=\nsvk_0123456789\n")[0]?.name, undefined);
});

test("the error's own message has every line and no text from the file", () => {
  const error = new DotenvError(faultsOf("A=${NO}\nhunter2\n\nB='hunter2\n"));
  assert.match(error.message, /^line 1: .+\nline 2: .+\nline 4: .+$/);
  assert.doesNotMatch(`${error.stack} ${JSON.stringify(error.faults)}`, /hunter2/);
});

test("one BOM is dropped, also before a name", () => {
  assert.deepEqual(parse(BYTES("ef bb bf 41 3d 31 0a")), [["A", "1"]]);
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
  assert.deepEqual(parse("A=1\nA=\n"), [["A", ""]]);
});

test("a reference is the pair above, else the environment, else the default, and empty counts as set", () => {
  const env = { E: "", F: "f", G: undefined };
  assert.deepEqual(parse("E=${E:-d}\nF=${F:-d}\nF=file${F}\nG=${G:-d}\nH=${F}", env), [
    ["E", ""],
    ["F", "filef"],
    ["G", "d"],
    ["H", "filef"],
  ]);
  assert.equal(faultsOf("A=${G}", env).length, 1);
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
  assert.deepEqual(parse(text, env), [
    ["A", "own"],
    ["__proto__", "1"],
    ["constructor", "2"],
    ["B", "123"],
  ]);
});

test("a value from the environment or an earlier pair is not scanned again, nor for $ patterns", () => {
  assert.deepEqual(parse("A=${E}\nB=<${A}>", { E: "$&${E}$1$$" }), [
    ["A", "$&${E}$1$$"],
    ["B", "<$&${E}$1$$>"],
  ]);
});

test("exactly Python's white space is white space", () => {
  const blanks: number[] = [];
  for (let code = 1; code <= 0xffff; code += 1) {
    if (code >= 0xd800 && code <= 0xdfff) continue;
    const value = parse(`A=x${String.fromCharCode(code)}\n`)[0]?.[1];
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

/** Pseudorandom whole numbers under `limit`, the same ones for the same seed (mulberry32). */
function randomFrom(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

// No CR: a file can't hold one, but for the escape.
const PIECES = [
  "a",
  "B",
  "_",
  "7",
  ".",
  "-",
  "é",
  "\u0301",
  "😀",
  "\u200b",
  "\ufeff",
  "\0",
  " ",
  "  ",
  "\t",
  "\u00a0",
  "\u2028",
  "\n",
  "#",
  " #",
  "=",
  "'",
  '"',
  "`",
  "\\",
  "\\n",
  "$",
  "${",
  "}",
  ":",
  ":-",
  "${A}",
  "${NO:-d}",
  "${NO}",
  "A=",
  "\nA=",
  "\nB='",
  "export ",
  "__proto__",
];

function randomText(random: (limit: number) => number, pieces: string[], most: number): string {
  return Array.from({ length: random(most) }, () => pieces[random(pieces.length)]).join("");
}

test("what is written by the grammar is read back, in every style and with every line end", () => {
  const random = randomFrom(1);
  for (let round = 0; round < 2000; round += 1) {
    const expected = new Map<string, string>();
    let file = random(4) === 0 ? "\ufeff" : "";
    for (let count = random(6); count > 0; count -= 1) {
      const name = ["A", "B.c", "é-1", "__proto__", "it is"][random(5)] ?? "";
      const value = randomText(random, PIECES, 12).replaceAll("\0", "");
      expected.set(name, value);
      file += writePair(random, name, value) + ["", "\n \t", "\n# it's \"${NO}"][random(3)] + "\n";
    }
    const ended = file.replaceAll("\n", ["\n", "\r\n", "\r"][random(3)] ?? "");
    const read = new Map(parse(ended));
    assert.deepEqual(read, expected, JSON.stringify(ended));
  }
});

function writePair(random: (limit: number) => number, name: string, value: string): string {
  const head =
    ["", "export ", "\t"][random(3)] +
    (name === "it is" ? `'${name}'` : name) +
    ["=", " = "][random(2)];
  const literal = value.replaceAll("${", "${:-$}{");
  if (random(3) === 0 && /^[^\s#'"](?:[^\n#]*[^\s\n#])?$/u.test(literal))
    return `${head}${literal} # c "`;
  if (random(2) === 0) return `${head}'${literal.replace(/[\\']/g, "\\$&")}'`;
  return `${head}"${literal.replace(/[\\"]/g, "\\$&").replaceAll("\n", () => ["\n", "\\n"][random(2)] ?? "")}" #`;
}

test("any text is read the same with LF, CRLF and CR", () => {
  const random = randomFrom(2);
  for (let round = 0; round < 5000; round += 1) {
    const text = "A=" + randomText(random, PIECES, 20);
    assert.deepEqual(outcome(text.replaceAll("\n", "\r\n")), outcome(text), JSON.stringify(text));
    assert.deepEqual(outcome(text.replaceAll("\n", "\r")), outcome(text), JSON.stringify(text));
  }
});

test("lines put before any text move its faults by as many lines and change nothing else", () => {
  const random = randomFrom(3);
  for (let round = 0; round < 5000; round += 1) {
    const text = "B=" + randomText(random, PIECES, 20);
    const moved = faultsOf(`\n# "\nZ="1\n2"\n${text}`).map(({ line, ...rest }) => ({
      line: line - 4,
      ...rest,
    }));
    assert.deepEqual(moved, faultsOf(text), JSON.stringify(text));
    if (moved.length === 0)
      assert.deepEqual(parse(`Z=1\n${text}`), [["Z", "1"], ...parse(text)], JSON.stringify(text));
  }
});

test("any bytes give strings or faults in the order of their lines, with one of a few fixed texts", () => {
  const random = randomFrom(4);
  const messages = new Set<string>();
  let read = 0;
  for (let round = 0; round < 20_000; round += 1) {
    const bytes = Buffer.from(randomText(random, PIECES, 30));
    if (random(10) === 0) bytes[random(bytes.length + 1)] = 128 + random(128);
    const faults = faultsOf(bytes);
    if (faults.length === 0) read += 1;
    const lines = bytes.toString("latin1").split("\n").length;
    let last = 0;
    for (const { line, message } of faults) {
      assert.ok(
        Number.isInteger(line) && line > last && line <= lines,
        JSON.stringify(bytes.toString()),
      );
      last = line;
      messages.add(message);
    }
  }
  assert.ok(read > 500, `only ${read} without a fault`);
  assert.equal(messages.size, 10);
});

const SMALL = 1 << 12;
const HOSTILE: [what: string, text: (size: number) => string][] = [
  ["a long value", (n) => `A=${"x".repeat(n)}`],
  ["a long value in quotes", (n) => `A="${"x\n".repeat(n / 2)}"`],
  ["many lines", (n) => "A=1\n".repeat(n / 4)],
  [
    "many different names and references",
    (n) => Array.from({ length: n / 16 }, (_, i) => `A${i}=\${A${i - 1}:-1}`).join("\n"),
  ],
  ["blanks in a value", (n) => `A=x${" ".repeat(n)}y`],
  ["blanks after a value", (n) => `A=x${" ".repeat(n)}`],
  ["blanks before a comment", (n) => `A=x${" ".repeat(n)}#`],
  ["blanks before each #", (n) => `A=x${" y#".repeat(n / 3)}`],
  ["blanks round a name", (n) => ["", "export", "A", "=", ""].join(" ".repeat(n / 4))],
  ["blanks after a quote", (n) => `A="x"${" ".repeat(n)}y`],
  ["blank lines", (n) => "\n".repeat(n)],
  ["blank lines of CR", (n) => "\r".repeat(n)],
  ["number signs in a value", (n) => `A=x${"#".repeat(n)}`],
  ["an open quote and backslashes", (n) => `A="${"\\".repeat(n)}`],
  ["escapes", (n) => `A="${"\\n".repeat(n / 2)}"`],
  ["backslashes that escape nothing", (n) => `A='${"\\x".repeat(n / 2)}'`],
  ["a quote opened on every line", (n) => 'A="x\n'.repeat(n / 5)],
  ["a name's quote opened on every line", (n) => "'x\n".repeat(n / 3)],
  ["a quoted name that never closes", (n) => `'${"x".repeat(n)}`],
  ["many ${", (n) => `A=${"${".repeat(n / 2)}`],
  ["many ${ before a colon", (n) => `A=${"${".repeat(n / 2)}:x}`],
  ["many ${: before a brace", (n) => `A=${"${:".repeat(n / 3)}}`],
  ["many ${:- without a brace", (n) => `A=${"${:-".repeat(n / 4)}`],
  ["many references and no colon", (n) => `A=1\nB=${"${A}".repeat(n / 4)}`],
  ["a fault on every line", (n) => "a\n".repeat(n / 2)],
  ["a long name", (n) => `${"a".repeat(n)}=1`],
  ["a long bad name", (n) => `${"a".repeat(n)}!=1`],
  ["many =", (n) => "=".repeat(n)],
  ["NUL characters", (n) => "\0".repeat(n)],
];

/** The CPU time that reading `bytes` `times` times takes, in µs. */
function cpuOf(bytes: Uint8Array, times: number): number {
  const start = process.cpuUsage();
  for (let i = 0; i < times; i++) faultsOf(bytes);
  const { user, system } = process.cpuUsage(start);
  return user + system;
}

/** One large file against the same amount in 16 small ones, in turns: in quadratic time it takes 16 times as long. */
function assertLinear(small: Uint8Array, large: Uint8Array): void {
  let least = Infinity;
  let most = Infinity;
  for (let round = 0; round < 12; round++) {
    least = Math.min(least, cpuOf(small, 16));
    most = Math.min(most, cpuOf(large, 1));
    // A clock of 4 ms a tick says little about less.
    if (most <= 8 * Math.max(least, 4000)) return;
  }
  assert.fail(`one file took ${most} µs, as much in 16 files ${least} µs`);
}

for (const [what, text] of HOSTILE) {
  test(`time grows as the file does: ${what}`, () => {
    assertLinear(Buffer.from(text(SMALL)), Buffer.from(text(SMALL * 16)));
  });
}

test("time grows as the file does: a bad byte after many lines", () => {
  const bytes = (size: number): Uint8Array => Buffer.from(`${"\n".repeat(size)}\xff`, "latin1");
  assertLinear(bytes(SMALL * 8), bytes(SMALL * 128));
});

test("a megabyte overflows no stack", () => {
  const size = 1 << 20;
  const long = "x".repeat(size);
  assert.deepEqual(parse(`A=${long}\nB='${long}'`), [
    ["A", long],
    ["B", long],
  ]);
  assert.deepEqual(parse(`A="${"\\\\".repeat(size)}"`), [["A", "\\".repeat(size)]]);
  assert.deepEqual(parse(`A=\${${long}:-${long}}`), [["A", long]]);
});
