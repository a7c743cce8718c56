import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";

import { readBody } from "../../src/http/body.ts";
import { MemoryBudget } from "../../src/http/budget.ts";
import type { Exchange } from "../../src/http/exchange.ts";
import { HttpError, json, type Reply } from "../../src/http/reply.ts";
import { route } from "../../src/http/route.ts";
import { exchange, open, request, statusOf } from "../support/client.ts";
import { get, postChunks, postEcho, postHead } from "../support/requests.ts";
import { suiteScope } from "../support/scope.ts";
import { anything, echo, serveFor, type TestService } from "../support/server.ts";
import { until } from "../support/wait.ts";

const LIMIT = 100;

/** A chunked body that a test delivers. */
class ArrivingBody {
  readonly request: EventEmitter = Object.assign(new EventEmitter(), {
    read: () => null,
    headers: { "transfer-encoding": "chunked" },
  });
  /** What readBody() has called back with. */
  readonly results: (Buffer | HttpError)[] = [];
  readonly exchange: Exchange;

  constructor(maxBytes: number, bodyError?: HttpError) {
    const parts = { request: this.request, bodyError, bodyReader: undefined };
    this.exchange = parts as unknown as Exchange;
    const limits = { maxBytes, budget: new MemoryBudget(1_000_000) };
    readBody(this.exchange, limits, (result) => this.results.push(result));
  }

  deliver(chunk: Buffer): void {
    this.request.emit("data", chunk);
  }

  end(): void {
    this.request.emit("end");
  }
}

for (const sizes of [[], [5], [1, 1, 1], [3, 1], [1, 7, 0, 2, 30, 1], Array<number>(50).fill(1)]) {
  test(`a body of chunks of ${sizes.slice(0, 6).join()} bytes is these chunks`, () => {
    const body = new ArrivingBody(LIMIT);
    const chunks = sizes.map((size, index) => Buffer.alloc(size, 65 + index));
    for (const chunk of chunks) body.deliver(Buffer.from(chunk));
    body.end();
    assert.deepEqual(body.results, [Buffer.concat(chunks)]);
    // Nothing holds on to a body that has been read.
    assert.deepEqual(body.request.eventNames(), []);
    assert.equal(body.exchange.bodyReader, undefined);
  });
}

test("a body that has failed before it is read is rejected for that reason", () => {
  const reason = new HttpError(408, "late");
  assert.deepEqual(new ArrivingBody(LIMIT, reason).results, [reason]);
});

test("a body that fails while it is read is rejected for that reason, once", () => {
  const reason = new HttpError(408, "late");
  const body = new ArrivingBody(LIMIT);
  body.deliver(Buffer.from("{"));
  body.exchange.bodyReader?.fail(reason);
  body.deliver(Buffer.from("}"));
  body.end();
  assert.deepEqual(body.results, [reason]);
});

for (const size of [1, 7, 99, 100, 101]) {
  test(`the limit of a body counts bytes, in chunks of ${size}`, () => {
    for (const total of [LIMIT, LIMIT + 1, 10 * LIMIT]) {
      const body = new ArrivingBody(LIMIT);
      for (let at = 0; at < total; at += size) {
        body.deliver(Buffer.alloc(Math.min(size, total - at)));
      }
      body.end();
      const [result, ...others] = body.results;
      assert.deepEqual(others, []);
      if (total === LIMIT) {
        assert.deepEqual(result, Buffer.alloc(LIMIT));
      } else {
        assert.ok(result instanceof HttpError);
        assert.match(`${result.status} ${result.body}`, new RegExp(`^413 .*${LIMIT} bytes`));
      }
    }
  });
}

test("chunks of one byte cost time in proportion to their number", () => {
  leastReadingTime(100_000);
  const ratio = leastReadingTime(800_000) / leastReadingTime(200_000);
  assert.ok(ratio < 12, `four times the chunks took ${ratio} times as long`);
});

/** The least CPU time of reading `count` chunks of one byte, of five rounds. */
function leastReadingTime(count: number): number {
  return Math.min(...Array.from({ length: 5 }, () => readingTime(count)));
}

function readingTime(count: number): number {
  const chunk = Buffer.from("a");
  const body = new ArrivingBody(count);
  const start = process.cpuUsage();
  for (let i = 0; i < count; i += 1) body.deliver(chunk);
  body.end();
  const { user, system } = process.cpuUsage(start);
  assert.equal((body.results[0] as Buffer).length, count);
  return user + system;
}

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
