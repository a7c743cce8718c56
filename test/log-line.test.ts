import assert from "node:assert/strict";
import { describe, test } from "node:test";

import type { RequestRecord } from "../src/http/exchange.ts";
import {
  describeError,
  eventLine,
  LINE_LEVELS,
  responseLevel,
  responseLine,
} from "../src/log-line.ts";

const RECORD: RequestRecord = {
  requestId: "id-1",
  remote: "192.0.2.1",
  method: "POST",
  path: "/process",
  key: "ci",
  denied: undefined,
  isProbe: false,
  status: 200,
  durationMs: 12.345,
};

/** The line of a response that differs from RECORD, read back. */
function read(difference: Partial<RequestRecord>): Record<string, unknown> {
  return parse(responseLine("info", { ...RECORD, ...difference }));
}

/** Reads a line that lacks its beginning. */
function parse(rest: string): Record<string, unknown> {
  return JSON.parse(`{${rest}`) as Record<string, unknown>;
}

test("the levels are those of LOG_LEVEL, the most severe first", () => {
  assert.deepEqual(LINE_LEVELS, ["error", "warn", "info", "debug"]);
});

describe("the level of a response", () => {
  const rows: readonly [expected: string, difference: Partial<RequestRecord>][] = [
    ["info", { status: 200 }],
    ["info", { status: 307 }],
    ["info", { status: 400 }],
    ["info", { status: 404, key: undefined }],
    ["info", { status: 422 }],
    ["info", { status: 499 }],
    ["info", { status: null }],
    ["info", { status: null, isProbe: true }],
    ["info", { status: 400, isProbe: true }],
    ["info", { status: 417, isProbe: true }],
    ["warn", { status: 429 }],
    ["warn", { status: 401, denied: "missing" }],
    ["warn", { status: 401, denied: "expired", isProbe: true }],
    ["warn", { status: null, denied: "unknown" }],
    ["error", { status: 500 }],
    ["error", { status: 503, isProbe: true }],
    ["error", { status: 503, denied: "unknown" }],
    ["error", { status: 599 }],
    ["debug", { status: 200, isProbe: true }],
    ["debug", { status: 204, isProbe: true, key: undefined }],
    ["debug", { status: 399, isProbe: true }],
  ];
  for (const [expected, difference] of rows) {
    test(`is ${expected} for ${JSON.stringify(difference)}`, () => {
      assert.equal(responseLevel({ ...RECORD, ...difference }), expected);
    });
  }
});

test("a line has its fields in this order, and no others", () => {
  assert.equal(
    responseLine("warn", { ...RECORD, denied: "expired" }),
    '"level":"warn","event":"request","request_id":"id-1","remote":"192.0.2.1","method":"POST",' +
      '"path":"/process","status":200,"duration_ms":12.3,"key":"ci","denied":"expired"}',
  );
  assert.equal(
    responseLine("info", { requestId: "id-2", remote: undefined, status: null, durationMs: 0 }),
    '"level":"info","event":"request","request_id":"id-2","status":null,"duration_ms":0}',
  );
});

// 43 characters of base64url, as keygen makes them, with each of its two punctuation marks.
const SECRET = "Ab3-Zm9vYmFyYmF6_cXV4cXV1eGNvcmdlZ3JhdWx0-x";
const KEY = `svk_${SECRET}`;

