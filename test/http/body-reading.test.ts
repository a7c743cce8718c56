import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";

import { json, type Reply } from "../../src/http/reply.ts";
import { route } from "../../src/http/route.ts";
import { exchange, open, request, statusOf } from "../support/client.ts";
import { get, postChunks, postEcho, postHead } from "../support/requests.ts";
import { suiteScope } from "../support/scope.ts";
import { anything, echo, serveFor, type TestService } from "../support/server.ts";
import { until } from "../support/wait.ts";

const LIMIT = 100;

describe("a handler", () => {
  const suite = suiteScope();
  const bodies: unknown[] = [];
  let service: TestService;
  before(async () => {
    const handler = ({ body }: { body: unknown }): Reply => json(200, bodies.push(body));
    const counting = route({ method: "POST", path: "/echo", body: anything, handler });
    service = await serveFor(suite, [counting], { maxBodyBytes: LIMIT });
  });

  test("never sees a body that was rejected, even if the rest arrives", async () => {
    for (const size of [1, LIMIT, 4 * LIMIT]) {
      const tooLong = postChunks(`[${" ".repeat(2 * LIMIT)}]`, size);
      assert.equal(await statusOf(service.port, tooLong), 413);
    }
    assert.deepEqual(bodies, []);
    assert.equal(await statusOf(service.port, postChunks("[]", 1)), 200);
    assert.deepEqual(bodies, [[]]);
  });

  test("never sees a body whose last byte comes after the 408 of a drain", async () => {
    const bytes = postChunks("[]", 1);
    const options = { allowHalfOpen: true };
    const client = await open(service.port, bytes.subarray(0, -1), options);
    await until(() => service.connections.inFlight === 1, "the request");
    const count = bodies.length;
    await service.connections.drain(service.server);
    client.socket.end(bytes.subarray(-1));
    await client.untilClosed();
    assert.deepEqual(
      client.responses.map(({ status }) => status),
      [408],
    );
    assert.equal(bodies.length, count);
  });
});

describe("a body on the wire", { concurrency: 8 }, () => {
  const suite = suiteScope();
  let service: TestService;
  before(async () => {
    service = await serveFor(suite, [echo], { maxBodyBytes: LIMIT });
  });

  const sized = (size: number): string => JSON.stringify("a".repeat(size - 2));

  test("of the limit is read; a byte more is 413", async () => {
    assert.equal(await statusOf(service.port, postEcho(sized(LIMIT))), 200);
    assert.equal(await statusOf(service.port, postEcho(sized(LIMIT + 1))), 413);
  });

  for (const size of [1, 7, 100, 1000]) {
    test(`of the limit is read in chunks of ${size} bytes; a byte more is 413`, async () => {
      assert.equal(await statusOf(service.port, postChunks(sized(LIMIT), size)), 200);
      assert.equal(await statusOf(service.port, postChunks(sized(LIMIT + 1), size)), 413);
    });
  }

  for (const length of ["101", "10485760", "1073741824", "9007199254740993"]) {
    test(`of a declared length of ${length} bytes is 413 before it arrives`, async () => {
      const header = postHead([`Content-Length: ${length}`], { path: "/echo" });
      assert.equal(await statusOf(service.port, header), 413);
    });
  }

  test("in chunks past the limit is 413 before the last one, and closes", async () => {
    const client = await open(service.port, postChunks("1".repeat(50), 10).subarray(0, -5));
    assert.equal(client.responses.length, 0);
    client.send(`64\r\n${"1".repeat(100)}\r\n`);
    const [response] = await client.untilResponses();
    assert.deepEqual([response?.status, response?.headers["connection"]], [413, "close"]);
    await client.untilEnded();
    assert.equal(client.reset, false);
  });

  test("that is cut in the middle of a letter is put together", async () => {
    const bytes = postEcho('"é"');
    const client = await open(service.port, bytes.subarray(0, -2));
    // The first part has been read before the request of another connection is.
    await until(() => service.connections.inFlight > 0, "the request");
    await statusOf(service.port, get("/"));
    client.send(bytes.subarray(-2));
    const [response] = await client.untilResponses();
    assert.deepEqual([response?.status, response?.body], [200, '"é"']);
  });

  test("of no chunks is 422 missing", async () => {
    const { status, body } = await request(service.port, postChunks("", 1));
    assert.equal(status, 422);
    assert.match(body, /"type":"missing","loc":\["body"\]/);
  });

  test("of no chunks is 415 if its type is wrong, too", async () => {
    const fields = ["Transfer-Encoding: chunked"];
    const header = postHead(fields, { path: "/echo", type: "" }).toString("latin1");
    assert.equal(await statusOf(service.port, `${header}0\r\n\r\n`), 415);
  });

  const chunkedHead = postHead(["Transfer-Encoding: chunked"], { path: "/echo", key: "" });

  test("may have chunk extensions and trailer fields, which are ignored", async () => {
    const chunks = '3;a=b;c="d"\r\n[1]\r\n0;x\r\nContent-Type: text/plain\r\nA: b\r\n\r\n';
    const bytes = Buffer.concat([chunkedHead, Buffer.from(chunks)]);
    assert.equal(await statusOf(service.port, bytes), 200);
  });

  const broken: readonly (readonly [name: string, chunks: string])[] = [
    ["a size that is not a number", "x\r\n1\r\n0\r\n\r\n"],
    ["a negative size", "-1\r\n1\r\n0\r\n\r\n"],
    ["a size with 0x", "0x1\r\n1\r\n0\r\n\r\n"],
    ["a chunk longer than its size", "1\r\n12\r\n0\r\n\r\n"],
    ["no line end after a chunk", "1\r\n10\r\n\r\n"],
    ["a size past 64 bits", "ffffffffffffffffff\r\n1\r\n0\r\n\r\n"],
  ];
  for (const [name, chunks] of broken) {
    test(`with ${name} is one 400, and closes`, async () => {
      const bytes = Buffer.concat([chunkedHead, Buffer.from(chunks)]);
      const { responses, closed, reset } = await exchange(service.port, bytes, { close: true });
      assert.deepEqual(
        responses.map(({ status, headers }) => [status, headers["connection"]]),
        [[400, "close"]],
      );
      assert.deepEqual([closed, reset], [true, false]);
    });
  }

  const compressed: Readonly<Record<string, Buffer>> = {
    compressed: gzipSync("[1]"),
    "not compressed as it says": Buffer.from("[1]"),
    "a bomb": gzipSync(Buffer.alloc(30_000)).subarray(0, 90),
  };
  for (const [name, body] of Object.entries(compressed)) {
    test(`that is ${name} is 415, and never inflated`, async () => {
      const bytes = postEcho(body, "Content-Encoding: gzip");
      const { status, headers } = await request(service.port, bytes);
      assert.deepEqual([status, headers["accept-encoding"]], [415, "identity"]);
    });
  }

  test("with two Content-Encoding fields is 415 if one is not identity", async () => {
    const fields = ["Content-Encoding: identity"];
    assert.equal(await statusOf(service.port, postEcho("[1]", ...fields)), 200);
    fields.push("Content-Encoding: gzip");
    assert.equal(await statusOf(service.port, postEcho("[1]", ...fields)), 415);
  });

  test("never becomes a request", async () => {
    const bytes = Buffer.concat([postEcho(get("/smuggled")), postEcho("[1]")]);
    const { responses } = await exchange(service.port, bytes, { count: 2 });
    assert.deepEqual(
      responses.map(({ status }) => status),
      [422, 200],
    );
  });
});
