import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { before, describe, test } from "node:test";

import { keySetOf } from "../../src/auth/keys.ts";
import { parseKeysFile } from "../../src/auth/keys-file.ts";
import { createGuard, type Keyring } from "../../src/auth/security.ts";
import { HttpError, json } from "../../src/http/reply.ts";
import { type Context, route } from "../../src/http/route.ts";
import { open } from "../support/client.ts";
import { lines } from "../support/requests.ts";
import { suiteScope } from "../support/scope.ts";
import { anything, serveFor, type TestService } from "../support/server.ts";
import { until } from "../support/wait.ts";

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

test("the guard is named as in the original, and takes the keys that are in force at the moment", () => {
  const own: Keyring = { current: keySetOf({ a: "1" }) };
  const guard = createGuard(own);
  assert.equal(guard.name, "validateAuthentication");
  const ask = (key: string): { key: unknown; denied: unknown } => {
    const request = { headers: { "x-api-key": key }, rawHeaders: ["X-API-Key", key] };
    const context = { request, key: undefined, denialReason: undefined } as unknown as Context;
    const refusal = guard(context);
    assert.ok(
      context.key === undefined
        ? refusal instanceof HttpError && refusal.status === 401
        : refusal === undefined,
    );
    return { key: context.key, denied: context.denialReason };
  };
  assert.deepEqual(ask("1"), { key: "a", denied: undefined });
  assert.deepEqual(ask("2"), { key: undefined, denied: "unknown" });
  own.current = keySetOf({ b: "2" });
  assert.deepEqual(ask("2"), { key: "b", denied: undefined });
  assert.deepEqual(ask("1"), { key: undefined, denied: "unknown" });
});

