import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { locateJsonError } from "../../src/http/json.ts";
import { root } from "../support/root.ts";

// Every position is what CPython 3.11.7 says, but for NaN, Infinity and -Infinity, which it takes for values.
const malformed: Record<string, [text: string, position: number][]> = {
  "Expecting value": [
    ["", 0],
    [" ", 1],
    ["\n\t\r ", 4],
    ["x", 0],
    ["'a'", 0],
    ["[", 1],
    ["[ ", 2],
    ["]", 0],
    ["}", 0],
    [",", 0],
    [":", 0],
    ["[,]", 1],
    ["[1,]", 3],
    ["[1, ]", 4],
    ["[1,,2]", 3],
    ["[,1]", 1],
    ["[}", 1],
    ["[[[[", 4],
    ['{"a":', 5],
    ['{"a": ', 6],
    ['{"a":}', 5],
    ['{"a"::1}', 5],
    ['{"a":{"b":}}', 10],
    ["//c\n1", 0],
    ["#", 0],
    ["t", 0],
    ["tru", 0],
    ["True", 0],
    ["TRUE", 0],
    ["nul", 0],
    ["nulL", 0],
    ["fals", 0],
    ["[tru]", 1],
    ["undefined", 0],
    ["None", 0],
    ["NaN", 0],
    ["nan", 0],
    ["Infinity", 0],
    ["-Infinity", 0],
    ["+Infinity", 0],
    ["[1,NaN]", 3],
    ['{"a":Infinity}', 5],
    ["[-Infinity]", 1],
    ["-Infinit", 0],
    ["NaNx", 0],
    ["-NaN", 0],
    ["-", 0],
    ["--1", 0],
    ["-a", 0],
    ["- 1", 0],
    ["[-]", 1],
    ["[-,1]", 1],
    ["+1", 0],
    [".5", 0],
    ["-.5", 0],
    ["１", 0],
    ["[１]", 1],
    ['{"😀":}', 5],
    ['{"é":1,"漢":x}', 11],
    ['["😀",😀]', 5],
    ["😀", 0],
    ["\xa0{}", 0],
    ["\x0c1", 0],
    ["\x0b", 0],
    ["\u2028", 0],
    ["\ufeff", 0],
    ["\ufeff1", 0],
    ["[\u3000]", 1],
    ["\x00", 0],
    ["\x7f", 0],
    ["\x85", 0],
    ["[\x00]", 1],
  ],
  "Expecting property name enclosed in double quotes": [
    ["{", 1],
    ["{ ", 2],
    ["{]", 1],
    ['{"a":1,', 7],
    ['{"a":1,}', 7],
    ['{"a":1, }', 8],
    ['{"a":1,,', 7],
    ['{"a":1,2}', 7],
    ["{,}", 1],
    ["{a:1}", 1],
    ["{1:2}", 1],
    ["{null:1}", 1],
    ["{'a':1}", 1],
    ["{[]:1}", 1],
    ['[{"a":1,}]', 8],
    ['{"😀":1,😀}', 7],
    ["{\x1f}", 1],
  ],
  "Expecting ',' delimiter": [
    ["[1", 2],
    ["[1 ", 3],
    ["[1 2]", 3],
    ["[1:2]", 2],
    ["[1}", 2],
    ["[[]", 3],
    ["[{}", 3],
    ['{"a":[1}', 7],
    ['{"a":1', 6],
    ['{"a":1 ', 7],
    ['{"a":1]', 6],
    ['{"a":1 "b":2}', 7],
    ['{"a":1:2}', 6],
    ["[1/**/]", 2],
    ["[1;2]", 2],
    ["[nulll]", 5],
    ["[01]", 2],
    ["[1.]", 2],
    ["[1e]", 2],
    ["[1.5e]", 4],
    ['["😀"', 4],
    ['["😀","😀" 1]', 9],
    ["[1\u2003]", 2],
  ],
  "Expecting ':' delimiter": [
    ['{"a"', 4],
    ['{"a" ', 5],
    ['{"a"}', 4],
    ['{"a" 1}', 5],
    ['{"a",1}', 4],
    ['{"😀" 1}', 5],
  ],
  "Extra data": [
    ['{"a":1}}', 7],
    ['{"a":1}]', 7],
    ["1 2", 2],
    ["1,", 1],
    ['"a""b"', 3],
    ["[][]", 2],
    ["{}{}", 2],
    ["{} {}", 3],
    ["{}\x00", 2],
    ["{},", 2],
    ["null null", 5],
    ["truefalse", 4],
    ["truex", 4],
    ["true1", 4],
    ["1true", 1],
    ["1//c", 1],
    ["1;", 1],
    ["01", 1],
    ["-01", 2],
    ["00", 1],
    ["0x10", 1],
    ["1.", 1],
    ["1.e5", 1],
    ["1.5.5", 3],
    ["1..2", 1],
    ["1e", 1],
    ["1E+", 1],
    ["1e-", 1],
    ["1e+a", 1],
    ["1e5.5", 3],
    ["1e1e1", 3],
    ["1_000", 1],
    ["1,000", 1],
    ["0b1", 1],
    ["1１", 1],
    ["1٣", 1],
    ["1²", 1],
    ['""a', 2],
    ["[1]😀", 3],
    ['"😀"😀', 3],
    ["{}\xa0", 2],
    ["1\x0c", 1],
    ["1\u2029", 1],
    ["1\ufeff", 1],
  ],
  "Unterminated string starting at": [
    ['"', 0],
    ['"a', 0],
    ['["a', 1],
    ['["a]', 1],
    ['{"a', 1],
    ['{"a:1}', 1],
    ['{"a":"b', 5],
    ['{"a":"b}', 5],
    ['"\\', 0],
    ['"\\"', 0],
    ['"\\u1234\\', 0],
    ['"\\u12345', 0],
    ['"\\ud800\\', 0],
    ['"😀', 0],
  ],
  "Invalid control character at": [
    ['"a\n"', 2],
    ['"\t"', 1],
    ['"\x00"', 1],
    ['"\x1f"', 1],
    ['"a\x00', 2],
    ['{"a\n":1}', 3],
    ['{"\x01', 2],
    ['"a\r\n"', 2],
    ['"\\ud800\n"', 7],
    ['"😀\n"', 2],
    ['"é\x01"', 2],
    ['"\u2028\n"', 2],
  ],
  "Invalid \\escape": [
    ['"\\x41"', 1],
    ['"\\a"', 1],
    [`"\\'"`, 1],
    ['"\\ "', 1],
    ['"\\\n"', 1],
    ['"\\\x00"', 1],
    ['"\\0"', 1],
    ['"\\U0041"', 1],
    ['{"\\q":1}', 2],
    ['"\\é"', 1],
    ['"\\😀"', 1],
    ['"ab\\c', 3],
    ['"\\v', 1],
    ['"\\ud800\\x"', 7],
    ['"😀\\x"', 2],
  ],
  "Invalid \\uXXXX escape": [
    ['"\\u', 2],
    ['"\\u"', 2],
    ['"\\u1"', 2],
    ['"\\u12"', 2],
    ['"\\u123"', 2],
    ['"\\u1234', 2],
    ['"\\u123g"', 2],
    ['"\\u 123"', 2],
    ['"\\u+123"', 2],
    ['"\\u0x41"', 2],
    ['"\\u00_1"', 2],
    ['"\\u１２３４"', 2],
    ['"\\u123', 2],
    ['"\\u12\n4"', 2],
    ['{"\\u":1}', 3],
    ['["\\u00"]', 3],
    ['"\\u000😀"', 2],
    ['"\\ud800', 2],
    ['"\\ud800\\u', 8],
    ['"\\ud800\\u"', 8],
    ['"\\ud800\\u12', 8],
    ['"\\ud800\\udc0"', 8],
    ['"\\ud800\\udc00', 8],
    ['"\\ud800\\udc0g"', 8],
    ['"\\ud800\\u00e9', 8],
    ['"\\ud83d\\ude00', 8],
    ['"\\ud800\\ud800\\udc0"', 14],
    ['"😀\\u"', 3],
  ],
};

