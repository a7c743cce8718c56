import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { json, type Reply } from "../src/http/reply.ts";
import { type Context, type Route, route } from "../src/http/route.ts";
import type { Limits } from "../src/http/server.ts";
import * as attacks from "./support/attacks.ts";
import type { Measurement } from "./support/attacks.ts";
import {
  type Client,
  exchange,
  open,
  openMany,
  outcomes,
  untilAnswered,
  untilClosed,
} from "./support/client.ts";
import { startProgram } from "./support/program.ts";
import { get, post } from "./support/requests.ts";
import { serveFor, type TestService } from "./support/server.ts";
import { EXEC, startInShell } from "./support/shell.ts";
import { until } from "./support/wait.ts";

const TASK = post('{"status":"SUCCESS"}');

/** What a machine that runs other tests besides may add to a time, in ms. */
const SLACK_MS = 3000;

describe("under abuse", { concurrency: 4 }, () => {
  test("500 idle connections are held, and cost nobody else", async (t) => {
    assertHolds(
      await attacks.idleConnections(t, 500, { limitMiB: 150, holdMs: 500, slackMs: SLACK_MS }),
    );
  });

  test("100 slow headers get 408 in time", async (t) => {
    assertHolds(
      await attacks.slowRequests(t, "header", 100, {
        headersMs: 1500,
        requestMs: 60_000,
        slackMs: SLACK_MS,
      }),
    );
  });

  test("100 slow bodies get 408 in time", async (t) => {
    assertHolds(
      await attacks.slowRequests(t, "body", 100, {
        headersMs: 1500,
        requestMs: 2500,
        slackMs: SLACK_MS,
      }),
    );
  });

  test("slow readers take little memory, and are closed in the end, however much they have asked for", async (t) => {
    assertHolds(await attacks.slowReaders(t, 20, 100, 1000));
    assertHolds(await attacks.slowReaders(t, 2, 2000, 1000));
  });

  test("bodies made to take memory are refused at once, in few words", async (t) => {
    assertHolds(await attacks.bodyBombs(t));
  });

  test("64 file handles, 200 connections: no crash, no busy loop, and responses as soon as some are free", async (t) => {
    assertHolds(await attacks.fileHandles(t, 64, 200, SLACK_MS));
  });

  test("connections past MAX_CONNECTIONS are closed at once, the others served", async (t) => {
    assertHolds(await attacks.excessConnections(t, 50, 100));
  });

  test("requests past MAX_IN_FLIGHT get 503 with Retry-After at once; the others and /health are served", async (t) => {
    assertHolds(await attacks.excessRequests(t, 50, 100));
  });

  test("the log's reader is gone: it keeps answering", async (t) => {
    assertHolds(await attacks.brokenLog(t, "closed", 5000));
  });

  test("the log's reader never reads: it keeps answering", async (t) => {
    assertHolds(await attacks.brokenLog(t, "stuck", 5000));
  });
});

