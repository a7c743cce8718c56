import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";

import type { KeySet } from "../auth/keys.ts";
import { modeWarnings, type Reader, readKeys, type Variable } from "./key-sources.ts";
import { type DotenvEntry, DotenvError, type DotenvFault, readDotenv } from "./dotenv.ts";
import type { Limits } from "../http/server.ts";
import { LOG_LEVELS, type LogLevel } from "../log.ts";

/** How the service is to run; times in ms, sizes in bytes. */
export type Settings = Limits &
  Readonly<{ host: string; logLevel: LogLevel; docs: boolean }> &
  Readonly<
    Record<"port" | "workers" | "processDelayMs" | "shutdownDelayMs" | "shutdownTimeoutMs", number>
  >;

/** Settings, the keys in force, and what the operator should hear, one line each. */
export interface Configuration {
  readonly settings: Settings;
  readonly keys: KeySet;
  readonly warnings: readonly string[];
  /** What a sandbox has to allow: reading `.env`, be it missing, and the key files, and starting workers. */
  readonly grants: { readonly files: readonly string[]; readonly processes: boolean };
}

/** Faulty settings. `message`: a line for each fault, with the variable, its place and the remedy, never a value. */
export class SettingsError extends Error {}

/**
 * Reads settings and keys from the environment, else from `.env` in `directory`; `now` in ms since the epoch. Throws
 * a SettingsError with every fault there is.
 */
export function readConfiguration(
  env: NodeJS.ProcessEnv,
  directory: string,
  now: number,
): Configuration {
  const faults: string[] = [];
  const warnings: string[] = [];
  const dotenv = join(directory, ".env");
  const entries = readEnvFile(dotenv, env, faults);
  // The environment first: a variable that is set but empty is set.
  const lookup = (name: string): Variable | undefined => {
    const value = Object.hasOwn(env, name) ? env[name] : undefined;
    if (value !== undefined) return { value, label: `${name} (environment)` };
    const entry = entries.get(name);
    return entry && { value: entry.value, label: `${name} (.env, line ${entry.line})` };
  };
  const reader = { lookup, directory, now, faults, warnings };
  const settings = readSettings(reader);
  const isWeakAllowed = readChoice(reader, "SERVICE_ALLOW_WEAK_KEY", "0", ["1", "0"]) === "1";
  const keys = readKeys(reader, isWeakAllowed || LOOPBACK.test(settings.host));
  if (faults.length > 0) throw new SettingsError(faults.join("\n"));
  if (lookup("SERVICE_API_KEY")?.label.includes(".env"))
    warnings.push(...modeWarnings(dotenv, ".env"));
  const keyFiles = ["SERVICE_API_KEY_FILE", "SERVICE_API_KEYS_FILE"].flatMap(
    (name) => lookup(name)?.value ?? [],
  );
  const files = [dotenv, ...keyFiles].map((path) => resolve(directory, path));
  return { settings, keys, warnings, grants: { files, processes: settings.workers > 1 } };
}

const LOOPBACK = /^(?:127\.\d+\.\d+\.\d+|::1|localhost)$/i;

/** setTimeout's longest delay: past it, it fires at once. */
const MAX_MS = 2_147_483_647;

function readSettings(reader: Reader): Settings {
  const { lookup } = reader;
  const settings: Settings = {
    host: read(reader, "HOST", "127.0.0.1", "visible ASCII without blanks", (value) =>
      /^[\x21-\x7e]+$/.test(value),
    ),
    port: readNumber(reader, "PORT", 8000, 0, 65_535),
    workers:
      lookup("WORKERS")?.value === "auto"
        ? availableParallelism()
        : readNumber(reader, "WORKERS", 1, 1, 1024),
    logLevel: readChoice(reader, "LOG_LEVEL", "info", LOG_LEVELS),
    docs: readChoice(reader, "DOCS", "on", ["on", "off"]) === "on",
    processDelayMs: readNumber(reader, "PROCESS_DELAY_MS", 500, 0, MAX_MS),
    maxBodyBytes: readNumber(reader, "MAX_BODY_BYTES", 1_048_576, 1, 268_435_456),
    maxInFlight: readNumber(reader, "MAX_IN_FLIGHT", 10_000, 1, 1_000_000_000),
    maxConnections: readNumber(reader, "MAX_CONNECTIONS", 15_000, 1, 1_000_000_000),
    headersTimeoutMs: readNumber(reader, "HEADERS_TIMEOUT_MS", 10_000, 1, MAX_MS),
    requestTimeoutMs: readNumber(reader, "REQUEST_TIMEOUT_MS", 30_000, 1, MAX_MS),
    keepAliveTimeoutMs: readNumber(reader, "KEEP_ALIVE_TIMEOUT_MS", 65_000, 1, MAX_MS),
    shutdownDelayMs: readNumber(reader, "SHUTDOWN_DELAY_MS", 0, 0, MAX_MS),
    shutdownTimeoutMs: readNumber(reader, "SHUTDOWN_TIMEOUT_MS", 10_000, 0, MAX_MS),
  };
  if (settings.headersTimeoutMs > settings.requestTimeoutMs) {
    const label = (name: string): string => lookup(name)?.label ?? `${name} (default)`;
    reader.faults.push(
      `${label("HEADERS_TIMEOUT_MS")}: must be at most ${label("REQUEST_TIMEOUT_MS")}`,
    );
  }
  return settings;
}

function readEnvFile(
  path: string,
  env: NodeJS.ProcessEnv,
  faults: string[],
): ReadonlyMap<string, DotenvEntry> {
  try {
    return readDotenv(readFileSync(path), env);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (error instanceof DotenvError) faults.push(...error.faults.map(describe));
    else if (code !== "ENOENT") faults.push(`.env: can't be read (${code})`);
    return new Map();
  }
}

const describe = ({ line, name, message }: DotenvFault): string =>
  name === undefined
    ? `.env, line ${line}: ${message}`
    : `${name} (.env, line ${line}): ${message}`;

/** The variable's value; `fallback` where it isn't set, or isn't valid, which is a fault. */
function read(
  reader: Reader,
  name: string,
  fallback: string,
  rule: string,
  valid: (value: string) => boolean,
): string {
  const variable = reader.lookup(name);
  if (variable === undefined || valid(variable.value)) return variable?.value ?? fallback;
  reader.faults.push(`${variable.label}: must be ${rule}`);
  return fallback;
}

function readNumber(
  reader: Reader,
  name: string,
  fallback: number,
  least: number,
  most: number,
): number {
  const isValid = (value: string): boolean =>
    /^\d{1,10}$/.test(value) && +value >= least && +value <= most;
  return Number(
    read(reader, name, String(fallback), `a whole number from ${least} to ${most}`, isValid),
  );
}

const readChoice = <T extends string>(
  reader: Reader,
  name: string,
  fallback: T,
  choices: readonly T[],
): T =>
  read(reader, name, fallback, `one of ${choices.join(", ")}`, (value) =>
    choices.includes(value as T),
  ) as T;
