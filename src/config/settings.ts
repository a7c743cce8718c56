import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";

import type { KeySet } from "../auth/keys.ts";
import type { Limits } from "../http/server.ts";
import { LOG_LEVELS, type LogLevel } from "../log.ts";
import { type DotenvEntry, type Environment, valueIn } from "./dotenv.ts";
import { readEnvFile } from "./env-file.ts";
import { type Host, isLocal, readHost } from "./host.ts";
import { readKeys } from "./key-sources.ts";
import { NUMBERS } from "./numbers.ts";
import {
  formatProblem,
  placeOrDefault,
  readChoice,
  readNumber,
  type SettingsProblem,
  type SettingsReader,
  type Variable,
} from "./reader.ts";
import { certificateWarnings, readTls, type TlsIdentity, warnOfPlaintext } from "./tls.ts";
import { readTrustedProxies } from "./trusted-proxies.ts";

/** How the service is to run. */
export interface Settings extends Limits {
  /** HOST: what to listen on. */
  readonly host: Host;
  /** PORT: 0 means any free port. Only an address has a port. */
  readonly port: number;
  /** TRUSTED_PROXIES: whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly string[];
  /** WORKERS: how many processes serve requests. With 1, the program itself does. */
  readonly workers: number;
  /** LOG_LEVEL: the least severe level that is logged. */
  readonly logLevel: LogLevel;
  /** DOCS: whether `/docs` and `/openapi.json` exist. */
  readonly docs: boolean;
  /** METRICS: whether `/metrics` exists. */
  readonly metrics: boolean;
  /** PROCESS_DELAY_MS: how long the stand-in for the real work takes, in ms. */
  readonly processDelayMs: number;
  /** SHUTDOWN_DELAY_MS: how long to go on accepting after SIGTERM, in ms. */
  readonly shutdownDelayMs: number;
  /** SHUTDOWN_TIMEOUT_MS: after the delay, how long responses in progress may take, in ms. */
  readonly shutdownTimeoutMs: number;
}

/** What SIGHUP replaces: all of it, or nothing. */
export interface Secrets {
  /** The keys that are accepted. At the start, at least one of them has not expired. */
  readonly keys: KeySet;
  /** Certificate and private key; undefined if the service speaks plain HTTP. */
  readonly tls: TlsIdentity | undefined;
}

/** What the program is to do, from the environment, `.env` and the files that settings name. */
export interface Configuration {
  readonly settings: Settings;
  readonly secrets: Secrets;
  /** Warnings for the operator, one line each, without a value. */
  readonly warnings: readonly string[];
  readonly sandboxGrants: SandboxGrants;
}

/** What the program needs under Node's permission model, besides its own files. */
export interface SandboxGrants {
  /** Files to read, as absolute paths: `.env`, even if it doesn't exist, keys and certificates. */
  readonly files: readonly string[];
  /** The Unix socket to make and to remove, if there is one. */
  readonly socket: string | undefined;
  /** Whether it starts processes. */
  readonly processes: boolean;
}

/** Settings that the program can't start with. */
export class SettingsError extends Error {
  /** Every problem there is, at least one. */
  readonly problems: readonly SettingsProblem[];

  /** The message has one line for each problem. */
  constructor(problems: readonly SettingsProblem[]) {
    super(problems.map(formatProblem).join("\n"));
    this.problems = problems;
  }
}

/** The variables that name files to read. */
const FILE_VARIABLES = [
  "SERVICE_API_KEY_FILE",
  "SERVICE_API_KEYS_FILE",
  "TLS_CERT_FILE",
  "TLS_KEY_FILE",
];

/** When the configuration is read. */
export interface Occasion {
  /**
   * Whether the program runs already. Then a set without a usable key is a warning, so that the
   * only key can be revoked. At the start it is a problem.
   */
  readonly reload: boolean;
}

/**
 * Reads settings and keys from the environment, else from `.env` in `directory`; `now` is in ms
 * since the epoch.
 * @throws SettingsError with every problem there is.
 */
export function readConfiguration(
  env: Environment,
  directory: string,
  now: number,
  occasion: Occasion = { reload: false },
): Configuration {
  const problems: SettingsProblem[] = [];
  const warnings: string[] = [];
  const envFile = join(directory, ".env");
  const entries = readEnvFile(envFile, env, { problems, warnings });
  const lookup = (name: string): Variable | undefined => findVariable(name, env, entries);
  const reader: SettingsReader = { lookup, directory, now, problems, warnings };
  const settings = readSettings(reader);
  const keys = readKeys(reader, {
    allowWeak: isWeakKeyAllowed(reader, settings.host),
    allowNone: occasion.reload,
  });
  const tls = readTls(reader);
  if (problems.length > 0) throw new SettingsError(problems);
  if (tls === undefined && !isLocal(settings.host)) warnOfPlaintext(reader);
  warnings.push(...certificateWarnings(tls, now));
  const secrets = { keys, tls };
  return { settings, secrets, warnings, sandboxGrants: sandboxGrantsOf(reader, envFile, settings) };
}

