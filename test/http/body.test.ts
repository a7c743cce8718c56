import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import { test } from "node:test";

import { checkBodyFields, parseBody } from "../../src/http/body.ts";
import { HttpError } from "../../src/http/reply.ts";
import { echo } from "../support/server.ts";

const LIMIT = 100;

/** The rejection of a request with these header fields, which is all that is looked at. */
function check(headers: Readonly<Record<string, string>>): HttpError | undefined {
  return checkBodyFields({ headers } as unknown as IncomingMessage, echo, LIMIT);
}

/** The rejection of a body of any JSON. */
function parse(body: Buffer): HttpError | undefined {
  const result = parseBody(body);
  return result instanceof HttpError ? result : undefined;
}

const TYPES = [
  "application/json",
  "APPLICATION/JSON",
  "Application/Json",
  "application/json;charset=UTF-8",
  "application/json; charset=latin-1",
  'application/json ; Charset="utf-8"',
  "application/json ;",
  "application/json;",
  "application/json\t;x",
  "application/json ",
  "application/json;charset=utf-16",
  "application/vnd.x+json",
  "application/problem+json",
  "application/ld+json;a=b",
  "application/VND.X+JSON",
  "application/a+b+json",
  "application/vnd.api-v1.2_x+json",
  "application/json;,",
];
for (const type of TYPES) {
  test(`a body of the type ${JSON.stringify(type)} is read`, () => {
    assert.equal(check({ "content-length": "1", "content-type": type }), undefined);
  });
}

