import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { FORMATS } from "../../src/models/formats.ts";

describe("a URI", () => {
  // RFC 3986 2.2 and 2.3: gen-delims, sub-delims and unreserved characters.
  const characters = [":/?#[]@", "!$&'()*+,;=", "AZaz09-._~"].join("");

  test("may have each of RFC 3986's characters behind its scheme", () => {
    const refused = [...characters].filter((character) => {
      return !FORMATS.uri.isMet(`urn:${character}`);
    });
    assert.deepEqual(refused, []);
  });

  test("has no other character of ASCII, unless it is percent-encoded", () => {
    for (let code = 0; code < 128; code += 1) {
      const character = String.fromCharCode(code);
      const isOne = characters.includes(character) || /[A-Za-z0-9]/.test(character);
      assert.equal(FORMATS.uri.isMet(`urn:a${character}a`), isOne, `code ${code}`);
      const hex = code.toString(16).padStart(2, "0");
      assert.ok(FORMATS.uri.isMet(`urn:a%${hex}a`));
    }
  });
});

const DATES: readonly (readonly [text: string, isDate: boolean])[] = [
  ["2024-02-29", true],
  ["2023-02-29", false],
  // ISO 8601's years of more than four digits, which a Date takes.
  ["+012020-01-01", false],
  ["-000001-01-01", false],
  ["2020-01-01\n", false],
];

for (const [text, isDate] of DATES) {
  test(`${JSON.stringify(text)} is ${isDate ? "a" : "no"} full-date of RFC 3339`, () => {
    assert.equal(FORMATS.date.isMet(text), isDate);
  });
}

const TIMES: readonly (readonly [time: string, isTime: boolean])[] = [
  ["T00:00:00Z", true],
  ["T09:59:59.999999999z", true],
  ["t19:30:00-09:30", true],
  ["T23:59:59+14:00", true],
  ["T12:00:00-23:59", true],
  ["T24:00:00Z", false],
  ["T12:60:00Z", false],
  ["T12:00:60Z", false],
  ["T12:00:00.Z", false],
  ["T12:00:00+24:00", false],
  ["T12:00:00+00:60", false],
  ["T12:00:00", false],
  ["1T12:00:00Z", false],
  [" T12:00:00Z", false],
  ["T12:00:00Z ", false],
];

for (const [time, isTime] of TIMES) {
  const text = `2020-01-31${time}`;
  test(`${text} is ${isTime ? "a" : "no"} date-time of RFC 3339`, () => {
    assert.equal(FORMATS["date-time"].isMet(text), isTime);
  });
}
