import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { before, describe, test } from "node:test";

import { HttpError, json, type Reply } from "../../src/http/reply.ts";
import { type Context, type Route, route } from "../../src/http/route.ts";
import { createService } from "../../src/http/server.ts";
import { exchange, open } from "../support/client.ts";
import { lines, postChunks, postEcho } from "../support/requests.ts";
import { suiteScope } from "../support/scope.ts";
import { anything, echo, serveFor, type TestService } from "../support/server.ts";
import { until } from "../support/wait.ts";

const DENIED = new HttpError(401, "denied");

function guard({ request }: Context): void {
  if (request.headers["x-api-key"] !== "k") throw DENIED;
}

/** `POST /guarded`, which holds each request until `free` says otherwise. */
function guarded(hold: () => Promise<void>): Route {
  return route({
    method: "POST",
    path: "/guarded",
    dependencies: [guard],
    body: anything,
    handler: async (body) => (await hold(), json(200, body ?? null)),
  });
}

/** What is wrong with a request, in the order of the checks, and the answer that it gets for it. */
const WRONGS = {
  version: 505,
  fields: 431,
  host: 400,
  coding: 501,
  expectation: 417,
  path: 404,
  method: 405,
  slash: 307,
  key: 401,
  nothing: 422,
  type: 415,
  content: 415,
  size: 413,
  busy: 503,
  body: 422,
} as const;

type Wrong = keyof typeof WRONGS;

/** A request that is wrong in each of these ways, and in no other. */
function wrongIn(...wrongs: readonly Wrong[]): string {
  const is = (wrong: Wrong): boolean => wrongs.includes(wrong);
  const method = is("method") ? "DELETE" : "POST";
  const path = is("path") ? "/nope" : is("slash") ? "/guarded/" : "/guarded";
  const head = [`${method} ${path} HTTP/${is("version") ? "2.0" : "1.1"}`];
  if (!is("host")) head.push("Host: x");
  if (!is("key")) head.push("X-API-Key: k");
  head.push(`Content-Type: ${is("type") ? "text/plain" : "application/json"}`);
  if (is("content")) head.push("Content-Encoding: gzip");
  if (is("expectation")) head.push("Expect: foo");
  if (is("coding")) head.push("Transfer-Encoding: gzip, chunked");
  else if (!is("nothing")) head.push(`Content-Length: ${is("size") ? 1000 : 1}`);
  // The parser of newer versions of Node refuses more than 101 on its own.
  if (is("fields")) while (head.length < 102) head.push("A: b");
  return (
    lines(...head) +
    (is("coding") ? "1\r\n1\r\n0\r\n\r\n" : is("nothing") ? "" : is("body") ? "{" : "1")
  );
}

