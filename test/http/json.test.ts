import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { locateJsonError } from "../../src/http/json.ts";
import { isJson } from "../support/json.ts";
import { root } from "../support/root.ts";

// Every position is that of CPython 3.11.7, which accepts NaN, Infinity and -Infinity, though.
const MALFORMED: Readonly<Record<string, readonly (readonly [text: string, position: number])[]>> =
  {
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

const WELL_FORMED = [
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

for (const [message, rows] of Object.entries(MALFORMED)) {
  test(`a malformed text gets "${message}" at CPython's position`, () => {
    for (const [text, position] of rows) {
      const name = JSON.stringify(text);
      assert.throws(() => JSON.parse(text), SyntaxError, name);
      assert.deepEqual(locateJsonError(text), { position, message }, name);
    }
  });
}

test("a text that is JSON has no error before its end", () => {
  for (const text of WELL_FORMED) {
    assert.ok(isJson(text), text);
    const position = [...text].length;
    assert.deepEqual(locateJsonError(text), { position, message: "Extra data" }, text);
  }
});

/** The members of a case of the contract that matter here. */
interface Case {
  readonly name: string;
  readonly request: readonly (string | { readonly repeat: string; readonly times: number })[];
  readonly responses: readonly {
    readonly status: number;
    readonly json: { readonly detail?: string | readonly ContractProblem[] };
  }[];
}

interface ContractProblem {
  readonly type: string;
  readonly loc: readonly (string | number)[];
  readonly ctx?: { readonly error: string };
}

test("every malformed body of the contract gets the contract's message and position", () => {
  const file = readFileSync(new URL("test/contract/cases.json", root), "utf8");
  const { cases } = JSON.parse(file) as { cases: Case[] };
  let count = 0;
  for (const { name, request, responses } of cases) {
    if (!/^(syntax|shape)\//.test(name) || responses[0]?.status === 400) continue;
    const text = bodyOf(request);
    const problem = syntaxProblemOf(responses[0]?.json.detail);
    assert.equal(isJson(text), problem === undefined && text !== "", name);
    if (problem === undefined) continue;
    const expected = { position: problem.loc[1], message: problem.ctx?.error };
    assert.deepEqual(locateJsonError(text), expected, name);
    count += 1;
  }
  assert.ok(count >= 40);
});

function syntaxProblemOf(
  detail: string | readonly ContractProblem[] | undefined,
): ContractProblem | undefined {
  if (detail === undefined || typeof detail === "string") return undefined;
  return detail[0]?.type === "json_invalid" ? detail[0] : undefined;
}

function bodyOf(request: Case["request"]): string {
  const bytes = request
    .map((part) => (typeof part === "string" ? part : part.repeat.repeat(part.times)))
    .join("");
  const body = Buffer.from(bytes.slice(bytes.indexOf("\r\n\r\n") + 4), "latin1");
  return new TextDecoder("utf-8", { fatal: true }).decode(body);
}
