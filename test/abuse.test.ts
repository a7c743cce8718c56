import assert from "node:assert/strict";
import type { AddressInfo } from "node:net";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { json, type Reply } from "../src/http/reply.ts";
import { type Context, type Route, route } from "../src/http/route.ts";
import { createService, type Limits } from "../src/http/server.ts";
import { exchange, get, post, until } from "./service.ts";
import * as attacks from "./support/attacks.ts";
import type { Measure } from "./support/attacks.ts";
import { open, openMany, outcomes, untilAnswered, untilClosed } from "./support/client.ts";
import { launch, startFor } from "./support/processes.ts";

const TASK = post('{"status":"SUCCESS"}');

/** What a machine that runs other tests besides may add to a time, in ms. */
const SLACK_MS = 3000;

describe("under abuse", { concurrency: 4 }, () => {
  test("500 idle connections are held, and cost nobody else", async () => {
    assertHolds(
      await attacks.idleConnections(500, { limitMB: 150, holdMs: 500, slackMs: SLACK_MS }),
    );
  });

  test("100 slow headers get 408 in time", async () => {
    assertHolds(
      await attacks.slowRequests("header", 100, {
        headersMs: 1500,
        requestMs: 60_000,
        slackMs: SLACK_MS,
      }),
    );
  });

  test("100 slow bodies get 408 in time", async () => {
    assertHolds(
      await attacks.slowRequests("body", 100, {
        headersMs: 1500,
        requestMs: 2500,
        slackMs: SLACK_MS,
      }),
    );
  });

  test("slow readers take little memory, and are closed in the end, however much they have asked for", async () => {
    assertHolds(await attacks.slowReaders(20, 100, 1000));
    assertHolds(await attacks.slowReaders(2, 2000, 1000));
  });

  test("bodies made to take memory are refused at once, in few words", async () => {
    assertHolds(await attacks.bodyBombs());
  });

  test("64 file handles, 200 connections: no crash, no busy loop, and answers as soon as some are free", async () => {
    assertHolds(await attacks.fileHandles(64, 200, SLACK_MS));
  });

  test("connections past MAX_CONNECTIONS are closed at once, the others served", async () => {
    assertHolds(await attacks.excessConnections(50, 100));
  });

  test("requests past MAX_IN_FLIGHT get 503 with Retry-After at once; the others and /health are served", async () => {
    assertHolds(await attacks.excessRequests(50, 100));
  });

  test("the log's reader is gone: it keeps answering", async () => {
    assertHolds(await attacks.brokenLog("closed", 5000));
  });

  test("the log's reader never reads: it keeps answering", async () => {
    assertHolds(await attacks.brokenLog("stuck", 5000));
  });
});

