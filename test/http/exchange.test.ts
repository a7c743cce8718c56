import assert from "node:assert/strict";
import { before, describe, test } from "node:test";

import { requestIdOf } from "../../src/http/exchange.ts";
import { json } from "../../src/http/reply.ts";
import { type Context, route } from "../../src/http/route.ts";
import { open, request, statusOf } from "../support/client.ts";
import { get, lines, postEcho } from "../support/requests.ts";
import { suiteScope } from "../support/scope.ts";
import { anything, serveFor, type TestService } from "../support/server.ts";
import { until } from "../support/wait.ts";

const VISIBLE = Array.from({ length: 94 }, (_, index) => String.fromCharCode(0x21 + index)).join(
  "",
);

const USABLE = [
  "a",
  "0",
  "-",
  "~",
  "!",
  '"',
  "\\",
  "%00",
  "a".repeat(128),
  VISIBLE,
  "5f0c6b0e-3d2a-4b8f-9c1d-7e6a5b4c3d2e",
  "<script>",
];
for (const id of USABLE) {
  test(`the request id ${JSON.stringify(id).slice(0, 50)} is used as it is`, () => {
    assert.equal(requestIdOf(id), id);
  });
}

const UNUSABLE: readonly (string | string[] | undefined)[] = [
  undefined,
  "",
  " ",
  "a b",
  " a",
  "a ",
  "a\t",
  "a\n",
  "\n",
  "a\r\nX: y",
  "a\0",
  "\x7f",
  "\x1b[31m",
  "é",
  "caf\xe9",
  "\u2028",
  "😀",
  "a, b",
  "a".repeat(129),
  "a".repeat(10_000),
  ["a"],
  ["a", "b"],
];
for (const id of UNUSABLE) {
  test(`the request id ${JSON.stringify(id)?.slice(0, 40)} is replaced by a fresh one`, () => {
    const fresh = requestIdOf(id);
    assert.match(fresh, /^[\x21-\x7e]{1,128}$/);
    assert.notEqual(fresh, id);
  });
}

test("no two fresh request ids are the same", () => {
  const ids = Array.from({ length: 10_000 }, () => requestIdOf());
  assert.equal(new Set(ids).size, ids.length);
});

describe("a request id", { concurrency: 8 }, () => {
  const suite = suiteScope();
  let service: TestService;
  before(async () => {
    service = await serveFor(suite, [
      route({
        method: "GET",
        path: "/id",
        handler: (_input, { requestId }) => json(200, requestId),
      }),
      route({ method: "POST", path: "/echo", body: anything, handler: () => json(200, null) }),
    ]);
  });

  /** The id of a request with these fields: the same for its client, its handler and the log. */
  async function idOf(...fields: readonly string[]): Promise<string> {
    const { headers, body } = await request(service.port, get("/id", fields));
    const id = headers["x-request-id"] ?? "";
    assert.equal(body, JSON.stringify(id));
    assert.ok(service.records.some(({ requestId }) => requestId === id));
    return id;
  }

  const callers: readonly (readonly [field: string, id: string])[] = [
    ["X-Request-Id: abc", "abc"],
    ["x-request-id:   abc\t", "abc"],
    [`X-REQUEST-ID: ${"a".repeat(128)}`, "a".repeat(128)],
    [`X-Request-Id: ${VISIBLE}`, VISIBLE],
  ];
  for (const [field, id] of callers) {
    test(`is the caller's with ${JSON.stringify(field.slice(0, 30))}`, async () => {
      assert.equal(await idOf(field), id);
    });
  }

  const replaced = [[], [""], ["a b"], ["a".repeat(129)], ["caf\xe9"], ["a", "b"], ["a", "a"]];
  for (const values of replaced) {
    test(`is a fresh one with ${JSON.stringify(values).slice(0, 30)}`, async () => {
      const id = await idOf(...values.map((value) => `X-Request-Id: ${value}`));
      assert.match(id, /^[A-Za-z0-9_-]+$/);
      assert.ok(!values.includes(id));
    });
  }

  const mine = "X-Request-Id: mine";
  const rejected: readonly (readonly [bytes: string, status: number])[] = [
    [get("/nope", [mine]), 404],
    [lines("POST /id HTTP/1.1", "Host: x", mine), 405],
    [get("/id/", [mine]), 307],
    [lines("GET /id HTTP/1.1", mine), 400],
    [lines("GET /id HTTP/2.0", "Host: x", mine), 505],
    [get("/id", ["Expect: x", mine]), 417],
    [lines("POST /echo HTTP/1.1", "Host: x", mine), 422],
  ];
  for (const [bytes, status] of rejected) {
    test(`is the caller's in a response of ${status}`, async () => {
      const response = await request(service.port, bytes);
      assert.deepEqual([response.status, response.headers["x-request-id"]], [status, "mine"]);
    });
  }
});

describe("an exchange whose client leaves", () => {
  const suite = suiteScope();
  let service: TestService;
  let contexts: Context[] = [];
  let goneCalls = 0;
  before(async () => {
    service = await serveFor(suite, [
      route({
        method: "POST",
        path: "/echo",
        body: anything,
        handler: async (_body, context) => {
          contexts.push(context);
          context.onGone = () => {
            goneCalls += 1;
          };
          await until(() => context.signal.aborted, "the client to leave");
          return json(200, null);
        },
      }),
      route({
        method: "GET",
        path: "/late",
        handler: async (_body, context) => {
          contexts.push(context);
          await until(() => recordsOf("late").length > 0, "the record");
          return json(200, null);
        },
      }),
    ]);
  });

  function recordsOf(id: string): TestService["records"] {
    return service.records.filter(({ requestId }) => requestId === id);
  }

  test("aborts the signal, calls onGone and is logged without a status, once", async () => {
    contexts = [];
    const client = await open(service.port, postEcho("1", "X-Request-Id: leaver"));
    await until(() => contexts.length === 1, "the handler");
    const signal = contexts[0]?.signal;
    assert.equal(signal?.aborted, false);
    assert.equal(contexts[0]?.signal, signal);
    assert.equal(goneCalls, 0);
    client.socket.resetAndDestroy();
    await until(() => signal?.aborted === true, "the abort");
    // By the response to a later request, nothing more can have happened.
    assert.equal(await statusOf(service.port, get("/nope")), 404);
    const [record, ...others] = recordsOf("leaver");
    assert.deepEqual([record?.status, record?.method, record?.path], [null, "POST", "/echo"]);
    assert.deepEqual([others.length, goneCalls], [0, 1]);
  });

  test("has an aborted signal for a handler that reads it afterwards", async () => {
    contexts = [];
    const client = await open(service.port, get("/late", ["X-Request-Id: late"]));
    await until(() => contexts.length === 1, "the handler");
    client.socket.destroy();
    await until(() => recordsOf("late").length > 0, "the record");
    assert.equal(recordsOf("late")[0]?.status, null);
    assert.equal(contexts[0]?.signal.aborted, true);
  });
});

test("a record has the peer's address, the path without the query, and a duration", async (t) => {
  const ok = route({ method: "GET", path: "/id", handler: () => json(200, null) });
  const service = await serveFor(t, [ok]);
  assert.equal(await statusOf(service.port, get("/id?secret")), 200);
  const [record] = service.records;
  const { remote, method, path, status, key, denied, durationMs = -1 } = record ?? {};
  assert.deepEqual([remote, method, path, status], ["127.0.0.1", "GET", "/id", 200]);
  assert.deepEqual([key, denied], [undefined, undefined]);
  assert.ok(durationMs >= 0 && durationMs < 60_000);
});
