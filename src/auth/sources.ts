import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";

import { type KeySet, keySetOf, keyState, keyWarnings, parseKeysFile, plainKeyFault, weaknessOf } from "./keys.ts";

/** A variable's value, and where it was set: "environment", or a file and line. */
export interface Variable {
  readonly value: string;
  readonly place: string;
}

/** What settings are read with, and where to put what is found wrong, or worth a word: a line each, without a value. */
export interface Reader {
  /** The variable of a name; undefined where it is not set. */
  readonly lookup: (name: string) => Variable | undefined;
  /** What relative paths are relative to. */
  readonly directory: string;
  /** In ms since the epoch. */
  readonly now: number;
  readonly faults: string[];
  readonly warnings: string[];
}

/**
 * Reads SERVICE_API_KEY or SERVICE_API_KEY_FILE, a key named `default`, and SERVICE_API_KEYS_FILE. Never throws.
 * `allowWeak`: a weak plaintext key is only warned about.
 */
export function readKeys(reader: Reader, allowWeak: boolean): KeySet {
  const { faults, warnings, now } = reader;
  const earlier = faults.length;
  const single = readPlainKey(reader, allowWeak);
  const keys = [...single, ...readKeysFile(reader, single)];
  if (faults.length === earlier && keys.every((key) => keyState(key, now) === "expired")) faults.push(NO_KEY);
  warnings.push(...keyWarnings(keys, now));
  return keys;
}

/** Warnings where others than a file's owner may read it; none where they may not, or where it can't be told. */
export function modeWarnings(path: string, label: string): string[] {
  const stats = statSync(path, { throwIfNoEntry: false });
  const isOpen = stats !== undefined && (stats.mode & 0o044) !== 0;
  return isOpen ? [`${label}: can be read by group or others: chmod 600 it`] : [];
}

/** The code of a failed system call, for a message. */
export function errorCode(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? "unknown error";
}

const NO_KEY =
  "SERVICE_API_KEY: no usable key is set: put one into .env with npm run keygen, " +
  "or set SERVICE_API_KEY_FILE or SERVICE_API_KEYS_FILE";

function readPlainKey(reader: Reader, allowWeak: boolean): KeySet {
  const direct = reader.lookup("SERVICE_API_KEY");
  const file = reader.lookup("SERVICE_API_KEY_FILE");
  if (direct !== undefined && file !== undefined) {
    const places = `SERVICE_API_KEY (${direct.place}), SERVICE_API_KEY_FILE (${file.place})`;
    reader.faults.push(`${places}: both are set: remove one`);
    return [];
  }
  if (direct !== undefined) return checkPlainKey(reader, `SERVICE_API_KEY (${direct.place})`, direct.value, allowWeak);
  const read = readFile(reader, "SERVICE_API_KEY_FILE", file);
  // Latin-1 shows every byte that isn't ASCII as a character that isn't, either.
  const text = (bytes: Buffer): string => bytes.toString("latin1").replace(/\r?\n$/, "");
  return read === undefined ? [] : checkPlainKey(reader, read.label, text(read.bytes), allowWeak);
}

function checkPlainKey({ faults, warnings }: Reader, label: string, key: string, allowWeak: boolean): KeySet {
  const fault = plainKeyFault(key);
  const weakness = weaknessOf(key);
  if (fault !== undefined) faults.push(`${label}: ${fault}`);
  else if (weakness !== undefined && allowWeak) warnings.push(`${label}: ${weakness}`);
  else if (weakness !== undefined) faults.push(`${label}: ${weakness}, or allow it with SERVICE_ALLOW_WEAK_KEY=1`);
  return keySetOf({ default: key });
}

function readKeysFile(reader: Reader, others: KeySet): KeySet {
  const name = "SERVICE_API_KEYS_FILE";
  const read = readFile(reader, name, reader.lookup(name));
  if (read === undefined) return [];
  const { keys, faults } = parseKeysFile(read.bytes, others);
  for (const { line, message } of faults) reader.faults.push(`${read.label}: line ${line} of the file: ${message}`);
  return keys;
}

function readFile(
  { directory, faults, warnings }: Reader,
  name: string,
  variable: Variable | undefined,
): { label: string; bytes: Buffer } | undefined {
  if (variable === undefined) return undefined;
  const label = `${name} (${variable.place})`;
  const path = resolve(directory, variable.value);
  try {
    const bytes = readFileSync(path);
    warnings.push(...modeWarnings(path, `${label}: the file`));
    return { label, bytes };
  } catch (error) {
    faults.push(`${label}: the file can't be read (${errorCode(error)})`);
    return undefined;
  }
}
