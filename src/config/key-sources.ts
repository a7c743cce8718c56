import { join } from "node:path";

import { KEYGEN, shellWord } from "../keygen-command.ts";
import { type KeySet, keySetOf, keyState } from "../auth/keys.ts";
import { keyWarnings } from "./expiry.ts";
import { parseKeysFile } from "./keys-file.ts";
import { type NamedFileOptions, readNamedFile } from "./named-file.ts";
import { plaintextKeyProblem, weaknessOf } from "./plaintext-key.ts";
import { placeOf, type SettingsReader, type Variable } from "./reader.ts";

/** What to demand of the keys. */
export interface KeyRules {
  /** Whether a weak plaintext key is a warning only. */
  readonly allowWeak: boolean;
  /** Whether a set without a usable key is a warning only. A key is usable until it expires. */
  readonly allowNone: boolean;
}

/** A plaintext key, and the variable that it came from. */
interface PlaintextKey {
  readonly key: string;
  readonly variable: Variable;
}

const KEY_FILE: NamedFileOptions = {
  secretMessage:
    "names no file that can be read, and looks like a key: set SERVICE_API_KEY to the key itself",
  isPublic: false,
};

/**
 * Reads the keys of all sources: SERVICE_API_KEY or SERVICE_API_KEY_FILE, whose key is named
 * `default`, and SERVICE_API_KEYS_FILE. Adds to the reader's problems and warnings; never throws.
 */
export function readKeys(reader: SettingsReader, rules: KeyRules): KeySet {
  const { problems, warnings, now } = reader;
  const problemsBefore = problems.length;
  const single = readSingleKey(reader, rules);
  const keys = [...single, ...readNamedKeys(reader, single)];
  if (problems.length === problemsBefore) checkUsable(reader, keys, rules);
  warnings.push(...keyWarnings(keys, now));
  return keys;
}

function checkUsable(reader: SettingsReader, keys: KeySet, rules: KeyRules): void {
  const isUsable = keys.some((key) => keyState(key, reader.now) !== "expired");
  if (isUsable) return;
  if (rules.allowNone) {
    reader.warnings.push("no usable key is set: every request that needs a key is denied");
    return;
  }
  reader.problems.push({ place: "SERVICE_API_KEY", message: noKeyMessage(reader.directory) });
}

/** Names `.env` by its path: the working directory may not be the one that was meant. */
function noKeyMessage(directory: string): string {
  const envFile = join(directory, ".env");
  return (
    `no usable key is set, neither in the environment nor in ${envFile}: ` +
    `make one with (umask 077; ${KEYGEN} >> ${shellWord(envFile)}), ` +
    "or set SERVICE_API_KEY_FILE or SERVICE_API_KEYS_FILE"
  );
}

/** Reads the key named `default`: a set of one, or an empty set. */
function readSingleKey(reader: SettingsReader, rules: KeyRules): KeySet {
  const plaintext = readPlaintextKey(reader);
  if (plaintext === undefined) return [];
  checkPlaintextKey(reader, plaintext, rules);
  return keySetOf({ default: plaintext.key });
}

/** Takes the key from whichever of its two variables is set. */
function readPlaintextKey(reader: SettingsReader): PlaintextKey | undefined {
  const direct = reader.lookup("SERVICE_API_KEY");
  const file = reader.lookup("SERVICE_API_KEY_FILE");
  if (direct !== undefined && file !== undefined) {
    const place = `${placeOf(direct)}, ${placeOf(file)}`;
    reader.problems.push({ place, message: "both are set: remove one" });
    return undefined;
  }
  if (direct !== undefined) return { key: direct.value, variable: direct };
  if (file === undefined) return undefined;
  const bytes = readNamedFile(reader, file, KEY_FILE);
  if (bytes === undefined) return undefined;
  // Latin-1 maps each non-ASCII byte to one non-ASCII character, which plaintextKeyProblem()
  // rejects.
  const key = bytes.toString("latin1").replace(/\r?\n$/, "");
  return { key, variable: file };
}

function checkPlaintextKey(reader: SettingsReader, plaintext: PlaintextKey, rules: KeyRules): void {
  const { problems, warnings } = reader;
  const place = placeOf(plaintext.variable);
  const problem = plaintextKeyProblem(plaintext.key);
  if (problem !== undefined) {
    problems.push({ place, message: problem });
    return;
  }
  const weakness = weaknessOf(plaintext.key);
  if (weakness === undefined) return;
  if (rules.allowWeak) {
    warnings.push(`${place}: ${weakness}`);
    return;
  }
  problems.push({ place, message: `${weakness}, or allow it with SERVICE_ALLOW_WEAK_KEY=1` });
}

/** Reads the keys file, which may not repeat any of `others`. */
function readNamedKeys(reader: SettingsReader, others: KeySet): KeySet {
  const file = reader.lookup("SERVICE_API_KEYS_FILE");
  if (file === undefined) return [];
  const bytes = readNamedFile(reader, file, KEY_FILE);
  if (bytes === undefined) return [];
  const { keys, problems } = parseKeysFile(bytes, others);
  for (const { line, message } of problems) {
    const place = `${placeOf(file)}: line ${line} of the file`;
    reader.problems.push({ place, message });
  }
  return keys;
}
