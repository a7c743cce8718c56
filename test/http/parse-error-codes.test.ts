import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { type ParseError, rejectionOf } from "../../src/http/parse-error.ts";

/** An error of the parser that stopped at an offset of what it had read last. */
function parseError(code: string, text = "", bytesParsed = 0): ParseError {
  return Object.assign(new Error(code), {
    code,
    rawPacket: Buffer.from(text, "latin1"),
    bytesParsed,
  });
}

describe("the response to an error of the parser", () => {
  const codes: readonly (readonly [code: string, status: number | undefined])[] = [
    ["HPE_HEADER_OVERFLOW", 431],
    ["HPE_CHUNK_EXTENSIONS_OVERFLOW", 413],
    ["ERR_HTTP_REQUEST_TIMEOUT", 408],
    ["HPE_INVALID_HEADER_TOKEN", 400],
    ["HPE_INVALID_METHOD", 400],
    ["HPE_INVALID_VERSION", 400],
    ["HPE_ANYTHING_NEW", 400],
    ["ECONNRESET", undefined],
    ["EPIPE", undefined],
    ["XHPE_INVALID_METHOD", undefined],
    ["", undefined],
  ];
  for (const [code, status] of codes) {
    test(`${JSON.stringify(code)} is ${status ?? "none"}`, () => {
      assert.equal(rejectionOf(parseError(code))?.status, status);
    });
  }

  test("an error without a code or bytes has none", () => {
    assert.equal(rejectionOf(new Error("no code")), undefined);
    const error = Object.assign(new Error("no bytes"), { code: "HPE_INVALID_METHOD" });
    assert.equal(rejectionOf(error)?.status, 400);
  });

  const methods: readonly (readonly [text: string, bytesParsed: number, status: number])[] = [
    ["FOO / HTTP/1.1\r\n", 0, 501],
    ["FOO / HTTP/1.1\n", 0, 501],
    ["FOO / HTTP/1.2\r\n", 0, 505],
    ["FOO / HTTP/1.1", 0, 501],
    ["FOO", 0, 400],
    ["FOO ", 0, 501],
    ["FOO / HTTP/1.1 \r\n", 0, 400],
    ["FOO /\r\n", 0, 400],
    ["FOO\r\n", 0, 400],
    [" FOO / HTTP/1.1\r\n", 0, 400],
    ["GETX / HTTP/1.1\r\n", 3, 501],
    ["get / HTTP/1.1\r\n", 0, 400],
    ["G@O / HTTP/1.1\r\n", 1, 400],
    ["G FOO / HTTP/1.1\r\n", 1, 400],
    ["a: b\r\n\r\nGETX / HTTP/1.1\r\n", 11, 501],
    ['"body"GETX / HTTP/1.1\r\n', 9, 501],
    ["FOO  HTTP/1.1\r\n", 0, 400],
    // RFC 9112 2.2: a CR alone is part of nothing.
    ["FOO \r/ HTTP/1.1\r\n", 0, 400],
    ["FOO /\r HTTP/1.1\n", 0, 400],
    ["", 0, 400],
  ];
  for (const [text, bytesParsed, status] of methods) {
    test(`a method that stops at ${bytesParsed} of ${JSON.stringify(text)} is ${status}`, () => {
      const error = parseError("HPE_INVALID_METHOD", text, bytesParsed);
      assert.equal(rejectionOf(error)?.status, status);
    });
  }

  test("a method has the characters of a token (RFC 9110 5.6.2), and no others", () => {
    const allowed = String.raw`!#$%&'*+-.^_` + "`|~0123456789abcdefghijklmnopqrstuvwxyz";
    for (let code = 0; code < 0x100; code += 1) {
      const character = String.fromCharCode(code);
      const error = parseError("HPE_INVALID_METHOD", `${character} / HTTP/1.1\r\n`, 1);
      const expected = allowed.includes(character.toLowerCase()) ? 501 : 400;
      assert.equal(rejectionOf(error)?.status, expected, `character ${code}`);
    }
  });

  test("a parser that does not tell how far it got has read nothing", () => {
    for (const [text, status] of [
      ["FOO / HTTP/1.1\r\n", 501],
      ["@FOO / HTTP/1.1\r\n", 400],
    ] as const) {
      const members = { code: "HPE_INVALID_METHOD", rawPacket: Buffer.from(text) };
      assert.equal(rejectionOf(Object.assign(new Error("x"), members))?.status, status);
    }
  });

  test("an overflow and a timeout say what was too much", () => {
    const detailOf = (code: string): unknown =>
      JSON.parse(rejectionOf(parseError(code))?.body ?? "");
    assert.deepEqual(detailOf("HPE_CHUNK_EXTENSIONS_OVERFLOW"), {
      detail: "Content Too Large: the chunk extensions are too long",
    });
    assert.deepEqual(detailOf("ERR_HTTP_REQUEST_TIMEOUT"), {
      detail: "Request Timeout: the request has not arrived in time",
    });
  });

  test("a version is 505 if the parser does not know it, and 400 if it is malformed", () => {
    const error = parseError("HPE_INVALID_VERSION");
    assert.equal(rejectionOf(Object.assign(error, { reason: "Expected dot" }))?.status, 400);
    assert.equal(
      rejectionOf(Object.assign(error, { reason: "Invalid HTTP version" }))?.status,
      505,
    );
  });

  test("a method of 64 KiB takes no longer than another", () => {
    const text = `${"a".repeat(65_535)}@`;
    const error = parseError("HPE_INVALID_METHOD", text, text.length - 1);
    assert.equal(rejectionOf(error)?.status, 400);
  });
});
