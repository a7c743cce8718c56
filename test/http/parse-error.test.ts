import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { before, describe, test } from "node:test";

import { type ParseError, rejectionOf } from "../../src/http/parse-error.ts";
import { json } from "../../src/http/reply.ts";
import { route } from "../../src/http/route.ts";
import { type Client, exchange, open } from "../support/client.ts";
import { get, lines, postEcho } from "../support/requests.ts";
import { suiteScope } from "../support/scope.ts";
import { echo, serveFor, type TestService } from "../support/server.ts";
import { CONNECTION } from "../support/transport.ts";
import { until } from "../support/wait.ts";

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
    ["", 0, 400],
  ];
  for (const [text, bytesParsed, status] of methods) {
    test(`a method that stops at ${bytesParsed} of ${JSON.stringify(text)} is ${status}`, () => {
      const error = parseError("HPE_INVALID_METHOD", text, bytesParsed);
      assert.equal(rejectionOf(error)?.status, status);
    });
  }

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

/** Request lines and the status of the response. */
const REQUEST_LINES: readonly (readonly [line: string, status: number])[] = [
  ["FOO / HTTP/1.1", 501],
  ["FOO / HTTP/1.0", 501],
  ["foo / HTTP/1.1", 501],
  ["F / HTTP/1.1", 501],
  ["GETX / HTTP/1.1", 501],
  ["POSTS / HTTP/1.1", 501],
  ["GE / HTTP/1.1", 501],
  ["BREW / HTTP/1.1", 501],
  ["FOO * HTTP/1.1", 501],
  ["FOO http://x/ HTTP/1.1", 501],
  ["!#$%&'*+-.^_`|~09AZaz / HTTP/1.1", 501],
  [`${"A".repeat(1000)} / HTTP/1.1`, 501],
  ["FOO / HTTP/2.0", 505],
  ["FOO / HTTP/1.2", 505],
  ["GET / HTTP/1.2", 505],
  ["GET / HTTP/1.9", 505],
  // The parser goes no further than the version.
  ["GET / HTTP/1.20", 505],
  ["GET / HTTP/1.2x", 505],
  ["GET / HTTP/2.0", 505],
  ["GET / HTTP/2.1", 505],
  ["GET / HTTP/3.0", 505],
  ["GET / HTTP/0.9", 505],
  ["GET / HTTP/0.0", 505],
  ["GET / HTTP/9.9", 505],
  ["GET /", 505],
  ["post /echo HTTP/1.1", 400],
  ["Post /echo HTTP/1.1", 400],
  ["gET / HTTP/1.1", 400],
  ["F@O / HTTP/1.1", 400],
  ["G@T / HTTP/1.1", 400],
  ["FOO/BAR / HTTP/1.1", 400],
  ["FOO: / HTTP/1.1", 400],
  ["GET, / HTTP/1.1", 400],
  ["F\xd6O / HTTP/1.1", 400],
  ["FOO\t/ HTTP/1.1", 400],
  [" FOO / HTTP/1.1", 400],
  [" GET / HTTP/1.1", 400],
  ["FOO", 400],
  ["FOO /", 400],
  ["FOO / HTTP/1", 400],
  ["FOO / HTTP/1.10", 400],
  ["FOO / http/1.1", 400],
  ["FOO  / HTTP/1.1", 400],
  ["FOO / a HTTP/1.1", 400],
  ["GET / HTP/1.1", 400],
  ["GET / HTTP/1", 400],
  ["GET / HTTP/2", 400],
  ["GET / HTTP/1.", 400],
  ["GET / HTTP/.1", 400],
  ["GET / HTTP/1.10", 400],
  ["GET / HTTP/11", 400],
  ["GET / HTTP/11.1", 400],
  ["GET / HTTP/01.1", 400],
  ["GET / HTTP/1,1", 400],
  ["GET / HTTP/1.x", 400],
  ["GET / HTTP/x.1", 400],
  ["GET / HTTP/-1.1", 400],
  ["GET / HTTP/1.1x", 400],
  ["GET / HTTP/1.1 ", 400],
  ["GET / http/1.1", 400],
  ["GET / HTTPS/1.1", 400],
  ["GET / ICE/1.0", 400],
  ["GET /x HTTP/1.1.json HTTP/1.1", 400],
  ["GET /x HTTP/1.1 HTTP/1.1", 400],
];

/** Sends each part when the service has read the one before. */
async function sendInParts(
  { server, port }: TestService,
  parts: readonly (string | Buffer)[],
): Promise<Client> {
  const accepted = new Promise<Socket>((resolve) => server.once(CONNECTION, resolve));
  const client = await open(port);
  client.socket.setNoDelay(true);
  const socket = await accepted;
  let sent = 0;
  for (const part of parts) {
    client.send(part);
    sent += part.length;
    await until(() => socket.bytesRead === sent || client.ended, "the part to be read");
  }
  return client;
}

