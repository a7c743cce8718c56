import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import { test } from "node:test";

import { checkBodyFields } from "../../src/http/body.ts";
import { requestIdOf } from "../../src/http/exchange.ts";
import { checkHead } from "../../src/http/head.ts";
import { locateJsonError } from "../../src/http/json.ts";
import { type ParseError, rejectionOf } from "../../src/http/parse-error.ts";
import { HttpError, json } from "../../src/http/reply.ts";
import { route } from "../../src/http/route.ts";
import { createRouter } from "../../src/http/router.ts";
import { isJson } from "../support/json.ts";
import { echo } from "../support/server.ts";

/*
 * Each test tries every character up to U+0180 in one place, and compares those that are accepted
 * with the grammar.
 */

const EVERY = Array.from({ length: 0x181 }, (_, code) => String.fromCharCode(code));

const DIGITS = "0123456789";
const HEX_DIGITS = `${DIGITS}ABCDEFabcdef`;
const UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LETTERS = UPPER + UPPER.toLowerCase();

/** RFC 9110 5.6.2. */
const TOKEN = `!#$%&'*+-.^_\`|~${DIGITS}${LETTERS}`;
/** RFC 3986 2.3 and 2.2. */
const UNRESERVED = `-._~${DIGITS}${LETTERS}`;
const SUB_DELIMS = "!$&'()*+,;=";

/** The characters that are accepted, in the order of their codes. */
function accepted(isAccepted: (character: string) => boolean): string {
  return EVERY.filter(isAccepted).join("");
}

function sorted(characters: string): string {
  return [...new Set(characters)].sort().join("");
}

function isValidHost(host: string): boolean {
  const request = { httpVersion: "1.1", headers: { host }, rawHeaders: ["Host", host] };
  return checkHead(request as unknown as IncomingMessage) === undefined;
}

const HOSTS: readonly (readonly [place: string, before: string, after: string, set: string])[] = [
  ["at the start of a Host", "", "a", UNRESERVED + SUB_DELIMS],
  ["within a Host", "a", "a", UNRESERVED + SUB_DELIMS],
  ["at the end of a Host", "a", "", `${UNRESERVED}${SUB_DELIMS}:`],
  ["as the first digit of a percent-encoding", "%", "0", HEX_DIGITS],
  ["as the second digit of a percent-encoding", "%0", "", HEX_DIGITS],
  ["in the brackets of a Host", "[", "]", `${HEX_DIGITS}:.`],
  ["behind the brackets of a Host", "[::1]", "", ":"],
  ["as the port of a Host", "a:", "", DIGITS],
  ["behind the port of a Host", "a:1", "", DIGITS],
];
for (const [place, before, after, set] of HOSTS) {
  test(`every character ${place} is as in RFC 9110 7.2`, () => {
    const characters = accepted((character) => isValidHost(before + character + after));
    assert.equal(characters, sorted(set));
  });
}

function isJsonType(type: string): boolean {
  const headers = { "content-type": type, "content-length": "1" };
  return checkBodyFields({ headers } as unknown as IncomingMessage, echo, 10) === undefined;
}

const TYPES: readonly (readonly [place: string, before: string, after: string, set: string])[] = [
  ["at the start of a subtype", "application/", "a+json", TOKEN],
  ["in a subtype", "application/a", "a+json", TOKEN],
  ["before +json", "application/", "+json", TOKEN],
  ["in the place of the plus", "application/a", "json", "+"],
  ["in the place of the slash", "application", "json", "/"],
  ["behind json", "application/json", "", "\t ;"],
  ["behind json, with more behind it", "application/json", "a", ";"],
];
for (const [place, before, after, set] of TYPES) {
  test(`every character ${place} of a Content-Type is as in RFC 9110 8.3.1`, () => {
    const characters = accepted((character) => isJsonType(before + character + after));
    assert.equal(characters, sorted(set));
  });
}