/** Percent-encodes the characters that `isChosen` picks by their position. */
function encode(text: string, isChosen: (index: number) => boolean): string {
  const encodeOne = (character: string): string =>
    `%${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
  return [...text].map((one, index) => (isChosen(index) ? encodeOne(one) : one)).join("");
}

const all = (): boolean => true;

/** The ways in which a client may write a key, by mistake or not. */
const SPELLINGS: Readonly<Record<string, string>> = {
  "as it is": KEY,
  "without its end": KEY.slice(0, 20),
  "with more after it": `${KEY}${SECRET}`,
  twice: `${KEY}/${KEY}`,
  "in capitals": KEY.toUpperCase(),
  "in small letters": KEY.toLowerCase(),
  "percent-encoded": encode(KEY, all),
  "percent-encoded in capitals": encode(KEY, all).toUpperCase(),
  "in capitals, percent-encoded": encode(KEY.toUpperCase(), all),
  "percent-encoded twice": encode(KEY, all).replaceAll("%", "%25"),
  "percent-encoded four times": encode(KEY, all).replaceAll("%", "%252525"),
  "with every other character encoded": encode(KEY, (index) => index % 2 === 0),
  "with the others encoded": encode(KEY, (index) => index % 2 === 1),
  "with its punctuation encoded": KEY.replaceAll("-", "%2D").replaceAll("_", "%5F"),
  "with its prefix encoded": encode("svk_", all) + SECRET,
  "with its prefix encoded twice": encode("svk_", all).replaceAll("%", "%25") + SECRET,
  "in quotes": `"${KEY}"`,
  "in encoded quotes": `%22${KEY}%22`,
  "behind letters": `xsvk_svk_${SECRET}`,
  "behind a false start": `svsvk_${SECRET}`,
};

/** Fails if a part of the secret is in the text, in any of the spellings. */
function assertHidden(text: string): void {
  const decoded = [text];
  for (let round = 0; round < 5; round += 1) {
    const latest = decoded.at(-1) ?? "";
    decoded.push(
      latest.replace(/%([0-9a-f]{2})/gi, (_, hex: string) =>
        String.fromCharCode(Number.parseInt(hex, 16)),
      ),
    );
  }
  for (const one of decoded) {
    for (let at = 0; at + 6 <= SECRET.length; at += 1) {
      const part = SECRET.slice(at, at + 6).toLowerCase();
      assert.ok(!one.toLowerCase().includes(part), `${part} is in ${text}`);
    }
  }
}

describe("a key", () => {
  for (const [name, spelling] of Object.entries(SPELLINGS)) {
    test(`${name} is in no part of a line`, () => {
      assertHidden(responseLine("info", { ...RECORD, path: `/process/${spelling}/x` }));
      assertHidden(responseLine("info", { ...RECORD, path: spelling }));
      assertHidden(responseLine("info", { ...RECORD, requestId: spelling }));
      assertHidden(
        eventLine("warn", "warning", { message: `what ${spelling} is`, of: [spelling] }),
      );
      assertHidden(eventLine("error", "error", { stack: `Error: ${spelling}\n    at x` }));
    });
  }

  test("leaves the rest of the text as it is", () => {
    assert.equal(read({ path: `/process/${KEY}/x` })["path"], "/process/svk_[redacted]/x");
    assert.equal(read({ path: `/${KEY}:${KEY}` })["path"], "/svk_[redacted]:svk_[redacted]");
    assert.equal(read({ requestId: `a:${KEY}.b` })["request_id"], "a:svk_[redacted].b");
    const event = eventLine("info", "e", { text: `a\t${KEY}\n"${KEY}"\\${KEY}é` });
    const expected = 'a\tsvk_[redacted]\n"svk_[redacted]"\\svk_[redacted]é';
    assert.equal(parse(event)["text"], expected);
  });

  test("is not half there when the path is cut", () => {
    for (let length = 190; length < 270; length += 1) {
      for (const spelling of [KEY, encode(KEY, all)]) {
        const path = `/${"a".repeat(length)}/${spelling}`;
        assertHidden(responseLine("info", { ...RECORD, path }));
        assert.ok(String(read({ path })["path"]).length <= 256);
      }
    }
  });

  for (const text of [
    "/svk",
    "/svk_",
    "/svk-1",
    "/task_1",
    "/vk_abc",
    "/100%25",
    "/%73%76%6b",
    "/s",
  ]) {
    test(`is not seen in ${text}`, () => {
      assert.equal(read({ path: text, requestId: text })["path"], text);
      assert.equal(read({ path: text, requestId: text })["request_id"], text);
    });
  }
});

describe("a userinfo", () => {
  const rows: readonly [target: string, logged: string][] = [
    ["ftp://u:SECRET@a/x", "ftp://a/x"],
    ["ftp://SECRET@a/x", "ftp://a/x"],
    ["ftp://u:SECRET@", "ftp://"],
    ["ftp://u:SEC@RET@a/x", "ftp://a/x"],
    ["ftp://u:SEC/RET@a/x", "ftp://a/x"],
    ["ftp://u%3ASECRET@a/x", "ftp://a/x"],
    ["ftp://u:SECRET%40a/x", "ftp://a/x"],
    ["ws://u:SECRET@[::1]:80/x", "ws://[::1]:80/x"],
    ["//u:SECRET@a/x", "//a/x"],
    ["/\\u:SECRET@a/x", "/\\a/x"],
    ["\\\\u:SECRET@a/x", "\\\\a/x"],
    ["\\\\u:SEC/RET@a/x", "\\\\a/x"],
    ["///u:SECRET@a/x", "///a/x"],
    ["/u:SECRET@a/x", "/a/x"],
    ["/http://u:SECRET@a/x", "/a/x"],
    ["/x/SEC/RET@a/x", "/a/x"],
    ["http:u:SECRET@a/x", "a/x"],
    ["u:SECRET@a", "a"],
    ["SECRET@a", "a"],
    [`ftp://u:${"SECRET".repeat(100)}@a/x`, "ftp://a/x"],
    [`ftp://u:SECRET@a/${"x".repeat(300)}`, `ftp://a/${"x".repeat(248)}`],
    ["/@", "/"],
    ["@", ""],
    ["%40", ""],
    ["/a%4/0@b", "/b"],
  ];
  for (const [target, logged] of rows) {
    test(`is not logged of ${target.slice(0, 40)}`, () => {
      assert.equal(read({ path: target })["path"], logged);
    });
  }

  test("does not exist in a request id", () => {
    assert.equal(read({ requestId: "a:b@c" })["request_id"], "a:b@c");
  });
});