describe("a bad request line", () => {
  const scope = suiteScope();
  let service: TestService;
  before(async () => {
    service = await serveFor(scope, [
      echo,
      route({ method: "GET", path: "/", handler: () => json(200, "ok") }),
    ]);
  });

  for (const [line, status] of REQUEST_LINES) {
    const name = JSON.stringify(line.slice(0, 40));
    test(`${name} is ${status}, and nothing after it is read`, async () => {
      const before = service.records.length;
      const bytes = `${lines(line, "Host: x")}${get("/")}`;
      const { responses, reset } = await exchange(service.port, bytes, { close: true });
      const [response] = responses;
      assert.deepEqual(
        [responses.length, response?.status, response?.headers["connection"], reset],
        [1, status, "close", false],
      );
      assert.match(response?.body ?? "", /^\{"detail":"[^"]+"\}$/);
      assert.deepEqual(
        service.records.slice(before).map((record) => record.status),
        [status],
      );
    });
  }

  test("RTSP/1.0 is taken for HTTP/1.0, since node:http hides the difference", async () => {
    const { responses } = await exchange(service.port, lines("GET / RTSP/1.0"));
    assert.deepEqual(
      responses.map(({ status, headers }) => [status, headers["connection"]]),
      [[200, "close"]],
    );
  });

  // Behind a body, no line end precedes the request line.
  const leaders: readonly (readonly [what: string, bytes: string | Buffer])[] = [
    ["a GET", get("/")],
    ["a body of JSON", postEcho('{"a":[1]}')],
    ["a body that ends in a digit", postEcho("17")],
    ["a body that ends in a line end", postEcho("1\n")],
  ];
  const followers = [
    ["FOO / HTTP/1.1", 501],
    ["GETX / HTTP/1.1", 501],
    ["GET / HTTP/1.2", 505],
    ["FOO / HTTP/1.2", 505],
    ["F@O / HTTP/1.1", 400],
    ["GET / HTP/1.1", 400],
  ] as const;
  for (const [what, leader] of leaders) {
    for (const [line, status] of followers) {
      test(`${line} behind ${what} is ${status}, after the first response`, async () => {
        const bytes = Buffer.concat([Buffer.from(leader), Buffer.from(lines(line, "Host: x"))]);
        const { responses, reset } = await exchange(service.port, bytes, { close: true });
        assert.deepEqual([responses.map((one) => one.status), reset], [[200, status], false]);
      });
    }
  }

  const cuttable = [
    ["FOO / HTTP/1.1", 501],
    ["GETX / HTTP/1.1", 501],
    ["GET / HTTP/1.2", 505],
    ["GET / HTTP/1.20", 505],
    ["GET / HTTP/2.0", 505],
    ["GET / HTTP/9.9", 505],
    ["GET / HTP/1.1", 400],
    ["GET / HTTP/1.x", 400],
    ["GET / HTTP/1.10", 400],
    ["GET /x HTTP/1.1.json HTTP/1.1", 400],
    ["F@O / HTTP/1.1", 400],
  ] as const;
  for (const [line, status] of cuttable) {
    test(`${line} is ${status}, wherever two reads cut it`, async () => {
      const bytes = lines(line, "Host: x");
      for (let cut = 1; cut < bytes.length; cut += 1) {
        const client = await sendInParts(service, [bytes.slice(0, cut), bytes.slice(cut)]);
        await client.untilEnded();
        const statuses = client.responses.map((response) => response.status);
        client.socket.destroy();
        // Without the blank behind it, a method can't be told from any other bytes.
        const isMethodCut = status === 501 && cut > line.search(/O|X/) && cut <= line.indexOf(" ");
        assert.deepEqual(statuses, [isMethodCut ? 400 : status], `cut at ${cut}`);
      }
    });
  }

  test("and bytes that follow it get no second response, and are not read for ever", async () => {
    const before = service.records.length;
    const accepted = new Promise<Socket>((resolve) => {
      service.server.once(CONNECTION, resolve);
    });
    const client = await open(service.port, "F@O\r\n", { allowHalfOpen: true });
    const socket = await accepted;
    await client.untilEnded();
    const garbage = Buffer.alloc(1_000_000, "garbage\r\n");
    for (let index = 0; index < 20; index += 1) client.send(garbage);
    await client.untilClosed();
    assert.equal(client.responses.length, 1);
    assert.equal(service.records.length, before + 1);
    // The last read may go a little past 3 MiB.
    assert.ok(socket.bytesRead > 3_000_000 && socket.bytesRead < 4_000_000, `${socket.bytesRead}`);
  });
});