describe("the order of the checks", { concurrency: 4 }, () => {
  const suite = suiteScope();
  let service: TestService;
  let busy: TestService;
  let holding = 0;
  before(async () => {
    service = await serveFor(suite, [guarded(async () => {})], { maxBodyBytes: 100 });
    const hold = async (): Promise<void> => {
      holding += 1;
      await new Promise<void>(() => {});
    };
    busy = await serveFor(suite, [guarded(hold)], { maxBodyBytes: 100, maxInFlight: 1 });
    (await open(busy.port)).send(wrongIn());
    await until(() => holding === 1, "a request in flight");
  });

  /** The statuses of the responses, interim ones too, where the wrongs include "busy" those of a busy service. */
  async function statuses(request: string, isBusy: boolean): Promise<number[]> {
    const { responses } = await exchange(isBusy ? busy.port : service.port, request, {
      limitMs: 3000,
    });
    return responses.map(({ status }) => status);
  }

  test("a request that is right gets its answer", async () => {
    assert.deepEqual(await statuses(wrongIn(), false), [200]);
  });

  const names = Object.keys(WRONGS) as Wrong[];
  for (const name of names) {
    test(`what is wrong in ${name} alone is ${WRONGS[name]}`, async () => {
      assert.deepEqual(await statuses(wrongIn(name), name === "busy"), [WRONGS[name]]);
    });
  }

  const exclusive = new Set([
    "path method",
    "path slash",
    "method slash",
    "nothing content",
    "nothing size",
    "nothing body",
    "coding nothing",
    "coding size",
    "size body",
  ]);
  names.forEach((earlier, index) => {
    for (const later of names.slice(index + 1)) {
      // One path, and one body, can't be both.
      if (exclusive.has(`${earlier} ${later}`)) continue;
      test(`what is wrong in ${earlier} and in ${later} is ${WRONGS[earlier]}`, async () => {
        const isBusy = earlier === "busy" || later === "busy";
        assert.deepEqual(await statuses(wrongIn(earlier, later), isBusy), [WRONGS[earlier]]);
      });
    }
  });

  test("a request that is wrong in every way is refused for its version first", async () => {
    assert.deepEqual(await statuses(wrongIn(...names), true), [505]);
  });

  const refused: readonly (readonly [Wrong, boolean])[] = [
    ["version", false],
    ["fields", false],
    ["host", false],
    ["coding", false],
    ["path", false],
    ["method", false],
    ["slash", false],
    ["key", false],
    ["nothing", false],
    ["type", false],
    ["content", false],
    ["size", false],
    ["busy", true],
  ];
  for (const [name, isBusy] of refused) {
    test(`a client that waits for 100 Continue, wrong in ${name}, gets ${WRONGS[name]} and no 100`, async () => {
      const [head = ""] = wrongIn(name).split("\r\n\r\n");
      const responses = await statuses(`${head}\r\nExpect: 100-continue\r\n\r\n`, isBusy);
      assert.deepEqual(responses, [WRONGS[name]]);
    });
  }

  test("a client that waits gets 100 before its body is looked at, then the body's answer", async () => {
    for (const [body, status] of [
      ["1", 200],
      ["{", 422],
    ] as const) {
      const client = await open(service.port);
      client.send(`${wrongIn().split("\r\n\r\n")[0]}\r\nExpect: 100-continue\r\n\r\n`);
      assert.deepEqual(
        (await client.untilResponses(1)).map((answer) => answer.status),
        [100],
      );
      client.send(body);
      const [, answer] = await client.untilResponses(2);
      assert.deepEqual([answer?.status, answer?.headers["connection"]], [status, "keep-alive"]);
      client.socket.destroy();
    }
  });

  test("a client that doesn't wait for its 100 is served all the same", async () => {
    const [head, body] = wrongIn().split("\r\n\r\n");
    assert.deepEqual(
      await statuses(`${head}\r\nExpect: 100-continue\r\n\r\n${body}`, false),
      [100, 200],
    );
  });

  test("a denied client that waits can be told so with its connection closed, since a body may follow", async () => {
    const { responses, closed } = await exchange(
      service.port,
      wrongIn("key").replace("\r\n\r\n1", "\r\nExpect: 100-continue\r\n\r\n"),
      {
        close: true,
      },
    );
    assert.deepEqual(
      [responses[0]?.status, responses[0]?.headers["connection"], closed],
      [401, "close", true],
    );
  });
});

