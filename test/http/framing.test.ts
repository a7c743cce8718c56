import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { json, type Reply } from "../../src/http/reply.ts";
import { type Route, route } from "../../src/http/route.ts";
import { exchange, open, request } from "../support/client.ts";
import { get, lines, postEcho, postHead } from "../support/requests.ts";
import { echo, serveFor } from "../support/server.ts";

/** `GET /`, which gives this reply. */
function replying(reply: Reply): Route {
  return route({ method: "GET", path: "/", handler: () => reply });
}

describe("a reply with a header field that frames a message", () => {
  const fields = [
    ["Content-Length", "3"],
    ["content-length", "2"],
    ["CONTENT-LENGTH", "0"],
    ["Transfer-Encoding", "chunked"],
    ["transfer-encoding", "identity"],
    ["Connection", "close"],
    ["connection", "keep-alive"],
  ] as const;
  for (const field of fields) {
    test(`${field.join(": ")} is a bug: 500, and one framing on the wire`, async (t) => {
      const service = await serveFor(t, [replying(json(200, {}, field))]);
      const { responses } = await exchange(service.port, get("/"));
      const [response] = responses;
      assert.equal(response?.status, 500);
      assert.equal(response?.body, '{"detail":"Internal Server Error"}');
      assert.equal(response?.headers["content-length"], String(response?.body.length));
      assert.equal(response?.headers["transfer-encoding"], undefined);
      assert.equal(service.failures.length, 1);
      assert.match(String(service.failures[0]?.error), new RegExp(field[0]));
    });
  }

  test("is found behind others, but a value of that name is none", async (t) => {
    const fine = ["X-A", "Connection", "X-Content-Length", "1", "Contents-Length", "2"];
    const service = await serveFor(t, [replying(json(200, {}, fine))]);
    assert.equal((await request(service.port, get("/"))).status, 200);
    const bad = await serveFor(t, [replying(json(200, {}, [...fine, "Connection", "x"]))]);
    assert.equal((await request(bad.port, get("/"))).status, 500);
  });
});

describe("the Content-Security-Policy", () => {
  const DEFAULT = "default-src 'none'; frame-ancestors 'none'; sandbox";

  test("forbids everything unless a reply has its own", async (t) => {
    const service = await serveFor(t, [replying(json(200, {}))]);
    const bytes = [get("/"), get("/nope"), lines("POST / HTTP/1.1", "Host: x"), "junk\r\n\r\n"];
    for (const each of bytes) {
      const { headers } = await request(service.port, each);
      assert.equal(headers["content-security-policy"], DEFAULT);
    }
  });

  test("is a reply's own if it has one, and stands once", async (t) => {
    for (const name of ["Content-Security-Policy", "content-security-policy"]) {
      const own = json(200, {}, [name, "default-src 'self'"]);
      const service = await serveFor(t, [replying(own)]);
      const { headers } = await request(service.port, get("/"));
      assert.equal(headers["content-security-policy"], "default-src 'self'");
    }
  });

  test("stays if another field has its name as a value", async (t) => {
    const named = json(200, {}, ["Access-Control-Expose-Headers", "Content-Security-Policy"]);
    const service = await serveFor(t, [replying(named)]);
    const { headers } = await request(service.port, get("/"));
    assert.equal(headers["content-security-policy"], DEFAULT);
  });
});

describe("a request to close the connection", () => {
  const closing = [
    "close",
    "Close",
    "close\t",
    "\tclose",
    "TE, close\t",
    "TE\t,\tclose ",
    "x,close",
  ];
  for (const option of closing) {
    test(`as ${JSON.stringify(option)} is heeded, and what follows is ignored`, async (t) => {
      const service = await serveFor(t, [replying(json(200, 1)), echo]);
      const bytes = `${get("/", [`Connection: ${option}`])}${get("/")}`;
      const { responses, closed, reset } = await exchange(service.port, bytes, { close: true });
      assert.deepEqual(
        responses.map(({ status, headers }) => [status, headers["connection"]]),
        [[200, "close"]],
      );
      assert.deepEqual([closed, reset], [true, false]);
    });
  }

  test("holds for a request with a body, too", async (t) => {
    const service = await serveFor(t, [echo]);
    const bytes = postEcho('{"a":1}', "Connection: TE, close\t");
    const { responses, closed } = await exchange(service.port, bytes, { close: true });
    assert.deepEqual(
      responses.map(({ status, body }) => [status, body]),
      [[200, '{"a":1}']],
    );
    assert.equal(closed, true);
  });

  for (const option of [
    "keep-alive",
    "closed",
    "x-close",
    "close-x",
    "TE",
    "clo,se",
    "keep\tclose",
  ]) {
    test(`is not in ${JSON.stringify(option)}`, async (t) => {
      const service = await serveFor(t, [replying(json(200, 1))]);
      const client = await open(service.port, get("/", [`Connection: ${option}`]));
      await client.untilResponses(1);
      client.send(get("/"));
      const responses = await client.untilResponses(2);
      assert.deepEqual(
        responses.map(({ status }) => status),
        [200, 200],
      );
      client.socket.destroy();
    });
  }
});

test("a 415 says what to send instead", async (t) => {
  const service = await serveFor(t, [echo]);
  const ask = (fields: readonly string[], type: string): Promise<Record<string, unknown>> =>
    request(
      service.port,
      Buffer.concat([
        postHead(["Content-Length: 2", ...fields], { path: "/echo", key: "", type }),
        Buffer.from("{}"),
      ]),
    ).then(({ status, headers }) => ({
      status,
      accept: headers["accept"],
      encoding: headers["accept-encoding"],
    }));
  for (const type of ["text/plain", "", "application/jsonx", "application/xml"]) {
    const expected = { status: 415, accept: "application/json", encoding: undefined };
    assert.deepEqual(await ask([], type), expected);
  }
  assert.deepEqual(await ask(["Content-Encoding: gzip"], "application/json"), {
    status: 415,
    accept: undefined,
    encoding: "identity",
  });
});
