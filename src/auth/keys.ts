import { hash } from "node:crypto";

import { KeyIndex } from "./key-index.ts";

/**
 * A key that the service accepts. It holds the hash only, and its members survive a structured
 * clone, so a set can be sent to a worker.
 */
export interface Key {
  /** The name that logs show. */
  readonly name: string;
  /** The SHA-256 of the key's bytes: 32 bytes in a buffer of their own. */
  readonly hash: Uint8Array;
  /** Valid from this instant, in ms since the epoch; -Infinity without a date. */
  readonly notBefore: number;
  /** No longer valid from this instant, in ms since the epoch; Infinity without a date. */
  readonly expires: number;
  /** How many requests its name may make in a time; undefined without a limit. */
  readonly rate: Rate | undefined;
  /** How many requests of its name may be in progress at once; undefined without a limit. */
  readonly inFlight: number | undefined;
}

/** A number of requests in a time. */
export interface Rate {
  readonly count: number;
  /** In ms: a second or a minute. */
  readonly periodMs: 1000 | 60_000;
}

/** All keys that are accepted. Several keys may share a name; hashes are unique. */
export type KeySet = readonly Key[];

/** Whether a key is valid now, no longer, or not yet. */
export type KeyState = "active" | "expired" | "not_yet_valid";

/**
 * Why a key was denied: for the log, never for the client. The guard sets "duplicate", for two
 * header fields.
 */
export type DenialReason =
  | "missing"
  | "malformed"
  | "duplicate"
  | "unknown"
  | "expired"
  | "not_yet_valid";

/** The outcome of looking a key up. */
export interface KeyMatch {
  /** The key, even if it is not valid now; undefined if there is none. */
  readonly key?: Key;
  /** Why it is denied; undefined if it is accepted. */
  readonly denied?: DenialReason;
}

/** What a key has besides its name and hash. What is left out does not limit it. */
export type KeyOptions = Partial<Pick<Key, "notBefore" | "expires" | "rate" | "inFlight">>;

/** The longest key, in characters. */
const MAX_LENGTH = 256;

/** RFC 5234's VCHAR = %x21-7E. */
const VISIBLE_ASCII = /^[\x21-\x7E]+$/;

/** The indexes of the sets that have been used. */
const INDEXES = new WeakMap<KeySet, KeyIndex<Key>>();

/**
 * Hashes plaintext keys. `plain` has them by name; they have no dates.
 *
 * @example
 * keySetOf({ default: "svk_…" })
 */
export function keySetOf(plain: Readonly<Record<string, string>>): KeySet {
  return Object.entries(plain).map(([name, key]) => createKey(name, hash("sha256", key)));
}

/** Makes a key of its hash, given as 64 hex digits. */
export function createKey(name: string, hex: string, options: KeyOptions = {}): Key {
  const { notBefore = -Infinity, expires = Infinity, rate, inFlight } = options;
  // A copy: a small Buffer shares its memory with others, and a structured clone would take all of
  // it along.
  const bytes = new Uint8Array(Buffer.from(hex, "hex"));
  return { name, hash: bytes, notBefore, expires, rate, inFlight };
}

/** The first 8 hex digits of a key's hash: they tell apart keys that share a name. */
export function hashPrefix({ hash: bytes }: Key): string {
  return Buffer.from(bytes).toString("hex").slice(0, 8);
}

/**
 * Looks a key up, and checks its dates. `presented` is a header field's value as node:http gives
 * it. Unless that is empty, it costs one hash and one comparison, whatever the value is and however
 * many keys there are. `now` returns the time in ms since the epoch, and is called only if a key
 * matches. The index of a set is made once, so a set must not change.
 */
export function matchKey(set: KeySet, presented: string, now: () => number): KeyMatch {
  // Without a key there is nothing to compare, and the caller knows that it sent none.
  if (presented === "") return { denied: "missing" };
  // Hashed as UTF-8: for visible ASCII, those are the bytes themselves. A value with other
  // characters is rejected below, even if its hash matches.
  // The detour through "binary" is three times as fast as hash()'s own "buffer".
  const digest = Buffer.from(hash("sha256", presented, "binary"), "binary");
  const key = indexOf(set).find(digest);
  if (!isWellFormed(presented)) return { denied: "malformed" };
  if (key === undefined) return { denied: "unknown" };
  const state = keyState(key, now());
  return state === "active" ? { key } : { key, denied: state };
}

function indexOf(set: KeySet): KeyIndex<Key> {
  const known = INDEXES.get(set);
  if (known !== undefined) return known;
  const index = new KeyIndex(set);
  INDEXES.set(set, index);
  return index;
}

/** Returns a key's state at `now`, in ms since the epoch: active until just before `expires`. */
export function keyState(key: Key, now: number): KeyState {
  if (now >= key.expires) return "expired";
  return now < key.notBefore ? "not_yet_valid" : "active";
}

/** Tells whether a text can be a key at all: 1 to 256 visible ASCII characters. */
export function isWellFormed(key: string): boolean {
  return key.length <= MAX_LENGTH && VISIBLE_ASCII.test(key);
}