/** Looks into the environment first. A variable that is set to an empty value is set. */
function findVariable(
  name: string,
  env: Environment,
  entries: ReadonlyMap<string, DotenvEntry>,
): Variable | undefined {
  const value = valueIn(env, name);
  if (value !== undefined) return { name, value, source: "environment", line: undefined };
  const entry = entries.get(name);
  return entry && { name, value: entry.value, source: ".env", line: entry.line };
}

/** Reads every setting, in the order in which problems are reported. */
function readSettings(reader: SettingsReader): Settings {
  const settings: Settings = {
    host: readHost(reader),
    port: readNumber(reader, NUMBERS.port),
    trustedProxies: readTrustedProxies(reader),
    workers: readWorkers(reader),
    logLevel: readChoice(reader, { name: "LOG_LEVEL", fallback: "info", choices: LOG_LEVELS }),
    docs: readSwitch(reader, "DOCS", "on"),
    metrics: readSwitch(reader, "METRICS", "off"),
    processDelayMs: readNumber(reader, NUMBERS.processDelayMs),
    maxBodyBytes: readNumber(reader, NUMBERS.maxBodyBytes),
    maxBodyMemory: readNumber(reader, NUMBERS.maxBodyMemory),
    maxInFlight: readNumber(reader, NUMBERS.maxInFlight),
    maxConnections: readMaxConnections(reader),
    headersTimeoutMs: readNumber(reader, NUMBERS.headersTimeoutMs),
    requestTimeoutMs: readNumber(reader, NUMBERS.requestTimeoutMs),
    keepAliveTimeoutMs: readNumber(reader, NUMBERS.keepAliveTimeoutMs),
    shutdownDelayMs: readNumber(reader, NUMBERS.shutdownDelayMs),
    shutdownTimeoutMs: readNumber(reader, NUMBERS.shutdownTimeoutMs),
  };
  checkTimeouts(reader, settings);
  checkBodyLimits(reader, settings);
  return settings;
}

function readSwitch(reader: SettingsReader, name: string, fallback: "on" | "off"): boolean {
  return readChoice(reader, { name, fallback, choices: ["on", "off"] }) === "on";
}

function readWorkers(reader: SettingsReader): number {
  if (reader.lookup("WORKERS")?.value === "auto") return availableParallelism();
  return readNumber(reader, NUMBERS.workers);
}

/** An encrypted connection takes more memory, and the bound on memory is the same. */
function readMaxConnections(reader: SettingsReader): number {
  const isEncrypted = reader.lookup("TLS_CERT_FILE") !== undefined;
  const { maxConnections } = NUMBERS;
  return readNumber(reader, isEncrypted ? { ...maxConnections, fallback: 1500 } : maxConnections);
}

/** The time for the header section is part of the time for the request. */
function checkTimeouts(reader: SettingsReader, settings: Settings): void {
  if (settings.headersTimeoutMs <= settings.requestTimeoutMs) return;
  const place = placeOrDefault(reader, "HEADERS_TIMEOUT_MS");
  const message = `must be at most ${placeOrDefault(reader, "REQUEST_TIMEOUT_MS")}`;
  reader.problems.push({ place, message });
}

/** A body that alone needs more memory than all may use is always refused. */
function checkBodyLimits(reader: SettingsReader, settings: Settings): void {
  if (settings.maxBodyBytes <= settings.maxBodyMemory) return;
  const place = placeOrDefault(reader, "MAX_BODY_BYTES");
  const memory = placeOrDefault(reader, "MAX_BODY_MEMORY");
  reader.warnings.push(`${place}: is more than ${memory}: larger bodies than that get 503`);
}

/** A weak key is allowed if only this machine can reach the service, or if a variable says so. */
function isWeakKeyAllowed(reader: SettingsReader, host: Host): boolean {
  const choice = readChoice(reader, {
    name: "SERVICE_ALLOW_WEAK_KEY",
    fallback: "0",
    choices: ["1", "0"],
  });
  return choice === "1" || isLocal(host);
}

function sandboxGrantsOf(
  reader: SettingsReader,
  envFile: string,
  settings: Settings,
): SandboxGrants {
  const files = [envFile];
  for (const name of FILE_VARIABLES) {
    const variable = reader.lookup(name);
    if (variable !== undefined) files.push(resolve(reader.directory, variable.value));
  }
  const { host, workers } = settings;
  const socket = host.kind === "unix" ? host.path : undefined;
  return { files, socket, processes: workers > 1 };
}
