import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { describe, test } from "node:test";

import type { Rate } from "../../src/auth/keys.ts";
import { parseKeysFile } from "../../src/config/keys-file.ts";

/** A line of a keys file, for the key of that number. */
function line(name: string, number: number, options = ""): string {
  return `${name} sha256:${hash("sha256", `key-${number}`)} ${options}`;
}

const perSecond = (count: number): Rate => ({ count, periodMs: 1000 });
const perMinute = (count: number): Rate => ({ count, periodMs: 60_000 });

/** Options, and the limits that they set. */
const GOOD: readonly (readonly [string, Rate | undefined, number | undefined])[] = [
  ["", undefined, undefined],
  ["rate=1/s", perSecond(1), undefined],
  ["rate=1/m", perMinute(1), undefined],
  ["rate=999999/s", perSecond(999_999), undefined],
  ["rate=999999/m", perMinute(999_999), undefined],
  ["in_flight=1", undefined, 1],
  ["in_flight=999999", undefined, 999_999],
  ["rate=100/s in_flight=50", perSecond(100), 50],
  ["in_flight=50\trate=100/m", perMinute(100), 50],
  ["in_flight=2 expires=2027-01-31T00:00:00Z rate=3/s # rate=4/s", perSecond(3), 2],
];

for (const [options, rate, inFlight] of GOOD) {
  test(`a line may have the options ${JSON.stringify(options)}`, () => {
    const { keys, problems } = parseKeysFile(Buffer.from(line("ci", 1, options)));
    assert.deepEqual(problems, []);
    assert.deepEqual([keys[0]?.rate, keys[0]?.inFlight], [rate, inFlight]);
  });
}

const BAD_NUMBERS: readonly string[] = [
  "",
  "0",
  "00",
  "01",
  "1000000",
  "9999999999999999999999",
  "-1",
  "+1",
  "1.5",
  "1,000",
  "1_000",
  "1e3",
  "0x10",
  "１",
  "a",
  "NaN",
  "Infinity",
  "=1",
  "1=",
  '"1"',
  "unlimited",
];

const BAD_RATES: readonly string[] = [
  ...BAD_NUMBERS,
  ...BAD_NUMBERS.map((number) => `${number}/s`),
  ...BAD_NUMBERS.map((number) => `${number}/m`),
  "1",
  "100",
  "1/",
  "/s",
  "1s",
  "1/S",
  "1/M",
  "1/h",
  "1/d",
  "1/ms",
  "1/min",
  "1/sec",
  "1/second",
  "1/1s",
  "1//s",
  "1/s/s",
  "1/s,",
  "1/sm",
  "1/s\0",
  "1\\s",
  "1r/s",
  "s/1",
];

/** Options of a line, and the message that they must get. */
const BAD: readonly (readonly [message: string, options: readonly string[]])[] = [
  [
    "bad rate: write N/s or N/m, with N from 1 to 999999",
    BAD_RATES.map((value) => `rate=${value}`),
  ],
  [
    "bad in_flight: write a number from 1 to 999999",
    [...BAD_NUMBERS, "1/s", "1/m", "1\0"].map((value) => `in_flight=${value}`),
  ],
  [
    "an option given twice: keep one",
    ["rate=1/s rate=1/s", "in_flight=1 in_flight=2", "rate=1/s in_flight=1 rate=1/m"],
  ],
  [
    "unknown option: only expires=, not_before=, rate=, in_flight= are known",
    [
      "Rate=1/s",
      "rate",
      "ratex",
      "in-flight=1",
      "inflight=1",
      "inFlight=1",
      "in_flight",
      "limit=1",
      "burst=1",
    ],
  ],
];

describe("a line is a problem", () => {
  for (const [message, all] of BAD) {
    for (const options of all) {
      test(`if it has ${JSON.stringify(options)}`, () => {
        const text = `${line("ok", 1)}\n${line("ci", 2, options)}\n${line("last", 3)}`;
        const file = parseKeysFile(Buffer.from(text));
        assert.deepEqual(file, { keys: [], problems: [{ line: 2, message }] });
      });
    }
  }
});

const DISAGREEMENT = "another limit than on an earlier line of this name: write it once";

/** The options of several lines of one name, and which lines are problems. */
const LINES_OF_ONE_NAME: readonly (readonly [
  options: readonly string[],
  bad: readonly number[],
])[] = [
  [["rate=1/s", ""], []],
  [["", "rate=1/s"], []],
  [["rate=1/s", "rate=1/s"], []],
  [["rate=1/s", "in_flight=1"], []],
  [["rate=1/s in_flight=1", "in_flight=1", "rate=1/s", ""], []],
  [["rate=1/s", "rate=2/s"], [2]],
  [["rate=1/s", "rate=1/m"], [2]],
  [["rate=1/s", "rate=60/m"], [2]],
  [["in_flight=1", "in_flight=2"], [2]],
  [["rate=1/s", "", "rate=2/s", "rate=1/s"], [3]],
  [["", "in_flight=1", "in_flight=1 rate=1/s", "in_flight=2 rate=1/s"], [4]],
  [
    ["rate=1/s in_flight=1", "rate=2/s in_flight=1", "rate=1/s in_flight=2"],
    [2, 3],
  ],
];

for (const [options, bad] of LINES_OF_ONE_NAME) {
  test(`lines of one name may have ${JSON.stringify(options)}: ${bad.length} problems`, () => {
    const text = options.map((each, index) => line("ci", index, each)).join("\n");
    const { problems } = parseKeysFile(Buffer.from(text));
    assert.deepEqual(
      problems,
      bad.map((number) => ({ line: number, message: DISAGREEMENT })),
    );
  });
}

test("lines of different names may have different limits", () => {
  const text = `${line("a", 1, "rate=1/s")}\n${line("b", 2, "rate=2/s")}\n${line("c", 3)}`;
  const { keys, problems } = parseKeysFile(Buffer.from(text));
  assert.deepEqual(problems, []);
  assert.deepEqual(
    keys.map(({ rate }) => rate?.count),
    [1, 2, undefined],
  );
});