describe("on the wire", { concurrency: 4 }, () => {
  test("a denied upload of 2 MiB reads its 401 whole, 100 times of 100", async (t) => {
    const service = await startProgram(t);
    const upload = post(Buffer.alloc(2_097_152, " "), [], { key: "wrong" });
    for (let i = 0; i < 100; i++) {
      const { responses, reset } = await exchange(service.port, upload);
      assert.deepEqual(
        { statuses: responses.map(({ status }) => status), reset },
        { statuses: [401], reset: false },
      );
    }
    assert.equal(await service.stop(), 0);
  });

  test("2,000 pipelined GETs are answered in their order", async (t) => {
    const service = await startProgram(t);
    const ids = Array.from({ length: 2000 }, (_, i) => `request-${i}`);
    const peer = await open(
      service.port,
      ids.map((id) => get("/health", [`X-Request-Id: ${id}`])).join(""),
    );
    await untilAnswered([peer], 2000);
    assert.deepEqual(
      peer.responses.map(({ headers }) => headers["x-request-id"]),
      ids,
    );
  });

  test("a request that is being processed gets its answer even if garbage follows it", async (t) => {
    const service = await startProgram(t, { PROCESS_DELAY_MS: "300" });
    const peer = await open(
      service.port,
      Buffer.concat([TASK, Buffer.from("\x16\x03\x01 garbage\r\n\r\n")]),
    );
    await untilClosed([peer]);
    assert.deepEqual(
      peer.responses.map(({ status }) => status),
      [200, 400],
    );
    assert.equal(peer.reset, false);
  });

  test("a connection that has been idle for 5.5 s is used again without a reset", async (t) => {
    const service = await startProgram(t);
    const peers = await openMany(service.port, 20, TASK);
    await untilAnswered(peers);
    await sleep(5500);
    for (const { socket } of peers) socket.write(TASK);
    await untilAnswered(peers, 2);
    assert.deepEqual(outcomes(peers), { 200: 20 });
  });

  test("KEEP_ALIVE_TIMEOUT_MS: a connection without a next request is closed", async (t) => {
    const service = await startProgram(t, { KEEP_ALIVE_TIMEOUT_MS: "500" });
    const peers = await openMany(service.port, 5, TASK);
    await untilClosed(peers);
    assert.deepEqual(outcomes(peers), { 200: 5 });
  });

  test("silence on a new connection is closed after HEADERS_TIMEOUT_MS", async (t) => {
    const service = await startProgram(t, { HEADERS_TIMEOUT_MS: "500" });
    const peer = await open(service.port);
    await untilClosed([peer]);
    assert.deepEqual(outcomes([peer]), { 408: 1 });
  });
});

describe("a faulty handler", () => {
  const faults: Readonly<Record<string, (body: unknown, context: Context) => unknown>> = {
    "throws an Error": () => {
      throw new Error("a fault");
    },
    "throws nothing at all": () => {
      throw undefined;
    },
    rejects: () => Promise.reject(new Error("a fault")),
    "rejects later": async () => {
      await sleep(10);
      throw new Error("a fault");
    },
    "returns undefined": () => undefined,
    "returns a promise of null": () => Promise.resolve(null),
    "returns a status that is none": () => ({ ...OK, status: 1000 }),
    "returns an interim status": () => ({ ...OK, status: 101 }),
    "returns no status": () => ({ ...OK, status: undefined }),
    "returns a status that is no number": () => ({ ...OK, status: NaN }),
    "returns a field with a line break": () => ({ ...OK, headers: ["X-A", "a\r\nX-B: b"] }),
    "returns a field with a name that is none": () => ({ ...OK, headers: ["a b", "c"] }),
    "returns a name without a value": () => ({ ...OK, headers: ["X-A"] }),
    "returns no fields": () => ({ ...OK, headers: undefined }),
    "returns a value that is undefined": () => ({ ...OK, headers: ["X-A", undefined] }),
    "returns no body": () => ({ ...OK, body: undefined }),
    "returns a body that is an object": () => ({ ...OK, body: {} }),
    "returns a body that is a number": () => ({ ...OK, body: 5 }),
  };
  for (const [fault, handler] of Object.entries(faults)) {
    test(`one that ${fault} is one 500, one line in the log, and nothing else`, async (t) => {
      const service = await serve(t, [faulty(handler)]);
      const peer = await open(service.port, get("/faulty") + get("/fine"));
      await untilAnswered([peer], 2);
      assert.deepEqual(
        peer.responses.map(({ status, body }) => ({ status, body })),
        [
          { status: 500, body: '{"detail":"Internal Server Error"}' },
          { status: 200, body: "{}" },
        ],
      );
      assert.equal(service.failures.length, 1);
      assert.deepEqual(service.records.map(({ status }) => status).sort(), [200, 500]);
    });
  }

  test("one that never responses waits for its client; its leaving aborts the signal and frees the place", async (t) => {
    let signal: AbortSignal | undefined;
    const stuck = faulty((_body, context) => {
      signal = context.signal;
      return new Promise(() => {});
    });
    const service = await serve(t, [stuck], { maxInFlight: 1 });
    const peer = await open(service.port, get("/faulty"));
    await until(() => signal !== undefined, "the handler");
    assert.equal((await exchange(service.port, get("/fine"))).responses[0]?.status, 503);
    assert.equal(signal?.aborted, false);
    peer.socket.destroy();
    await until(() => signal?.aborted === true, "the signal");
    assert.equal((await exchange(service.port, get("/fine"))).responses[0]?.status, 200);
    assert.deepEqual(
      service.records.map(({ status }) => status),
      [503, null, 200],
    );
    assert.deepEqual(service.failures, []);
  });

  test("an answer that comes after its client has left goes nowhere", async (t) => {
    let answer = (_reply: unknown): void => {};
    const late = faulty(() => new Promise((resolve) => (answer = resolve)));
    const service = await serve(t, [late]);
    const peer = await open(service.port, get("/faulty"));
    await sleep(100);
    peer.socket.resetAndDestroy();
    await until(() => service.records.length === 1, "the line");
    answer(OK);
    assert.equal((await exchange(service.port, get("/fine"))).responses[0]?.status, 200);
    assert.deepEqual(
      service.records.map(({ status }) => status),
      [null, 200],
    );
    assert.deepEqual(service.failures, []);
  });

  test("a client that leaves within its body ends the reading, and no handler sees it", async (t) => {
    let calls = 0;
    const handler = (): Reply => {
      calls += 1;
      return OK;
    };
    const reading = route({
      method: "POST",
      path: "/faulty",
      body: (input: unknown) => input,
      handler,
    });
    const service = await serve(t, [reading]);
    const peer = await open(
      service.port,
      "POST /faulty HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{",
    );
    await sleep(100);
    peer.socket.resetAndDestroy();
    await until(() => service.records.length === 1, "the line");
    assert.deepEqual(
      service.records.map(({ status }) => status),
      [null],
    );
    assert.deepEqual(service.failures, []);
    assert.equal(calls, 0);
  });
});

