import assert from "node:assert/strict";
import { before, describe, test } from "node:test";

import { HEADER_LIMITS } from "../../src/http/head.ts";
import { json } from "../../src/http/reply.ts";
import { route } from "../../src/http/route.ts";
import { exchange, type RawResponse, request } from "../support/client.ts";
import { lines } from "../support/requests.ts";
import { suiteScope } from "../support/scope.ts";
import { anything, serveFor, type TestService } from "../support/server.ts";

const HOST_DETAIL = "Bad Request: exactly one valid Host header field is required";

describe("the header section", { concurrency: 8 }, () => {
  const suite = suiteScope();
  let service: TestService;
  before(async () => {
    service = await serveFor(suite, [
      route({ method: "GET", path: "/", handler: () => json(200, null) }),
      route({
        method: "POST",
        path: "/",
        body: anything,
        handler: ({ body }) => json(200, body ?? null),
      }),
    ]);
  });

  /** The one response to these lines. */
  function send(...text: readonly string[]): Promise<RawResponse> {
    return request(service.port, lines(...text));
  }

  /** The status of the one response to these lines. */
  async function statusFor(...text: readonly string[]): Promise<number> {
    return (await send(...text)).status;
  }

  const good = [
    "x",
    "X",
    "a.b",
    "a.b.",
    "127.0.0.1",
    "localhost:8000",
    "x:",
    "x:0",
    "x:99999999",
    "[::1]",
    "[::1]:80",
    "[fe80::1]",
    "[::ffff:127.0.0.1]:8000",
    "a-b_c~d",
    "%41",
    "a%20b",
    "!$&'()*+,;=",
    "1",
    "x,y",
    " x ",
    "\tx\t",
  ];
  for (const host of good) {
    test(`Host: ${JSON.stringify(host)} is valid`, async () => {
      assert.equal(await statusFor("GET / HTTP/1.1", `Host: ${host}`), 200);
    });
  }

  const bad = [
    "",
    " ",
    "foo|bar",
    "a b",
    "x/",
    "x/y",
    "http://x",
    "x?y",
    "x#y",
    "x@y",
    "u:p@x",
    "x:80:80",
    "x:a",
    "x:-1",
    "x:8 0",
    "[::1",
    "::1",
    "[]",
    "[x]",
    "[::1]x",
    "[::1]:x",
    "%",
    "%4",
    "%zz",
    "x%",
    "a\\b",
    "a^b",
    "a`b",
    "a<b>",
    '"x"',
    "a{b}",
    "x, y",
    "caf\xe9",
    "\xc3\xa9",
    ":80",
    "[fe80::1%eth0]",
  ];
  for (const host of bad) {
    test(`Host: ${JSON.stringify(host)} is 400 and closes the connection`, async () => {
      const { status, body, headers } = await send("GET / HTTP/1.1", `Host: ${host}`);
      assert.deepEqual([status, JSON.parse(body)], [400, { detail: HOST_DETAIL }]);
      assert.equal(headers["connection"], "close");
    });
  }

  const counts: readonly (readonly [string, readonly string[], number])[] = [
    ["no Host", [], 400],
    ["two Hosts", ["Host: x", "Host: y"], 400],
    ["the same Host twice", ["Host: x", "Host: x"], 400],
    ["two Hosts in two spellings", ["host: x", "HOST: x"], 400],
    ["two Hosts far apart", ["Host: x", "A: b", "C: d", "hOST: x"], 400],
    ["an empty and a valid Host", ["Host:", "Host: x"], 400],
    ["only an X-Host", ["X-Host: x"], 400],
    ["only an X-Forwarded-Host", ["X-Forwarded-Host: x"], 400],
    ["a Host in capitals", ["HOST: x"], 200],
    ["a Host after other fields", ["A: b", "Host: x"], 200],
  ];
  for (const [name, fields, status] of counts) {
    test(`${name} is ${status} in HTTP/1.1`, async () => {
      assert.equal(await statusFor("GET / HTTP/1.1", ...fields), status);
    });
  }

  const oldCounts: readonly (readonly [string, readonly string[], number])[] = [
    ["no Host", [], 200],
    ["one Host", ["Host: x"], 200],
    ["the same Host twice", ["Host: x", "Host: x"], 400],
    ["a bad Host", ["Host: a b"], 400],
  ];
  for (const [name, fields, status] of oldCounts) {
    test(`${name} is ${status} in HTTP/1.0`, async () => {
      assert.equal(await statusFor("GET / HTTP/1.0", ...fields), status);
    });
  }

  test("a host in an absolute target does not replace the Host field", async () => {
    assert.equal(await statusFor("GET http://x/ HTTP/1.1"), 400);
    assert.equal(await statusFor("GET http://x/ HTTP/1.1", "Host: y"), 200);
  });

  const versions: readonly (readonly [string, number])[] = [
    ["HTTP/1.1", 200],
    ["HTTP/1.0", 200],
    ["HTTP/2.0", 505],
    ["HTTP/0.9", 505],
    ["HTTP/1.2", 505],
    ["HTTP/3.0", 505],
    ["HTTP/1", 400],
    ["HTTP/11", 400],
    ["HTTP/1.10", 400],
    ["http/1.1", 400],
    ["HTTPS/1.1", 400],
    ["ICE/1.0", 400],
    ["HTTP/1.1x", 400],
    ["HTTP 1.1", 400],
    ["", 400],
  ];
  for (const [version, status] of versions) {
    test(`the version ${JSON.stringify(version)} is ${status}`, async () => {
      const response = await send(`GET / ${version}`, "Host: x");
      assert.equal(response.status, status);
      const connection = status === 200 && version === "HTTP/1.1" ? "keep-alive" : "close";
      assert.equal(response.headers["connection"], connection);
    });
  }

  test("the preface of HTTP/2 gets one 400", async () => {
    const { responses } = await exchange(service.port, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {
      close: true,
    });
    assert.deepEqual(
      responses.map(({ status }) => status),
      [400],
    );
  });

  for (const [count, status] of [
    [HEADER_LIMITS.fields, 200],
    [HEADER_LIMITS.fields + 1, 431],
    [HEADER_LIMITS.fields + 2, 431],
    [150, 431],
    [500, 431],
  ] as const) {
    test(`${count} fields, all different or all the same, are ${status}`, async () => {
      const different = Array.from({ length: count - 1 }, (_, index) => `A${index}: b`);
      const same = Array<string>(count - 1).fill("A: b");
      for (const fields of [different, same]) {
        const response = await send("GET / HTTP/1.1", "Host: x", ...fields);
        assert.equal(response.status, status);
        if (status === 431) assertTooLarge(response);
      }
    });
  }

  const long = "b".repeat(20_000);
  const tooLong: Readonly<Record<string, readonly string[]>> = {
    "one field": ["GET / HTTP/1.1", `A: ${long}`],
    "the key's field": ["GET / HTTP/1.1", `X-API-Key: ${long}`],
    "a field name": ["GET / HTTP/1.1", `${long}: b`],
    "many fields": [
      "GET / HTTP/1.1",
      ...Array.from({ length: 40 }, (_, index) => `A${index}: ${"b".repeat(500)}`),
    ],
    "the target": [`GET /${long} HTTP/1.1`],
  };
  for (const [name, [first = "", ...fields]] of Object.entries(tooLong)) {
    test(`more than 16 KiB in ${name} are 431`, async () => {
      assertTooLarge(await send(first, "Host: x", ...fields));
    });
  }

  test("less than 16 KiB in one field are taken", async () => {
    assert.equal(await statusFor("GET / HTTP/1.1", "Host: x", `A: ${"b".repeat(15_000)}`), 200);
  });

  const codings: readonly (readonly [string, number])[] = [
    ["chunked", 200],
    ["Chunked", 200],
    ["CHUNKED", 200],
    [" chunked ", 200],
    ["gzip", 501],
    ["identity", 501],
    ["gzip, chunked", 501],
    ["x", 501],
    ["xchunked", 501],
    ["chunked, gzip", 400],
    ["chunked;q=1", 501],
    ["chunked, chunked", 400],
    ["chunked\x0b", 400],
  ];
  for (const [coding, status] of codings) {
    test(`Transfer-Encoding: ${JSON.stringify(coding)} is ${status}`, async () => {
      const text = lines(
        "POST / HTTP/1.1",
        "Host: x",
        "Content-Type: application/json",
        `Transfer-Encoding: ${coding}`,
      );
      const { responses } = await exchange(service.port, `${text}1\r\n1\r\n0\r\n\r\n`, {
        close: status !== 200,
      });
      assert.deepEqual(
        responses.map((response) => response.status),
        [status],
      );
      if (status !== 200) assert.equal(responses[0]?.headers["connection"], "close");
    });
  }

  test("Transfer-Encoding in HTTP/1.0 is 400", async () => {
    const text = lines(
      "POST / HTTP/1.0",
      "Host: x",
      "Content-Type: application/json",
      "Transfer-Encoding: chunked",
    );
    const { responses } = await exchange(service.port, `${text}1\r\n1\r\n0\r\n\r\n`, {
      close: true,
    });
    assert.deepEqual(
      responses.map(({ status }) => status),
      [400],
    );
  });

  const framings: readonly (readonly [string, readonly string[]])[] = [
    ["Content-Length and Transfer-Encoding", ["Content-Length: 4", "Transfer-Encoding: chunked"]],
    ["Transfer-Encoding and Content-Length", ["Transfer-Encoding: chunked", "Content-Length: 4"]],
    ["two Content-Lengths", ["Content-Length: 4", "Content-Length: 5"]],
    ["the same Content-Length twice", ["Content-Length: 4", "Content-Length: 4"]],
    ["a list of Content-Lengths", ["Content-Length: 4, 4"]],
    ["a negative Content-Length", ["Content-Length: -1"]],
    ["a Content-Length with a sign", ["Content-Length: +4"]],
    ["a Content-Length in hex", ["Content-Length: 0x4"]],
    ["a Content-Length that is not a number", ["Content-Length: four"]],
    ["a fractional Content-Length", ["Content-Length: 4.0"]],
    ["an empty Content-Length", ["Content-Length:"]],
    ["a Content-Length past 64 bits", ["Content-Length: 99999999999999999999"]],
    ["a folded field", ["A: b", " c"]],
    ["a blank before the colon", ["X-API-Key : k"]],
    ["a field without a colon", ["A"]],
    ["a field without a name", [": b"]],
    ["a field name with a blank", ["A B: c"]],
    ["a NUL in a value", ["A: b\0c"]],
    ["a lone CR in a value", ["A: b\rc"]],
    ["a bare LF after a field", ["A: b\nB: c"]],
  ];
  for (const [name, fields] of framings) {
    test(`${name} is 400, and nothing after it is read`, async () => {
      const text = lines("POST / HTTP/1.1", "Host: x", "Content-Type: application/json", ...fields);
      const { responses, closed, reset } = await exchange(
        service.port,
        `${text}0\r\n\r\n${lines("GET / HTTP/1.1", "Host: x")}`,
        {
          close: true,
        },
      );
      assert.deepEqual(
        responses.map(({ status }) => status),
        [400],
      );
      assert.deepEqual(
        [closed, reset, responses[0]?.headers["connection"]],
        [true, false, "close"],
      );
    });
  }

  const expectations: readonly (readonly [string, number])[] = [
    ["foo", 417],
    ["200-ok", 417],
    ["100", 417],
    ["100-continuex", 417],
    ["x100-continue", 417],
    ["continue", 417],
    ["100-continue, foo", 417],
    ["foo, 100-continue", 417],
    ["100-continue=1", 417],
    ["100-continue", 200],
    ["100-Continue", 200],
    [" 100-CONTINUE ", 200],
  ];
  for (const [value, status] of expectations) {
    test(`Expect: ${JSON.stringify(value)} is ${status}`, async () => {
      assert.equal(await statusFor("GET / HTTP/1.1", "Host: x", `Expect: ${value}`), status);
    });
  }

  for (const value of ["100-continue", "foo"]) {
    test(`Expect: ${value} is ignored in HTTP/1.0`, async () => {
      assert.equal(await statusFor("GET / HTTP/1.0", "Host: x", `Expect: ${value}`), 200);
    });
  }

  test("the service goes on after each of these", async () => {
    assert.equal(await statusFor("GET / HTTP/1.1", "Host: x"), 200);
    assert.deepEqual(service.failures, []);
  });
});

function assertTooLarge({ status, headers, body }: RawResponse): void {
  assert.deepEqual([status, headers["connection"]], [431, "close"]);
  assert.match(body, /^\{"detail":"Request Header Fields Too Large: [^"]*\b100 fields\b/);
}