describe("on the wire", { concurrency: 4 }, () => {
  test("a denied upload of 2 MiB reads its 401 whole, 100 times of 100", async (t) => {
    const service = await startFor(t);
    const upload = post(Buffer.alloc(2_097_152, " "), [], { key: "wrong" });
    for (let i = 0; i < 100; i++) {
      const { answers, reset } = await exchange(service.port, upload);
      assert.deepEqual(
        { statuses: answers.map(({ status }) => status), reset },
        { statuses: [401], reset: false },
      );
    }
    assert.equal(await service.stop(), 0);
  });

  test("2,000 pipelined GETs are answered in their order", async (t) => {
    const service = await startFor(t);
    const ids = Array.from({ length: 2000 }, (_, i) => `request-${i}`);
    const peer = await open(
      service.port,
      ids.map((id) => get("/health", [`X-Request-Id: ${id}`])).join(""),
    );
    await untilAnswered([peer], 2000);
    assert.deepEqual(
      peer.answers.map(({ headers }) => headers["x-request-id"]),
      ids,
    );
  });

  test("a request that is being processed gets its answer even if garbage follows it", async (t) => {
    const service = await startFor(t, { PROCESS_DELAY_MS: "300" });
    const peer = await open(
      service.port,
      Buffer.concat([TASK, Buffer.from("\x16\x03\x01 garbage\r\n\r\n")]),
    );
    await untilClosed([peer]);
    assert.deepEqual(
      peer.answers.map(({ status }) => status),
      [200, 400],
    );
    assert.equal(peer.reset, false);
  });

  test("a connection that has been idle for 5.5 s is used again without a reset", async (t) => {
    const service = await startFor(t);
    const peers = await openMany(service.port, 20, TASK);
    await untilAnswered(peers);
    await sleep(5500);
    for (const { socket } of peers) socket.write(TASK);
    await untilAnswered(peers, 2);
    assert.deepEqual(outcomes(peers), { 200: 20 });
  });

  test("KEEP_ALIVE_TIMEOUT_MS: a connection without a next request is closed", async (t) => {
    const service = await startFor(t, { KEEP_ALIVE_TIMEOUT_MS: "500" });
    const peers = await openMany(service.port, 5, TASK);
    await untilClosed(peers);
    assert.deepEqual(outcomes(peers), { 200: 5 });
  });

  test("silence on a new connection is closed after HEADERS_TIMEOUT_MS", async (t) => {
    const service = await startFor(t, { HEADERS_TIMEOUT_MS: "500" });
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
      const service = await serveRoutes([faulty(handler)]);
      t.after(() => service.close());
      const peer = await open(service.port, get("/faulty") + get("/fine"));
      await untilAnswered([peer], 2);
      assert.deepEqual(
        peer.answers.map(({ status, body }) => ({ status, body })),
        [
          { status: 500, body: '{"detail":"Internal Server Error"}' },
          { status: 200, body: "{}" },
        ],
      );
      assert.equal(service.failures.length, 1);
      assert.deepEqual(service.answered.map(({ status }) => status).sort(), [200, 500]);
      peer.socket.destroy();
    });
  }

  test("one that never answers waits for its client; its leaving aborts the signal and frees the place", async (t) => {
    let signal: AbortSignal | undefined;
    const stuck = faulty((_body, context) => {
      signal = context.signal;
      return new Promise(() => {});
    });
    const service = await serveRoutes([stuck], { maxInFlight: 1 });
    t.after(() => service.close());
    const peer = await open(service.port, get("/faulty"));
    await until(() => signal !== undefined, "the handler");
    assert.equal((await exchange(service.port, get("/fine"))).answers[0]?.status, 503);
    assert.equal(signal?.aborted, false);
    peer.socket.destroy();
    await until(() => signal?.aborted === true, "the signal");
    assert.equal((await exchange(service.port, get("/fine"))).answers[0]?.status, 200);
    assert.deepEqual(
      service.answered.map(({ status }) => status),
      [503, null, 200],
    );
    assert.deepEqual(service.failures, []);
  });

  test("an answer that comes after its client has left goes nowhere", async (t) => {
    let answer = (_reply: unknown): void => {};
    const late = faulty(() => new Promise((resolve) => (answer = resolve)));
    const service = await serveRoutes([late]);
    t.after(() => service.close());
    const peer = await open(service.port, get("/faulty"));
    await sleep(100);
    peer.socket.resetAndDestroy();
    await until(() => service.answered.length === 1, "the line");
    answer(OK);
    assert.equal((await exchange(service.port, get("/fine"))).answers[0]?.status, 200);
    assert.deepEqual(
      service.answered.map(({ status }) => status),
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
    const service = await serveRoutes([reading]);
    t.after(() => service.close());
    const peer = await open(
      service.port,
      "POST /faulty HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{",
    );
    await sleep(100);
    peer.socket.resetAndDestroy();
    await until(() => service.answered.length === 1, "the line");
    assert.deepEqual(
      service.answered.map(({ status }) => status),
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

interface InProcess {
  readonly port: number;
  /** What the log was told, and what failed. */
  readonly answered: { readonly status: number | null }[];
  readonly failures: unknown[];
  close(): void;
}

/** A service in this process with one route more, `GET /fine`. */
async function serveRoutes(
  routes: readonly Route[],
  limits: Partial<Limits> = {},
): Promise<InProcess> {
  const answered: { readonly status: number | null }[] = [];
  const failures: unknown[] = [];
  const { server } = createService(
    [...routes, route({ method: "GET", path: "/fine", handler: () => OK })],
    {
      ...{ maxBodyBytes: 1_048_576, maxInFlight: 100, maxConnections: 100 },
      maxBodyMemory: 67_108_864,
      ...{ headersTimeoutMs: 10_000, requestTimeoutMs: 20_000, keepAliveTimeoutMs: 60_000 },
      ...limits,
    },
    {
      response: ({ status }) => answered.push({ status }),
      error: (error) => failures.push(error),
    },
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = (): void => {
    server.close();
    server.closeAllConnections();
  };
  return { port: (server.address() as AddressInfo).port, answered, failures, close };
}

describe("clients that go away", { concurrency: 4 }, () => {
  // With so few file handles a leak of half of the connections would leave none.
  const start = (variables = {}): ReturnType<typeof launch> =>
    launch('ulimit -n 120; exec "$@"', variables);

  const departures: Readonly<Record<string, Buffer>> = {
    "before a byte": Buffer.alloc(0),
    "in the header": TASK.subarray(0, 30),
    "in the body": TASK.subarray(0, -5),
    "before the answer": TASK,
    "while the answers are written": Buffer.from(get("/docs").repeat(50)),
    "after garbage": Buffer.from("\x16\x03\x01\r\n\r\n"),
    "after a refused body": post(Buffer.alloc(200_000), [], { key: "" }).subarray(0, 100_000),
  };
  for (const [when, bytes] of Object.entries(departures)) {
    test(`200 clients that reset or close their connection ${when} leave nothing open`, async () => {
      const service = await start({ PROCESS_DELAY_MS: "100" });
      try {
        for (let round = 0; round < 10; round++) {
          const peers = await openMany(service.port, 20, bytes);
          await sleep(10);
          for (const [i, { socket }] of peers.entries())
            i % 2 === 0 ? socket.resetAndDestroy() : socket.destroy();
          await untilClosed(peers);
        }
        // More than half of the handles at once: they must all be free again.
        const good = async (): Promise<boolean> => {
          const peers = await openMany(service.port, 80, get("/health"));
          await until(
            () => peers.every(({ answers, closed }) => answers.length > 0 || closed),
            "answers or ends",
          );
          for (const { socket } of peers) socket.destroy();
          return outcomes(peers)["200"] === 80;
        };
        let isWell = await good();
        for (let tries = 0; !isWell && tries < 20; tries++) {
          await sleep(100);
          isWell = await good();
        }
        assert.ok(isWell, "80 connections at once are answered");
      } finally {
        service.end();
      }
    });
  }
});

/** Fails with every measure that is over its limit. */
function assertHolds(measures: readonly Measure[]): void {
  assert.deepEqual(
    measures.filter(({ value, limit }) => !(value <= limit)),
    [],
  );
}