/** The name that the log has of a key that matches but may not be used now, by the reason. */
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
  let handled = 0;
  before(async () => {
    service = await serveFor(suite, [
      route({
        method: "POST",
        path: "/process",
        dependencies: [createGuard(keyring)],
        body: anything,
        handler: (_body, { key }) => {
          handled += 1;
          return json(200, key);
        },
      }),
    ]);
  });

  let ids = 0;

  /** The bytes of the one answer to a POST, with what may differ taken out, and what the log was told. */
  async function ask(
    fields: readonly string[],
    { target = "/process", framing = "Content-Length: 0", body = "" } = {},
  ): Promise<{ text: string; denied: string | undefined; key: string | undefined }> {
    ids += 1;
    const id = `id-${ids}`;
    const client = await open(service.port);
    client.send(
      lines(
        `POST ${target} HTTP/1.1`,
        "Host: x",
        `X-Request-Id: ${id}`,
        framing,
        "Content-Type: application/json",
        ...fields,
      ) + body,
    );
    await client.untilResponses(1);
    const line = service.records.find(({ requestId }) => requestId === id);
    client.socket.destroy();
    const text = client.text.replace(/^(?:Date|X-Request-Id|Connection): .*\r\n/gm, "");
    return { text, denied: line?.denied, key: line?.key };
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

  for (const [what, fields, denied] of DENIALS) {
    test(`${what}: the log says ${denied}, the client gets the same bytes as ever`, async () => {
      const key = NAMES_OUTSIDE_DATES[denied];
      assert.deepEqual(await ask(fields), { text: DENIAL, denied, key });
    });
  }

  const KEY_BODY = JSON.stringify({ "X-API-Key": KEY });
  const BODIES: readonly (readonly [string, string, string])[] = [
    ["malformed JSON", "Content-Length: 10", '{"status":'],
    ["JSON of the wrong shape", "Content-Length: 2", "{}"],
    ["a byte that isn't UTF-8", "Content-Length: 1", "\xff"],
    ["a body of 100 MB, declared", "Content-Length: 100000000", ""],
    ["a body in chunks", "Transfer-Encoding: chunked", "2\r\n{}\r\n0\r\n\r\n"],
    ["a chunk past any limit", "Transfer-Encoding: chunked", "ffffffff\r\n{}"],
    [
      "a key in a trailer",
      "Transfer-Encoding: chunked",
      `2\r\n{}\r\n0\r\nX-API-Key: ${KEY}\r\n\r\n`,
    ],
    ["a body that is only announced", "Content-Length: 5", ""],
    ["an expectation", "Content-Length: 2\r\nExpect: 100-continue", ""],
    ["the key in the body", `Content-Length: ${KEY_BODY.length}`, KEY_BODY],
    ["a coding that isn't accepted", "Content-Length: 2\r\nContent-Encoding: gzip", "{}"],
  ];
  for (const [what, framing, body] of BODIES) {
    test(`${what} without a key, or with a wrong one, is the same 401 before the body is looked at`, async () => {
      assert.deepEqual(await ask([], { framing, body }), {
        text: DENIAL,
        denied: "missing",
        key: undefined,
      });
      assert.deepEqual(await ask(["X-API-Key: bad"], { framing, body }), {
        text: DENIAL,
        denied: "unknown",
        key: undefined,
      });
    });
  }

  test("a key in the query doesn't count", async () => {
    for (const target of [
      `/process?X-API-Key=${KEY}`,
      `/process?api_key=${KEY}`,
      `http://${KEY}@x/process`,
    ]) {
      assert.deepEqual(await ask([], { target }), {
        text: DENIAL,
        denied: "missing",
        key: undefined,
      });
    }
  });

  test("nothing that was denied has reached the handler", () => {
    assert.equal(service.records.filter(({ denied }) => denied !== undefined).length > 40, true);
    assert.ok(
      service.records.every(({ denied, status }) => (denied === undefined) === (status !== 401)),
    );
  });

  const ACCEPTED: readonly (readonly [string, string, string])[] = [
    ["as it is", `X-API-Key: ${KEY}`, "default"],
    ["in small letters", `x-api-key: ${KEY}`, "default"],
    ["in capitals", `X-API-KEY: ${KEY}`, "default"],
    ["without a blank", `X-API-Key:${KEY}`, "default"],
    ["between blanks and tabs", `X-API-Key: \t ${KEY} \t`, "default"],
    ["of the keys file", "X-API-Key: ci-key", "ci"],
  ];
  for (const [what, field, name] of ACCEPTED) {
    test(`a right key ${what} is let through, and the log and the handler know its name`, async () => {
      const before = handled;
      const { text, denied, key } = await ask([field], {
        framing: "Content-Length: 2",
        body: "{}",
      });
      assert.deepEqual([text.endsWith(`"${name}"`), denied, key], [true, undefined, name]);
      await until(() => handled > before, "the handler");
    });
  }

  test("a right key beside its misuse elsewhere is still right", async () => {
    const fields = [
      `X-API-Key: ${KEY}`,
      "Authorization: Bearer bad",
      "Cookie: X-API-Key=bad",
      "API-Key: bad",
    ];
    const { key } = await ask(fields, {
      target: "/process?X-API-Key=bad",
      framing: "Content-Length: 2",
      body: "{}",
    });
    assert.equal(key, "default");
  });

  test("405, 307 and 404 need no key", async () => {
    for (const [request, status] of [
      [lines("GET /process HTTP/1.1", "Host: x"), 405],
      [
        lines(
          "OPTIONS /process HTTP/1.1",
          "Host: x",
          "Origin: http://a",
          "Access-Control-Request-Method: POST",
        ),
        405,
      ],
      [lines("DELETE /process/ HTTP/1.1", "Host: x"), 307],
      [lines("POST /nope HTTP/1.1", "Host: x"), 404],
    ] as const) {
      const client = await open(service.port);
      client.send(request);
      const [answer] = await client.untilResponses(1);
      assert.equal(answer?.status, status);
      assert.ok(!("www-authenticate" in (answer?.headers ?? {})));
      client.socket.destroy();
    }
  });
});

test("a denial costs the same work whatever its reason: one hash, and every key compared", () => {
  let reads = 0;
  const counted = keyring.current.map((key) => ({
    ...key,
    get hash(): Uint8Array {
      reads += 1;
      return key.hash;
    },
  }));
  const guard = createGuard({ current: counted });
  const works = DENIALS.map(([, fields]) => {
    reads = 0;
    const values = fields
      .filter((field) => /^x-api-key:/i.test(field))
      .map((field) => field.slice(10).trim());
    const headers = values.length === 0 ? {} : { "x-api-key": values.join(", ") };
    const rawHeaders = values.flatMap((value) => ["X-API-Key", value]);
    assert.ok(
      guard({ request: { headers, rawHeaders } } as unknown as Context) instanceof HttpError,
    );
    return reads;
  });
  assert.deepEqual(new Set(works), new Set([counted.length]));
});