const wellFormed = [
  "0",
  "-0",
  "1.5",
  "-0.0e-0",
  "1E+400",
  "9".repeat(5000),
  "true",
  "false",
  "null",
  '""',
  '"\x7f\u2028\ufeff😀"',
  "[]",
  "{}",
  " [ ] ",
  "\r\n{\t}\n",
  "[1, [], {}]",
  '{"":{"":[null]}}',
  '{"a" : 1 , "a" : 2}',
  '["😀"]\n',
  '"\\"\\\\\\/\\b\\f\\n\\r\\t\\uAbC9"',
  '"\\ud800"',
  '"\\udc00\\ud800"',
  '"\\ud83d\\ude00"',
];

test("a malformed text gets CPython's message at CPython's position", () => {
  for (const [message, rows] of Object.entries(malformed)) {
    for (const [text, position] of rows) {
      assert.throws(() => JSON.parse(text), SyntaxError, JSON.stringify(text));
      assert.deepEqual(locateJsonError(text), { position, message }, JSON.stringify(text));
    }
  }
});

test("a text that is JSON has nothing wrong before its end", () => {
  for (const text of wellFormed) {
    assert.ok(accepts(text), text);
    assert.deepEqual(
      locateJsonError(text),
      { position: [...text].length, message: "Extra data" },
      text,
    );
  }
});

