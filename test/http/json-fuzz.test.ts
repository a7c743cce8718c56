import assert from "node:assert/strict";
import { test } from "node:test";

import { locateJsonError } from "../../src/http/json.ts";
import { completions, isJson, mutatedTexts, referenceError } from "../support/json.ts";

/** How often each message occurs at least among 20,000 texts. */
const LEAST_COUNT = 100;

const MESSAGES = [
  "Expecting value",
  "Expecting property name enclosed in double quotes",
  "Expecting ',' delimiter",
  "Expecting ':' delimiter",
  "Extra data",
  "Unterminated string starting at",
  "Invalid control character at",
  "Invalid \\escape",
  "Invalid \\uXXXX escape",
];

test("the error of a mutated text is that of a recursive reading of the grammar", () => {
  const counts = new Map<string, number>();
  for (const text of mutatedTexts(20_000, 1)) {
    const expected = referenceError(text);
    assert.deepEqual(locateJsonError(text), expected, JSON.stringify(text));
    const hasNoError = expected.message === "Extra data" && expected.position === [...text].length;
    assert.equal(isJson(text), hasNoError, JSON.stringify(text));
    if (!hasNoError) counts.set(expected.message, (counts.get(expected.message) ?? 0) + 1);
  }
  assert.deepEqual([...counts.keys()].sort(), [...MESSAGES].sort());
  for (const [message, count] of counts) assert.ok(count > LEAST_COUNT, message);
});

test("the text before the error becomes JSON with what the message asks for", () => {
  let count = 0;
  for (const text of mutatedTexts(20_000, 2)) {
    if (isJson(text)) continue;
    count += 1;
    const { position, message } = locateJsonError(text);
    const before = [...text].slice(0, position).join("");
    const name = JSON.stringify([text, position, message]);
    assert.ok(completions(before, message).some(isJson), name);
  }
  assert.ok(count > 10_000);
});
