import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { before, describe, test } from "node:test";

import { keySetOf } from "../../src/auth/keys.ts";
import { parseKeysFile } from "../../src/config/keys-file.ts";
import { createGuard, type Keyring } from "../../src/auth/security.ts";
import { type HttpError, json, type Reply } from "../../src/http/reply.ts";
import { type Context, route } from "../../src/http/route.ts";
import { open, request } from "../support/client.ts";
import { countCalls } from "../support/crypto-calls.ts";
import { lines } from "../support/requests.ts";
import { suiteScope } from "../support/scope.ts";
import { anything, serveFor, type TestService } from "../support/server.ts";

const KEY = "k3y,with-a-comma;and=more";
const EXPIRED = "expired-key";
const FUTURE = "future-key";

const file = [
  `ci sha256:${hash("sha256", "ci-key")}`,
  `old sha256:${hash("sha256", EXPIRED)} expires=2020-01-01T00:00:00Z`,
  `new sha256:${hash("sha256", FUTURE)} not_before=9999-01-01T00:00:00Z`,
].join("\n");

const keyring: Keyring = {
  current: [...keySetOf({ default: KEY }), ...parseKeysFile(Buffer.from(file)).keys],
};

/** What the guard leaves in the context of a request with these X-API-Key fields. */
interface Outcome {
  readonly key: string | undefined;
  readonly denialReason: string | undefined;
}

/** Calls the guard itself, and checks that it rejects exactly the requests without a valid key. */
function callGuard(ring: Keyring, values: readonly string[]): Outcome {
  const headers = values.length === 0 ? {} : { "x-api-key": values.join(", ") };
  const rawHeaders = values.flatMap((value) => ["X-API-Key", value]);
  const parts = { request: { headers, rawHeaders }, key: undefined, denialReason: undefined };
  const context = parts as unknown as Context;
  const rejection = createGuard(ring)(context);
  const { key, denialReason } = context;
  if (denialReason === undefined) assert.equal(rejection, undefined);
  else assert.equal((rejection as HttpError).status, 401);
  return { key, denialReason };
}

test("the guard has the original's name", () => {
  assert.equal(createGuard(keyring).name, "validateAuthentication");
});

test("the guard takes the keys that are in force at the moment", () => {
  const ring: Keyring = { current: keySetOf({ a: "1" }) };
  assert.deepEqual(callGuard(ring, ["1"]), { key: "a", denialReason: undefined });
  assert.deepEqual(callGuard(ring, ["2"]), { key: undefined, denialReason: "unknown" });
  ring.current = keySetOf({ b: "2" });
  assert.deepEqual(callGuard(ring, ["2"]), { key: "b", denialReason: undefined });
  assert.deepEqual(callGuard(ring, ["1"]), { key: undefined, denialReason: "unknown" });
});

/** The names of keys that match outside their dates, by the reason of the denial. */
const NAMES_OUTSIDE_DATES: Readonly<Record<string, string>> = {
  expired: "old",
  not_yet_valid: "new",
};