test("every malformed body of the contract gets the contract's message and position", () => {
  const { cases } = JSON.parse(readFileSync(new URL("test/contract/cases.json", root), "utf8")) as {
    cases: Case[];
  };
  let located = 0;
  for (const { name, request, responses } of cases) {
    if (!/^(syntax|shape)\//.test(name) || responses[0]?.status === 400) continue;
    const text = bodyOf(request);
    const detail = responses[0]?.json.detail;
    const fault =
      Array.isArray(detail) && detail[0]?.type === "json_invalid" ? detail[0] : undefined;
    assert.equal(accepts(text), fault === undefined && text !== "", name);
    if (fault === undefined) continue;
    assert.deepEqual(
      locateJsonError(text),
      { position: fault.loc[1], message: fault.ctx?.error },
      name,
    );
    located += 1;
  }
  assert.ok(located >= 40);
});

test("any text, however mutated, gets the answer of a recursive reading of the grammar", () => {
  const seen = new Map<string, number>();
  for (const text of mutatedTexts(20_000, 1)) {
    const expected = reference(text);
    assert.deepEqual(locateJsonError(text), expected, JSON.stringify(text));
    const isJson = expected.message === "Extra data" && expected.position === [...text].length;
    assert.equal(accepts(text), isJson, JSON.stringify(text));
    if (!isJson) seen.set(expected.message, (seen.get(expected.message) ?? 0) + 1);
  }
  for (const message of Object.keys(malformed)) assert.ok((seen.get(message) ?? 0) > 100, message);
});

test("what stands before the position becomes JSON when what the message asks for is added", () => {
  let count = 0;
  for (const text of mutatedTexts(20_000, 2)) {
    if (accepts(text)) continue;
    count += 1;
    const { position, message } = locateJsonError(text);
    const before = [...text].slice(0, position).join("");
    assert.ok(
      completions(before, message).some(accepts),
      JSON.stringify([text, position, message]),
    );
  }
  assert.ok(count > 10_000);
});

test("containers nested a million deep are read to the fault", () => {
  const depth = 1 << 20;
  const [open, close] = ["[".repeat(depth), "]".repeat(depth)];
  const rows: [text: string, position: number, message: string][] = [
    [open, depth, "Expecting value"],
    [open + close.slice(1), 2 * depth - 1, "Expecting ',' delimiter"],
    [open + close + "]", 2 * depth, "Extra data"],
    ['{"a":'.repeat(depth) + "}", 5 * depth, "Expecting value"],
    [
      '[{"😀":'.repeat(depth) + "0" + "}]".repeat(depth - 1) + "]",
      8 * depth - 1,
      "Expecting ',' delimiter",
    ],
  ];
  for (const [text, position, message] of rows)
    assert.deepEqual(locateJsonError(text), { position, message });
});

test("a hostile text sixteen times as long takes about sixteen times as long, not 256 times", () => {
  const size = 1 << 14;
  const repeated = [
    ...["[", '{"":', "[[],", "[1,", "1", "1e1", "\\u", " ", "😀"].map((unit) => ["", unit]),
    ...["\\n", "\\ud800", "\\u0041", "a", "😀", "漢", '","', "\\"].map((unit) => ['"', unit]),
    ...[" ", "1 ,", "true,", "{},", '"",', "  1,"].map((unit) => ["[", unit]),
    ...["0", "9"].flatMap((unit) => [
      ["-1", unit],
      ["0.", unit],
      ["1e", unit],
    ]),
  ].map(
    ([start = "", unit = ""]) =>
      (length: number): string =>
        start + unit.repeat(length),
  );
  const nested = (length: number): string => "[".repeat(length) + "]".repeat(length);
  for (const build of [...repeated, nested]) {
    const longer = leastTime(build(16 * size));
    assert.ok(longer < 64 * leastTime(build(size)) + 2, JSON.stringify(build(2)));
  }
});

interface Case {
  name: string;
  request: (string | { repeat: string; times: number })[];
  responses: {
    status: number;
    json: {
      detail?: string | { type: string; loc: (string | number)[]; ctx?: { error: string } }[];
    };
  }[];
}

function bodyOf(request: Case["request"]): string {
  const raw = request
    .map((part) => (typeof part === "string" ? part : part.repeat.repeat(part.times)))
    .join("");
  const body = Buffer.from(raw.slice(raw.indexOf("\r\n\r\n") + 4), "latin1");
  return new TextDecoder("utf-8", { fatal: true }).decode(body);
}

function accepts(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

// Milliseconds of CPU time, the least of five runs.
function leastTime(text: string): number {
  const times = Array.from({ length: 5 }, () => {
    const start = process.cpuUsage();
    locateJsonError(text);
    const { user, system } = process.cpuUsage(start);
    return (user + system) / 1000;
  });
  return Math.min(...times);
}

class Fault extends Error {
  rest = "";
}

function fail(rest: string, message: string): never {
  throw Object.assign(new Fault(message), { rest });
}

// The grammar read the naive way: every function takes the rest of the text and returns what it leaves.
function reference(text: string): { position: number; message: string } {
  try {
    fail(trim(readValue(trim(text))), "Extra data");
  } catch (error) {
    assert.ok(error instanceof Fault);
    return { position: [...text].length - [...error.rest].length, message: error.message };
  }
}

function trim(rest: string): string {
  return rest.replace(/^[ \t\n\r]+/, "");
}

function readValue(rest: string): string {
  if (rest.startsWith("[")) return readItems(rest, "]", readValue);
  if (rest.startsWith("{")) return readItems(rest, "}", readMember);
  if (rest.startsWith('"')) return readString(rest);
  const word = /^(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)/.exec(rest);
  return word === null ? fail(rest, "Expecting value") : rest.slice(word[0].length);
}

function readItems(rest: string, closer: string, readItem: (rest: string) => string): string {
  let left = trim(rest.slice(1));
  if (left.startsWith(closer)) return left.slice(1);
  for (;;) {
    left = trim(readItem(left));
    if (left.startsWith(closer)) return left.slice(1);
    if (!left.startsWith(",")) fail(left, "Expecting ',' delimiter");
    left = trim(left.slice(1));
  }
}

function readMember(rest: string): string {
  if (!rest.startsWith('"')) fail(rest, "Expecting property name enclosed in double quotes");
  const left = trim(readString(rest));
  if (!left.startsWith(":")) fail(left, "Expecting ':' delimiter");
  return readValue(trim(left.slice(1)));
}

function readString(rest: string): string {
  const sound = /^"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4}(?!$))*/.exec(rest)?.[0] ?? "";
  const left = rest.slice(sound.length);
  if (left.startsWith('"')) return left.slice(1);
  if (left === "" || left === "\\") fail(rest, "Unterminated string starting at");
  if (left.startsWith("\\u")) fail(left.slice(1), "Invalid \\uXXXX escape");
  return fail(left, left.startsWith("\\") ? "Invalid \\escape" : "Invalid control character at");
}

// Ways to go on after `before` as the message asks, each closed; a string may be a value or a member's name.
function completions(before: string, message: string): string[] {
  const additions: Record<string, string[]> = {
    "Expecting value": ["0"],
    "Expecting property name enclosed in double quotes": ['"":0'],
    "Expecting ':' delimiter": [":0"],
    "Expecting ',' delimiter": [""],
    "Extra data": [""],
    "Unterminated string starting at": ['""', '"":0'],
    "Invalid control character at": ['"', '":0'],
    "Invalid \\escape": ['"', '":0'],
    "Invalid \\uXXXX escape": ['"', '":0'],
  };
  // The position of a bad \uXXXX is that of its u.
  const sound = message === "Invalid \\uXXXX escape" ? before.slice(0, -1) : before;
  return (additions[message] ?? []).map(
    (addition) => sound + addition + closersOf(sound + addition),
  );
}

function closersOf(text: string): string {
  const open: string[] = [];
  for (const [bracket] of text.replace(/"(?:\\.|[^"\\])*"/gs, "").matchAll(/[[\]{}]/g)) {
    if (bracket === "[" || bracket === "{") open.unshift(bracket === "[" ? "]" : "}");
    else open.shift();
  }
  return open.join("");
}

const pieces = [
  ...'[]{}:,"""\\\'0123eE+-./ \t\n\r\x00\x1f\x7f\xa0\u2028\ufefféſ１١😀',
  "true",
  "false",
  "null",
  "tru",
  "NaN",
  "Infinity",
  "-Infinity",
  "01",
  "1.",
  "1e+",
  '""',
  '{"a":',
  "[]",
  "{}",
  ",,",
  "\\n",
  "\\x",
  "\\u",
  "\\u12",
  "\\u00e9",
  "\\u12g4",
  "\\ud800",
  "\\udc00",
];

// Random JSON, most of it then spoiled in one to three places; the same for the same seed.
function* mutatedTexts(count: number, seed: number): Generator<string> {
  const random = randomIntegers(seed);
  for (let n = 0; n < count; n += 1) {
    let text = randomJson(random, random(5));
    for (let edits = random(4); edits > 0; edits -= 1) {
      const characters = [...text];
      const at = random(characters.length + 1);
      const piece = pieces[random(pieces.length)] ?? "";
      if (random(5) === 0) characters.length = at;
      else characters.splice(at, random(3), ...(random(3) === 0 ? "" : piece));
      text = characters.join("");
    }
    yield text;
  }
}

function randomJson(random: (below: number) => number, depth: number): string {
  const pick = (choices: string[]): string => choices[random(choices.length)] ?? "";
  const space = (): string => pick(["", "", "", " ", "\n", "\t\r"]);
  const contents = ["", "a", "é", "😀😀", "[{,", "\\n", "\\u00e9", "\\ud83d\\ude00", '\\"', "\\\\"];
  const string = (): string => `"${pick(contents)}"`;
  const list = (item: () => string): string =>
    Array.from({ length: random(4) }, () => space() + item() + space()).join();
  const value = (): string => randomJson(random, depth - 1);
  const kind = depth > 0 ? random(4) : 2 + random(2);
  if (kind === 0) return `${space()}[${list(value)}]${space()}`;
  if (kind === 1)
    return `${space()}{${list(() => string() + space() + ":" + space() + value())}}${space()}`;
  if (kind === 2) return string();
  return pick([
    "0",
    "-0",
    "12",
    "-1.5",
    "1e5",
    "0.25E-3",
    "123456789012345678901",
    "true",
    "false",
    "null",
  ]);
}

// Mulberry32.
function randomIntegers(seed: number): (below: number) => number {
  let state = seed;
  return (below: number): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}