const OTHER_TYPES = [
  undefined,
  "",
  " ",
  "json",
  "text/json",
  "text/plain",
  "text/plain; application/json",
  "application/x-www-form-urlencoded",
  "multipart/form-data; boundary=x",
  "application/octet-stream",
  "application/jsonx",
  "application/json-seq",
  "application/jsonp",
  "xapplication/json",
  "application/xjson",
  "application/+json",
  "application/json+xml",
  "application/json, application/json",
  "application/json charset=utf8",
  "application/json,",
  "application/json/x",
  "application//json",
  "application/ json",
  "application /json",
  "application/vnd.x+jsonx",
  "application/vnd x+json",
  "application/a/b+json",
  "application/vnd.é+json",
  "*/*",
  "application/*",
  "application/*;json",
  "application/javascript",
  '"application/json"',
  "application%2Fjson",
  "application/json\n",
];
for (const type of OTHER_TYPES) {
  test(`a body of the type ${JSON.stringify(type)} is 415 and learns which one to use`, () => {
    const field = type === undefined ? {} : { "content-type": type };
    const rejection = check({ "content-length": "1", ...field });
    assert.equal(rejection?.status, 415);
    assert.match(rejection?.body ?? "", /^\{"detail":"[^"]*application\/json"\}$/);
    // RFC 9110 15.5.16
    assert.deepEqual(rejection?.headers.slice(-2), ["Accept", "application/json"]);
  });
}

test("before +json stand the characters of a token (RFC 9110 5.6.2), and no others", () => {
  const allowed = String.raw`!#$%&'*+-.^_` + "`|~0123456789abcdefghijklmnopqrstuvwxyz";
  for (let code = 0x20; code < 0x80; code += 1) {
    const character = String.fromCharCode(code);
    const type = `application/x${character}y+json`;
    const isRead = check({ "content-length": "1", "content-type": type }) === undefined;
    assert.equal(isRead, allowed.includes(character.toLowerCase()), type);
  }
});

const CODINGS = [
  "gzip",
  "GZIP",
  "deflate",
  "br",
  "zstd",
  "x-gzip",
  "compress",
  "identity, gzip",
  "gzip, identity",
  "gzip;q=0",
  "x",
  "utf-8",
];
for (const coding of CODINGS) {
  test(`a body with Content-Encoding: ${coding} is 415 and learns that none is accepted`, () => {
    const rejection = check({
      "content-length": "1",
      "content-type": "application/json",
      "content-encoding": coding,
    });
    assert.equal(rejection?.status, 415);
    assert.deepEqual(rejection?.headers.slice(-2), ["Accept-Encoding", "identity"]);
  });
}

for (const coding of ["identity", "Identity", "IDENTITY"]) {
  test(`a body with Content-Encoding: ${coding} is read`, () => {
    const headers = { "content-length": "1", "content-type": "application/json" };
    assert.equal(check({ ...headers, "content-encoding": coding }), undefined);
  });
}

test("the header fields of a body are checked in order: no body, type, coding, size", () => {
  const other = { "content-type": "text/plain" };
  const json = { "content-type": "application/json" };
  const gzip = { "content-encoding": "gzip" };
  const rows: readonly (readonly [Readonly<Record<string, string>>, number | undefined])[] = [
    [{ ...other, ...gzip }, 422],
    [{ "content-length": "0", ...other }, 422],
    [{ "content-length": "101", ...other, ...gzip }, 415],
    [{ "content-length": "101", ...json, ...gzip }, 415],
    [{ "content-length": "101", ...json }, 413],
    [{ "content-length": "100", ...json }, undefined],
    [{ "transfer-encoding": "chunked", ...json }, undefined],
  ];
  for (const [headers, status] of rows) {
    assert.equal(check(headers)?.status, status, JSON.stringify(headers));
  }
});

test("no body needs no type: it is 422, in FastAPI's words", () => {
  const body = '{"detail":[{"type":"missing","loc":["body"],"msg":"Field required","input":null}]}';
  assert.equal(check({})?.body, body);
  assert.equal(parse(Buffer.alloc(0))?.body, body);
});

const BOM = [0xef, 0xbb, 0xbf];

function bytes(...parts: readonly (string | readonly number[])[]): Buffer {
  return Buffer.concat(
    parts.map((part) => (typeof part === "string" ? Buffer.from(part) : Buffer.from(part))),
  );
}

test("one byte order mark at the beginning is not part of the text", () => {
  assert.deepEqual(parseBody(bytes(BOM, '{"a":1}')), { a: 1 });
  assert.deepEqual(parseBody(bytes('{"a":"\ufeff"}')), { a: "\ufeff" });
});

const NO_JSON: readonly (readonly [string, Buffer, number])[] = [
  ["two byte order marks", bytes(BOM, BOM, '{"a":1}'), 0],
  ["a byte order mark alone", bytes(BOM), 0],
  ["a byte order mark after a blank", bytes(" ", BOM, "1"), 1],
  ["a no-break space", bytes("\u00a0{}"), 0],
  ["UTF-16 without a byte order mark", Buffer.from('{"a":1}', "utf16le"), 1],
  ["a lone brace", bytes("{"), 1],
  ["text after the value", bytes("1 2"), 2],
  ["an astral character, which counts once", bytes('"😀" x'), 4],
  ["NaN", bytes("NaN"), 0],
  ["Infinity", bytes("[Infinity]"), 1],
  ["blanks alone", bytes(" \t\r\n"), 4],
  ["a NUL", bytes("\0"), 0],
];
for (const [name, body, position] of NO_JSON) {
  test(`${name} as the body: 422 json_invalid at ${position}, without the body`, () => {
    const rejection = parse(body);
    assert.equal(rejection?.status, 422);
    const { detail } = JSON.parse(rejection?.body ?? "") as { detail: Record<string, unknown>[] };
    const [{ ctx, ...problem } = {}, ...others] = detail;
    const expected = {
      type: "json_invalid",
      loc: ["body", position],
      msg: "JSON decode error",
      input: {},
    };
    assert.deepEqual([problem, others], [expected, []]);
    assert.match(JSON.stringify(ctx), /^\{"error":"[^"]+"\}$/);
  });
}

const NOT_UTF8: readonly (readonly [string, Buffer])[] = [
  ["the byte FF in a string", bytes('{"status":"', [0xff], '"}')],
  ["a sequence cut short", bytes('{"status":"', [0xc3], '"}')],
  ["a sequence cut short at the end", bytes("1", [0xe2, 0x82])],
  ["a lone continuation byte", bytes('"', [0x80], '"')],
  ["an overlong slash", bytes('"', [0xc0, 0xaf], '"')],
  ["a surrogate in UTF-8", bytes('"', [0xed, 0xa0, 0x80], '"')],
  ["a code point past 10FFFF", bytes('"', [0xf4, 0x90, 0x80, 0x80], '"')],
  ["a Latin-1 letter", bytes('{"caf', [0xe9], '":1}')],
  ["a bad byte after the end of the value", bytes("1 ", [0xfe])],
  ["UTF-16 with its byte order mark", bytes([0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00])],
];
for (const [name, body] of NOT_UTF8) {
  test(`a body with ${name} is 400, and never parsed`, () => {
    const rejection = parse(body);
    const detail = '{"detail":"There was an error parsing the body"}';
    assert.deepEqual([rejection?.status, rejection?.body], [400, detail]);
  });
}
