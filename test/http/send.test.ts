import assert from "node:assert/strict";
import { before, describe, test } from "node:test";

import { json, type Reply } from "../../src/http/reply.ts";
import { route } from "../../src/http/route.ts";
import { exchange, open } from "../support/client.ts";
import { lines, postChunks, postEcho } from "../support/requests.ts";
import { suiteScope } from "../support/scope.ts";
import { echo, serveFor, type TestService } from "../support/server.ts";
import { until } from "../support/wait.ts";

const SMALL = 65_536;

describe("responses", { concurrency: 8 }, () => {
  const suite = suiteScope();
  let service: TestService;
  let reply: unknown;
  before(async () => {
    service = await serveFor(suite, [
      echo,
      route({ method: "GET", path: "/", handler: () => json(200, "ok") }),
      route({ method: "GET", path: "/any", handler: () => reply as Reply }),
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

  const GET = lines("GET / HTTP/1.1", "Host: x");

  test("the length counts bytes, of text and of bytes alike", async () => {
    const { responses } = await exchange(
      service.port,
      GET.replace("/ ", "/bytes ") + GET.replace("/ ", "/text "),
      {
        count: 2,
      },
    );
    assert.deepEqual(
      responses.map(({ headers, body }) => [headers["content-length"], body]),
      [
        ["2", "é"],
        ["2", "é"],
      ],
    );
  });

  test("every answer has Date, X-Request-Id and nosniff, and none has Server", async () => {
    for (const path of ["/", "/text", "/none", "/same", "/odd", "/nope", "/echo", "//"]) {
      const { responses } = await exchange(service.port, GET.replace("/ ", `${path} `));
      const { headers } = responses[0] ?? { headers: {} as Record<string, string> };
      assert.match(headers["date"] ?? "", / GMT$/);
      assert.match(headers["x-request-id"] ?? "", /^[\x21-\x7e]+$/);
      assert.equal(headers["x-content-type-options"], "nosniff");
      assert.ok(!("server" in headers) && !("x-powered-by" in headers));
    }
  });

  test("204 and 304 have neither body nor Content-Length, and the connection stays in step", async () => {
    const text = GET.replace("/ ", "/none ") + GET.replace("/ ", "/same ") + GET;
    const { responses } = await exchange(service.port, text, { count: 3 });
    assert.deepEqual(
      responses.map(({ status, headers }) => [status, headers["content-length"]]),
      [
        [204, undefined],
        [304, undefined],
        [200, "4"],
      ],
    );
  });

  test("HEAD has the fields of GET, Content-Length too, and no body, and the connection stays in step", async () => {
    const both = async (path: string): Promise<void> => {
      const get = await exchange(service.port, GET.replace("/ ", `${path} `));
      const head = await exchange(service.port, GET.replace("GET / ", `HEAD ${path} `), {
        isHead: true,
      });
      const fields = (raw: typeof get): object => ({
        ...raw.responses[0]?.headers,
        "x-request-id": "",
        date: "",
      });
      assert.deepEqual(fields(head), fields(get));
      assert.equal(head.responses[0]?.status, get.responses[0]?.status);
    };
    for (const path of ["/", "/text", "/bytes", "/none", "/same", "/nope", "/"]) await both(path);
    const client = await open(service.port);
    client.send(GET.replace("GET", "HEAD").repeat(3) + GET);
    await until(() => client.text.endsWith('"ok"'), "the answer to GET");
    assert.equal(client.text.split("HTTP/1.1 200 OK").length, 5);
    assert.equal(client.text.split('"ok"').length, 2);
  });

  test("a field may be given twice, and a status may be one without a name", async () => {
    const { responses } = await exchange(service.port, GET.replace("/ ", "/odd "));
    assert.deepEqual([responses[0]?.status, responses[0]?.headers["a"]], [299, "1, 2"]);
  });

  const broken: readonly (readonly [string, unknown])[] = [
    ["nothing", undefined],
    ["null", null],
    ["text instead of a reply", "ok"],
    ["an empty object", {}],
    ["no body", { status: 200, headers: [] }],
    ["a body of null", { status: 200, headers: [], body: null }],
    ["a number for a body", { status: 200, headers: [], body: 5 }],
    ["an object for a body", { status: 200, headers: [], body: { a: 1 } }],
    ["a list for a body", { status: 200, headers: [], body: [1] }],
    ["an ArrayBuffer for a body", { status: 200, headers: [], body: new ArrayBuffer(4) }],
    ["a status that is none", { status: 20, headers: [], body: "" }],
    ["a status past 999", { status: 1000, headers: [], body: "" }],
    ["a status of NaN", { status: NaN, headers: [], body: "" }],
    ["a field with a line break", { status: 200, headers: ["A", "b\r\nC: d"], body: "" }],
    ["a field's name with a blank", { status: 200, headers: ["A B", "c"], body: "" }],
    ["a field beyond Latin-1", { status: 200, headers: ["A", "\u2028"], body: "" }],
    ["a field without a value", { status: 200, headers: ["A", undefined], body: "" }],
    ["an odd list of fields", { status: 200, headers: ["A"], body: "" }],
  ];
  describe("a handler's broken reply", { concurrency: 1 }, () => {
    for (const [what, value] of broken) {
      test(`${what} is one 500, told to the log, and the connection is kept`, async () => {
        reply = value;
        const failures = service.failures.length;
        const request = GET.replace("/ ", "/any ") + GET;
        const { responses } = await exchange(service.port, request, { count: 2, limitMs: 3000 });
        assert.deepEqual(
          responses.map(({ status, body }) => [status, body]),
          [
            [500, '{"detail":"Internal Server Error"}'],
            [200, '"ok"'],
          ],
        );
        assert.equal(service.failures.length, failures + 1);
      });
    }
  });

  test("an unread body of 64 KiB is read and dropped, and the connection kept", async () => {
    for (const length of [1, 5, SMALL]) {
      const head = lines("POST /nope HTTP/1.1", "Host: x", `Content-Length: ${length}`);
      const { responses, reset } = await exchange(service.port, head + "a".repeat(length) + GET, {
        count: 2,
      });
      assert.deepEqual(
        responses.map(({ status }) => status),
        [404, 200],
      );
      assert.notEqual(responses[0]?.headers["connection"], "close");
      assert.equal(reset, false);
    }
  });

  test("the answer to a small body comes before the body does", async () => {
    const client = await open(service.port);
    client.send(lines("POST /nope HTTP/1.1", "Host: x", "Content-Length: 5"));
    assert.equal((await client.untilResponses(1))[0]?.status, 404);
    client.send(`HELLO${GET}`);
    assert.deepEqual(
      (await client.untilResponses(2)).map(({ status }) => status),
      [404, 200],
    );
  });

  const lingering: readonly (readonly [string, string, string])[] = [
    ["a body declared one byte past 64 KiB", `Content-Length: ${SMALL + 1}`, "a".repeat(1000)],
    ["a chunked body, however short", "Transfer-Encoding: chunked", "1\r\na\r\n"],
    ["a body of 100 GB", "Content-Length: 100000000000", "a".repeat(1000)],
    ["a body that waits for 100 Continue", "Content-Length: 5\r\nExpect: 100-continue", ""],
  ];
  for (const [what, field, start] of lingering) {
    test(`${what} that isn't read closes the connection with a FIN, at once`, async () => {
      const client = await open(service.port, "", { allowHalfOpen: true });
      client.send(lines("POST /nope HTTP/1.1", "Host: x", field) + start);
      const [answer, ...others] = await client.untilResponses(1);
      assert.deepEqual(
        [answer?.status, answer?.headers["connection"], others.length],
        [404, "close", 0],
      );
      await client.untilEnded();
      assert.equal(client.reset, false);
      // Reading goes on: what is sent now is taken, not reset.
      for (let i = 0; i < 5; i++) {
        client.send("b".repeat(10_000));
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      assert.deepEqual([client.reset, client.responses.length], [false, 1]);
    });
  }

  test("a lingering connection is closed after about 2 s", async () => {
    const client = await open(service.port, "", { allowHalfOpen: true });
    client.send(lines("POST /nope HTTP/1.1", "Host: x", "Content-Length: 100000"));
    await client.untilEnded();
    const timer = setInterval(() => client.send("a"), 50);
    await until(() => client.closed, "the service to let go");
    clearInterval(timer);
  });

  test("a lingering connection is read for a few MiB at most, then closed, however much is sent", async () => {
    const client = await open(service.port, "", { allowHalfOpen: true });
    client.send(lines("POST /nope HTTP/1.1", "Host: x", "Content-Length: 100000000000"));
    await client.untilEnded();
    const block = Buffer.alloc(65_536);
    let sent = 0;
    while (!client.closed && sent < 200 * 1_048_576) {
      sent += block.length;
      if (client.socket.write(block)) continue;
      await new Promise((resolve) => client.socket.once("drain", resolve).once("close", resolve));
    }
    await until(() => client.closed, "the service to let go");
    // What the two kernels hold is sent, too.
    assert.ok(sent < 64 * 1_048_576, `${sent} bytes`);
  });

  test("the end of a lingering body is no request, nor is what follows it", async () => {
    const client = await open(service.port, "", { allowHalfOpen: true });
    client.send(
      lines("POST /nope HTTP/1.1", "Host: x", "Transfer-Encoding: chunked") +
        `1\r\na\r\n0\r\n\r\n${GET}`,
    );
    await client.untilEnded();
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.deepEqual(
      client.responses.map(({ status }) => status),
      [404],
    );
  });

  test("an upload of 2 MiB that is refused reads its answer whole, every time, without a reset", async () => {
    const body = Buffer.alloc(2_097_152, 97);
    const request = Buffer.concat([
      Buffer.from(lines("POST /nope HTTP/1.1", "Host: x", `Content-Length: ${body.length}`)),
      body,
    ]);
    for (let i = 0; i < 20; i++) {
      const { responses, reset } = await exchange(service.port, request, { close: true });
      assert.deepEqual([responses.length, responses[0]?.status, reset], [1, 404, false]);
    }
  });

  test("a body that was read whole closes nothing, in chunks or not", async () => {
    const text = postChunks('"a"', 1).toString("latin1") + postEcho("1").toString("latin1") + GET;
    const { responses } = await exchange(service.port, text, { count: 3 });
    assert.deepEqual(
      responses.map(({ status, headers }) => [status, headers["connection"]]),
      [
        [200, "keep-alive"],
        [200, "keep-alive"],
        [200, "keep-alive"],
      ],
    );
  });

  test("a client that asks for the end gets it: Connection: close, and HTTP/1.0", async () => {
    for (const text of [
      lines("GET / HTTP/1.1", "Host: x", "Connection: close"),
      lines("GET / HTTP/1.0", "Host: x"),
    ]) {
      const { responses, closed, reset } = await exchange(service.port, text + GET, {
        close: true,
      });
      assert.deepEqual(
        responses.map(({ status, headers }) => [status, headers["connection"]]),
        [[200, "close"]],
      );
      assert.deepEqual([closed, reset], [true, false]);
    }
  });

  test("an answer to bytes that are no request is as complete as any other", async () => {
    const { responses, closed, reset } = await exchange(service.port, "garbage\r\n\r\n", {
      close: true,
    });
    const [answer] = responses;
    assert.deepEqual([responses.length, answer?.status, closed, reset], [1, 400, true, false]);
    assert.deepEqual(Object.keys(answer?.headers ?? {}).sort(), [
      "cache-control",
      "connection",
      "content-length",
      "content-type",
      "date",
      "x-content-type-options",
      "x-request-id",
    ]);
    assert.equal(answer?.headers["connection"], "close");
  });

  test("garbage behind a request gets its 400 after the request's answer", async () => {
    const { responses } = await exchange(service.port, `${GET}garbage\r\n\r\n`, {
      count: 2,
      close: true,
    });
    assert.deepEqual(
      responses.map(({ status }) => status),
      [200, 400],
    );
  });
});
