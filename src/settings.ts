import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";

import type { KeySet } from "./auth/keys.ts";
import { errorCode, modeWarnings, readKeys, type Reader } from "./auth/sources.ts";
import { DotenvError, type DotenvEntry, readDotenv } from "./dotenv.ts";
import type { Limits } from "./http/server.ts";
import { LOG_LEVELS, type LogLevel } from "./log.ts";

/** How the service is to run; times in ms, sizes in bytes. */
export interface Settings extends Limits {
  readonly host: string;
  readonly port: number;
  readonly workers: number;
  readonly logLevel: LogLevel;
  readonly docs: boolean;
  readonly processDelayMs: number;
  readonly shutdownDelayMs: number;
  readonly shutdownTimeoutMs: number;
}

/** Settings, the keys in force, and what the operator should hear, one line each. */
export interface Configuration {
  readonly settings: Settings;
  readonly keys: KeySet;
  readonly warnings: readonly string[];
  /** Absolute paths of what has been read: `.env`, be it missing, and the key files. */
  readonly files: readonly string[];
}

/** All that is wrong with the settings: one line each, with the variable, its place and the remedy, never a value. */
export class SettingsError extends Error {
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(`faulty settings:\n${faults.join("\n")}`);
    this.faults = faults;
  }
}

/** The environment's variables, as process.env has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads settings and keys from the environment, else from `.env` in `directory`; `now` in ms since the epoch. Throws
 * a SettingsError with every fault there is.
 */
export function readConfiguration(env: Environment, directory: string, now: number): Configuration {
  const faults: string[] = [];
  const warnings: string[] = [];
  const dotenv = join(directory, ".env");
  const lookup = createLookup(env, readEnvFile(dotenv, env, faults));
  const reader = { lookup, directory, now, faults, warnings };
  const settings = readSettings(reader);
  const allowWeak = readSwitch(reader, "SERVICE_ALLOW_WEAK_KEY", false, "1", "0") || LOOPBACK.test(settings.host);
  const keys = readKeys(reader, allowWeak);
  if (faults.length > 0) throw new SettingsError(faults);
  if (lookup("SERVICE_API_KEY")?.place.startsWith(".env")) warnings.push(...modeWarnings(dotenv, ".env"));
  const keyFiles = ["SERVICE_API_KEY_FILE", "SERVICE_API_KEYS_FILE"].flatMap((name) => lookup(name)?.value ?? []);
  return { settings, keys, warnings, files: [dotenv, ...keyFiles].map((path) => resolve(directory, path)) };
}

const LOOPBACK = /^(?:127\.\d+\.\d+\.\d+|::1|localhost)$/i;

/** setTimeout's longest delay: past it, it fires at once. */
const MAX_MS = 2_147_483_647;
const MAX_COUNT = 1_000_000_000;
const MAX_BODY_BYTES = 268_435_456;
const MAX_WORKERS = 1024;

function readSettings(reader: Reader): Settings {
  const settings: Settings = {
    host: readText(reader, "HOST", "127.0.0.1"),
    port: readNumber(reader, "PORT", 8000, 0, 65_535),
    workers: readWorkers(reader),
    logLevel: readChoice(reader, "LOG_LEVEL", "info", LOG_LEVELS),
    docs: readSwitch(reader, "DOCS", true, "on", "off"),
    processDelayMs: readNumber(reader, "PROCESS_DELAY_MS", 500, 0, MAX_MS),
    maxBodyBytes: readNumber(reader, "MAX_BODY_BYTES", 1_048_576, 1, MAX_BODY_BYTES),
    maxInFlight: readNumber(reader, "MAX_IN_FLIGHT", 10_000, 1, MAX_COUNT),
    maxConnections: readNumber(reader, "MAX_CONNECTIONS", 15_000, 1, MAX_COUNT),
    headersTimeoutMs: readNumber(reader, "HEADERS_TIMEOUT_MS", 10_000, 1, MAX_MS),
    requestTimeoutMs: readNumber(reader, "REQUEST_TIMEOUT_MS", 30_000, 1, MAX_MS),
    keepAliveTimeoutMs: readNumber(reader, "KEEP_ALIVE_TIMEOUT_MS", 65_000, 1, MAX_MS),
    shutdownDelayMs: readNumber(reader, "SHUTDOWN_DELAY_MS", 0, 0, MAX_MS),
    shutdownTimeoutMs: readNumber(reader, "SHUTDOWN_TIMEOUT_MS", 10_000, 0, MAX_MS),
  };
  if (settings.headersTimeoutMs > settings.requestTimeoutMs) {
    const label = (name: string): string => `${name} (${reader.lookup(name)?.place ?? "default"})`;
    reader.faults.push(`${label("HEADERS_TIMEOUT_MS")}: must be at most ${label("REQUEST_TIMEOUT_MS")}`);
  }
  return settings;
}

/** The environment first, then `.env`: a variable that is set but empty is set. */
function createLookup(env: Environment, entries: ReadonlyMap<string, DotenvEntry>): Reader["lookup"] {
  return (name) => {
    const value = Object.hasOwn(env, name) ? env[name] : undefined;
    if (value !== undefined) return { value, place: "environment" };
    const entry = entries.get(name);
    return entry && { value: entry.value, place: `.env, line ${entry.line}` };
  };
}

function readEnvFile(path: string, env: Environment, faults: string[]): ReadonlyMap<string, DotenvEntry> {
  try {
    return readDotenv(readFileSync(path), env);
  } catch (error) {
    const found = error instanceof DotenvError ? error.faults : [];
    for (const { line, name, message } of found) {
      faults.push(name === undefined ? `.env, line ${line}: ${message}` : `${name} (.env, line ${line}): ${message}`);
    }
    const isMissing = errorCode(error) === "ENOENT";
    if (found.length === 0 && !isMissing) faults.push(`.env: can't be read (${errorCode(error)})`);
    return new Map();
  }
}

/** `parse` of the variable; `fallback` where it isn't set, or where that gives undefined, which is a fault. */
function read<T>(reader: Reader, name: string, fallback: T, rule: string, parse: (value: string) => T | undefined): T {
  const variable = reader.lookup(name);
  const value = variable && parse(variable.value);
  if (variable !== undefined && value === undefined) reader.faults.push(`${name} (${variable.place}): must be ${rule}`);
  return value ?? fallback;
}

function readText(reader: Reader, name: string, fallback: string): string {
  const parse = (value: string): string | undefined => (/^[\x21-\x7e]+$/.test(value) ? value : undefined);
  return read(reader, name, fallback, "visible ASCII without blanks", parse);
}

function readNumber(reader: Reader, name: string, fallback: number, least: number, most: number): number {
  return read(reader, name, fallback, `a whole number from ${least} to ${most}`, (value) => {
    const number = /^\d{1,10}$/.test(value) ? Number(value) : NaN;
    return number >= least && number <= most ? number : undefined;
  });
}

function readChoice<T extends string>(reader: Reader, name: string, fallback: T, choices: readonly T[]): T {
  const find = (value: string): T | undefined => choices.find((choice) => choice === value);
  return read(reader, name, fallback, `one of ${choices.join(", ")}`, find);
}

function readSwitch(reader: Reader, name: string, fallback: boolean, on: string, off: string): boolean {
  return readChoice(reader, name, fallback ? on : off, [on, off]) === on;
}

function readWorkers(reader: Reader): number {
  if (reader.lookup("WORKERS")?.value === "auto") return availableParallelism();
  return readNumber(reader, "WORKERS", 1, 1, MAX_WORKERS);
}
