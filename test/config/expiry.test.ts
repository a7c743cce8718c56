import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { test } from "node:test";

import { keySetOf } from "../../src/auth/keys.ts";
import { daysLeft, formatDate, keyWarnings } from "../../src/config/expiry.ts";
import { parseKeysFile } from "../../src/config/keys-file.ts";
import { KEYGEN } from "../../src/keygen-command.ts";

const NOW = Date.parse("2027-01-15T12:00:00Z");

const sha256 = (key: string): string => `sha256:${hash("sha256", key)}`;

test("keyWarnings names each key that has expired, or will within 14 days, with its date", () => {
  const { keys: set } = parseKeysFile(
    Buffer.from(
      [
        `old ${sha256("1")} expires=2027-01-15T12:00:00Z`,
        `soon ${sha256("2")} expires=2027-01-29T12:00:00Z`,
        `later ${sha256("3")} expires=2027-01-29T12:00:01Z`,
        `new ${sha256("4")} not_before=2027-01-16T00:00:00Z`,
        `always ${sha256("5")}`,
      ].join("\n"),
    ),
  );
  assert.deepEqual(keyWarnings(set, NOW), [
    "key old expired at 2027-01-15T12:00:00Z: remove its line",
    `key soon expires at 2027-01-29T12:00:00Z: add its successor with ${KEYGEN} soon`,
  ]);
});

test("a key without a date gives no warning", () => {
  assert.deepEqual(keyWarnings(keySetOf({ default: "k" }), NOW), []);
});

/** How long a key is still valid, in ms, and the days left. */
const DAYS_LEFT: readonly (readonly [ms: number, days: number])[] = [
  [-86_400_000, 0],
  [-1, 0],
  [0, 0],
  [1, 1],
  [86_400_000, 1],
  [86_400_001, 2],
  [90 * 86_400_000, 90],
  [90 * 86_400_000 + 1, 91],
];

for (const [ms, days] of DAYS_LEFT) {
  test(`a key that expires in ${ms} ms has ${days} days left`, () => {
    assert.equal(daysLeft(NOW + ms, NOW), days);
  });
}

test("formatDate writes UTC in whole seconds, as the keys file does", () => {
  assert.equal(formatDate(0), "1970-01-01T00:00:00Z");
  assert.equal(formatDate(NOW + 999), "2027-01-15T12:00:00Z");
});
