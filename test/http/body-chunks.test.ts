import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { test } from "node:test";

import { checkBodyMemory, readBody } from "../../src/http/body.ts";
import { MemoryBudget } from "../../src/http/budget.ts";
import type { Exchange } from "../../src/http/exchange.ts";
import { HttpError } from "../../src/http/reply.ts";

/** The longest body. */
const LIMIT = 100;

/** For all bodies. */
const MEMORY = 1_000_000;

interface BodyOptions {
  readonly maxBytes?: number;
  readonly budget?: MemoryBudget;
  /** Why it fails before it is read. */
  readonly bodyError?: HttpError;
}

function statusOf(result: Buffer | HttpError): number | undefined {
  return result instanceof HttpError ? result.status : undefined;
}

/** A chunked body that a test delivers. */
class ArrivingBody {
  readonly request: EventEmitter = Object.assign(new EventEmitter(), {
    read: () => null,
    headers: { "transfer-encoding": "chunked" },
  });
  /** What readBody() has called back with. */
  readonly results: (Buffer | HttpError)[] = [];
  readonly exchange: Exchange;

  constructor({
    maxBytes = LIMIT,
    budget = new MemoryBudget(MEMORY),
    bodyError,
  }: BodyOptions = {}) {
    const parts = { request: this.request, bodyError, bodyReader: undefined };
    this.exchange = parts as unknown as Exchange;
    readBody(this.exchange, { maxBytes, budget }, (result) => this.results.push(result));
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
    const body = new ArrivingBody();
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
  assert.deepEqual(new ArrivingBody({ bodyError: reason }).results, [reason]);
});

test("a body that fails while it is read is rejected for that reason, once", () => {
  const reason = new HttpError(408, "late");
  const body = new ArrivingBody();
  body.deliver(Buffer.from("{"));
  body.exchange.bodyReader?.fail(reason);
  body.deliver(Buffer.from("}"));
  body.end();
  assert.deepEqual(body.results, [reason]);
});

test("a body that is too long is rejected once, even if its rest fails, too", () => {
  const body = new ArrivingBody();
  body.deliver(Buffer.alloc(LIMIT + 1));
  body.exchange.bodyReader?.fail(new HttpError(408, "late"));
  body.end();
  assert.deepEqual(body.results.map(statusOf), [413]);
});

test("a body that has arrived can no longer fail", () => {
  const body = new ArrivingBody();
  const reader = body.exchange.bodyReader;
  body.deliver(Buffer.from("{}"));
  body.end();
  reader?.fail(new HttpError(408, "late"));
  assert.deepEqual(body.results, [Buffer.from("{}")]);
});

test("a body that fails gives back exactly its memory, and only once", () => {
  const budget = new MemoryBudget(MEMORY);
  const body = new ArrivingBody({ budget });
  body.deliver(Buffer.from("a"));
  assert.equal(budget.has(MEMORY), false);
  const reader = body.exchange.bodyReader;
  reader?.fail(new HttpError(408, "late"));
  assert.deepEqual([budget.has(MEMORY), budget.has(MEMORY + 1)], [true, false]);
  reader?.release();
  assert.deepEqual([budget.has(MEMORY), budget.has(MEMORY + 1)], [true, false]);
});

test("a chunk that just fits into the memory of a body takes no more", () => {
  const body = new ArrivingBody({ budget: new MemoryBudget(20) });
  const chunks = ["a".repeat(10), "b".repeat(5), "c".repeat(5)];
  for (const chunk of chunks) body.deliver(Buffer.from(chunk));
  body.end();
  assert.deepEqual(body.results, [Buffer.from(chunks.join(""))]);
});

test("a body is read in the turn in which it arrives", () => {
  const request = new Readable({ read: () => {} });
  Object.assign(request, { headers: { "transfer-encoding": "chunked" } });
  const parts = { request, bodyError: undefined, bodyReader: undefined };
  const budget = new MemoryBudget(MEMORY);
  readBody(parts as unknown as Exchange, { maxBytes: LIMIT, budget }, () => {});
  request.push(Buffer.from("abc"));
  assert.deepEqual([budget.has(MEMORY - 3), budget.has(MEMORY - 2)], [true, false]);
});

for (const size of [1, 7, 99, 100, 101]) {
  test(`the limit of a body counts bytes, in chunks of ${size}`, () => {
    for (const total of [LIMIT, LIMIT + 1, 10 * LIMIT]) {
      const body = new ArrivingBody();
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
  const body = new ArrivingBody({ maxBytes: count });
  const start = process.cpuUsage();
  for (let i = 0; i < count; i += 1) body.deliver(chunk);
  body.end();
  const { user, system } = process.cpuUsage(start);
  assert.equal((body.results[0] as Buffer).length, count);
  return user + system;
}

test("without memory, a body that node:http reads at once is let in, and no longer one", () => {
  const statusFor = (headers: Readonly<Record<string, string>>): number | undefined =>
    checkBodyMemory({ headers } as unknown as IncomingMessage, new MemoryBudget(0))?.status;
  assert.equal(statusFor({ "content-length": "65536" }), undefined);
  assert.equal(statusFor({ "content-length": "65537" }), 503);
  // How long it will be is not known yet.
  assert.equal(statusFor({ "transfer-encoding": "chunked" }), undefined);
});
