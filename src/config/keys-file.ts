import { isUtf8 } from "node:buffer";
import { hash } from "node:crypto";

import { KEYGEN } from "../auth/keygen-command.ts";
import { createKey, type Key, type KeySet, PLACEHOLDER_KEY } from "../auth/keys.ts";

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

/** A part of a line, or what is wrong with it. */
type Result<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly problem: string };

/** The dates of a line's options, in ms since the epoch. */
type Dates = ReadonlyMap<string, number>;

/** What a key may be called in the keys file. */
export const KEY_NAME: RegExp = /^[a-z0-9][a-z0-9_-]{0,31}$/;

/** How many entries a keys file may have. */
const MAX_ENTRIES = 64;

const HASH_PREFIX = "sha256:";
const HASH = /^sha256:[0-9A-Fa-f]{64}$/;

const PLACEHOLDER_HASH = hash("sha256", PLACEHOLDER_KEY);

const REMEDY = `make a line with ${KEYGEN} NAME`;

/** The options that a line may have. Both are dates. */
const OPTIONS = ["expires", "not_before"];

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
 *     option = ( "expires=" / "not_before=" ) date, each at most once
 *     blank  = SP / HTAB
 *
 * @example
 * ci sha256:<64 hex digits> expires=2027-01-31T00:00:00Z
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
  const dates = readDates(options);
  if (!dates.ok) return dates;
  const key = createKey(name, hex, {
    notBefore: dates.value.get("not_before"),
    expires: dates.value.get("expires"),
  });
  if (key.notBefore >= key.expires) {
    return failure("never valid: not_before must be earlier than expires");
  }
  if (known.some((other) => Buffer.compare(other.hash, key.hash) === 0)) {
    return failure(`a key given twice: keep one, or ${REMEDY}`);
  }
  return { ok: true, value: key };
}

function readDates(options: readonly string[]): Result<Dates> {
  const dates = new Map<string, number>();
  for (const option of options) {
    const equals = option.indexOf("=");
    const label = option.slice(0, Math.max(equals, 0));
    const date = option.slice(equals + 1);
    if (!OPTIONS.includes(label)) {
      return failure("unknown option: only expires= and not_before= are known");
    }
    if (dates.has(label)) return failure("an option given twice: keep one");
    if (!isDate(date)) {
      return failure("bad date: write a real one, in UTC, like 2027-01-31T00:00:00Z");
    }
    dates.set(label, Date.parse(date));
  }
  return { ok: true, value: dates };
}

/**
 * Tells whether a text is RFC 3339's date-time in UTC and whole seconds, and a real date: not
 * February 30 or 24:00:00. Only such a text comes back from a Date unchanged.
 */
function isDate(text: string): boolean {
  const withMilliseconds = text.replace("Z", ".000Z");
  return /^\d{4}-/.test(text) && new Date(text).toJSON() === withMilliseconds;
}

function failure(problem: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem };
}
