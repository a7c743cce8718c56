import assert from "node:assert/strict";
import { connect } from "node:net";
import { PassThrough, Readable } from "node:stream";
import { describe, test, type TestContext } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";

import { empty, json, type Reply, text } from "../../src/http/reply.ts";
import { type Context, route } from "../../src/http/route.ts";
import { exchange, open, request } from "../support/client.ts";
import { get, head, lines } from "../support/requests.ts";
import { serveFor, type TestService } from "../support/server.ts";
import { until } from "../support/wait.ts";

const CSV = "text/csv; charset=utf-8";

type Handler = (context: Context) => Reply | Promise<Reply>;

/** `GET /rows` with this handler, and `GET /fine`. */
function serveRows(t: TestContext, handler: Handler): Promise<TestService> {
  return serveFor(t, [
    route({ method: "GET", path: "/rows", handler: (_input, context) => handler(context) }),
    route({ method: "GET", path: "/fine", handler: () => json(200, "fine") }),
  ]);
}

/** The header fields of the first response of a connection, and what follows them. */
function parts(received: string): [fields: string, content: string] {
  const end = received.indexOf("\r\n\r\n") + 4;
  return [received.slice(0, end), received.slice(end)];
}

/** The content in chunks, put together. */
function joined(chunks: string): string {
  let content = "";
  for (let rest = chunks; rest !== "0\r\n\r\n"; ) {
    const [size = ""] = rest.split("\r\n", 1);
    const start = size.length + 2;
    const end = start + Number.parseInt(size, 16);
    content += rest.slice(start, end);
    rest = rest.slice(end + 2);
  }
  return content;
}

describe("a reply of text", () => {
  test("has its type and its length in bytes, and is not stored", async (t) => {
    const { port } = await serveRows(t, () => text(201, CSV, "a,é\n", ["X-A", "b"]));
    const { status, headers, body } = await request(port, get("/rows"));
    assert.deepEqual([status, body], [201, "a,é\n"]);
    assert.equal(headers["content-type"], CSV);
    assert.equal(headers["content-length"], "5");
    assert.equal(headers["cache-control"], "no-store");
    assert.equal(headers["x-a"], "b");
  });

  test("may be empty, or without content: 204 has no Content-Length", async (t) => {
    const replies = [text(200, CSV, ""), empty(), empty(["X-A", "b"])];
    const { port } = await serveRows(t, () => replies.shift() as Reply);
    const bytes = get("/rows") + get("/rows") + get("/rows") + get("/fine");
    const { responses } = await exchange(port, bytes, { count: 4 });
    assert.deepEqual(
      responses.map(({ status, headers, body }) => [status, headers["content-length"], body]),
      [
        [200, "0", ""],
        [204, undefined, ""],
        [204, undefined, ""],
        [200, "6", '"fine"'],
      ],
    );
    assert.equal(responses[1]?.headers["content-type"], undefined);
    assert.equal(responses[1]?.headers["cache-control"], "no-store");
    assert.equal(responses[2]?.headers["x-a"], "b");
  });
});

