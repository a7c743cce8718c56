import assert from "node:assert/strict";
import { test } from "node:test";

import {
  formatProblem,
  placeOf,
  printable,
  readChoice,
  readNumber,
  readValue,
  type SettingsReader,
  type Variable,
} from "../../src/config/reader.ts";

/** A reader of one variable, NAME, that is set in line 7 of `.env`. */
function readerOf(value: string | undefined): SettingsReader {
  const lookup = (name: string): Variable | undefined => {
    if (name !== "NAME" || value === undefined) return undefined;
    return { name, value, source: ".env", line: 7 };
  };
  return { lookup, directory: "/", now: 0, problems: [], warnings: [] };
}

test("a place names the variable, and the environment or the line of .env", () => {
  const variable = { name: "PORT", value: "secret", line: undefined };
  assert.equal(placeOf({ ...variable, source: "environment" }), "PORT (environment)");
  assert.equal(placeOf({ ...variable, source: ".env", line: 12 }), "PORT (.env, line 12)");
});

test("a problem is one line of place and message", () => {
  assert.equal(
    formatProblem({ place: "PORT (environment)", message: "must be 1" }),
    "PORT (environment): must be 1",
  );
});

/** Texts, and what is printed of them. */
const PRINTED: readonly (readonly [text: string, printed: string])[] = [
  ["/a b/é/ü.env", "/a b/é/ü.env"],
  ["/\n\r\t\0\x1b[2J\x7f\x9b\u2028\u2029\u202e/b", "/?????[2J?????/b"],
  ["/a/svk_AbC-_0123/b svk_x", "/a/svk_…/b svk_…"],
  ["svk_ svk_", "svk_ svk_"],
];

for (const [text, printed] of PRINTED) {
  test(`of ${JSON.stringify(text)}, only ${printed} is printed`, () => {
    assert.equal(printable(text), printed);
    assert.equal(formatProblem({ place: text, message: text }), `${printed}: ${printed}`);
  });
}

/** Returns what `read` returns for a value, and the problems as lines. */
function outcome<Value>(
  read: (reader: SettingsReader) => Value,
  value: string | undefined,
): [Value, string[]] {
  const reader = readerOf(value);
  const result = read(reader);
  assert.deepEqual(reader.warnings, []);
  return [result, reader.problems.map(formatProblem)];
}

const length = (reader: SettingsReader): number =>
  readValue(reader, {
    name: "NAME",
    fallback: -1,
    rule: "in small letters",
    parse: (text) => (/^[a-z]*$/.test(text) ? text.length : undefined),
  });

test("readValue returns what parse makes of a value, and the fallback if it is not set", () => {
  assert.deepEqual(outcome(length, "abc"), [3, []]);
  assert.deepEqual(outcome(length, ""), [0, []]);
  assert.deepEqual(outcome(length, undefined), [-1, []]);
});

for (const value of ["ABC", "abc ", "abc\n"]) {
  test(`readValue reports ${JSON.stringify(value)} and returns the fallback`, () => {
    const problem = "NAME (.env, line 7): must be in small letters";
    assert.deepEqual(outcome(length, value), [-1, [problem]]);
  });
}

const number = (reader: SettingsReader): number =>
  readNumber(reader, { name: "NAME", fallback: 5, min: 1, max: 4_000_000_000 });

test("readNumber returns whole numbers from min to max", () => {
  assert.deepEqual(outcome(number, undefined), [5, []]);
  for (const [value, result] of [
    ["1", 1],
    ["007", 7],
    ["4000000000", 4_000_000_000],
  ] as const) {
    assert.deepEqual(outcome(number, value), [result, []]);
  }
});

/** Texts that are not whole numbers from 1 to 4,000,000,000. */
const BAD_NUMBERS: readonly string[] = [
  "",
  "0",
  "4000000001",
  "99999999999",
  "00000000001",
  "abc",
  "-1",
  "+1",
  "1.5",
  "1e3",
  "0x10",
  " 1",
  "1 ",
  "1\n",
  "\t1",
  "1\0",
  "1,000",
  "1_000",
  "NaN",
  "Infinity",
  "١",
  "1ms",
  "1;",
  "true",
];

for (const value of BAD_NUMBERS) {
  test(`readNumber reports ${JSON.stringify(value)} and returns the fallback`, () => {
    const problem = "NAME (.env, line 7): must be a whole number from 1 to 4000000000";
    assert.deepEqual(outcome(number, value), [5, [problem]]);
  });
}

const choice = (reader: SettingsReader): "on" | "off" =>
  readChoice(reader, { name: "NAME", fallback: "off", choices: ["on", "off"] });

test("readChoice returns one of its words", () => {
  assert.deepEqual(outcome(choice, undefined), ["off", []]);
  assert.deepEqual(outcome(choice, "on"), ["on", []]);
});

for (const value of ["", "ON", "On", "on ", " on", "on\n", "on,off", "true", "1", "__proto__"]) {
  test(`readChoice reports ${JSON.stringify(value)} and returns the fallback`, () => {
    const problem = "NAME (.env, line 7): must be one of on, off";
    assert.deepEqual(outcome(choice, value), ["off", [problem]]);
  });
}
