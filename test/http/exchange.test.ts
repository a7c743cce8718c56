import assert from "node:assert/strict";
import { before, describe, test } from "node:test";

import { requestIdOf } from "../../src/http/exchange.ts";
import { json } from "../../src/http/reply.ts";
import { type Context, route } from "../../src/http/route.ts";
import { exchange, open } from "../support/client.ts";
import { lines, postEcho } from "../support/requests.ts";
import { suiteScope } from "../support/scope.ts";
import { anything, serveFor, type TestService } from "../support/server.ts";
import { until } from "../support/wait.ts";

const VISIBLE = Array.from({ length: 94 }, (_, index) => String.fromCharCode(0x21 + index)).join(
  "",
);

const TAKEN = [
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
for (const id of TAKEN) {
  test(`the caller's request id ${JSON.stringify(id)} is taken over`, () => {
    assert.equal(requestIdOf(id), id);
  });
}

const REPLACED: readonly (string | string[] | undefined)[] = [
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
for (const id of REPLACED) {
  test(`the caller's request id ${JSON.stringify(id)?.slice(0, 40)} is replaced by a fresh one`, () => {
    const made = requestIdOf(id);
    assert.match(made, /^[\x21-\x7e]{1,128}$/);
    assert.notEqual(made, id);
  });
}

test("no two fresh request ids are the same", () => {
  const ids = Array.from({ length: 10_000 }, () => requestIdOf());
  assert.equal(new Set(ids).size, ids.length);
});

describe("an exchange", () => {
  const suite = suiteScope();
  let service: TestService;
  let contexts: Context[] = [];
  let gone = 0;
  before(async () => {
    service = await serveFor(suite, [
      route({
        method: "GET",
        path: "/id",
        handler: (_body, { requestId }) => json(200, requestId),
      }),
      route({
        method: "POST",
        path: "/echo",
        body: anything,
        handler: async (_body, context) => {
          contexts.push(context);
          context.onGone = () => {
            gone += 1;
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
          await until(
            () => service.records.some(({ path, status }) => path === "/late" && status === null),
            "the line",
          );
          return json(200, null);
        },
      }),
    ]);
  });

  /** The X-Request-Id of the answer to a request with these fields, which is also what the handler and the log know. */
  async function idOf(...fields: readonly string[]): Promise<string> {
    const { responses } = await exchange(
      service.port,
      lines("GET /id HTTP/1.1", "Host: x", ...fields),
    );
    const id = responses[0]?.headers["x-request-id"] ?? "";
    assert.equal(responses[0]?.body, JSON.stringify(id));
    await until(() => service.records.some(({ requestId }) => requestId === id), "the line");
    return id;
  }

  test("the caller's X-Request-Id is in the answer, the log and the handler's context", async () => {
    assert.equal(await idOf("X-Request-Id: abc"), "abc");
    assert.equal(await idOf("x-request-id:   abc\t"), "abc");
    assert.equal(await idOf(`X-REQUEST-ID: ${"a".repeat(128)}`), "a".repeat(128));
    assert.equal(await idOf(`X-Request-Id: ${VISIBLE}`), VISIBLE);
  });

  test("an X-Request-Id that is no such text, or is sent twice, is replaced", async () => {
    for (const fields of [
      [],
      [""],
      ["a b"],
      ["a".repeat(129)],
      ["caf\xe9"],
      ["a", "b"],
      ["a", "a"],
    ]) {
      const id = await idOf(...fields.map((value) => `X-Request-Id: ${value}`));
      assert.match(id, /^[A-Za-z0-9_-]+$/);
      assert.ok(!fields.includes(id));
    }
  });

  test("responses to requests that are refused have the caller's X-Request-Id, too", async () => {
    const field = "X-Request-Id: mine";
    const rows: readonly (readonly [string, number])[] = [
      [lines("GET /nope HTTP/1.1", "Host: x", field), 404],
      [lines("POST /id HTTP/1.1", "Host: x", field), 405],
      [lines("GET /id/ HTTP/1.1", "Host: x", field), 307],
      [lines("GET /id HTTP/1.1", field), 400],
      [lines("GET /id HTTP/2.0", "Host: x", field), 505],
      [lines("GET /id HTTP/1.1", "Host: x", "Expect: x", field), 417],
      [lines("POST /echo HTTP/1.1", "Host: x", field), 422],
    ];
    for (const [request, status] of rows) {
      const { responses } = await exchange(service.port, request);
      assert.deepEqual(
        [responses[0]?.status, responses[0]?.headers["x-request-id"]],
        [status, "mine"],
      );
    }
  });

  test("the signal is aborted and onGone called when the client leaves, and the log is told of no status", async () => {
    contexts = [];
    gone = 0;
    const client = await open(service.port);
    client.send(postEcho("1", "X-Request-Id: leaver"));
    await until(() => contexts.length === 1, "the handler");
    const signal = contexts[0]?.signal;
    assert.equal(signal?.aborted, false);
    assert.equal(contexts[0]?.signal, signal);
    assert.equal(gone, 0);
    client.socket.resetAndDestroy();
    await until(() => signal?.aborted === true, "the abort");
    const line = service.records.find(({ requestId }) => requestId === "leaver");
    assert.deepEqual([line?.status, line?.method, line?.path], [null, "POST", "/echo"]);
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(service.records.filter(({ requestId }) => requestId === "leaver").length, 1);
    assert.equal(gone, 1);
  });

  test("a signal that is asked for after the client has left is aborted already", async () => {
    contexts = [];
    const client = await open(service.port);
    client.send(lines("GET /late HTTP/1.1", "Host: x"));
    await until(() => contexts.length === 1, "the handler");
    client.socket.destroy();
    await until(
      () => service.records.some(({ path, status }) => path === "/late" && status === null),
      "the line",
    );
    assert.equal(contexts[0]?.signal.aborted, true);
  });

  test("the log is told of the remote address, the path without the query, and how long it took", async () => {
    const { responses } = await exchange(
      service.port,
      lines("GET /id?secret HTTP/1.1", "Host: x", "X-Request-Id: told"),
    );
    assert.equal(responses.length, 1);
    const line = service.records.find(({ requestId }) => requestId === "told");
    assert.deepEqual(
      [line?.remote, line?.method, line?.path, line?.status],
      ["127.0.0.1", "GET", "/id", 200],
    );
    assert.ok((line?.durationMs ?? -1) >= 0 && (line?.durationMs ?? Infinity) < 60_000);
    assert.deepEqual([line?.key, line?.denied], [undefined, undefined]);
  });
});
