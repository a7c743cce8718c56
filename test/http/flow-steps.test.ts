import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { describe, test } from "node:test";

import { HttpError, json, type Reply } from "../../src/http/reply.ts";
import { type Context, type Dependency, type Rejection, route } from "../../src/http/route.ts";
import { integer, object, string } from "../../src/models/model.ts";
import { exchange, open, request, statusOf } from "../support/client.ts";
import { get, postEcho } from "../support/requests.ts";
import { echo, serveFor } from "../support/server.ts";
import { CONNECTION } from "../support/transport.ts";
import { until } from "../support/wait.ts";

const DENIED = new HttpError(401, "denied");

/** A dependency that notes when it is called, and rejects in the step that is given. */
function noting(name: string, calls: string[], rejects = ""): Dependency {
  const step = (what: string) => (): Rejection => {
    calls.push(`${name} ${what}`);
    return what === rejects ? DENIED : undefined;
  };
  return Object.assign(step("runs"), { admit: step("admits"), recheck: step("rechecks") });
}

describe("the steps of a request", () => {
  test("are the dependencies, their later checks in their order, and the handler", async (t) => {
    const calls: string[] = [];
    const handler = (): Reply => json(200, calls.push("handler"));
    const dependencies = [noting("one", calls), noting("other", calls)];
    const service = await serveFor(t, [{ ...echo, dependencies, handler }]);
    assert.equal(await statusOf(service.port, postEcho("1")), 200);
    assert.deepEqual(calls, [
      "one runs",
      "other runs",
      "one admits",
      "other admits",
      "one rechecks",
      "other rechecks",
      "handler",
    ]);
    assert.equal(service.records[0]?.route, "/echo");
  });

  for (const [rejects, count] of [
    ["runs", 1],
    ["admits", 3],
    ["rechecks", 5],
  ] as const) {
    test(`end where a dependency ${rejects} and rejects`, async (t) => {
      const calls: string[] = [];
      const dependencies = [noting("one", calls, rejects), noting("other", calls)];
      const handler = (): never => assert.fail();
      const { port } = await serveFor(t, [{ ...echo, dependencies, handler }]);
      assert.equal(await statusOf(port, postEcho("1")), 401);
      assert.deepEqual([calls.length, calls.at(-1)], [count, `one ${rejects}`]);
    });
  }

  test("list the problems of parameters and body in one 422, without the handler", async (t) => {
    const checked = route({
      method: "POST",
      path: "/echo",
      parameters: { count: integer() },
      body: object({ name: string() }),
      handler: (): never => assert.fail(),
    });
    const { port, failures } = await serveFor(t, [checked]);
    const { status, body } = await request(port, postEcho("{}"));
    const { detail } = JSON.parse(body) as { readonly detail: readonly { loc: unknown }[] };
    assert.equal(status, 422);
    assert.deepEqual(
      detail.map(({ loc }) => loc),
      [
        ["query", "count"],
        ["body", "name"],
      ],
    );
    assert.deepEqual(failures, []);
  });
});

describe("a client that goes away", () => {
  test("while a dependency is busy costs nothing more", async (t) => {
    let verdict = (): void => {};
    const busy = (): Promise<Rejection> =>
      new Promise((resolve) => {
        verdict = () => resolve(undefined);
      });
    const calls: string[] = [];
    const admit = (): void => void calls.push("admit");
    const dependencies = [Object.assign(busy, { admit })];
    const handler = (): Reply => json(200, calls.push("handler"));
    const slow = route({ method: "GET", path: "/slow", dependencies, handler });
    const service = await serveFor(t, [slow]);
    const client = await open(service.port, get("/slow"));
    await until(() => service.connections.inFlight === 1, "the request");
    client.socket.destroy();
    await until(() => service.connections.inFlight === 0, "its end");
    verdict();
    assert.equal(await statusOf(service.port, get("/")), 404);
    assert.deepEqual([calls, service.failures], [[], []]);
  });

  test("while its handler is busy has one record, whatever that replies", async (t) => {
    const handler = async (_input: unknown, { signal }: Context): Promise<Reply> => {
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      return json(200, null);
    };
    const service = await serveFor(t, [route({ method: "GET", path: "/slow", handler })]);
    const client = await open(service.port, get("/slow"));
    await until(() => service.connections.inFlight === 1, "the request");
    client.socket.destroy();
    await until(() => service.records.length === 1, "the record");
    assert.equal(await statusOf(service.port, get("/")), 404);
    assert.deepEqual(
      service.records.map(({ status }) => status),
      [null, 404],
    );
    assert.equal(service.connections.inFlight, 0);
  });

  test("before the end of its body calls neither a later check nor a handler", async (t) => {
    const calls: string[] = [];
    const dependencies = [Object.assign(() => {}, { recheck: () => void calls.push("recheck") })];
    const handler = (): Reply => json(200, calls.push("handler"));
    const service = await serveFor(t, [{ ...echo, dependencies, handler }]);
    service.server.on("request", (message) => {
      // The client is gone, although all of the body has arrived.
      message.on("data", () => service.connections.get(message.socket)?.close());
    });
    await open(service.port, postEcho("1"));
    await until(() => service.records.length === 1, "the record");
    assert.equal(await statusOf(service.port, get("/")), 404);
    assert.deepEqual([service.records[0]?.status, calls], [null, []]);
  });
});

describe("a request that ends its connection", () => {
  test("is the last one, also if node:http has not noticed that it is", async (t) => {
    let isClosing: boolean | undefined;
    const handler = (_input: unknown, { request: message }: Context): Reply => {
      isClosing = service.connections.get(message.socket)?.isClosing;
      return json(200, null);
    };
    const service = await serveFor(t, [route({ method: "GET", path: "/", handler })]);
    service.server.prependListener("request", (_request, response) => {
      response.shouldKeepAlive = true;
    });
    const { responses } = await exchange(service.port, get("/", ["Connection: close"]), {
      close: true,
    });
    assert.deepEqual([responses[0]?.headers["connection"], isClosing], ["close", true]);
  });

  test("has the body of another behind it read on, so that its response is read", async (t) => {
    const { server, port, records } = await serveFor(t, [echo]);
    const accepted = new Promise<Socket>((resolve) => server.once(CONNECTION, resolve));
    const first = "POST /nope HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    const client = await open(port, first, { allowHalfOpen: true });
    const socket = await accepted;
    await client.untilEnded();
    const ignored = postEcho(JSON.stringify("a".repeat(1_000_000)));
    client.send("0\r\n\r\n");
    client.send(ignored);
    const total = first.length + 5 + ignored.length;
    await until(() => socket.bytesRead === total, "all to be read");
    assert.deepEqual([client.responses.length, records.length], [1, 1]);
  });
});
