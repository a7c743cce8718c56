import { isUtf8 } from "node:buffer";
import { hash, timingSafeEqual } from "node:crypto";

/** A key the service accepts: only its hash. The fields survive a structured clone, so a set can go to a worker. */
export interface Key {
  readonly name: string;
  /** SHA-256 of the key's bytes; 32 bytes in a buffer of their own. */
  readonly hash: Uint8Array;
  /** Valid from this instant on, in ms since the epoch; -Infinity without a date. */
  readonly notBefore: number;
  /** No longer valid from this instant on, in ms since the epoch; Infinity without a date. */
  readonly expires: number;
}

/** All keys that are accepted. A name may stand on several of them, a hash on one only. */
export type KeySet = readonly Key[];

/** Why a key was denied: for the log, never for the client. "duplicate" is two header fields: the guard's to find. */
export type Reason =
  | "missing"
  | "malformed"
  | "duplicate"
  | "unknown"
  | "expired"
  | "not_yet_valid";

/** A mistake in a keys file, its line counted from 1. `message` is a fixed text: what is wrong and the remedy. */
export interface KeysFileFault {
  readonly line: number;
  readonly message: string;
}

/** The key in `.env.example`: counts as weak, so that a copied example isn't taken for a secret. */
export const PLACEHOLDER_KEY = "change-me-run-npm-run-keygen";

/** What a key may be called in the keys file. */
export const KEY_NAME: RegExp = /^[a-z0-9][a-z0-9_-]{0,31}$/;

/** A day, in ms. */
export const DAY_MS = 86_400_000;

/** The set of the plaintext keys in `plain`, by name; they have no dates. Only their hashes are kept. */
export const keySetOf = (plain: Record<string, string>): KeySet =>
  Object.entries(plain).map(([name, key]) => keyOf(name, hash("sha256", key)));

/**
 * The name of the key that `presented` is, or why it is denied; `now` in ms since the epoch. `presented` is a header
 * value as node:http gives it. Denied or not, it costs one hash and one comparison with every key.
 */
export function verifyKey(
  set: KeySet,
  presented: string,
  now: number,
): { name: string } | { denied: Reason } {
  // Hashed as UTF-8: the bytes themselves for visible ASCII, and anything else is malformed whatever it matches.
  // By way of text, since the "buffer" that hash() makes takes three times as long.
  const digest = Buffer.from(hash("sha256", presented, "binary"), "binary");
  let match: Key | undefined;
  for (const key of set) if (timingSafeEqual(digest, key.hash)) match = key;
  if (plainKeyFault(presented) !== undefined)
    return { denied: presented === "" ? "missing" : "malformed" };
  if (match === undefined) return { denied: "unknown" };
  const state = keyState(match, now);
  return state === "active" ? { name: match.name } : { denied: state };
}

/** Whether `key` is valid at `now` (ms since the epoch): from `notBefore` on, until just before `expires`. */
export function keyState(key: Key, now: number): "active" | "expired" | "not_yet_valid" {
  if (now >= key.expires) return "expired";
  return now < key.notBefore ? "not_yet_valid" : "active";
}

/** A warning for each key that has expired, or will within 14 days of `now` (ms since the epoch). */
export const keyWarnings = (set: KeySet, now: number): string[] =>
  set
    .filter(({ expires }) => expires - now <= 14 * DAY_MS)
    .map(({ name, expires }) =>
      expires <= now
        ? `key ${name} expired at ${formatDate(expires)}: remove its line`
        : `key ${name} expires at ${formatDate(expires)}: add its successor with npm run keygen -- ${name}`,
    );

/** What is wrong with `key` as a plaintext key, with the remedy; undefined if nothing is. Never quotes it. */
export function plainKeyFault(key: string): string | undefined {
  if (key === "") return "is empty: make a key with npm run keygen";
  // RFC 5234 VCHAR = %x21-7E
  const isValid = key.length <= 256 && /^[\x21-\x7E]+$/.test(key);
  return isValid
    ? undefined
    : "must be at most 256 visible ASCII characters, without blanks or line ends";
}

