import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { test } from "node:test";
import { deserialize, serialize } from "node:v8";

import {
  createKey,
  hashPrefix,
  type Key,
  type KeySet,
  keySetOf,
  keyState,
} from "../../src/auth/keys.ts";
import {
  PLACEHOLDER_KEY,
  plaintextKeyProblem,
  weaknessOf,
} from "../../src/config/plaintext-key.ts";
import { KEYGEN } from "../../src/keygen-command.ts";
import { parseKeysFile } from "../../src/config/keys-file.ts";
import { countCalls } from "../support/crypto-calls.ts";
import { verifyKey } from "../support/verify-key.ts";

const NOW = Date.parse("2027-01-15T12:00:00Z");
const DAY = 86_400_000;
const KEY = "svk_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_abcde";
const OTHER = `${KEY}2`;

const sha256 = (key: string): string => `sha256:${hash("sha256", key)}`;

/** Reads a keys file without problems. */
function parsed(text: string): KeySet {
  const { keys, problems } = parseKeysFile(Buffer.from(text));
  assert.deepEqual(problems, []);
  return keys;
}

function first(set: KeySet): Key {
  assert.ok(set[0]);
  return set[0];
}

test("a key is verified by its name, wherever it stands in the set", () => {
  const plain = { first: KEY, second: OTHER, third: "k" };
  for (const names of [
    ["first", "second", "third"],
    ["third", "second", "first"],
    ["second", "third", "first"],
  ]) {
    const set = names.flatMap((name) => keySetOf({ [name]: plain[name as keyof typeof plain] }));
    for (const [name, key] of Object.entries(plain)) {
      assert.deepEqual(verifyKey(set, key, NOW), { name });
    }
  }
});

test("a key with commas, quotes and other punctuation is a key like any other", () => {
  const key = String.raw`a,b;"c"\'${"`"}!~#=`;
  assert.deepEqual(verifyKey(keySetOf({ default: key }), key, NOW), { name: "default" });
});

/** A presented value, and why it is denied. */
const DENIALS: readonly (readonly [what: string, presented: string, denied: string])[] = [
  ["nothing", "", "missing"],
  ["a blank", " ", "malformed"],
  ["the key with a blank before it", ` ${KEY}`, "malformed"],
  ["the key with a blank after it", `${KEY} `, "malformed"],
  ["the key with a tab after it", `${KEY}\t`, "malformed"],
  ["the key with a line feed after it", `${KEY}\n`, "malformed"],
  ["the key with a NUL after it", `${KEY}\0`, "malformed"],
  ["the key with a DEL after it", `${KEY}\x7f`, "malformed"],
  ["two keys in one field", `${KEY}, ${KEY}`, "malformed"],
  ["a Latin-1 letter", "caf\xe9", "malformed"],
  ["the key in UTF-8 quotes", `\xe2\x80\x9c${KEY}\xe2\x80\x9d`, "malformed"],
  ["more than 256 bytes", "k".repeat(257), "malformed"],
  ["16 KiB", "k".repeat(16_384), "malformed"],
  ["one character", "s", "unknown"],
  ["256 bytes", "k".repeat(256), "unknown"],
  ["the key without its first character", KEY.slice(1), "unknown"],
  ["the key without its last character", KEY.slice(0, -1), "unknown"],
  ["the key with another first character", `x${KEY.slice(1)}`, "unknown"],
  ["the key with another last character", `${KEY.slice(0, -1)}x`, "unknown"],
  ["the key and one character more", `${KEY}x`, "unknown"],
  ["the key twice", KEY + KEY, "unknown"],
  ["the key in capitals", KEY.toUpperCase(), "unknown"],
  ["two keys without a blank", `${KEY},${KEY}`, "unknown"],
  ["the name of a key", "ci", "unknown"],
  ["the hash of a key", sha256(KEY), "unknown"],
  ["the hex digits of the hash", hash("sha256", KEY), "unknown"],
  ["a property every object has", "__proto__", "unknown"],
  ["the word undefined", "undefined", "unknown"],
  ["a key past its last instant", "expired-key", "expired"],
  ["a key before its first instant", "future-key", "not_yet_valid"],
];

