import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { HttpError, json } from "../../src/http/reply.ts";
import { route } from "../../src/http/route.ts";
import { rawResponse } from "../../src/http/send.ts";
import { exchange, open, type RawResponse, request, statusOf } from "../support/client.ts";
import { get, head, lines, postChunks, postEcho } from "../support/requests.ts";
import { suiteScope } from "../support/scope.ts";
import { echo, serveFor, type TestService } from "../support/server.ts";
import { USES_TLS } from "../support/transport.ts";

const GET = get("/");

/** The longest unread body that keeps its connection. */
const DRAINED_BYTES = 65_536;

/** A POST request that is rejected, without its body. */
function rejectedHead(...fields: readonly string[]): string {
  return lines("POST /nope HTTP/1.1", "Host: x", ...fields);
}

describe("responses", { concurrency: 8 }, () => {
  const suite = suiteScope();
  let service: TestService;
  before(async () => {
    service = await serveFor(suite, [
      echo,
      route({ method: "GET", path: "/", handler: () => json(200, "ok") }),
      route({
        method: "GET",
        path: "/bytes",
        handler: () => ({ status: 200, headers: [], body: Buffer.from("é") }),
      }),
      route({
        method: "GET",
        path: "/text",
        handler: () => ({ status: 200, headers: [], body: "é" }),
      }),
      route({
        method: "GET",
        path: "/none",
        handler: () => ({ status: 204, headers: [], body: "" }),
      }),
      route({
        method: "GET",
        path: "/same",
        handler: () => ({ status: 304, headers: ["ETag", '"x"'], body: "" }),
      }),
      route({
        method: "GET",
        path: "/odd",
        handler: () => ({ status: 299, headers: ["A", "1", "A", "2"], body: "" }),
      }),
    ]);
  });

  for (const path of ["/bytes", "/text"]) {
    test(`have a Content-Length in bytes: ${path}`, async () => {
      const { headers, body } = await request(service.port, get(path));
      assert.deepEqual([headers["content-length"], body], ["2", "é"]);
    });
  }

  for (const path of ["/", "/text", "/none", "/same", "/odd", "/nope", "/echo", "//"]) {
    test(`have Date, X-Request-Id and nosniff, and no Server: ${path}`, async () => {
      const { headers } = await request(service.port, get(path));
      assert.match(headers["date"] ?? "", / GMT$/);
      assert.match(headers["x-request-id"] ?? "", /^[\x21-\x7e]+$/);
      assert.equal(headers["x-content-type-options"], "nosniff");
      assert.ok(!("server" in headers) && !("x-powered-by" in headers));
    });
  }

  test("have neither a body nor Content-Length with 204 and 304", async () => {
    const bytes = get("/none") + get("/same") + GET;
    const { responses } = await exchange(service.port, bytes, { count: 3 });
    assert.deepEqual(
      responses.map(({ status, headers }) => [status, headers["content-length"]]),
      [
        [204, undefined],
        [304, undefined],
        [200, "4"],
      ],
    );
  });

  for (const path of ["/", "/text", "/bytes", "/none", "/same", "/nope"]) {
    test(`have the same fields and no body for HEAD: ${path}`, async () => {
      const toGet = await request(service.port, get(path));
      const toHead = await request(service.port, head(path), { isHead: true });
      assert.deepEqual(stableFields(toHead), stableFields(toGet));
      assert.equal(toHead.status, toGet.status);
    });
  }

  test("to HEAD keep the order of pipelined ones", async () => {
    const client = await open(service.port, head("/").repeat(3) + GET);
    await client.until(() => client.text.endsWith('"ok"'), "the response to GET");
    assert.equal(client.text.split("HTTP/1.1 200 OK").length, 5);
    assert.equal(client.text.split('"ok"').length, 2);
  });

  test("may have a field twice, and a status without a name", async () => {
    const client = await open(service.port, get("/odd"));
    const [response] = await client.untilResponses();
    assert.equal(response?.headers["a"], "1, 2");
    assert.match(client.text, /^HTTP\/1\.1 299 \r\n/);
  });

  test("to bytes that are not a request have all their fields", async () => {
    const { responses, closed, reset } = await exchange(service.port, "garbage\r\n\r\n", {
      close: true,
    });
    const [response, ...others] = responses;
    assert.deepEqual([response?.status, others, closed, reset], [400, [], true, false]);
    const names = Object.keys(response?.headers ?? {}).sort();
    assert.deepEqual(names, [
      "cache-control",
      "connection",
      "content-length",
      "content-security-policy",
      "content-type",
      "date",
      ...(USES_TLS ? ["strict-transport-security"] : []),
      "x-content-type-options",
      "x-request-id",
    ]);
    assert.equal(response?.headers["connection"], "close");
  });

  for (const bytes of [get("/", ["Connection: close"]), lines("GET / HTTP/1.0", "Host: x")]) {
    const [line] = bytes.split("\r\n", 1);
    test(`close the connection if the client wants it: ${line}`, async () => {
      const { responses, closed, reset } = await exchange(service.port, bytes + GET, {
        close: true,
      });
      assert.deepEqual(
        responses.map(({ status, headers }) => [status, headers["connection"]]),
        [[200, "close"]],
      );
      assert.deepEqual([closed, reset], [true, false]);
    });
  }

  test("keep the connection after a body that was read, in chunks or not", async () => {
    const bytes = Buffer.concat([postChunks('"a"', 1), postEcho("1"), Buffer.from(GET)]);
    const { responses } = await exchange(service.port, bytes, { count: 3 });
    assert.deepEqual(
      responses.map(({ status, headers }) => [status, headers["connection"]]),
      Array(3).fill([200, "keep-alive"]),
    );
  });

  for (const length of [1, 5, DRAINED_BYTES]) {
    test(`keep the connection after an unread body of ${length} bytes`, async () => {
      const first = rejectedHead(`Content-Length: ${length}`) + "a".repeat(length);
      const { responses, reset } = await exchange(service.port, first + GET, { count: 2 });
      assert.deepEqual(
        responses.map(({ status }) => status),
        [404, 200],
      );
      assert.notEqual(responses[0]?.headers["connection"], "close");
      assert.equal(reset, false);
    });
  }

  test("to a rejected request come before its small body does", async () => {
    const client = await open(service.port, rejectedHead("Content-Length: 5"));
    assert.equal((await client.untilResponses())[0]?.status, 404);
    client.send(`HELLO${GET}`);
    const responses = await client.untilResponses(2);
    assert.deepEqual(
      responses.map(({ status }) => status),
      [404, 200],
    );
  });
});

