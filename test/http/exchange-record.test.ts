import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { test } from "node:test";

import { MemoryBudget } from "../../src/http/budget.ts";
import type { Connection } from "../../src/http/connection.ts";
import { Exchange, requestIdOf } from "../../src/http/exchange.ts";
import { HttpError } from "../../src/http/reply.ts";
import { route } from "../../src/http/route.ts";
import { connect, largeBudget } from "../support/fake-connection.ts";

/** What a test wants of a request, its response and its connection. */
interface Parts {
  readonly url?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  /** node:http has not noticed that the client asks to close. */
  readonly shouldKeepAlive?: boolean;
  readonly connection?: Connection;
}

/** The exchanges that have ended, and their statuses. */
const ended: [exchange: Exchange, status: number | null][] = [];

function begin(parts: Parts = {}): Exchange {
  const { headers = {}, shouldKeepAlive = true } = parts;
  const { connection = connect(largeBudget(), 0).connection } = parts;
  const url = "url" in parts ? parts.url : "/";
  const request = { method: "GET", url, headers, complete: true };
  const response = Object.assign(new EventEmitter(), { shouldKeepAlive, writableFinished: true });
  return new Exchange(
    request as unknown as IncomingMessage,
    response as unknown as ServerResponse,
    connection,
    (...values) => ended.push(values),
  );
}

const LATE = new HttpError(408, "late");

test("the record of a request without a route has its path as received, without the query", (t) => {
  let now = 1000;
  t.mock.method(performance, "now", () => now);
  const headers = { "x-request-id": "mine", "x-forwarded-for": "192.0.2.1, 192.0.2.2" };
  const exchange = begin({ url: "/nope%20?key=secret", headers });
  now += 25;
  assert.deepEqual(exchange.toRecord(404), {
    requestId: "mine",
    remote: "127.0.0.1",
    forwardedFor: "192.0.2.1, 192.0.2.2",
    method: "GET",
    route: undefined,
    path: "/nope%20",
    key: undefined,
    denied: undefined,
    limited: undefined,
    isProbe: false,
    status: 404,
    durationMs: 25,
  });
});

test("the record of a request with a route has the route's path, and what the guard noted", () => {
  const exchange = begin({ url: "/jobs/5" });
  const { context } = exchange;
  const handler = (): never => assert.fail();
  exchange.route = route({ method: "GET", path: "/jobs", isProbe: true, handler });
  context.key = "ci";
  context.denialReason = "expired";
  context.limited = "rate";
  const { route: path, path: logged, key, denied, limited, isProbe } = exchange.toRecord(null);
  assert.deepEqual([path, logged, isProbe], ["/jobs", "/jobs", true]);
  assert.deepEqual([key, denied, limited], ["ci", "expired", "rate"]);
});

test("an exchange has the two parts of its target, and expects nothing of its request", () => {
  const { path, query, isHeadValid, awaitsContinue, bodyError } = begin({ url: "/a?b=c" });
  assert.deepEqual([path, query], ["/a", "?b=c"]);
  assert.deepEqual([isHeadValid, awaitsContinue, bodyError], [false, false, undefined]);
  assert.equal(begin({ url: undefined }).path, "/");
});

test("a client asks to close only if node:http has not noticed", () => {
  const headers = { connection: "close\t" };
  assert.equal(begin({ headers }).asksToClose, true);
  assert.equal(begin({ headers, shouldKeepAlive: false }).asksToClose, false);
  assert.equal(begin().asksToClose, false);
});

test("a body that fails is known to fail, whether or not it is read already", () => {
  const unread = begin();
  unread.failBody(LATE);
  assert.equal(unread.bodyError, LATE);
  const exchange = begin();
  const reasons: HttpError[] = [];
  exchange.bodyReader = {
    fail: (reason) => reasons.push(reason),
    release: () => assert.fail(),
  };
  exchange.failBody(LATE);
  assert.deepEqual([exchange.bodyError, reasons], [LATE, [LATE]]);
});

test("an exchange that ends gives up its memory, and says so once", () => {
  const budget = new MemoryBudget(8192);
  const { connection } = connect(budget, 0);
  const exchange = begin({ connection });
  begin({ connection });
  assert.equal(budget.has(1), false);
  let released = 0;
  exchange.bodyReader = {
    fail: () => assert.fail(),
    release: () => (released += 1),
  };
  ended.length = 0;
  exchange.end(200);
  assert.deepEqual(ended, [[exchange, 200]]);
  assert.deepEqual([exchange.hasEnded, released, budget.has(8192)], [true, 1, true]);
});

test("fresh request ids have 16 random digits of the process, and are numbered", () => {
  const [first, second] = [requestIdOf(), requestIdOf()].map((id) => id.split("-"));
  assert.match(first?.[0] ?? "", /^[0-9a-f]{16}$/);
  assert.equal(second?.[0], first?.[0]);
  assert.equal(Number(second?.[1]), Number(first?.[1]) + 1);
});
