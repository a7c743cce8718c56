import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";

import { json } from "../../src/http/reply.ts";
import { route } from "../../src/http/route.ts";
import { createService } from "../../src/http/server.ts";
import { exchange, open, statusOf } from "../support/client.ts";
import { get, lines, postChunks, postEcho } from "../support/requests.ts";
import { suiteScope } from "../support/scope.ts";
import { echo, LIMITS, serveFor, type TestService } from "../support/server.ts";
import { until } from "../support/wait.ts";

describe("a service", { concurrency: 8 }, () => {
  const suite = suiteScope();
  let service: TestService;
  before(async () => {
    service = await serveFor(suite, [
      echo,
      route({ method: "GET", path: "/", handler: () => json(200, "ok") }),
      route({
        method: "GET",
        path: "/late",
        handler: async () => {
          await sleep(30);
          return json(200, "late");
        },
      }),
    ]);
  });

  test("ignores the body of a GET request and reads the next request", async () => {
    const bytes = `${get("/", ["Content-Length: 5"])}HELLO${get("/")}`;
    const { responses } = await exchange(service.port, bytes, { count: 2 });
    assert.deepEqual(
      responses.map(({ status }) => status),
      [200, 200],
    );
  });

  test("sends no 100 Continue for a GET request, and ends the connection", async () => {
    const first = get("/", ["Expect: 100-continue", "Content-Length: 5"]);
    for (const bytes of [first, get("/", ["Expect: 100-continue"]) + get("/")]) {
      const { responses } = await exchange(service.port, bytes, { close: true });
      assert.deepEqual(
        responses.map(({ status, headers }) => [status, headers["connection"]]),
        [[200, "close"]],
      );
    }
  });

  test("responds to 2,000 pipelined requests in their order", async () => {
    const numbers = Array.from({ length: 2000 }, (_, index) => index);
    const bytes = Buffer.concat(numbers.map((number) => postEcho(String(number))));
    const { responses } = await exchange(service.port, bytes, { count: numbers.length });
    assert.deepEqual(
      responses.map(({ body }) => Number(body)),
      numbers,
    );
  });

  test("sends a quick response after a slow one that is due before it", async () => {
    const { responses } = await exchange(service.port, get("/late") + get("/"), { count: 2 });
    assert.deepEqual(
      responses.map(({ body }) => body),
      ['"late"', '"ok"'],
    );
  });

  for (const [garbage, status] of [
    ["garbage\r\n\r\n", 400],
    ["\x16\x03\x01\x02\x00", 400],
    ["\0\0\0\0", 400],
    ["GET / HTTP/9.9\r\n\r\n", 505],
    ["FOO / HTTP/1.1\r\n\r\n", 501],
  ] as const) {
    test(`sends ${status} for ${JSON.stringify(garbage)} after the response before`, async () => {
      const { responses, reset } = await exchange(service.port, get("/late") + garbage, {
        count: 2,
        close: true,
      });
      const statuses = responses.map((response) => response.status);
      assert.deepEqual([statuses, reset], [[200, status], false]);
    });
  }

  for (const upgrade of ["h2c", "websocket", "TLS/1.0", "foo"]) {
    test(`ignores Upgrade: ${upgrade}, and takes the request as it is`, async () => {
      const fields = [
        "Connection: Upgrade, HTTP2-Settings",
        `Upgrade: ${upgrade}`,
        "HTTP2-Settings: AAMAAABkAAQAAP__",
      ];
      const requests = [
        postEcho('"ok"', ...fields),
        postChunks('"ok"', 1, ...fields),
        get("/", fields),
      ];
      for (const bytes of requests) {
        const { responses } = await exchange(service.port, bytes);
        assert.deepEqual(
          responses.map(({ status, body }) => [status, body]),
          [[200, '"ok"']],
        );
      }
    });
  }

  test("goes on when clients reset their connections at any point", async () => {
    const beginnings = [
      "",
      "GET",
      get("/").slice(0, -2),
      get("/late"),
      get("/"),
      postEcho('"body"').subarray(0, -3),
      postChunks("123", 1).subarray(0, -9),
    ];
    for (let round = 0; round < 5; round += 1) {
      for (const bytes of beginnings) {
        const { socket } = await open(service.port);
        if (bytes !== "") await new Promise((resolve) => socket.write(bytes, resolve));
        if (round % 2 === 0) await nextTurn();
        socket.resetAndDestroy();
      }
    }
    assert.equal(await statusOf(service.port, get("/")), 200);
  });

  test("takes a client that closes its side before its response for gone", async () => {
    const client = await open(service.port, "", { allowHalfOpen: true });
    client.socket.end(get("/late", ["X-Request-Id: half-closed"]));
    await client.untilEnded();
    const records = (): TestService["records"] =>
      service.records.filter(({ requestId }) => requestId === "half-closed");
    await until(() => records().length > 0, "the record");
    assert.deepEqual(
      records().map(({ status }) => status),
      [null],
    );
  });

  test("ignores empty lines before a request", async () => {
    const bytes = `\r\n\r\n${get("/")}\r\n${get("/")}`;
    const { responses } = await exchange(service.port, bytes, { count: 2 });
    assert.deepEqual(
      responses.map(({ status }) => status),
      [200, 200],
    );
  });

  test("takes a request that arrives byte by byte for one request", async () => {
    const client = await open(service.port);
    client.socket.setNoDelay(true);
    for (const byte of postEcho('"é"')) {
      client.socket.write(Buffer.of(byte));
      await nextTurn();
    }
    const responses = await client.untilResponses();
    assert.deepEqual(
      responses.map(({ status, body }) => [status, body]),
      [[200, '"é"']],
    );
  });
});