test("browsers learn over TLS, and only there, to use nothing else for a year", () => {
  const error = new HttpError(400, "x");
  const field = "\r\nStrict-Transport-Security: max-age=31536000\r\n";
  assert.ok(rawResponse(error, "id", true).includes(field));
  assert.doesNotMatch(rawResponse(error, "id", false), /Strict-Transport-Security/i);
});

/** The fields that do not change from response to response. */
function stableFields({ headers }: RawResponse): object {
  return { ...headers, "x-request-id": "", date: "" };
}

describe("a connection whose body is not read", { concurrency: 8 }, () => {
  const suite = suiteScope();
  let service: TestService;
  before(async () => {
    service = await serveFor(suite, [echo]);
  });

  const bodies: readonly (readonly [name: string, field: string, start: string])[] = [
    ["a byte too long", `Content-Length: ${DRAINED_BYTES + 1}`, "a".repeat(1000)],
    ["chunked", "Transfer-Encoding: chunked", "1\r\na\r\n"],
    ["of 100 GB", "Content-Length: 100000000000", "a".repeat(1000)],
    ["held back for 100 Continue", "Content-Length: 5\r\nExpect: 100-continue", ""],
  ];
  for (const [name, field, start] of bodies) {
    test(`ends with a FIN at once if the body is ${name}`, async () => {
      const options = { allowHalfOpen: true };
      const client = await open(service.port, rejectedHead(field) + start, options);
      const [response, ...others] = await client.untilResponses();
      assert.deepEqual([response?.status, others], [404, []]);
      assert.equal(response?.headers["connection"], "close");
      await client.untilEnded();
      assert.equal(client.reset, false);
      // Reading goes on, so further bytes are no reason for a reset.
      for (let i = 0; i < 5; i += 1) {
        client.send("b".repeat(10_000));
        await sleep(20);
      }
      assert.deepEqual([client.reset, client.responses.length], [false, 1]);
    });
  }

  test("is closed after about 2 s", async (t) => {
    const client = await open(service.port, rejectedHead("Content-Length: 100000"), {
      allowHalfOpen: true,
    });
    await client.untilEnded();
    const timer = setInterval(() => client.send("a"), 50);
    t.after(() => clearInterval(timer));
    await client.untilClosed();
  });

  test("is read for a few MiB, then closed", async () => {
    const client = await open(service.port, rejectedHead("Content-Length: 100000000000"), {
      allowHalfOpen: true,
    });
    await client.untilEnded();
    const block = Buffer.alloc(65_536);
    let sent = 0;
    while (!client.closed && sent < 200 * 1_048_576) {
      sent += block.length;
      if (client.socket.write(block)) continue;
      await new Promise((resolve) => client.socket.once("drain", resolve).once("close", resolve));
    }
    await client.untilClosed();
    // The two kernels hold some of it.
    assert.ok(sent < 64 * 1_048_576, `${sent} bytes`);
  });

  test("takes neither the end of the body nor what follows it for a request", async () => {
    const first = `${rejectedHead("Transfer-Encoding: chunked")}1\r\na\r\n0\r\n\r\n`;
    const client = await open(service.port, first + GET, { allowHalfOpen: true });
    await client.untilEnded();
    // What was sent with the body has been read before this request is.
    assert.equal(await statusOf(service.port, get("/later")), 404);
    assert.deepEqual(
      client.responses.map(({ status }) => status),
      [404],
    );
    assert.deepEqual(
      service.records.filter(({ path }) => path === "/"),
      [],
    );
  });

  test("delivers the whole response during an upload of 2 MiB, 20 times of 20", async () => {
    const body = Buffer.alloc(2_097_152, "a");
    const first = Buffer.from(rejectedHead(`Content-Length: ${body.length}`));
    const bytes = Buffer.concat([first, body]);
    for (let i = 0; i < 20; i += 1) {
      const { responses, reset } = await exchange(service.port, bytes, { close: true });
      const statuses = responses.map(({ status }) => status);
      assert.deepEqual([statuses, reset], [[404], false]);
    }
  });
});