describe("one service", { concurrency: 8 }, () => {
  const suite = suiteScope();
  let service: TestService;
  const order: string[] = [];
  before(async () => {
    const say = (text: string) => (): undefined => void order.push(text);
    const fail = (error: unknown) => (): never => {
      throw error;
    };
    const made = (
      path: string,
      handler: (body: undefined, context: Context) => Reply | Promise<Reply>,
    ): Route => route({ method: "GET", path, handler });
    const dependent = (path: string, ...dependencies: Route["dependencies"]): Route =>
      route({ method: "GET", path, dependencies, handler: () => json(200, path) });
    service = await serveFor(suite, [
      echo,
      made("/", () => json(200, "ok")),
      made("/throws", fail(new Error("secret text"))),
      made("/rejects", () => Promise.reject(new TypeError("secret text"))),
      made("/throws-text", fail("secret text")),
      made("/throws-nothing", fail(undefined)),
      made("/throws-null", fail(null)),
      made("/refuses", fail(new HttpError(418, "teapot", ["A", "b"]))),
      made("/refuses-late", async () => {
        await sleep(5);
        throw new HttpError(418, "teapot");
      }),
      made("/circle", () => {
        const circle: Record<string, unknown> = {};
        circle["circle"] = circle;
        return json(200, circle);
      }),
      made("/bigint", () => json(200, 1n)),
      made("/late", async () => (await sleep(30), json(200, "late"))),
      dependent("/first", say("a"), async () => (await sleep(5), say("b")()), say("c")),
      dependent("/refused", () => new HttpError(403, "no"), say("never")),
      dependent("/refused-later", async () => new HttpError(403, "no"), say("never")),
      dependent("/refused-thrown", fail(new HttpError(403, "no")), say("never")),
      dependent("/refused-rejected", () => Promise.reject(new HttpError(403, "no")), say("never")),
      dependent("/broken", fail(new Error("secret text"))),
    ]);
  });

  const get = (path: string, ...fields: readonly string[]): string =>
    lines(`GET ${path} HTTP/1.1`, "Host: x", ...fields);

  for (const path of [
    "/throws",
    "/rejects",
    "/throws-text",
    "/throws-nothing",
    "/throws-null",
    "/circle",
    "/bigint",
    "/broken",
  ]) {
    test(`a failing handler or dependency (${path}) is one 500 without a word on why`, async () => {
      const { responses } = await exchange(service.port, get(path) + get("/"), { count: 2 });
      assert.deepEqual(
        responses.map(({ status, body }) => [status, body]),
        [
          [500, '{"detail":"Internal Server Error"}'],
          [200, '"ok"'],
        ],
      );
    });
  }

  test("what failed is told to the log, with the request it happened to", async () => {
    const failures: [unknown, string][] = [];
    const error = new Error("why");
    const limits = {
      maxBodyBytes: 1,
      maxInFlight: 1,
      maxConnections: 9,
      headersTimeoutMs: 9,
      requestTimeoutMs: 9,
      keepAliveTimeoutMs: 9,
      maxBodyMemory: 9,
    };
    const { server } = createService(
      [route({ method: "GET", path: "/", handler: () => Promise.reject(error) })],
      limits,
      {
        response: undefined,
        error: (reason, requestId) => failures.push([reason, requestId]),
      },
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const { responses } = await exchange(port, get("/", "X-Request-Id: mine"));
    assert.equal(responses[0]?.status, 500);
    assert.deepEqual(failures, [[error, "mine"]]);
    server.closeAllConnections();
    server.close();
  });

  test("an HttpError is an answer, thrown or rejected, with its own fields, and no failure", async () => {
    const failures = service.failures.filter((failure) => failure instanceof HttpError);
    for (const path of ["/refuses", "/refuses-late"]) {
      const { responses } = await exchange(service.port, get(path));
      assert.deepEqual([responses[0]?.status, responses[0]?.body], [418, '{"detail":"teapot"}']);
      assert.equal(responses[0]?.headers["a"], path === "/refuses" ? "b" : undefined);
    }
    assert.deepEqual(failures, []);
  });

  test("dependencies run one after the other, each once, before the handler", async () => {
    const { responses } = await exchange(service.port, get("/first"));
    assert.deepEqual([responses[0]?.body, order.join("")], ['"/first"', "abc"]);
  });

  test("a dependency that refuses ends the request: none after it runs, nor the handler", async () => {
    for (const path of ["/refused", "/refused-later", "/refused-thrown", "/refused-rejected"]) {
      const { responses } = await exchange(service.port, get(path));
      assert.deepEqual([responses[0]?.status, responses[0]?.body], [403, '{"detail":"no"}']);
    }
    assert.ok(!order.includes("never"));
  });

  test("a GET route ignores a body, and the connection stays in step", async () => {
    const text = get("/", "Content-Length: 5") + "HELLO" + get("/");
    const { responses } = await exchange(service.port, text, { count: 2 });
    assert.deepEqual(
      responses.map(({ status }) => status),
      [200, 200],
    );
  });

  test("a GET route responses a client that waits for 100 Continue without one", async () => {
    const { responses } = await exchange(
      service.port,
      get("/", "Expect: 100-continue", "Content-Length: 5"),
    );
    assert.deepEqual(
      responses.map(({ status, headers }) => [status, headers["connection"]]),
      [[200, "close"]],
    );
    const fields = ["Expect: 100-continue", "X-Request-Id: waiting"];
    const next = get("/", "X-Request-Id: behind-waiting");
    const raw = await exchange(service.port, get("/", ...fields) + next, { close: true });
    assert.deepEqual(
      raw.responses.map(({ status, headers }) => [status, headers["connection"]]),
      [[200, "close"]],
    );
    assert.ok(service.records.some(({ requestId }) => requestId === "waiting"));
  });

  test("2,000 pipelined requests get their responses in order", async () => {
    const count = 2000;
    const text = Array.from({ length: count }, (_, index) =>
      postEcho(String(index)).toString("latin1"),
    ).join("");
    const { responses } = await exchange(service.port, text, { count, limitMs: 30_000 });
    assert.deepEqual(
      responses.map(({ body }) => Number(body)),
      Array.from({ length: count }, (_, index) => index),
    );
  });

  test("a quick answer waits for a slow one that was asked for before it", async () => {
    const { responses } = await exchange(service.port, get("/late") + get("/"), { count: 2 });
    assert.deepEqual(
      responses.map(({ body }) => body),
      ['"late"', '"ok"'],
    );
  });

  test("a request that is being processed gets its answer even if garbage follows it", async () => {
    const rows: readonly (readonly [string, number])[] = [
      ["garbage\r\n\r\n", 400],
      ["\x16\x03\x01\x02\x00", 400],
      ["\0\0\0\0", 400],
      ["GET / HTTP/9.9\r\n\r\n", 505],
      ["FOO / HTTP/1.1\r\n\r\n", 501],
    ];
    for (const [garbage, status] of rows) {
      const { responses, reset } = await exchange(service.port, get("/late") + garbage, {
        count: 2,
        close: true,
      });
      assert.deepEqual([responses.map(({ status }) => status), reset], [[200, status], false]);
    }
  });

  const noRequests = [
    "garbage\r\n\r\n",
    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "\0",
    "GET\r\n\r\n",
    "GET / HTTP/1.1\nHost: x\n\n",
    "get / HTTP/1.1\r\nHost: x\r\n\r\n",
    "{}",
    "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
    "HTTP/1.1 200 OK\r\n\r\n",
    "SSH-2.0-x\r\n",
    "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
    "\x05\x01\x00",
    "GET /caf\xe9 HTTP/1.1\r\nHost: x\r\n\r\n",
    "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
    "CONNECT / HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET a HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET \x7f HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n",
  ];
  for (const bytes of noRequests) {
    test(`${JSON.stringify(bytes.slice(0, 30))} is no request: one 400, and nothing after it is read`, async () => {
      const { responses, closed, reset } = await exchange(service.port, bytes + get("/"), {
        close: true,
      });
      assert.deepEqual(
        responses.map(({ status }) => status),
        [400],
      );
      assert.match(responses[0]?.body ?? "", /^\{"detail":"Bad Request: /);
      assert.deepEqual(
        [responses[0]?.headers["connection"], closed, reset],
        ["close", true, false],
      );
    });
  }

  const UPGRADES = ["h2c", "websocket", "TLS/1.0", "foo"];

  test("Upgrade is ignored: the request is answered as it is, its body too", async () => {
    for (const upgrade of UPGRADES) {
      const fields = [
        "Connection: Upgrade, HTTP2-Settings",
        `Upgrade: ${upgrade}`,
        "HTTP2-Settings: AAMAAABkAAQAAP__",
      ];
      for (const request of [postEcho('"body"', ...fields), postChunks('"body"', 1, ...fields)]) {
        const { responses } = await exchange(service.port, request);
        assert.deepEqual(
          responses.map(({ status, body }) => [status, body]),
          [[200, '"body"']],
        );
      }
      assert.equal((await exchange(service.port, get("/", ...fields))).responses[0]?.body, '"ok"');
    }
  });

  test("clients that reset at any point leave a service that responses the next one", async () => {
    const halves = [
      "",
      "GET",
      get("/").slice(0, -2),
      get("/late"),
      get("/"),
      postEcho('"body"').subarray(0, -3),
      postChunks("123", 1).subarray(0, -9),
    ];
    for (let round = 0; round < 5; round++) {
      for (const bytes of halves) {
        const client = await open(service.port);
        if (bytes !== "") await new Promise((resolve) => client.socket.write(bytes, resolve));
        if (round % 2 === 0) await sleep(1);
        client.socket.resetAndDestroy();
      }
    }
    assert.equal((await exchange(service.port, get("/"))).responses[0]?.status, 200);
  });

  test("a client that closes its side before its answer has gone: nothing is processed for it any more", async () => {
    const client = await open(service.port, "", { allowHalfOpen: true });
    client.socket.end(get("/late", "X-Request-Id: half-closed"));
    await client.untilEnded();
    await until(
      () => service.records.some(({ requestId }) => requestId === "half-closed"),
      "the line",
    );
    assert.deepEqual(
      service.records
        .filter(({ requestId }) => requestId === "half-closed")
        .map(({ status }) => status),
      [null],
    );
  });

  test("what follows a request that asks for the end is ignored, in the log too", async (t) => {
    const handler = async (): Promise<Reply> => (await sleep(20), json(200, "ok"));
    const own = await serveFor(t, [route({ method: "GET", path: "/", handler }), echo]);
    for (const head of ["HTTP/1.1\r\nHost: x\r\nConnection: close", "HTTP/1.0\r\nHost: x"]) {
      for (const path of ["/", "/nope"]) {
        const { responses, reset } = await exchange(
          own.port,
          lines(`GET ${path} ${head}`) + get("/"),
          { close: true },
        );
        assert.deepEqual(
          [responses.map(({ headers }) => headers["connection"]), reset],
          [["close"], false],
        );
      }
    }
    assert.deepEqual(
      own.records.map(({ path, status }) => [path, status]),
      [
        ["/", 200],
        ["/nope", 404],
        ["/", 200],
        ["/nope", 404],
      ],
    );
  });

  test("empty lines before a request are ignored", async () => {
    const { responses } = await exchange(service.port, `\r\n\r\n${get("/")}\r\n${get("/")}`, {
      count: 2,
    });
    assert.deepEqual(
      responses.map(({ status }) => status),
      [200, 200],
    );
  });

  test("a request that arrives byte by byte is one request", async () => {
    const client = await open(service.port);
    client.socket.setNoDelay(true);
    for (const byte of postEcho('"é"')) {
      client.socket.write(Buffer.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.deepEqual(
      (await client.untilResponses(1)).map(({ status, body }) => [status, body]),
      [[200, '"é"']],
    );
  });
});

describe("time limits", { concurrency: 8 }, () => {
  const suite = suiteScope();
  let service: TestService;
  before(async () => {
    service = await serveFor(suite, [echo], {
      headersTimeoutMs: 300,
      requestTimeoutMs: 600,
      keepAliveTimeoutMs: 200,
    });
  });

  test("a header section that comes too slowly is 408, and the connection closes", async () => {
    for (const start of ["GET /", "POST /echo HTTP/1.1\r\nHost: x\r\n"]) {
      const client = await open(service.port);
      client.send(start);
      const timer = setInterval(() => client.send("a"), 100);
      const [answer] = await client.untilResponses(1);
      clearInterval(timer);
      assert.deepEqual([answer?.status, answer?.headers["connection"]], [408, "close"]);
      assert.match(answer?.body ?? "", /^\{"detail":"Request Timeout: /);
      await client.untilEnded();
    }
  });

  test("a body that comes too slowly is one 408 from the request, and the connection closes", async () => {
    for (const request of [
      postEcho('"body"').subarray(0, -3),
      postChunks('"body"', 1).subarray(0, -8),
    ]) {
      const client = await open(service.port);
      client.send(request);
      const [answer] = await client.untilResponses(1);
      assert.deepEqual([answer?.status, answer?.headers["connection"]], [408, "close"]);
      await client.untilEnded();
      assert.equal(client.responses.length, 1);
    }
    const lines408 = service.records.filter(
      ({ status, path }) => status === 408 && path === "/echo",
    );
    assert.equal(lines408.length, 2);
  });

  test("a silent connection is closed with 408, or without a word", async () => {
    const client = await open(service.port);
    await client.untilEnded();
    assert.ok(client.responses.every(({ status }) => status === 408));
  });

  test("an idle connection is closed without a word", async () => {
    const client = await open(service.port);
    client.send(postEcho("1"));
    await client.untilResponses(1);
    await client.untilEnded();
    assert.deepEqual([client.responses.length, client.reset], [1, false]);
  });

  test("a handler may take longer than the time for a request", async (t) => {
    const slow = await serveFor(
      t,
      [
        route({
          method: "GET",
          path: "/",
          handler: async () => (await sleep(2500), json(200, null)),
        }),
      ],
      { headersTimeoutMs: 100, requestTimeoutMs: 200, keepAliveTimeoutMs: 100 },
    );
    const { responses } = await exchange(slow.port, lines("GET / HTTP/1.1", "Host: x"));
    assert.deepEqual(
      responses.map(({ status }) => status),
      [200],
    );
  });
});

test("a connection stays open between requests for as long as the settings say", async (t) => {
  const service = await serveFor(t, [echo], { keepAliveTimeoutMs: 60_000 });
  const client = await open(service.port);
  client.send(postEcho("1"));
  const [answer] = await client.untilResponses(1);
  assert.equal(answer?.headers["connection"], "keep-alive");
  // node:http's own default is 5 s.
  await sleep(6000);
  client.send(postEcho("2"));
  assert.equal((await client.untilResponses(2))[1]?.body, "2");
});

test("a connection that is idle for longer than that is closed, one whose next request is arriving is not", async (t) => {
  const service = await serveFor(t, [echo], { keepAliveTimeoutMs: 1, headersTimeoutMs: 10_000 });
  const idle = await open(service.port);
  const busy = await open(service.port);
  for (const client of [idle, busy]) client.send(postEcho("1"));
  await busy.untilResponses(1);
  const request = postEcho("2").toString("latin1");
  for (const letter of request.slice(0, 40)) {
    busy.send(letter);
    await sleep(75);
  }
  await idle.untilEnded();
  assert.equal(idle.reset, false);
  busy.send(request.slice(40));
  assert.equal((await busy.untilResponses(2))[1]?.body, "2");
});

test("a client that doesn't read its responses is let go of in the end", async (t) => {
  const big = route({
    method: "GET",
    path: "/",
    handler: () => ({ status: 200, headers: [], body: Buffer.alloc(1_048_576) }),
  });
  const service = await serveFor(t, [big], { headersTimeoutMs: 500, requestTimeoutMs: 500 });
  const client = await open(service.port);
  const count = (): Promise<number> =>
    new Promise((resolve) => service.server.getConnections((_error, number) => resolve(number)));
  try {
    client.socket.pause();
    client.send(lines("GET / HTTP/1.1", "Host: x").repeat(50));
    for (let tries = 0; (await count()) > 0; tries++) {
      assert.ok(tries < 300, "it is still there");
      await sleep(50);
    }
  } finally {
    client.socket.destroy();
  }
});

test("a mistake in the route table ends it before it listens", () => {
  const limits = {
    maxBodyBytes: 1,
    maxInFlight: 1,
    maxConnections: 1,
    headersTimeoutMs: 1,
    requestTimeoutMs: 1,
    keepAliveTimeoutMs: 1,
    maxBodyMemory: 9,
  };
  assert.throws(
    () => createService([echo, echo], limits, { response: undefined, error: () => {} }),
    /routes\[1\] POST \/echo: .*routes\[0\]/,
  );
});