/** Fields of a request, and why the log says it was denied. */
const DENIALS: readonly (readonly [string, readonly string[], string])[] = [
  ["no field", [], "missing"],
  ["an empty field", ["X-API-Key:"], "missing"],
  ["a field of blanks", ["X-API-Key:   "], "missing"],
  ["a field of tabs", ["X-API-Key:\t\t"], "missing"],
  ["a key that is too short", ["X-API-Key: k"], "unknown"],
  ["a key of another length", [`X-API-Key: ${KEY}x`], "unknown"],
  ["the key without its last character", [`X-API-Key: ${KEY.slice(0, -1)}`], "unknown"],
  ["the key in capitals", [`X-API-Key: ${KEY.toUpperCase()}`], "unknown"],
  ["the key in quotes", [`X-API-Key: "${KEY}"`], "unknown"],
  ["the key twice in one field", [`X-API-Key: ${KEY},${KEY}`], "unknown"],
  ["the key twice in one field, with a blank", [`X-API-Key: ${KEY}, ${KEY}`], "malformed"],
  ["a key with a blank in it", ["X-API-Key: a b"], "malformed"],
  ["a Latin-1 letter", ["X-API-Key: caf\xe9"], "malformed"],
  ["the same letter in UTF-8", ["X-API-Key: caf\xc3\xa9"], "malformed"],
  ["smart quotes in UTF-8", [`X-API-Key: \xe2\x80\x9c${KEY}\xe2\x80\x9d`], "malformed"],
  ["an emoji", ["X-API-Key: \xf0\x9f\x94\x91"], "malformed"],
  ["high bytes", ["X-API-Key: \xff\xfe\x80"], "malformed"],
  ["257 bytes", [`X-API-Key: ${"k".repeat(257)}`], "malformed"],
  ["4 KiB", [`X-API-Key: ${"k".repeat(4096)}`], "malformed"],
  ["a wrong key and the right one", ["X-API-Key: bad", `x-api-key: ${KEY}`], "duplicate"],
  ["the right key and a wrong one", [`X-API-Key: ${KEY}`, "x-api-key: bad"], "duplicate"],
  ["the right key twice", [`X-API-Key: ${KEY}`, `X-API-Key: ${KEY}`], "duplicate"],
  ["the right key and an empty field", [`X-API-Key: ${KEY}`, "X-API-Key:"], "duplicate"],
  ["an empty field and the right key", ["X-API-Key:", `X-API-KEY: ${KEY}`], "duplicate"],
  ["two empty fields", ["X-API-Key:", "X-API-Key:"], "duplicate"],
  [
    "the key three times, far apart",
    [`X-API-Key: ${KEY}`, "A: b", `x-API-key: ${KEY}`, "C: d", `X-API-KEY: ${KEY}`],
    "duplicate",
  ],
  ["a key that has expired", [`X-API-Key: ${EXPIRED}`], "expired"],
  ["a key that is not valid yet", [`X-API-Key: ${FUTURE}`], "not_yet_valid"],
  ["the hash of the key", [`X-API-Key: sha256:${hash("sha256", KEY)}`], "unknown"],
  ["a name", ["X-API-Key: default"], "unknown"],
  ["__proto__", ["X-API-Key: __proto__"], "unknown"],
  ["the key in Authorization", [`Authorization: ${KEY}`], "missing"],
  ["the key as a bearer token", [`Authorization: Bearer ${KEY}`], "missing"],
  ["the key in a cookie", [`Cookie: X-API-Key=${KEY}`], "missing"],
  [
    "the key in a misnamed field",
    [`API-Key: ${KEY}`, `X_API_Key: ${KEY}`, `X-API-Key-: ${KEY}`, `XAPIKey: ${KEY}`],
    "missing",
  ],
];