const OK: Reply = json(200, {});

/** `GET /faulty`, whose handler TypeScript would not let pass. */
function faulty(handler: (body: unknown, context: Context) => unknown): Route {
  return route({ method: "GET", path: "/faulty", handler: handler as Route<undefined>["handler"] });
}

/** Serves a route more: `GET /fine`. */
function serve(
  t: TestContext,
  routes: readonly Route[],
  limits: Partial<Limits> = {},
): Promise<TestService> {
  const fine = route({ method: "GET", path: "/fine", handler: () => OK });
  return serveFor(t, [...routes, fine], limits);
}

describe("clients that go away", { concurrency: 4 }, () => {
  const departures: Readonly<Record<string, Buffer>> = {
    "before a byte": Buffer.alloc(0),
    "in the header": TASK.subarray(0, 30),
    "in the body": TASK.subarray(0, -5),
    "before the answer": TASK,
    "while the responses are written": Buffer.from(get("/docs").repeat(50)),
    "after garbage": Buffer.from("\x16\x03\x01\r\n\r\n"),
    "after a refused body": post(Buffer.alloc(200_000), [], { key: "" }).subarray(0, 100_000),
  };
  for (const [when, bytes] of Object.entries(departures)) {
    test(`200 clients that reset or close ${when} leave nothing open`, async (t) => {
      // With so few file handles, a leak of half of the connections would leave none.
      const { port } = await startInShell(t, `ulimit -n 120; ${EXEC}`, { PROCESS_DELAY_MS: "100" });
      for (let round = 0; round < 10; round += 1) {
        const clients = await openMany(port, 20, bytes);
        await sleep(10);
        for (const [i, { socket }] of clients.entries()) {
          if (i % 2 === 0) socket.resetAndDestroy();
          else socket.destroy();
        }
        await untilClosed(clients);
      }
      await until(() => isServing80(port), "80 connections at once to be served");
    });
  }
});

/** Whether it serves on more than half of its file handles at once. */
async function isServing80(port: number): Promise<boolean> {
  const clients = await openMany(port, 80, get("/health"));
  const isOver = ({ responses, closed }: Client): boolean => responses.length > 0 || closed;
  await until(() => clients.every(isOver), "responses or ends");
  for (const { socket } of clients) socket.destroy();
  return outcomes(clients)["200"] === 80;
}

/** Fails with every measure that is over its limit. */
function assertHolds(measures: readonly Measurement[]): void {
  assert.deepEqual(
    measures.filter(({ value, limit }) => !(value <= limit)),
    [],
  );
}
