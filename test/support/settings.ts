import assert from "node:assert/strict";
import type { TestContext } from "node:test";

import { type Configuration, readConfiguration, SettingsError } from "../../src/config/settings.ts";
import { tempDirectory } from "./temp.ts";

/** The time of the tests of settings. */
export const NOW = Date.parse("2027-01-15T12:00:00Z");

/** A key that is not weak. */
export const STRONG = "svk_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_abcde";

type Environment = Readonly<Record<string, string | undefined>>;

/** Makes a directory that has a `.env` with this text, or none. */
export function directoryWith(t: TestContext, envFile?: string | Buffer): string {
  return tempDirectory(t, envFile === undefined ? {} : { ".env": envFile });
}

/** Reads the configuration of these variables and a `.env`, with a strong key by default. */
export function configurationOf(
  t: TestContext,
  env: Environment,
  envFile?: string | Buffer,
): Configuration {
  return readConfiguration({ SERVICE_API_KEY: STRONG, ...env }, directoryWith(t, envFile), NOW);
}

/** Returns the lines of the problems of exactly these variables and a `.env` in a directory. */
export function problemsIn(directory: string, env: Environment): readonly string[] {
  try {
    readConfiguration(env, directory, NOW);
    return [];
  } catch (error) {
    assert.ok(error instanceof SettingsError, String(error));
    const lines = error.message.split("\n");
    assert.equal(lines.length, error.problems.length);
    for (const line of lines) assert.match(line, /^[A-Za-z_.?].*: [a-z$]/);
    return lines;
  }
}

/** Returns the lines of the problems of exactly these variables and a `.env`. */
export function problemsOf(
  t: TestContext,
  env: Environment,
  envFile?: string | Buffer,
): readonly string[] {
  return problemsIn(directoryWith(t, envFile), env);
}

/** Runs `action` as a user who may not read what is closed to others; root reads everything. */
export function asOtherUser<T>(action: () => T): T {
  if (process.geteuid?.() !== 0) return action();
  process.seteuid?.(65_534);
  try {
    return action();
  } finally {
    process.seteuid?.(0);
  }
}
