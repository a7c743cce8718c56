import assert from "node:assert/strict";
import { test } from "node:test";

import { problemsOf } from "../support/dotenv.ts";

const UNDEFINED =
  "${NAME} is defined neither above nor in the environment: define it, use ${NAME:-default}, " +
  "or write a literal ${ as ${:-$}{";

/** Files with one problem, and its whole text. */
const MESSAGES: readonly (readonly [input: string | Uint8Array, message: string])[] = [
  [Buffer.from([0xff]), "these bytes are not UTF-8: save the file as UTF-8"],
  ["A=\0", "there is a NUL character: remove it, and save the file as UTF-8, not UTF-16"],
  ["=1", "there is no name: write NAME=value, and # before a comment"],
  [
    "A!=1",
    "a name holds letters, digits and _, and after the first character also . and -: " +
      "write any other name in single quotes, as in 'NAME'=value",
  ],
  [
    "''=1",
    "a name in single quotes must not be empty, and must end on its line: write 'NAME'=value",
  ],
  ["A", "there is no = after the name: write NAME=value, and a value that spans lines in quotes"],
  [
    "A='1",
    "the quote before the value is never closed: " +
      "close it, or put the value in the other kind of quotes",
  ],
  [
    "A='1'2",
    "text after the closing quote: " +
      "write \\ before a quote inside the value, and # before a comment",
  ],
  ["A=${NO}", UNDEFINED],
  [
    "A=${NO:-${}",
    "a default may not hold ${: define the name instead, or write every literal ${ as ${:-$}{",
  ],
];

for (const [input, message] of MESSAGES) {
  test(`the problem of ${JSON.stringify(String(input))} says what to do`, () => {
    const messages = problemsOf(input).map((problem) => problem.message);
    assert.deepEqual(messages, [message]);
  });
}

/** The remedies that the messages have, each with what it makes of its problem. */
const REMEDIES: readonly string[] = [
  "'A!'=1",
  "A='1'\n#2",
  "A='1\\'2'",
  "B=1\nA=${B}",
  "A=${B:-default}",
  "A=${:-$}{NO}",
  'A="it\'s"',
];

for (const input of REMEDIES) {
  test(`the remedy ${JSON.stringify(input)} is no problem`, () => {
    assert.deepEqual(problemsOf(input), []);
  });
}
