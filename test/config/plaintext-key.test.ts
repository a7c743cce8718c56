import assert from "node:assert/strict";
import { test } from "node:test";

import {
  PLACEHOLDER_KEY,
  plaintextKeyProblem,
  weaknessOf,
} from "../../src/config/plaintext-key.ts";
import { KEYGEN } from "../../src/keygen-command.ts";

/** A key of 32 characters, which is enough. */
const KEY = "svk_0123456789-abcdefghijklmnopq";

const CHARACTERS = "must be at most 256 visible ASCII characters, without blanks or line ends";
const QUOTES = "is in quotes, which would be part of the key: remove them";
const NAME = "begins with SERVICE_API_KEY=, which would be part of the key: remove that";

/** Texts, and what is wrong with them. */
const PROBLEMS: readonly (readonly [key: string, problem: string | undefined])[] = [
  [KEY, undefined],
  ["k", undefined],
  ["k".repeat(256), undefined],
  ["", `is empty: make a key with ${KEYGEN}`],
  ["k".repeat(257), CHARACTERS],
  [`${KEY} `, CHARACTERS],
  [`${KEY}\n`, CHARACTERS],
  [`"${KEY}"`, QUOTES],
  [`'${KEY}'`, QUOTES],
  ['""', QUOTES],
  ['"', undefined],
  [`"${KEY}'`, undefined],
  [`"${KEY}`, undefined],
  [`${KEY}"`, undefined],
  [`"${KEY}"x`, undefined],
  [`x"${KEY}"`, undefined],
  [`SERVICE_API_KEY=${KEY}`, NAME],
  ["SERVICE_API_KEY=", NAME],
  [`SERVICE_API_KEY${KEY}`, undefined],
  [`xSERVICE_API_KEY=${KEY}`, undefined],
];

for (const [key, problem] of PROBLEMS) {
  const shown = JSON.stringify(key).slice(0, 60);
  test(`${shown} ${problem ?? "can be a key"}`, () => {
    assert.equal(plaintextKeyProblem(key), problem);
  });
}

const REMEDY = `make a key with ${KEYGEN}`;

/** Keys, and why they are easy to guess. */
const WEAKNESSES: readonly (readonly [key: string, weakness: string | undefined])[] = [
  [KEY, undefined],
  [KEY.slice(1), `is shorter than 32 characters: ${REMEDY}`],
  ["0123456789".repeat(4), undefined],
  ["012345678".repeat(4), `has fewer than 10 different characters: ${REMEDY}`],
  [PLACEHOLDER_KEY, `is the placeholder of .env.example: ${REMEDY}`],
];

for (const [key, weakness] of WEAKNESSES) {
  test(`the key ${key} ${weakness ?? "is not weak"}`, () => {
    assert.equal(weaknessOf(key), weakness);
  });
}

test("the placeholder says what to do", () => {
  assert.equal(PLACEHOLDER_KEY, "change-me-run-npm-run-keygen");
});