describe("a stream", () => {
  const rows = (): Readable => Readable.from(["a,b\n", "1,2\n", "é,3\n"]);

  test("is sent in chunks, and the connection is used again", async (t) => {
    const service = await serveRows(t, () => text(200, CSV, rows()));
    const client = await open(service.port, get("/rows"));
    await client.until(() => client.text.endsWith("0\r\n\r\n"), "the stream");
    const [fields, content] = parts(client.text);
    assert.match(fields, /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(fields, /\r\nContent-Type: text\/csv; charset=utf-8\r\n/);
    assert.match(fields, /\r\nTransfer-Encoding: chunked\r\n/);
    assert.doesNotMatch(fields, /Content-Length/);
    assert.match(fields, /\r\nX-Content-Type-Options: nosniff\r\n/);
    assert.equal(Buffer.from(joined(content), "latin1").toString(), "a,b\n1,2\né,3\n");
    client.send(get("/fine"));
    await client.until(() => client.text.endsWith('"fine"'), "the next response");
    assert.deepEqual(
      service.records.map(({ status }) => status),
      [200, 200],
    );
    assert.equal(service.connections.inFlight, 0);
  });

  test("to HTTP/1.0 ends with the connection", async (t) => {
    const { port } = await serveRows(t, () => text(200, CSV, rows()));
    const client = await open(port, lines("GET /rows HTTP/1.0", "Host: x"));
    await client.untilEnded();
    const [fields, content] = parts(client.text);
    assert.doesNotMatch(fields, /Transfer-Encoding|Content-Length/);
    assert.match(fields, /\r\nConnection: close\r\n/);
    assert.equal(Buffer.from(content, "latin1").toString(), "a,b\n1,2\né,3\n");
  });

  test("is not read for HEAD, and destroyed", async (t) => {
    const content = new Readable({ read: () => assert.fail("nobody reads it") });
    const service = await serveRows(t, () => text(200, CSV, content));
    const bytes = head("/rows") + head("/fine");
    const { responses } = await exchange(service.port, bytes, { count: 2, isHead: true });
    assert.deepEqual(
      responses.map(({ status, headers }) => [status, headers["content-type"]]),
      [
        [200, CSV],
        [200, "application/json"],
      ],
    );
    assert.ok(content.destroyed);
    assert.deepEqual(service.failures, []);
  });

  test("of 204 is not read, and destroyed", async (t) => {
    const content = rows();
    const { port } = await serveRows(t, () => ({ ...empty(), body: content }));
    const { responses } = await exchange(port, get("/rows") + get("/fine"), { count: 2 });
    assert.deepEqual(
      responses.map(({ status }) => status),
      [204, 200],
    );
    assert.ok(content.destroyed);
  });

  test("counts as in flight until it has ended", async (t) => {
    const content = new PassThrough();
    const ended: string[] = [];
    const service = await serveRows(t, (context) => {
      context.onEnd(() => ended.push("end"));
      return text(200, CSV, content);
    });
    const client = await open(service.port, get("/rows"));
    content.write("a");
    await client.until(() => client.text.endsWith("1\r\na\r\n"), "the first chunk");
    assert.deepEqual([service.connections.inFlight, service.records.length, ended], [1, 0, []]);
    content.end("b");
    await client.until(() => client.text.endsWith("0\r\n\r\n"), "the last chunk");
    await until(() => service.connections.inFlight === 0, "its end");
    assert.deepEqual([service.records.map(({ status }) => status), ended], [[200], ["end"]]);
  });

  test("is read no faster than its client reads", async (t) => {
    let produced = 0;
    const content = new Readable({
      read() {
        produced += 65_536;
        this.push(produced > 67_108_864 ? null : Buffer.alloc(65_536, "a"));
      },
    });
    const service = await serveRows(t, () => text(200, CSV, content));
    const socket = connect(service.port, "127.0.0.1").pause();
    socket.write(get("/rows"));
    await until(() => produced > 0, "the first read");
    let before = -1;
    while (before !== produced) {
      before = produced;
      for (let turn = 0; turn < 500; turn += 1) await nextTurn();
    }
    assert.ok(produced < 33_554_432, `${produced} bytes were read ahead`);
    socket.resume();
    await until(() => service.connections.inFlight === 0, "its end");
    await until(() => socket.bytesRead > 67_108_864, "all of it");
    socket.destroy();
  });

  test("is destroyed if its client goes away, which is no error", async (t) => {
    for (const isReading of [true, false]) {
      const content = new Readable({
        read() {
          setImmediate(() => this.push(Buffer.alloc(65_536)));
        },
      });
      let signal: AbortSignal | undefined;
      const service = await serveRows(t, (context) => {
        signal = context.signal;
        return text(200, CSV, content);
      });
      const client = await open(service.port, get("/rows"));
      await client.until(() => client.text !== "", "the first bytes");
      if (!isReading) client.socket.pause();
      client.socket.destroy();
      await until(() => content.destroyed, "the end of the stream");
      await until(() => service.connections.inFlight === 0, "the end of the request");
      assert.deepEqual(
        service.records.map(({ status }) => status),
        [null],
      );
      assert.deepEqual(service.failures, []);
      assert.equal(signal?.aborted, true);
    }
  });

  test("that fails in the middle cuts the connection, and is one error in the log", async (t) => {
    const content = new PassThrough();
    const service = await serveRows(t, () => text(200, CSV, content));
    const client = await open(service.port, get("/rows"));
    content.write("a");
    await client.until(() => client.text.endsWith("a\r\n"), "the first chunk");
    const error = new Error("the rows ran out");
    content.destroy(error);
    await client.untilClosed();
    assert.doesNotMatch(client.text, /0\r\n\r\n/);
    assert.deepEqual(
      service.failures.map((failure) => failure.error),
      [error],
    );
    assert.deepEqual(
      service.records.map(({ status }) => status),
      [200],
    );
    assert.equal((await request(service.port, get("/fine"))).status, 200);
  });

  for (const [name, make] of Object.entries({
    "has failed already": () => new Readable().destroy(new Error("early")),
    "holds an object": () => Readable.from(["a", { b: 1 }, "c"]),
    "holds null in an iterator that throws": () =>
      Readable.from(
        (function* rowsThatThrow(): Generator<string> {
          yield "a";
          throw new Error("late");
        })(),
      ),
  })) {
    test(`that ${name} cuts the connection, and nothing else`, async (t) => {
      const service = await serveRows(t, () => {
        const content = make();
        // Somebody else's listener; without one, the stream of the first case would end the test.
        content.on("error", () => {});
        return text(200, CSV, content);
      });
      const client = await open(service.port, get("/rows"));
      await client.untilClosed();
      assert.doesNotMatch(client.text, /0\r\n\r\n/);
      assert.equal(service.failures.length, 1);
      assert.equal((await request(service.port, get("/fine"))).status, 200);
    });
  }

  test("is destroyed if its reply can't be sent, or nobody is there any more", async (t) => {
    const broken = rows();
    const service = await serveRows(t, () => text(200, CSV, broken, ["Content-Length", "3"]));
    assert.equal((await request(service.port, get("/rows"))).status, 500);
    assert.ok(broken.destroyed);

    const late = rows();
    const { promise: isGone, resolve } = withResolver();
    const other = await serveRows(t, async (context) => {
      context.onGone = resolve;
      await isGone;
      return text(200, CSV, late);
    });
    const client = await open(other.port, get("/rows"));
    await until(() => other.connections.inFlight === 1, "the request");
    client.socket.destroy();
    await until(() => late.destroyed, "the end of the stream");
    assert.deepEqual(other.failures, []);
  });

  test("may fail while it is dropped: that is nobody's problem", async (t) => {
    const content = new Readable({
      read: () => {},
      destroy: (_error, done) => done(new Error("could not be closed")),
    });
    const closed = new Promise((resolve) => content.on("close", resolve));
    const service = await serveRows(t, () => text(200, CSV, content, ["Content-Length", "3"]));
    assert.equal((await request(service.port, get("/rows"))).status, 500);
    await closed;
    assert.equal((await request(service.port, get("/fine"))).status, 200);
  });

  test("behind another request on its connection waits for its turn", async (t) => {
    const first = new PassThrough();
    const contents = [first, rows()];
    const service = await serveRows(t, () => text(200, CSV, contents.shift() as Readable));
    const client = await open(service.port, get("/rows") + get("/rows") + get("/fine"));
    await until(() => service.connections.inFlight === 1, "the second and the third");
    first.end("first");
    await client.until(() => client.text.endsWith('"fine"'), "all of them");
    const order = [...client.text.matchAll(/first|a,b|"fine"/g)].map(([word]) => word);
    assert.deepEqual(order, ["first", "a,b", '"fine"']);
  });

  test("is finished while draining, and its connection closes then", async (t) => {
    const content = new PassThrough();
    const service = await serveRows(t, () => text(200, CSV, content));
    const client = await open(service.port, get("/rows"));
    content.write("a");
    await client.until(() => client.text.endsWith("a\r\n"), "the first chunk");
    const draining = service.connections.drain(service.server);
    for (let turn = 0; turn < 100; turn += 1) await nextTurn();
    assert.equal(client.ended, false);
    content.end("b");
    await draining;
    await client.untilEnded();
    assert.ok(client.text.endsWith("1\r\nb\r\n0\r\n\r\n"));
    assert.equal(client.reset, false);
  });
});

function withResolver(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => {};
  const promise = new Promise<void>((fulfill) => {
    resolve = fulfill;
  });
  return { promise, resolve };
}
