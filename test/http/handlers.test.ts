import assert from "node:assert/strict";
import { before, describe, test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { HttpError, json, type Reply } from "../../src/http/reply.ts";
import { type Context, type Dependency, type Route, route } from "../../src/http/route.ts";
import type { Limits } from "../../src/http/server.ts";
import { exchange, open, request, statusOf } from "../support/client.ts";
import { get, postEcho } from "../support/requests.ts";
import { suiteScope } from "../support/scope.ts";
import { anything, serveFor, type TestService } from "../support/server.ts";
import { until } from "../support/wait.ts";

const OK: Reply = json(200, {});

/** A handler that TypeScript would not accept. */
type AnyHandler = (input: unknown, context: Context) => unknown;

/** `GET /faulty` and `GET /fine`, until the test ends. */
function serveFaulty(
  t: TestContext,
  handler: AnyHandler,
  limits: Partial<Limits> = {},
): Promise<TestService> {
  const faulty = handler as Route["handler"];
  return serveFor(
    t,
    [
      route({ method: "GET", path: "/faulty", handler: faulty }),
      route({ method: "GET", path: "/fine", handler: () => OK }),
    ],
    limits,
  );
}

function throwing(error: unknown): () => never {
  return () => {
    throw error;
  };
}

function circularReply(): Reply {
  const circle: Record<string, unknown> = {};
  circle["circle"] = circle;
  return json(200, circle);
}

const FAULTY: Readonly<Record<string, AnyHandler>> = {
  "throws an Error": throwing(new Error("secret text")),
  "throws text": throwing("secret text"),
  "throws undefined": throwing(undefined),
  "throws null": throwing(null),
  rejects: () => Promise.reject(new TypeError("secret text")),
  "rejects later": async () => {
    await sleep(10);
    throw new Error("secret text");
  },
  "returns undefined": () => undefined,
  "returns null": () => null,
  "returns a promise of null": () => Promise.resolve(null),
  "returns text": () => "ok",
  "returns an empty object": () => ({}),
  "returns a circular value": circularReply,
  "returns a bigint": () => json(200, 1n),
  "returns a promise as JSON": () => json(200, Promise.resolve({})),
  "returns the status 20": () => ({ ...OK, status: 20 }),
  "returns the status 101": () => ({ ...OK, status: 101 }),
  "returns the status 199": () => ({ ...OK, status: 199 }),
  "returns the status 600": () => ({ ...OK, status: 600 }),
  "returns the status 1000": () => ({ ...OK, status: 1000 }),
  "returns the status NaN": () => ({ ...OK, status: NaN }),
  "returns no status": () => ({ ...OK, status: undefined }),
  "returns a field with a line break": () => ({ ...OK, headers: ["X-A", "a\r\nX-B: b"] }),
  "returns a field name with a blank": () => ({ ...OK, headers: ["a b", "c"] }),
  "returns a field beyond Latin-1": () => ({ ...OK, headers: ["X-A", "\u2028"] }),
  "returns a field name without a value": () => ({ ...OK, headers: ["X-A"] }),
  "returns a field with the value undefined": () => ({ ...OK, headers: ["X-A", undefined] }),
  "returns no fields": () => ({ ...OK, headers: undefined }),
  "returns no body": () => ({ ...OK, body: undefined }),
  "returns the body null": () => ({ ...OK, body: null }),
  "returns a number as the body": () => ({ ...OK, body: 5 }),
  "returns an object as the body": () => ({ ...OK, body: { a: 1 } }),
  "returns a list as the body": () => ({ ...OK, body: [1] }),
  "returns an ArrayBuffer as the body": () => ({ ...OK, body: new ArrayBuffer(4) }),
};

for (const status of [200, 599]) {
  test(`a handler may reply with the status ${status}`, async (t) => {
    const service = await serveFaulty(t, () => ({ ...OK, status }));
    assert.equal(await statusOf(service.port, get("/faulty")), status);
    assert.deepEqual(service.failures, []);
  });
}

describe("a faulty handler", () => {
  for (const [name, handler] of Object.entries(FAULTY)) {
    test(`that ${name} is one 500 and one error in the log`, async (t) => {
      const service = await serveFaulty(t, handler);
      const bytes = get("/faulty") + get("/fine");
      const { responses } = await exchange(service.port, bytes, { count: 2 });
      assert.deepEqual(
        responses.map(({ status, body }) => [status, body]),
        [
          [500, '{"detail":"Internal Server Error"}'],
          [200, "{}"],
        ],
      );
      assert.equal(service.failures.length, 1);
      assert.deepEqual(service.records.map(({ status }) => status).sort(), [200, 500]);
    });
  }

  test("is logged with the error and the id of the request", async (t) => {
    const error = new Error("why");
    const service = await serveFaulty(t, throwing(error));
    assert.equal(await statusOf(service.port, get("/faulty", ["X-Request-Id: mine"])), 500);
    assert.deepEqual(service.failures, [{ error, requestId: "mine" }]);
  });

  test("learns from the log what a reply must be", async (t) => {
    const service = await serveFaulty(t, () => ({ ...OK, status: 600 }));
    await statusOf(service.port, get("/faulty"));
    const [{ error } = { error: undefined }] = service.failures;
    assert.ok(error instanceof TypeError);
    assert.equal(error.message, "a reply has a status of 200 to 599, and text, bytes or a stream");
  });

  test("that never responds keeps its place until its client leaves", async (t) => {
    let signal: AbortSignal | undefined;
    const handler: AnyHandler = (_input, context) => {
      signal = context.signal;
      return new Promise(() => {});
    };
    const service = await serveFaulty(t, handler, { maxInFlight: 1 });
    const client = await open(service.port, get("/faulty"));
    await until(() => signal !== undefined, "the handler");
    assert.equal(await statusOf(service.port, get("/fine")), 503);
    assert.equal(signal?.aborted, false);
    client.socket.destroy();
    await until(() => signal?.aborted === true, "the signal");
    assert.equal(await statusOf(service.port, get("/fine")), 200);
    assert.deepEqual(
      service.records.map(({ status }) => status),
      [503, null, 200],
    );
    assert.deepEqual(service.failures, []);
  });
});

test("a reply that comes after its client has left goes nowhere", async (t) => {
  let resolve: ((reply: Reply) => void) | undefined;
  const late = new Promise<Reply>((done) => {
    resolve = done;
  });
  const service = await serveFaulty(t, () => late);
  const client = await open(service.port, get("/faulty"));
  await until(() => service.connections.inFlight === 1, "the handler");
  client.socket.resetAndDestroy();
  await until(() => service.records.length === 1, "the record");
  resolve?.(OK);
  assert.equal(await statusOf(service.port, get("/fine")), 200);
  assert.deepEqual(
    service.records.map(({ status }) => status),
    [null, 200],
  );
  assert.deepEqual(service.failures, []);
});

test("a client that leaves within its body never reaches a handler", async (t) => {
  let calls = 0;
  const handler = (): Reply => {
    calls += 1;
    return OK;
  };
  const reading = route({ method: "POST", path: "/echo", body: anything, handler });
  const service = await serveFor(t, [reading]);
  const client = await open(service.port, postEcho('"body"').subarray(0, -1));
  await until(() => service.connections.inFlight === 1, "the request");
  client.socket.resetAndDestroy();
  await until(() => service.records.length === 1, "the record");
  assert.equal(service.records[0]?.status, null);
  assert.deepEqual(service.failures, []);
  assert.equal(calls, 0);
});

test("a handler never sees a body that was rejected, even if the rest arrives", async (t) => {
  const bodies: unknown[] = [];
  const counting = route({
    method: "POST",
    path: "/echo",
    body: anything,
    handler: ({ body }) => json(200, bodies.push(body)),
  });
  const service = await serveFor(t, [counting], { maxBodyBytes: 5 });
  assert.equal(await statusOf(service.port, postEcho("[      ]")), 413);
  assert.equal(await statusOf(service.port, postEcho("[]")), 200);
  assert.deepEqual(bodies, [[]]);
});

const TEAPOT = new HttpError(418, "teapot", ["A", "b"]);

const REJECTING: Readonly<Record<string, () => Promise<Reply>>> = {
  thrown: throwing(TEAPOT),
  rejected: () => Promise.reject(TEAPOT),
  "rejected later": async () => {
    await sleep(5);
    throw TEAPOT;
  },
};

for (const [how, handler] of Object.entries(REJECTING)) {
  test(`an HttpError that a handler has ${how} is the response, and no error`, async (t) => {
    const service = await serveFaulty(t, handler);
    const { status, body, headers } = await request(service.port, get("/faulty"));
    assert.deepEqual([status, body, headers["a"]], [418, '{"detail":"teapot"}', "b"]);
    assert.deepEqual(service.failures, []);
  });
}

describe("dependencies", () => {
  const suite = suiteScope();
  let service: TestService;
  let calls: string[] = [];
  before(async () => {
    const record = (name: string): Dependency => {
      return () => {
        calls.push(name);
      };
    };
    const recordLate: Dependency = async () => {
      await sleep(5);
      calls.push("b");
    };
    const handler = (): Reply => {
      calls.push("handler");
      return OK;
    };
    const dependent = (path: string, ...dependencies: readonly Dependency[]): Route =>
      route({ method: "GET", path, dependencies, handler });
    const no = new HttpError(403, "no");
    service = await serveFor(suite, [
      dependent("/all", record("a"), recordLate, record("c")),
      dependent("/returned", () => no, record("d")),
      dependent("/resolved", () => Promise.resolve(no), record("d")),
      dependent("/thrown", throwing(no), record("d")),
      dependent("/rejected", () => Promise.reject(no), record("d")),
      dependent("/broken", throwing(new Error("secret text")), record("d")),
    ]);
  });

  test("run one after the other, each once, before the handler", async () => {
    calls = [];
    assert.equal(await statusOf(service.port, get("/all")), 200);
    assert.deepEqual(calls, ["a", "b", "c", "handler"]);
  });

  for (const how of ["returned", "resolved", "thrown", "rejected"]) {
    test(`end the request with an HttpError that is ${how}: nothing runs after it`, async () => {
      calls = [];
      const { status, body } = await request(service.port, get(`/${how}`));
      assert.deepEqual([status, body, calls], [403, '{"detail":"no"}', []]);
    });
  }

  test("that fail are one 500 without the reason, and one error in the log", async () => {
    calls = [];
    const { status, body } = await request(service.port, get("/broken"));
    assert.deepEqual([status, body], [500, '{"detail":"Internal Server Error"}']);
    assert.deepEqual([service.failures.length, calls], [1, []]);
  });
});