describe("bytes that are not a request", { concurrency: 8 }, () => {
  const suite = suiteScope();
  let service: TestService;
  before(async () => {
    const ok = route({ method: "GET", path: "/", handler: () => json(200, "ok") });
    service = await serveFor(suite, [ok]);
  });

  for (const bytes of [
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
  ]) {
    test(`get one 400, and nothing after them is read: ${JSON.stringify(bytes)}`, async () => {
      const { responses, closed, reset } = await exchange(service.port, bytes + get("/"), {
        close: true,
      });
      assert.deepEqual(
        responses.map(({ status, headers }) => [status, headers["connection"]]),
        [[400, "close"]],
      );
      assert.match(responses[0]?.body ?? "", /^\{"detail":"Bad Request: /);
      assert.deepEqual([closed, reset], [true, false]);
    });
  }
});

test("what follows a request that ends the connection is ignored, also in the log", async (t) => {
  const slow = route({
    method: "GET",
    path: "/",
    handler: async () => {
      await sleep(20);
      return json(200, "ok");
    },
  });
  const service = await serveFor(t, [slow, echo]);
  for (const end of ["HTTP/1.1\r\nHost: x\r\nConnection: close", "HTTP/1.0\r\nHost: x"]) {
    for (const path of ["/", "/nope"]) {
      const bytes = lines(`GET ${path} ${end}`) + get("/");
      const { responses, reset } = await exchange(service.port, bytes, { close: true });
      const fields = responses.map(({ headers }) => headers["connection"]);
      assert.deepEqual([fields, reset], [["close"], false]);
    }
  }
  assert.deepEqual(
    service.records.map(({ path, status }) => [path, status]),
    [
      ["/", 200],
      ["/nope", 404],
      ["/", 200],
      ["/nope", 404],
    ],
  );
});

test("a mistake in the route table is an error before anything listens", () => {
  assert.throws(
    () => createService([echo, echo], LIMITS, { response: undefined, error: () => {} }),
    /routes\[1\] POST \/echo: .*routes\[0\]/,
  );
});