for (const [what, presented, denied] of DENIALS) {
  test(`${what} is denied as ${denied}`, () => {
    const set = [
      ...keySetOf({ ci: KEY }),
      ...parsed(`old ${sha256("expired-key")} expires=2027-01-15T12:00:00Z`),
      ...parsed(`new ${sha256("future-key")} not_before=2027-01-15T12:00:01Z`),
    ];
    for (const keys of [set, set.toReversed()]) {
      assert.deepEqual(verifyKey(keys, presented, NOW), { denied });
    }
  });
}

test("an empty set denies everything", () => {
  assert.deepEqual(verifyKey([], "", NOW), { denied: "missing" });
  assert.deepEqual(verifyKey([], KEY, NOW), { denied: "unknown" });
});

test("a value that is not visible ASCII is malformed, even if the set has its hash", () => {
  for (const key of ["", " ", "caf\xe9", "k".repeat(257), `${KEY}\n`]) {
    const denied = key === "" ? "missing" : "malformed";
    assert.deepEqual(verifyKey(keySetOf({ default: key }), key, NOW), { denied });
    assert.deepEqual(verifyKey(parsed(`ci ${sha256(key)}`), key, NOW), { denied });
  }
});

test("each of 64 keys is verified, with one comparison like what is none of them", (t) => {
  const plain = Object.fromEntries(
    Array.from({ length: 64 }, (_, index) => [`k${index}`, `${KEY}${index}`]),
  );
  const set = keySetOf(plain);
  const compare = countCalls(t, "timingSafeEqual");
  for (const [name, key] of Object.entries(plain)) {
    assert.deepEqual(verifyKey(set, key, NOW), { name });
  }
  assert.equal(compare(), 64);
  for (const presented of [" ", "caf\xe9", "unknown", KEY, `${KEY}64`]) {
    verifyKey(set, presented, NOW);
    assert.equal(compare(), 1, presented);
  }
  verifyKey(set, "", NOW);
  assert.equal(compare(), 0, "who sends no key knows that");
});

test("a key is valid from not_before on, until just before expires", () => {
  const set = parsed(
    `ci ${sha256(KEY)} expires=2027-02-01T00:00:00Z not_before=2027-01-01T00:00:00Z`,
  );
  const from = Date.parse("2027-01-01T00:00:00Z");
  const until = Date.parse("2027-02-01T00:00:00Z");
  const rows: readonly (readonly [now: number, state: string, result: object])[] = [
    [-Infinity, "not_yet_valid", { denied: "not_yet_valid" }],
    [from - 1, "not_yet_valid", { denied: "not_yet_valid" }],
    [from, "active", { name: "ci" }],
    [until - 1, "active", { name: "ci" }],
    [until, "expired", { denied: "expired" }],
    [Infinity, "expired", { denied: "expired" }],
  ];
  for (const [now, state, result] of rows) {
    assert.equal(keyState(first(set), now), state);
    assert.deepEqual(verifyKey(set, KEY, now), result);
  }
});

test("a key without dates is always active and never expires", () => {
  const key = first(keySetOf({ default: KEY }));
  for (const now of [-8.64e15, 0, NOW, 8.64e15]) assert.equal(keyState(key, now), "active");
});

test("a set holds hashes only, and survives a structured clone and node:cluster's IPC", () => {
  const set = [
    ...keySetOf({ default: KEY }),
    ...parsed(`ci ${sha256(OTHER)} expires=2027-01-31T00:00:00Z`),
  ];
  for (const key of set) {
    assert.deepEqual(Object.keys(key).sort(), [
      "expires",
      "hash",
      "inFlight",
      "name",
      "notBefore",
      "rate",
    ]);
    assert.equal(key.hash.length, 32);
    assert.equal(key.hash.buffer.byteLength, 32, "the hash must not share memory");
  }
  for (const copy of [structuredClone(set), deserialize(serialize(set)) as KeySet]) {
    assert.deepEqual(verifyKey(copy, KEY, NOW), { name: "default" });
    assert.deepEqual(verifyKey(copy, OTHER, NOW), { name: "ci" });
    assert.deepEqual(verifyKey(copy, OTHER, NOW + 30 * DAY), { denied: "expired" });
    assert.deepEqual(verifyKey(copy, "x", NOW), { denied: "unknown" });
  }
  assert.ok(!serialize(set).includes(KEY.slice(4)));
});

