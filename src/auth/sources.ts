import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";

import { type KeySet, keySetOf, keyState, keyWarnings, parseKeysFile, plainKeyFault, weaknessOf } from "./keys.ts";

/** A variable's value, and where it was set: "environment", or a file and line. */
export interface Variable {
  readonly value: string;
  readonly place: string;
}

/** What the key sources are read with. */
export interface SourceOptions {
  /** The variable of a name; undefined where it is not set. */
  readonly lookup: (name: string) => Variable | undefined;
  /** What relative paths are relative to. */
  readonly directory: string;
  /** Whether a weak plaintext key is only warned about. */
  readonly allowWeak: boolean;
  /** In ms since the epoch. */
  readonly now: number;
}

/** What was found: the keys, and what is wrong or worth a word, one line each, without a value. */
export interface KeySources {
  readonly keys: KeySet;
  readonly faults: readonly string[];
  readonly warnings: readonly string[];
}

/**
 * Reads the keys from SERVICE_API_KEY or SERVICE_API_KEY_FILE, one key named `default`, and from
 * SERVICE_API_KEYS_FILE. Never throws: all that is wrong is in `faults`.
 */
export function readKeySources(options: SourceOptions): KeySources {
  const faults: string[] = [];
  const warnings: string[] = [];
  const plain = readPlainKey(options, faults, warnings);
  const single = plain === undefined ? [] : keySetOf({ default: plain });
  const keys = [...single, ...readKeysFile(options, single, faults, warnings)];
  if (faults.length === 0 && keys.every((key) => keyState(key, options.now) === "expired")) faults.push(NO_KEY);
  warnings.push(...keyWarnings(keys, options.now));
  return { keys, faults, warnings };
}

/** A warning where others than a file's owner may read it; "" where they may not, or where it can't be told. */
export function modeWarning(path: string, label: string): string {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined || (stats.mode & 0o044) === 0) return "";
  return `${label}: can be read by group or others: chmod 600 it`;
}

/** The code of a failed system call, for a message: never its text, which has the path twice. */
export function errorCode(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? "unknown error";
}

const NO_KEY =
  "SERVICE_API_KEY: no usable key is set: put one into .env with npm run keygen, " +
  "or set SERVICE_API_KEY_FILE or SERVICE_API_KEYS_FILE";

/** The one plaintext key; undefined where none is set, or where it is at fault. */
function readPlainKey(options: SourceOptions, faults: string[], warnings: string[]): string | undefined {
  const direct = options.lookup("SERVICE_API_KEY");
  const file = options.lookup("SERVICE_API_KEY_FILE");
  if (direct !== undefined && file !== undefined) {
    faults.push(`SERVICE_API_KEY (${direct.place}), SERVICE_API_KEY_FILE (${file.place}): both are set: remove one`);
    return undefined;
  }
  if (direct !== undefined) return checkPlainKey(`SERVICE_API_KEY (${direct.place})`, direct.value, options, faults, warnings);
  if (file === undefined) return undefined;
  const label = `SERVICE_API_KEY_FILE (${file.place})`;
  const bytes = readFile(file.value, label, options, faults, warnings);
  if (bytes === undefined) return undefined;
  // Latin-1 shows every byte that isn't ASCII as a character that isn't, either.
  return checkPlainKey(label, bytes.toString("latin1").replace(/\r?\n$/, ""), options, faults, warnings);
}

function checkPlainKey(
  label: string,
  key: string,
  { allowWeak }: SourceOptions,
  faults: string[],
  warnings: string[],
): string | undefined {
  const fault = plainKeyFault(key);
  if (fault !== undefined) {
    faults.push(`${label}: ${fault}`);
    return undefined;
  }
  const weakness = weaknessOf(key);
  if (weakness !== undefined && !allowWeak) {
    faults.push(`${label}: ${weakness}, or allow it with SERVICE_ALLOW_WEAK_KEY=1`);
    return undefined;
  }
  if (weakness !== undefined) warnings.push(`${label}: ${weakness}`);
  return key;
}

function readKeysFile(options: SourceOptions, others: KeySet, faults: string[], warnings: string[]): KeySet {
  const file = options.lookup("SERVICE_API_KEYS_FILE");
  if (file === undefined) return [];
  const label = `SERVICE_API_KEYS_FILE (${file.place})`;
  const bytes = readFile(file.value, label, options, faults, warnings);
  if (bytes === undefined) return [];
  const { keys, faults: mistakes } = parseKeysFile(bytes, others);
  for (const { line, message } of mistakes) faults.push(`${label}: line ${line} of the file: ${message}`);
  return keys;
}

function readFile(
  path: string,
  label: string,
  { directory }: SourceOptions,
  faults: string[],
  warnings: string[],
): Buffer | undefined {
  const absolute = resolve(directory, path);
  try {
    const bytes = readFileSync(absolute);
    const warning = modeWarning(absolute, `${label}: the file`);
    if (warning !== "") warnings.push(warning);
    return bytes;
  } catch (error) {
    faults.push(`${label}: the file can't be read (${errorCode(error)})`);
    return undefined;
  }
}
