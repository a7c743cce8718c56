import assert from "node:assert/strict";

import { DotenvError, type DotenvProblem, parseDotenv } from "../../src/config/dotenv.ts";

/** The environment of the cases in test/dotenv/cases.json. */
const ENV = { LAB_ENV_VAR: "from-process" };

/** Returns the pairs of a `.env` file. */
export function pairsOf(
  input: string | Uint8Array,
  env: Readonly<Record<string, string | undefined>> = ENV,
): [string, string][] {
  const bytes = typeof input === "string" ? Buffer.from(input) : input;
  return [...parseDotenv(bytes, env)];
}

/** Returns the problems of a `.env` file; an empty list if it can be read. */
export function problemsOf(
  input: string | Uint8Array,
  env: Readonly<Record<string, string | undefined>> = ENV,
): readonly DotenvProblem[] {
  try {
    pairsOf(input, env);
  } catch (error) {
    assert.ok(error instanceof DotenvError, String(error));
    assert.notEqual(error.problems.length, 0);
    return error.problems;
  }
  return [];
}