test("a key's hash is told from others by its first 8 hex digits", () => {
  const hex = "0a1b2c3d4e5f".padEnd(64, "6");
  assert.equal(hashPrefix(createKey("ci", hex)), "0a1b2c3d");
});

const PLAINTEXT_KEYS: readonly string[] = ["k", KEY, "!~", "k".repeat(256)];

const BAD_PLAINTEXT_KEYS: readonly string[] = [
  "",
  "a b",
  " k",
  "k ",
  "k\n",
  "k\r\n",
  "\tk",
  "k\0",
  "caf\xe9",
  "“k”",
  "k\u200b",
  "\ufeffk",
  "\u{1f511}",
  "k".repeat(257),
  "k".repeat(1 << 20),
];

/** Keys that have become part of what they were written in. */
const QUOTED_KEYS: readonly (readonly [key: string, problem: RegExp])[] = [
  [`"${KEY}"`, /^is in quotes/],
  [`'${KEY}'`, /^is in quotes/],
  ['""', /^is in quotes/],
  [`"SERVICE_API_KEY=${KEY}"`, /^is in quotes/],
  [`SERVICE_API_KEY=${KEY}`, /^begins with SERVICE_API_KEY=/],
  [`SERVICE_API_KEY="${KEY}"`, /^begins with SERVICE_API_KEY=/],
  ["SERVICE_API_KEY=", /^begins with SERVICE_API_KEY=/],
];

for (const [key, problem] of QUOTED_KEYS) {
  test(`the plaintext key ${key} is a problem, and a client may present it all the same`, () => {
    assert.match(plaintextKeyProblem(key) ?? "", problem);
    assert.deepEqual(verifyKey(keySetOf({ default: KEY }), key, NOW), { denied: "unknown" });
  });
}

test("quotes and names elsewhere in a plaintext key are part of it", () => {
  for (const key of [`"${KEY}`, `${KEY}"`, `"${KEY}'`, `a"${KEY}"`, `xSERVICE_API_KEY=1`, '"']) {
    assert.equal(plaintextKeyProblem(key), undefined);
  }
});

test("a plaintext key is 1 to 256 visible ASCII characters", () => {
  for (const key of PLAINTEXT_KEYS) assert.equal(plaintextKeyProblem(key), undefined);
  for (const key of BAD_PLAINTEXT_KEYS) {
    assert.match(plaintextKeyProblem(key) ?? "", /^(is|must be) /);
  }
  for (let code = 0; code <= 0xff; code += 1) {
    const isVisible = code >= 0x21 && code <= 0x7e;
    const problem = plaintextKeyProblem(`k${String.fromCharCode(code)}k`);
    assert.equal(problem === undefined, isVisible, `code ${code}`);
  }
});

const STRONG_KEYS: readonly string[] = [
  KEY,
  KEY.slice(0, 32),
  "0123456789".repeat(4),
  `${"a".repeat(23)}bcdefghij`,
];

const WEAK_KEYS: readonly (readonly [key: string, weakness: RegExp])[] = [
  ["", /^is shorter than 32 characters/],
  ["k", /^is shorter than 32 characters/],
  ["secret", /^is shorter than 32 characters/],
  ["test-key-1234567890", /^is shorter than 32 characters/],
  [KEY.slice(0, 31), /^is shorter than 32 characters/],
  ["a".repeat(64), /^has fewer than 10 different characters/],
  ["012345678".repeat(8), /^has fewer than 10 different characters/],
  [PLACEHOLDER_KEY, /^is the placeholder of \.env\.example/],
];

test("a key is weak if it is short, has few different characters, or is the placeholder", () => {
  for (const key of STRONG_KEYS) assert.equal(weaknessOf(key), undefined);
  for (const [key, weakness] of WEAK_KEYS) {
    assert.match(weaknessOf(key) ?? "", weakness);
    assert.ok(weaknessOf(key)?.endsWith(`: make a key with ${KEYGEN}`));
  }
});

test("no message about a plaintext key quotes it", () => {
  for (const key of ["Zq", "Zq Zq", "Zq".repeat(20), "Zq".repeat(200), PLACEHOLDER_KEY]) {
    const messages = [plaintextKeyProblem(key), weaknessOf(key)].join();
    assert.ok(messages !== "," && !messages.includes("Zq") && !messages.includes(PLACEHOLDER_KEY));
  }
});