test("a request that met a limit of its key has it at the end", () => {
  const line = responseLine("warn", { ...RECORD, status: 429, limited: "in_flight" });
  assert.match(line, /"status":429,.*,"limited":"in_flight"}$/);
  assert.equal(parse(line)["limited"], "in_flight");
  assert.ok(!("limited" in read({})));
});

test("the address is the client's if it is known, else the peer's, if there is one", () => {
  const line = responseLine("info", RECORD, "2001:db8::1");
  assert.equal(parse(line)["remote"], "2001:db8::1");
  assert.equal(read({})["remote"], "192.0.2.1");
  assert.ok(!("remote" in read({ remote: undefined })));
});

test("a path is cut to 256 characters, whatever they are", () => {
  for (const character of ["a", "_", '"', "%", "\n", "\u00ff", "s"]) {
    for (const length of [255, 256, 257, 16_000]) {
      const path = character.repeat(length);
      assert.equal(read({ path })["path"], path.slice(0, 256));
    }
  }
});

describe("a line is printable ASCII that reads back:", () => {
  const texts = [
    ...['"', "\\", "\\\\", '\\"', "\n", "\r\n", "\t", "\0", "\b", "\f", "\x1b[31m", "\x7f"],
    ...["\x80", "\x85", "\x9b31m", "\xa0", "\u2028", "\u2029", "\ufeff", "\u200b", "\u202e"],
    ...["\ud800", "\udc00", "\udc00\ud800", "é", "😀", "</script>", '","status":500,"x":"'],
    ...["}\n{", "%", "%0a", "%s", "$&", "$1", "__proto__", ""],
  ];
  for (const text of texts) {
    test(JSON.stringify(text), () => {
      const lines = [
        responseLine("info", { ...RECORD, requestId: text, path: `/${text}` }),
        eventLine("info", "e", { text, [text]: [text] }),
      ];
      for (const line of lines) assert.match(line, /^[ -~]+$/);
      const [response, event] = lines.map(parse);
      assert.deepEqual([response?.["request_id"], response?.["path"]], [text, `/${text}`]);
      assert.equal(response?.["status"], 200);
      assert.equal(event?.["text"], text);
      assert.deepEqual(Object.entries(event ?? {}).at(-1), [text, [text]]);
    });
  }
});

describe("what was thrown is described:", () => {
  test("an Error by its stack", () => {
    assert.match(describeError(new TypeError("why")), /^TypeError: why\n +at /);
  });

  test("an Error whose stack is long, by the beginning of it", () => {
    const text = describeError(new Error("a".repeat(10_000_000)));
    assert.match(text, /^Error: a+$/);
    assert.equal(text.length, 16_384);
  });

  const revoked = Proxy.revocable({}, {});
  revoked.revoke();
  const failing = {
    toString: (): string => {
      throw new Error("no text");
    },
  };
  const NO_ERROR = "what was thrown is an object, not an Error: throw an Error or an HttpError";
  const odd: readonly [name: string, thrown: unknown, text: string][] = [
    ["a text", "just text", "just text"],
    ["undefined", undefined, "undefined"],
    ["null", null, "null"],
    ["a number", 1n, "1"],
    ["a symbol", Symbol("s"), "Symbol(s)"],
    ["an Error without a stack", Object.assign(new Error("x"), { stack: undefined }), "undefined"],
    ["an object", { detail: "svk_secret" }, NO_ERROR],
    ["an object without a prototype", Object.create(null), NO_ERROR],
    ["an object that has no text", failing, NO_ERROR],
    ["a revoked proxy", revoked.proxy, "an error that has no text"],
    [
      "an Error whose stack throws",
      Object.defineProperty(new Error("x"), "stack", { get: failing.toString }),
      "an error that has no text",
    ],
  ];
  for (const [name, thrown, text] of odd) {
    test(name, () => assert.equal(describeError(thrown), text));
  }
});
