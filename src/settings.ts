import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";

import type { KeySet } from "./auth/keys.ts";
import { errorCode, modeWarning, readKeySources, type Variable } from "./auth/sources.ts";
import { DotenvError, type DotenvEntry, readDotenv } from "./dotenv.ts";
import { LOG_LEVELS, type LogLevel } from "./log.ts";

/** How the service is to run; times in ms, sizes in bytes. */
export interface Settings {
  readonly host: string;
  readonly port: number;
  readonly workers: number;
  readonly logLevel: LogLevel;
  readonly docs: boolean;
  readonly processDelayMs: number;
  readonly maxBodyBytes: number;
  readonly maxInFlight: number;
  readonly maxConnections: number;
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly keepAliveTimeoutMs: number;
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
    this.name = "SettingsError";
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
  const lookup = createLookup(env, join(directory, ".env"), faults);
  const settings = readSettings({ lookup, faults });
  const isAllowed = readSwitch({ lookup, faults }, "SERVICE_ALLOW_WEAK_KEY", false, "1", "0");
  const allowWeak = isAllowed || LOOPBACK.test(settings.host);
  const sources = readKeySources({ lookup, directory, allowWeak, now });
  faults.push(...sources.faults);
  if (faults.length > 0) throw new SettingsError(faults);
  const warnings = [...sources.warnings];
  if (lookup("SERVICE_API_KEY")?.place.startsWith(".env")) {
    const warning = modeWarning(join(directory, ".env"), ".env");
    if (warning !== "") warnings.push(warning);
  }
  const keyFiles = ["SERVICE_API_KEY_FILE", "SERVICE_API_KEYS_FILE"].flatMap((name) => lookup(name)?.value ?? []);
  const files = [".env", ...keyFiles].map((path) => resolve(directory, path));
  return { settings, keys: sources.keys, warnings, files };
}

const LOOPBACK = /^(?:127\.\d+\.\d+\.\d+|::1|localhost)$/i;

/** setTimeout's longest delay: past it, it fires at once. */
const MAX_MS = 2_147_483_647;
const MAX_COUNT = 1_000_000_000;
const MAX_BODY = 268_435_456;
const MAX_WORKERS = 1024;

/** Reads variables, and takes down what is wrong with them. */
interface Reader {
  readonly lookup: (name: string) => Variable | undefined;
  readonly faults: string[];
}

function readSettings(reader: Reader): Settings {
  const settings: Settings = {
    host: readText(reader, "HOST", "127.0.0.1"),
    port: readNumber(reader, "PORT", 8000, 0, 65_535),
    workers: readWorkers(reader),
    logLevel: readChoice(reader, "LOG_LEVEL", "info", LOG_LEVELS),
    docs: readSwitch(reader, "DOCS", true, "on", "off"),
    processDelayMs: readNumber(reader, "PROCESS_DELAY_MS", 500, 0, MAX_MS),
    maxBodyBytes: readNumber(reader, "MAX_BODY_BYTES", 1_048_576, 1, MAX_BODY),
    maxInFlight: readNumber(reader, "MAX_IN_FLIGHT", 10_000, 1, MAX_COUNT),
    maxConnections: readNumber(reader, "MAX_CONNECTIONS", 15_000, 1, MAX_COUNT),
    headersTimeoutMs: readNumber(reader, "HEADERS_TIMEOUT_MS", 10_000, 1, MAX_MS),
    requestTimeoutMs: readNumber(reader, "REQUEST_TIMEOUT_MS", 30_000, 1, MAX_MS),
    keepAliveTimeoutMs: readNumber(reader, "KEEP_ALIVE_TIMEOUT_MS", 65_000, 1, MAX_MS),
    shutdownDelayMs: readNumber(reader, "SHUTDOWN_DELAY_MS", 0, 0, MAX_MS),
    shutdownTimeoutMs: readNumber(reader, "SHUTDOWN_TIMEOUT_MS", 10_000, 0, MAX_MS),
  };
  if (settings.headersTimeoutMs > settings.requestTimeoutMs) {
    reader.faults.push("HEADERS_TIMEOUT_MS: must be at most REQUEST_TIMEOUT_MS");
  }
  return settings;
}

/** The environment first, then `.env`: a variable that is set but empty is set. */
function createLookup(env: Environment, path: string, faults: string[]): Reader["lookup"] {
  const entries = readEnvFile(path, env, faults);
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
    if (error instanceof DotenvError) {
      for (const { line, name, message } of error.faults) {
        faults.push(name === undefined ? `.env, line ${line}: ${message}` : `${name} (.env, line ${line}): ${message}`);
      }
    } else if (errorCode(error) !== "ENOENT") {
      faults.push(`.env: can't be read (${errorCode(error)})`);
    }
    return new Map();
  }
}

/** The variable's value, or undefined where it isn't set, or is set to nothing, which is a fault. */
function readVariable({ lookup, faults }: Reader, name: string): Variable | undefined {
  const variable = lookup(name);
  if (variable?.value !== "") return variable;
  faults.push(`${name} (${variable.place}): is empty: give it a value, or leave it out`);
  return undefined;
}

function readText(reader: Reader, name: string, fallback: string): string {
  const variable = readVariable(reader, name);
  if (variable === undefined) return fallback;
  if (/^[\x21-\x7e]+$/.test(variable.value)) return variable.value;
  reader.faults.push(`${name} (${variable.place}): must be visible ASCII without blanks`);
  return fallback;
}

function readNumber(reader: Reader, name: string, fallback: number, least: number, most: number): number {
  const variable = readVariable(reader, name);
  if (variable === undefined) return fallback;
  const number = /^\d{1,10}$/.test(variable.value) ? Number(variable.value) : NaN;
  if (number >= least && number <= most) return number;
  reader.faults.push(`${name} (${variable.place}): must be a whole number from ${least} to ${most}`);
  return fallback;
}

function readChoice<T extends string>(reader: Reader, name: string, fallback: T, choices: readonly T[]): T {
  const variable = readVariable(reader, name);
  if (variable === undefined) return fallback;
  const choice = choices.find((one) => one === variable.value);
  if (choice === undefined) reader.faults.push(`${name} (${variable.place}): must be one of ${choices.join(", ")}`);
  return choice ?? fallback;
}

function readSwitch(reader: Reader, name: string, fallback: boolean, on: string, off: string): boolean {
  return readChoice(reader, name, fallback ? on : off, [on, off]) === on;
}

function readWorkers(reader: Reader): number {
  if (reader.lookup("WORKERS")?.value === "auto") return availableParallelism();
  return readNumber(reader, "WORKERS", 1, 1, MAX_WORKERS);
}