/** Whether a text is JSON, as the one that explains errors reads it. */
function isReadAsJson(text: string): boolean {
  const { position, message } = locateJsonError(text);
  return message === "Extra data" && position === text.length;
}

const JSON_PLACES = [
  ["alone", "[", "]"],
  ["before a digit", "[", "5]"],
  ["behind a zero", "[0", "]"],
  ["behind a digit", "[1", "]"],
  ["within a number", "[1", "5]"],
  ["behind a point", "[1.", "]"],
  ["within a fraction", "[1.5", "5]"],
  ["behind an exponent's letter", "[1e", "]"],
  ["before an exponent's digit", "[1e", "5]"],
  ["within an exponent", "[1e5", "5]"],
  ["as the first digit of an escape", '["\\u', '000"]'],
  ["as the second digit of an escape", '["\\u0', '00"]'],
  ["as the third digit of an escape", '["\\u00', '0"]'],
  ["as the last digit of an escape", '["\\u000', '"]'],
  ["behind a backslash", '["\\', '"]'],
  ["in a string", '["', '"]'],
  ["around a value", "[ ", " 1]"],
] as const;
for (const [place, before, after] of JSON_PLACES) {
  test(`every character ${place} is JSON where JSON.parse says so`, () => {
    const characters = accepted((character) => isReadAsJson(before + character + after));
    assert.equal(
      characters,
      accepted((character) => isJson(before + character + after)),
    );
    assert.notEqual(characters, "");
  });
}

/** The status for a method at which the parser stops after some bytes. */
function statusOfMethod(method: string, bytesParsed: number): number | undefined {
  const rawPacket = Buffer.from(`${method} / HTTP/1.1\r\n`, "latin1");
  const error = Object.assign(new Error("no method"), { code: "HPE_INVALID_METHOD" });
  return rejectionOf(Object.assign(error, { rawPacket, bytesParsed }) as ParseError)?.status;
}

for (const bytesParsed of [0, 1, 2]) {
  test(`every character of a method that stops at ${bytesParsed} is as in RFC 9110 9.1`, () => {
    const bytes = EVERY.slice(0, 256);
    const isMethod = (byte: string): boolean => statusOfMethod(`A${byte}`, bytesParsed) === 501;
    assert.equal(bytes.filter(isMethod).join(""), sorted(TOKEN));
  });
}

function isValidPath(path: string): boolean {
  try {
    createRouter([route({ method: "GET", path, handler: () => json(200, null) })]);
    return true;
  } catch {
    return false;
  }
}

const PATHS: readonly (readonly [place: string, before: string, after: string, set: string])[] = [
  ["within a segment of a route's path", "/a", "a", `${UNRESERVED}/`],
  ["as a segment of a route's path", "/a/", "/a", UNRESERVED.replace(".", "")],
  ["at the start of a route's path", "", "a", "/"],
  ["at the end of a route's path", "/a", "", UNRESERVED],
];
for (const [place, before, after, set] of PATHS) {
  test(`every character ${place} is unreserved in RFC 3986, or a slash`, () => {
    const characters = accepted((character) => isValidPath(before + character + after));
    assert.equal(characters, sorted(set));
  });
}

test("every character of a caller's request id is visible ASCII", () => {
  const visible = EVERY.slice(0x21, 0x7f).join("");
  for (const [before, after] of [
    ["", ""],
    ["a", ""],
    ["", "a"],
    ["a", "a"],
  ] as const) {
    const isUsed = (character: string): boolean => {
      const id = before + character + after;
      return requestIdOf(id) === id;
    };
    assert.equal(accepted(isUsed), visible);
  }
});

test("a router finds nothing for a path with a character that is not its own", () => {
  const find = createRouter([route({ method: "GET", path: "/a", handler: () => json(200, null) })]);
  const characters = accepted((character) => {
    return !(find("GET", `/${character}`, "") instanceof HttpError);
  });
  assert.equal(characters, "a");
});
