import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";

import {
  type KeySet,
  keySetOf,
  keyState,
  keyWarnings,
  parseKeysFile,
  plainKeyFault,
  weaknessOf,
} from "../auth/keys.ts";

/** A variable that is set; `label`: its name and, in parentheses, where it was set, for messages. */
export interface Variable {
  readonly value: string;
  readonly label: string;
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
  const { lookup, faults, warnings, now } = reader;
  const earlier = faults.length;
  const single = readPlainKey(reader, allowWeak);
  const file = lookup("SERVICE_API_KEYS_FILE");
  const bytes = (file && readFile(reader, file)) ?? Buffer.alloc(0);
  const { keys: named, faults: mistakes } = parseKeysFile(bytes, single);
  faults.push(
    ...mistakes.map(({ line, message }) => `${file?.label}: line ${line} of the file: ${message}`),
  );
  const keys = [...single, ...named];
  if (faults.length === earlier && keys.every((key) => keyState(key, now) === "expired"))
    faults.push(NO_KEY);
  warnings.push(...keyWarnings(keys, now));
  return keys;
}

/** Warnings where others than a file's owner may read it; none where they may not, or where it can't be told. */
export function modeWarnings(path: string, label: string): string[] {
  const mode = statSync(path, { throwIfNoEntry: false })?.mode ?? 0;
  return (mode & 0o044) === 0 ? [] : [`${label}: can be read by group or others: chmod 600 it`];
}

const NO_KEY =
  "SERVICE_API_KEY: no usable key is set: put one into .env with npm run keygen, " +
  "or set SERVICE_API_KEY_FILE or SERVICE_API_KEYS_FILE";

function readPlainKey(reader: Reader, allowWeak: boolean): KeySet {
  const { lookup, faults, warnings } = reader;
  const direct = lookup("SERVICE_API_KEY");
  const file = lookup("SERVICE_API_KEY_FILE");
  if (direct && file) faults.push(`${direct.label}, ${file.label}: both are set: remove one`);
  const source = direct ?? file;
  if (source === undefined || (direct && file)) return [];
  // Latin-1 shows every byte that isn't ASCII as a character that isn't, either.
  const key = direct
    ? direct.value
    : readFile(reader, source)
        ?.toString("latin1")
        .replace(/\r?\n$/, "");
  if (key === undefined) return [];
  const fault = plainKeyFault(key);
  const weakness = weaknessOf(key);
  if (fault) faults.push(`${source.label}: ${fault}`);
  else if (weakness && allowWeak) warnings.push(`${source.label}: ${weakness}`);
  else if (weakness)
    faults.push(`${source.label}: ${weakness}, or allow it with SERVICE_ALLOW_WEAK_KEY=1`);
  return keySetOf({ default: key });
}

/** The bytes of the file that a variable names; undefined where it can't be read, which is a fault. */
function readFile(
  { directory, faults, warnings }: Reader,
  { value, label }: Variable,
): Buffer | undefined {
  const path = resolve(directory, value);
  try {
    const bytes = readFileSync(path);
    warnings.push(...modeWarnings(path, `${label}: the file`));
    return bytes;
  } catch (error) {
    faults.push(`${label}: the file can't be read (${(error as NodeJS.ErrnoException).code})`);
    return undefined;
  }
}
