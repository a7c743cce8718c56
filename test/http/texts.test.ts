import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { asksToClose } from "../../src/http/head.ts";
import { request } from "../support/client.ts";
import { get, lines, post, postHead } from "../support/requests.ts";
import { echo, serveFor } from "../support/server.ts";

const ECHO = { path: "/echo", key: "" };

/** Requests that are rejected, and what their clients read. */
const TEXTS: readonly (readonly [bytes: string | Buffer, status: number, detail: string])[] = [
  ["\0\r\n\r\n", 400, "Bad Request: this is not a valid HTTP/1.1 request"],
  [lines("GET / HTTP/1.1"), 400, "Bad Request: exactly one valid Host header field is required"],
  [get("/none"), 404, "Not Found"],
  [get("/echo"), 405, "Method Not Allowed"],
  [
    postHead(["Expect: x"], ECHO),
    417,
    "Expectation Failed: the only Expect accepted is 100-continue",
  ],
  [
    get(
      "/none",
      Array.from({ length: 101 }, () => "a: b"),
    ),
    431,
    "Request Header Fields Too Large: at most 100 fields and 16384 bytes",
  ],
  [
    postHead(["Transfer-Encoding: gzip, chunked"], ECHO),
    501,
    "Not Implemented: the only Transfer-Encoding accepted is chunked",
  ],
  [lines("BREW / HTTP/1.1", "Host: x"), 501, "Not Implemented: this method is not known"],
  [lines("GET / HTTP/1.2", "Host: x"), 505, "HTTP Version Not Supported: use HTTP/1.1"],
  [
    post("1", [], { ...ECHO, type: "text/plain" }),
    415,
    "Unsupported Media Type: send the body as Content-Type: application/json",
  ],
  [
    post("1", ["Content-Encoding: gzip"], ECHO),
    415,
    "Unsupported Media Type: send the body without a Content-Encoding",
  ],
  [post("12345", [], ECHO), 413, "Content Too Large: the body may have at most 4 bytes"],
  [post(Buffer.from([0xff]), [], ECHO), 400, "There was an error parsing the body"],
];

describe("a rejected request says what to change:", () => {
  for (const [bytes, status, detail] of TEXTS) {
    test(detail, async (t) => {
      const { port } = await serveFor(t, [echo], { maxBodyBytes: 4 });
      const response = await request(port, bytes);
      assert.equal(response.status, status);
      assert.deepEqual(JSON.parse(response.body), { detail });
    });
  }
});

describe("a connection closes after the response if Connection is", () => {
  const asks = (connection: string | undefined): boolean =>
    asksToClose({ headers: { connection } } as Parameters<typeof asksToClose>[0]);
  for (const value of [
    "close",
    "CLOSE",
    " close",
    "\tclose",
    "close\t",
    "  close \t",
    "a, close",
    "close,a",
  ]) {
    test(JSON.stringify(value), () => assert.equal(asks(value), true));
  }
  for (const value of [
    undefined,
    "",
    "closed",
    "xclose",
    "clos",
    "close x",
    "keep-alive",
    "a close",
  ]) {
    test(`but not if it is ${JSON.stringify(value)}`, () => assert.equal(asks(value), false));
  }
});