describe("the guard on the wire", { concurrency: 8 }, () => {
  const suite = suiteScope();
  let service: TestService;
  let calls = 0;
  before(async () => {
    const handler = (_body: unknown, { key }: Context): Reply => {
      calls += 1;
      return json(200, key);
    };
    const guarded = route({
      method: "POST",
      path: "/process",
      dependencies: [createGuard(keyring)],
      body: anything,
      handler,
    });
    service = await serveFor(suite, [guarded]);
  });

  let ids = 0;

  /** Sends one POST request with these fields, and a body. */
  async function send(
    fields: readonly string[],
    { target = "/process", framing = "Content-Length: 0", body = "" } = {},
  ): Promise<Received> {
    ids += 1;
    const id = `id-${ids}`;
    const type = "Content-Type: application/json";
    const first = [`POST ${target} HTTP/1.1`, "Host: x", `X-Request-Id: ${id}`, framing, type];
    const client = await open(service.port, lines(...first, ...fields) + body);
    await client.untilResponses();
    const text = client.text.replace(/^(?:Date|X-Request-Id|Connection): .*\r\n/gm, "");
    const { denied, key } = service.records.find(({ requestId }) => requestId === id) ?? {};
    return { text, denied, key };
  }

  for (const [name, fields, denied] of DENIALS) {
    test(`gives the same 401 for ${name}, and the log says ${denied}`, async () => {
      const key = NAMES_OUTSIDE_DATES[denied];
      assert.deepEqual(await send(fields), { text: DENIAL, denied, key });
    });
  }

  const keyBody = JSON.stringify({ "X-API-Key": KEY });
  const bodies: readonly (readonly [name: string, framing: string, body: string])[] = [
    ["malformed JSON", "Content-Length: 10", '{"status":'],
    ["JSON of the wrong shape", "Content-Length: 2", "{}"],
    ["a byte that is not UTF-8", "Content-Length: 1", "\xff"],
    ["a declared body of 100 MB", "Content-Length: 100000000", ""],
    ["a body in chunks", "Transfer-Encoding: chunked", "2\r\n{}\r\n0\r\n\r\n"],
    ["a chunk past any limit", "Transfer-Encoding: chunked", "ffffffff\r\n{}"],
    [
      "a key in a trailer",
      "Transfer-Encoding: chunked",
      `2\r\n{}\r\n0\r\nX-API-Key: ${KEY}\r\n\r\n`,
    ],
    ["a body that never arrives", "Content-Length: 5", ""],
    ["an expectation", "Content-Length: 2\r\nExpect: 100-continue", ""],
    ["the key in the body", `Content-Length: ${keyBody.length}`, keyBody],
    ["a content coding", "Content-Length: 2\r\nContent-Encoding: gzip", "{}"],
  ];
  for (const [name, framing, body] of bodies) {
    test(`gives the same 401 for ${name}, without a key and with a wrong one`, async () => {
      const missing = { text: DENIAL, denied: "missing", key: undefined };
      assert.deepEqual(await send([], { framing, body }), missing);
      const unknown = { text: DENIAL, denied: "unknown", key: undefined };
      assert.deepEqual(await send(["X-API-Key: bad"], { framing, body }), unknown);
    });
  }

  for (const target of ["/process?X-API-Key=KEY", "/process?api_key=KEY", "http://KEY@x/process"]) {
    test(`does not look for a key in ${target}`, async () => {
      const received = await send([], { target: target.replace("KEY", KEY) });
      assert.deepEqual(received, { text: DENIAL, denied: "missing", key: undefined });
    });
  }

  const accepted: readonly (readonly [name: string, field: string, keyName: string])[] = [
    ["as it is", `X-API-Key: ${KEY}`, "default"],
    ["after a name in small letters", `x-api-key: ${KEY}`, "default"],
    ["after a name in capitals", `X-API-KEY: ${KEY}`, "default"],
    ["without a blank before it", `X-API-Key:${KEY}`, "default"],
    ["between blanks and tabs", `X-API-Key: \t ${KEY} \t`, "default"],
    ["of the keys file", "X-API-Key: ci-key", "ci"],
  ];
  for (const [name, field, keyName] of accepted) {
    test(`accepts a key ${name}, and the handler and the log have its name`, async () => {
      const { text, denied, key } = await send([field], {
        framing: "Content-Length: 2",
        body: "{}",
      });
      assert.deepEqual([text.endsWith(`"${keyName}"`), denied, key], [true, undefined, keyName]);
    });
  }

  test("accepts a key in its field, whatever stands elsewhere", async () => {
    const elsewhere = ["Authorization: Bearer bad", "Cookie: X-API-Key=bad", "API-Key: bad"];
    const target = "/process?X-API-Key=bad";
    const options = { target, framing: "Content-Length: 2", body: "{}" };
    const { key } = await send([`X-API-Key: ${KEY}`, ...elsewhere], options);
    assert.equal(key, "default");
  });

  const keyless: readonly (readonly [line: string, status: number])[] = [
    ["GET /process HTTP/1.1", 405],
    ["OPTIONS /process HTTP/1.1", 405],
    ["DELETE /process/ HTTP/1.1", 307],
    ["POST /nope HTTP/1.1", 404],
  ];
  for (const [line, status] of keyless) {
    test(`is not asked for ${line}: ${status}`, async () => {
      const response = await request(service.port, lines(line, "Host: x", "Origin: http://a"));
      assert.equal(response.status, status);
      assert.ok(!("www-authenticate" in response.headers));
    });
  }

  test("keeps every request that it denies from the handler", () => {
    const { records } = service;
    const denied = records.filter(({ denied: reason }) => reason !== undefined);
    assert.ok(denied.length > 40);
    assert.ok(denied.every(({ status }) => status === 401));
    assert.equal(calls, records.filter(({ status }) => status === 200).length);
  });
});

/** A response without what differs from request to request, and what the log has of it. */
interface Received {
  readonly text: string;
  readonly denied: string | undefined;
  readonly key: string | undefined;
}

const DENIAL =
  lines(
    "HTTP/1.1 401 Unauthorized",
    "X-Content-Type-Options: nosniff",
    "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'; sandbox",
    "Content-Type: application/json",
    "Cache-Control: no-store",
    "WWW-Authenticate: X-API-Key",
    "Content-Length: 39",
  ) + '{"detail":"Invalid or missing API Key"}';

test("a denial makes one comparison, unless the request has no key", (t) => {
  const compare = countCalls(t, "timingSafeEqual");
  for (const [name, fields] of DENIALS) {
    const keyFields = fields.filter((field) => /^x-api-key:/i.test(field));
    const values = keyFields.map((field) => field.slice("x-api-key:".length).trim());
    const { denialReason } = callGuard(keyring, values);
    assert.notEqual(denialReason, undefined);
    assert.equal(compare(), denialReason === "missing" ? 0 : 1, name);
  }
});
