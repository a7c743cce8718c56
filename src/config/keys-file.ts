import { isUtf8 } from "node:buffer";
import { hash } from "node:crypto";

import { KEYGEN } from "../keygen-command.ts";
import { createKey, type Key, type KeySet } from "../auth/keys.ts";
import { readKeyOptions } from "./key-options.ts";
import { PLACEHOLDER_KEY } from "./plaintext-key.ts";
import { failure, type Result } from "./result.ts";

/** One problem of a keys file. It contains no text from the file. */
export interface KeysFileProblem {
  /** The line, counted from 1. */
  readonly line: number;
  /** A fixed text: what is wrong, and the remedy. */
  readonly message: string;
}

/** A keys file that has been read. If there are problems, there are no keys. */
export interface KeysFile {
  readonly keys: KeySet;
  readonly problems: readonly KeysFileProblem[];
}

/** What a key may be called in the keys file. */
export const KEY_NAME: RegExp = /^[a-z0-9][a-z0-9_-]{0,31}$/;

/** How many entries a keys file may have. */
const MAX_ENTRIES = 64;

const HASH_PREFIX = "sha256:";
const HASH = /^sha256:[0-9A-Fa-f]{64}$/;

const PLACEHOLDER_HASH = hash("sha256", PLACEHOLDER_KEY);

const REMEDY = `make a line with ${KEYGEN} NAME`;

/**
 * Reads the keys of a keys file, or the first problem of every line that has one. `others` are keys
 * from elsewhere that the file may not repeat: a hash given twice would have two names.
 *
 * Only keys made by keygen belong in the file. A hash says nothing about its key, so a key that is
 * easy to guess can't be noticed. Only the placeholder of `.env.example` is known, and refused.
 *
 *     file   = [ BOM ] line *( ( CRLF / LF / CR ) line ), in UTF-8
 *     line   = *blank [ entry ] *blank [ "#" *any ]; blanks go before a "#" that follows an entry
 *     entry  = name 1*blank "sha256:" 64HEXDIG *( 1*blank option )
 *     option = ( "expires=" / "not_before=" ) date / "rate=" number ( "/s" / "/m" ) /
 *              "in_flight=" number, each at most once
 *     number = 1 to 999999
 *     blank  = SP / HTAB
 *
 * @example
 * ci sha256:<64 hex digits> expires=2027-01-31T00:00:00Z rate=100/s in_flight=50
 */
export function parseKeysFile(bytes: Buffer, others: KeySet = []): KeysFile {
  const lines = linesOf(bytes);
  const badLine = lines.findIndex((line) => !isUtf8(Buffer.from(line, "latin1")));
  if (badLine !== -1) {
    return { keys: [], problems: [{ line: badLine + 1, message: "not UTF-8: save it as UTF-8" }] };
  }
  const keys: Key[] = [];
  const problems: KeysFileProblem[] = [];
  for (const [index, text] of lines.entries()) {
    const words = wordsOf(text);
    if (words.length === 0) continue;
    const line = index + 1;
    if (keys.length + problems.length === MAX_ENTRIES) {
      problems.push({ line, message: "more than 64 entries: remove lines that have expired" });
      break;
    }
    const entry = readEntry(words, [...others, ...keys]);
    if (entry.ok) keys.push(entry.value);
    else problems.push({ line, message: entry.problem });
  }
  return { keys: problems.length === 0 ? keys : [], problems };
}

/** Splits the file into lines, with one character for each byte, so that bad bytes have a line. */
function linesOf(bytes: Buffer): string[] {
  return bytes
    .toString("latin1")
    .replace(/^\xEF\xBB\xBF/, "")
    .split(/\r\n|\n|\r/);
}

/** Splits a line without its comment at blanks. */
function wordsOf(line: string): string[] {
  const withoutComment = line.replace(/(?:^|[ \t])#[^]*/, "");
  return withoutComment.match(/[^ \t]+/g) ?? [];
}

/** Reads one line's words. `known` are the keys that it may not repeat. */
function readEntry(words: readonly string[], known: KeySet): Result<Key> {
  const [name = "", digest = "", ...options] = words;
  if (!KEY_NAME.test(name)) {
    return failure("bad name: 1 to 32 of a-z, 0-9, _ and -, the first a letter or a digit");
  }
  if (!HASH.test(digest)) {
    return failure(`no sha256: with 64 hex digits after the name: ${REMEDY}`);
  }
  const hex = digest.slice(HASH_PREFIX.length);
  if (hex.toLowerCase() === PLACEHOLDER_HASH) {
    return failure(`the hash of the placeholder of .env.example: ${REMEDY}`);
  }
  const read = readKeyOptions(options);
  if (!read.ok) return read;
  const key = createKey(name, hex, read.value);
  if (key.notBefore >= key.expires) {
    return failure("never valid: not_before must be earlier than expires");
  }
  if (known.some((other) => Buffer.compare(other.hash, key.hash) === 0)) {
    return failure(`a key given twice: keep one, or ${REMEDY}`);
  }
  if (known.some((other) => other.name === name && !areLimitsAlike(other, key))) {
    return failure("another limit than on an earlier line of this name: write it once");
  }
  return { ok: true, value: key };
}

/** Tells whether two keys of one name have no limit that differs. One line with it is enough. */
function areLimitsAlike(a: Key, b: Key): boolean {
  const isRateAlike =
    a.rate === undefined ||
    b.rate === undefined ||
    (a.rate.count === b.rate.count && a.rate.periodMs === b.rate.periodMs);
  return isRateAlike && (a.inFlight ?? b.inFlight) === (b.inFlight ?? a.inFlight);
}
