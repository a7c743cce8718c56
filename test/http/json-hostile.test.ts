import assert from "node:assert/strict";
import { test } from "node:test";

import { locateJsonError } from "../../src/http/json.ts";

test("containers nested a million deep are read to the error", () => {
  const depth = 1 << 20;
  const [open, close] = ["[".repeat(depth), "]".repeat(depth)];
  const rows: [text: string, position: number, message: string][] = [
    [open, depth, "Expecting value"],
    [open + close.slice(1), 2 * depth - 1, "Expecting ',' delimiter"],
    [open + close + "]", 2 * depth, "Extra data"],
    ['{"a":'.repeat(depth) + "}", 5 * depth, "Expecting value"],
    [
      '[{"😀":'.repeat(depth) + "0" + "}]".repeat(depth - 1) + "]",
      8 * depth - 1,
      "Expecting ',' delimiter",
    ],
  ];
  for (const [text, position, message] of rows) {
    assert.deepEqual(locateJsonError(text), { position, message });
  }
});

/** Texts that are made of a beginning and a repeated unit. */
const REPEATED: readonly (readonly [start: string, units: readonly string[]])[] = [
  ["", ["[", '{"":', "[[],", "[1,", "1", "1e1", "\\u", " ", "😀"]],
  ['"', ["\\n", "\\ud800", "\\u0041", "a", "😀", "漢", '","', "\\"]],
  ["[", [" ", "1 ,", "true,", "{},", '"",', "  1,"]],
  ["-1", ["0", "9"]],
  ["0.", ["0", "9"]],
  ["1e", ["0", "9"]],
];

for (const [start, units] of REPEATED) {
  for (const unit of units) {
    test(`${JSON.stringify(start)} and many ${JSON.stringify(unit)} take linear time`, () => {
      assertLinear((length) => start + unit.repeat(length));
    });
  }
}

test("many nested lists take linear time", () => {
  assertLinear((length) => "[".repeat(length) + "]".repeat(length));
});

/** A text sixteen times as long takes about sixteen times as long, not 256 times. */
function assertLinear(build: (length: number) => string): void {
  const length = 1 << 14;
  const time = leastTime(build(length));
  const longerTime = leastTime(build(16 * length));
  assert.ok(longerTime < 64 * time + 2, `${time} ms, then ${longerTime} ms`);
}

/** The CPU time of finding the error, in ms: the least of five. */
function leastTime(text: string): number {
  const times = Array.from({ length: 5 }, () => {
    const start = process.cpuUsage();
    locateJsonError(text);
    const { user, system } = process.cpuUsage(start);
    return (user + system) / 1000;
  });
  return Math.min(...times);
}