/** Why `key` is easy to guess, with the remedy; undefined if it isn't. Never quotes it. */
export function weaknessOf(key: string): string | undefined {
  if (key === PLACEHOLDER_KEY)
    return "is the placeholder of .env.example: make a key with npm run keygen";
  if (key.length < 32) return "is shorter than 32 characters: make a key with npm run keygen";
  return new Set(key).size < 10
    ? "has fewer than 10 different characters: make a key with npm run keygen"
    : undefined;
}

/** `ms` since the epoch as the keys file writes a date: UTC, cut to whole seconds. Years 0 to 9999 only. */
export const formatDate = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

/**
 * The keys in a keys file, and the first mistake of every line that has one; with any mistake there are no keys.
 * `others` are keys from elsewhere that the file may not repeat: which line would decide the name and the dates?
 *
 * file = [ BOM ] line *( ( CRLF / LF / CR ) line ), in UTF-8
 * line = *blank [ name 1*blank "sha256:" 64HEXDIG *( 1*blank option ) ] *blank [ "#" anything ]
 * option = ( "expires=" / "not_before=" ) date, each at most once; blanks (SP / HTAB) go before a "#" that follows data
 */
export function parseKeysFile(
  bytes: Buffer,
  others: KeySet = [],
): { keys: KeySet; faults: KeysFileFault[] } {
  // Latin-1 keeps one character per byte: a byte that isn't UTF-8 can still be traced to its line.
  const lines = bytes
    .toString("latin1")
    .replace(/^\xEF\xBB\xBF/, "")
    .split(/\r\n|\n|\r/);
  const garbled = lines.findIndex((line) => !isUtf8(Buffer.from(line, "latin1")));
  if (garbled !== -1)
    return { keys: [], faults: [{ line: garbled + 1, message: "not UTF-8: save it as UTF-8" }] };
  const keys: Key[] = [];
  const faults: KeysFileFault[] = [];
  for (const [index, text] of lines.entries()) {
    const words = text.replace(/(?:^|[ \t])#[^]*/, "").match(/[^ \t]+/g);
    if (words === null) continue;
    const isFull = keys.length + faults.length === 64;
    const known = [...others, ...keys];
    const entry = isFull
      ? "more than 64 entries: remove lines that have expired"
      : readEntry(words, known);
    if (typeof entry === "string") faults.push({ line: index + 1, message: entry });
    else keys.push(entry);
    if (isFull) break;
  }
  return { keys: faults.length === 0 ? keys : [], faults };
}

/** The key of one line, or what is wrong with the line; `known`: the keys it may not repeat. */
function readEntry([name = "", digest = "", ...options]: string[], known: KeySet): Key | string {
  if (!KEY_NAME.test(name))
    return "bad name: 1 to 32 of a-z, 0-9, _ and -, the first a letter or a digit";
  if (!/^sha256:[0-9A-Fa-f]{64}$/.test(digest))
    return "no sha256: with 64 hex digits after the name: run keygen";
  const dates = new Map<string, number>();
  for (const option of options) {
    const [, label, date = ""] = /^(expires|not_before)=([^]*)$/.exec(option) ?? [];
    if (label === undefined) return "unknown option: only expires= and not_before= are known";
    if (dates.has(label)) return "an option given twice: keep one";
    if (!isDate(date)) return "bad date: write a real one, in UTC, like 2027-01-31T00:00:00Z";
    dates.set(label, Date.parse(date));
  }
  const key = keyOf(
    name,
    digest.slice("sha256:".length),
    dates.get("not_before"),
    dates.get("expires"),
  );
  if (key.notBefore >= key.expires) return "never valid: not_before must be earlier than expires";
  const isKnown = known.some((other) => Buffer.compare(other.hash, key.hash) === 0);
  return isKnown ? "a key given twice: keep one, or make another with npm run keygen" : key;
}

/** Whether `text` is RFC 3339's date-time in UTC and whole seconds, and a real date: not February 30 or 24:00:00. */
const isDate = (text: string): boolean =>
  /^\d{4}-/.test(text) && new Date(text).toJSON() === text.replace("Z", ".000Z");

const keyOf = (name: string, hex: string, notBefore = -Infinity, expires = Infinity): Key =>
  // A copy: a small Buffer shares its memory with others, and a structured clone would take all of it along.
  ({ name, hash: new Uint8Array(Buffer.from(hex, "hex")), notBefore, expires });
