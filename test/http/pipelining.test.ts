import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, test } from "node:test";

import { json, type Reply } from "../../src/http/reply.ts";
import { type Context, route } from "../../src/http/route.ts";
import type { Limits } from "../../src/http/server.ts";
import { type Client, exchange, open, type RawResponse } from "../support/client.ts";
import { get, lines, post, postChunks, postEcho } from "../support/requests.ts";
import type { Scope } from "../support/scope.ts";
import { anything, connectionCount, echo, serveFor, type TestService } from "../support/server.ts";
import { CONNECTION } from "../support/transport.ts";
import { until } from "../support/wait.ts";

/** How many requests of one connection may be open at once. */
const MAX_OPEN = 64;

/** Handlers wait at it while it is closed. */
class Gate {
  /** The most handlers that were inside at once. */
  most = 0;
  #isOpen = false;
  #inside = 0;
  #waiting: (() => void)[] = [];

  open(): void {
    this.#isOpen = true;
    for (const resume of this.#waiting.splice(0)) resume();
  }

  close(): void {
    this.#isOpen = false;
  }

  async pass(): Promise<void> {
    this.#inside += 1;
    this.most = Math.max(this.most, this.#inside);
    if (!this.#isOpen) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#inside -= 1;
  }
}

/** A service with `/gated`, whose handlers wait until the gate is open. */
interface GatedService extends TestService {
  readonly gate: Gate;
  /** What the handlers of `/gated` got. */
  readonly contexts: Context[];
}

async function serveGated(scope: Scope, limits: Partial<Limits> = {}): Promise<GatedService> {
  const gate = new Gate();
  const contexts: Context[] = [];
  const respond = async (body: unknown, context: Context): Promise<Reply> => {
    contexts.push(context);
    await gate.pass();
    return json(200, body);
  };
  const routes = [
    echo,
    route({
      method: "GET",
      path: "/gated",
      handler: (_input, context) => respond("gated", context),
    }),
    route({
      method: "POST",
      path: "/gated",
      body: anything,
      handler: ({ body }, context) => respond(body, context),
    }),
  ];
  const service = await serveFor(scope, routes, { maxInFlight: 1_000_000, ...limits });
  return { ...service, gate, contexts };
}

/** The ids of `count` requests. */
function ids(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `id-${index}`);
}

/** So many requests of `/gated`, each with its id. */
function gated(count: number, ...fields: readonly string[]): string {
  return ids(count)
    .map((id) => get("/gated", [`X-Request-Id: ${id}`, ...fields]))
    .join("");
}

/** A client, or what came of an exchange. */
interface Responses {
  readonly responses: readonly RawResponse[];
}

function idsOf({ responses }: Responses): (string | undefined)[] {
  return responses.map(({ headers }) => headers["x-request-id"]);
}

function statusesOf({ responses }: Responses): number[] {
  return responses.map(({ status }) => status);
}

/** Resolves after some turns of the event loop: whatever could run by then has run. */
async function someTurns(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await nextTurn();
}

describe("requests that are pipelined", () => {
  for (const count of [1, 62, 63, 64, 65, 66, 127, 128, 129, 1000]) {
    test(`${count}: at most 64 are open at once, and responses keep their order`, async (t) => {
      const service = await serveGated(t);
      const client = await open(service.port, gated(count));
      const expected = Math.min(count, MAX_OPEN);
      await until(() => service.contexts.length >= expected, "the requests to be open");
      await someTurns();
      assert.equal(service.contexts.length, expected);
      service.gate.open();
      await client.untilResponses(count);
      assert.deepEqual(idsOf(client), ids(count));
      assert.equal(service.gate.most, expected);
    });
  }

  test("those past 64 are not read from the socket", async (t) => {
    const service = await serveGated(t);
    const sockets: Socket[] = [];
    service.server.on(CONNECTION, (socket) => sockets.push(socket));
    const request = get("/gated", [`A: ${"a".repeat(1000)}`]);
    const client = await open(service.port, request.repeat(1000));
    await until(() => service.contexts.length === MAX_OPEN, "64 open requests");
    await someTurns();
    // node:http reads 64 KiB at once, and may have begun a second read.
    assert.ok((sockets[0]?.bytesRead ?? Infinity) <= 3 * 65_536, `${sockets[0]?.bytesRead}`);
    service.gate.open();
    await client.untilResponses(1000);
    assert.equal(service.gate.most, MAX_OPEN);
  });

  test("are not read from the socket either after the parser has stopped before", async (t) => {
    const service = await serveGated(t);
    const sockets: Socket[] = [];
    service.server.on("connection", (socket) => sockets.push(socket));
    const request = get("/gated", [`A: ${"a".repeat(1000)}`]);
    await open(service.port, get("/nope").repeat(20) + request.repeat(5000));
    await until(() => service.contexts.length === MAX_OPEN, "64 open requests");
    await someTurns();
    assert.ok((sockets[0]?.bytesRead ?? Infinity) <= 4 * 65_536, `${sockets[0]?.bytesRead}`);
  });

  test("other connections are served meanwhile", async (t) => {
    const service = await serveGated(t);
    await open(service.port, gated(1000));
    await until(() => service.contexts.length === MAX_OPEN, "64 open requests");
    const { responses } = await exchange(service.port, postEcho("1"));
    assert.deepEqual(statusesOf({ responses }), [200]);
  });

  test("each gets its own response, however long its handler takes", async (t) => {
    const handler = async ({ request }: Context): Promise<unknown> => {
      const turns = Number(request.headers["x-turns"]);
      for (let turn = 0; turn < turns; turn += 1) await nextTurn();
      return request.headers["x-request-id"];
    };
    const service = await serveFor(
      t,
      [
        route({
          method: "GET",
          path: "/",
          handler: async (_input, context) => json(200, await handler(context)),
        }),
      ],
      { maxInFlight: 1000 },
    );
    const names = ids(500);
    const requests = names.map((id, index) =>
      get("/", [`X-Request-Id: ${id}`, `X-Turns: ${(index * 37) % 50}`]),
    );
    const { responses } = await exchange(service.port, requests.join(""), { count: 500 });
    assert.deepEqual(
      responses.map(({ body }) => JSON.parse(body) as unknown),
      names,
    );
  });
});

describe("bodies that are pipelined", () => {
  const bodies = Array.from({ length: 200 }, (_, index) => `"${index}${"b".repeat(index * 7)}"`);
  const kinds: Readonly<Record<string, (body: string, index: number) => Buffer>> = {
    "with their length": (body) => postEcho(body),
    "in chunks": (body, index) => postChunks(body, 1 + (index % 200)),
    "with their length and in chunks by turns": (body, index) =>
      index % 2 === 0 ? postEcho(body) : postChunks(body, 100),
  };
  for (const [what, toRequest] of Object.entries(kinds)) {
    const bytes = Buffer.concat(bodies.map(toRequest));

    test(`${what}, in one write, arrive whole and in order`, async (t) => {
      const service = await serveGated(t);
      const { responses } = await exchange(service.port, bytes, { count: bodies.length });
      assert.deepEqual(
        responses.map(({ body }) => body),
        bodies,
      );
    });

    for (const size of [997, 65_536]) {
      test(`${what}, in pieces of ${size} bytes, arrive whole and in order`, async (t) => {
        const service = await serveGated(t);
        const client = await open(service.port);
        client.socket.setNoDelay(true);
        for (let at = 0; at < bytes.length; at += size) {
          client.send(bytes.subarray(at, at + size));
          await nextTurn();
        }
        await client.untilResponses(bodies.length);
        assert.deepEqual(
          client.responses.map(({ body }) => body),
          bodies,
        );
      });
    }
  }

  test("the body of the 64th may arrive behind the stop while the others run", async (t) => {
    const service = await serveGated(t);
    const requests = Array.from({ length: 100 }, (_, index) =>
      post(String(index), [], { path: "/gated", key: "" }),
    );
    const client = await open(service.port, Buffer.concat(requests));
    // The parser stops after the header section of the 64th.
    await until(() => service.contexts.length >= MAX_OPEN - 1, "63 handlers");
    await someTurns();
    assert.equal(service.contexts.length, MAX_OPEN - 1);
    service.gate.open();
    await client.untilResponses(100);
    assert.deepEqual(
      client.responses.map(({ body }) => Number(body)),
      Array.from({ length: 100 }, (_, index) => index),
    );
  });

  test("a body that arrives later than 64 requests before it is read", async (t) => {
    const service = await serveGated(t);
    const request = postEcho('"late body"');
    const client = await open(service.port, gated(64));
    client.send(request.subarray(0, -5));
    await until(() => service.contexts.length === MAX_OPEN, "64 open requests");
    service.gate.open();
    await client.untilResponses(64);
    client.send(request.subarray(-5));
    await client.untilResponses(65);
    assert.equal(client.responses[64]?.body, '"late body"');
  });
});

describe("the end of a pipeline", () => {
  for (const count of [1, 63, 64, 65, 100, 128, 200]) {
    for (const [bytes, status] of [
      ["FOO / HTTP/1.1\r\n\r\n", 501],
      ["\x16\x03\x01", 400],
      ["GET / HTTP/1.1\r\nA : b\r\n\r\n", 400],
    ] as const) {
      const name = JSON.stringify(bytes);
      test(`${name} behind ${count} requests is ${status} after their responses`, async (t) => {
        const service = await serveGated(t);
        const client = await open(service.port, gated(count) + bytes);
        await until(() => service.contexts.length >= Math.min(count, MAX_OPEN), "the handlers");
        service.gate.open();
        await client.untilEnded();
        const expected = [...Array<number>(count).fill(200), status];
        assert.deepEqual([statusesOf(client), client.reset], [expected, false]);
        assert.deepEqual(idsOf(client).slice(0, -1), ids(count));
        assert.equal(client.responses.at(-1)?.headers["connection"], "close");
      });
    }

    test(`Connection: close behind ${count} requests ends the connection there`, async (t) => {
      const service = await serveGated(t);
      const last = get("/gated", ["X-Request-Id: last", "Connection: close"]);
      const client = await open(service.port, gated(count) + last + gated(100));
      await until(() => service.contexts.length >= Math.min(count + 1, MAX_OPEN), "the handlers");
      service.gate.open();
      await client.untilEnded();
      assert.deepEqual([idsOf(client), client.reset], [[...ids(count), "last"], false]);
      assert.equal(service.contexts.length, count + 1);
      assert.equal(service.records.length, count + 1);
    });

    test(`a response that must close behind ${count} requests ends the connection`, async (t) => {
      const service = await serveGated(t);
      const upload = lines(
        "POST /nope HTTP/1.1",
        "Host: x",
        "X-Request-Id: upload",
        "Content-Length: 1000000",
      );
      const client = await open(service.port, gated(count) + upload + gated(100));
      await until(() => service.contexts.length >= Math.min(count, MAX_OPEN), "the handlers");
      service.gate.open();
      await client.untilEnded();
      assert.deepEqual([idsOf(client), client.reset], [[...ids(count), "upload"], false]);
      assert.equal(service.contexts.length, count);
    });
  }

  test("a request behind a response that must close is not run", async (t) => {
    const service = await serveGated(t);
    const refused = [
      get("/gated", ["X-Request-Id: refused", "Expect: foo"]),
      get("/gated", ["X-Request-Id: refused", "Host: y"]),
      lines("POST /echo HTTP/1.1", "Host: x", "X-Request-Id: refused", "Expect: 100-continue"),
    ];
    for (const request of refused) {
      const { responses } = await exchange(service.port, request + gated(3), { close: true });
      assert.deepEqual(idsOf({ responses }), ["refused"]);
    }
    await someTurns();
    assert.deepEqual(service.contexts, []);
    assert.equal(service.records.length, refused.length);
  });

  for (const how of ["destroy", "resetAndDestroy"] as const) {
    test(`a client that goes away (${how}) cancels all of its requests`, async (t) => {
      const service = await serveGated(t);
      const client = await open(service.port, gated(63));
      await until(() => service.contexts.length === 63, "the requests to be open");
      client.socket[how]();
      await until(() => service.records.length === 63, "the records");
      assert.ok(service.contexts.every(({ signal }) => signal.aborted));
      assert.ok(service.records.every(({ status }) => status === null));
      assert.equal(service.connections.inFlight, 0);
      assert.deepEqual(service.failures, []);
    });
  }

  for (const how of ["destroy", "resetAndDestroy", "end"] as const) {
    test(`a client that goes away (${how}) from more than it reads leaves nothing`, async (t) => {
      const service = await serveGated(t);
      const client = await open(service.port, gated(1000));
      await until(() => service.contexts.length === MAX_OPEN, "64 open requests");
      client.socket[how]();
      // The service does not read on, so it finds out when it writes.
      service.gate.open();
      await until(async () => (await connectionCount(service.server)) === 0, "the end");
      assert.equal(service.connections.inFlight, 0);
      assert.equal(service.records.length, service.contexts.length);
      assert.deepEqual(service.failures, []);
    });
  }

  test("a client that resets a connection that is not read is noticed by the sweep", async (t) => {
    const service = await serveGated(t);
    const client = await open(service.port, gated(1000));
    await until(() => service.contexts.length === MAX_OPEN, "64 open requests");
    client.socket.resetAndDestroy();
    await until(() => service.contexts.every(({ signal }) => signal.aborted), "the abort");
    assert.equal(service.connections.inFlight, 0);
  });

  test("a connection whose requests wait is not idle", async (t) => {
    const service = await serveGated(t);
    const client = await open(service.port, gated(200));
    await until(() => service.contexts.length === MAX_OPEN, "64 open requests");
    for (let sweep = 0; sweep < 3; sweep += 1) assert.equal(service.connections.sweep(0), 1);
    service.gate.open();
    await client.untilResponses(200);
    assert.deepEqual(idsOf(client), ids(200));
  });

  test("while draining, all get their response, and the last one closes", async (t) => {
    const service = await serveGated(t);
    const client = await open(service.port, gated(200));
    await until(() => service.contexts.length === MAX_OPEN, "64 open requests");
    const drained = service.connections.drain(service.server);
    service.gate.open();
    await client.untilEnded();
    await drained;
    assert.deepEqual([idsOf(client), client.reset], [ids(200), false]);
    const closing = client.responses.map(({ headers }) => headers["connection"] === "close");
    assert.deepEqual([closing.indexOf(true), closing.filter(Boolean).length], [199, 1]);
  });
});

describe("the memory for requests that are pipelined", () => {
  const request = get("/gated", [`A: ${"a".repeat(500)}`]);

  test("is shared: a connection that overdraws it is closed, the others are served", async (t) => {
    const service = await serveGated(t);
    const parsed = new Map<Socket, number>();
    service.server.on("request", ({ socket }) => parsed.set(socket, (parsed.get(socket) ?? 0) + 1));
    const { kept, closed } = await fill(service, request.repeat(80));
    // 63 requests of 8 KiB, and what was read behind them, make about 16 connections in 8 MiB.
    assert.ok(kept.length >= 14 && kept.length <= 17, `${kept.length} were kept`);
    assert.ok(closed.every(({ responses }) => responses.length === 0));
    assert.ok([...parsed.values()].every((count) => count <= MAX_OPEN));
    // A request that no other precedes is free.
    const { responses } = await exchange(service.port, postEcho("1"));
    assert.deepEqual(statusesOf({ responses }), [200]);
    service.gate.open();
    await Promise.all(kept.map((client) => client.untilResponses(80)));
    assert.ok(kept.every(({ reset }) => !reset));
  });

  test("counts what was read behind the 64th, too", async (t) => {
    const service = await serveGated(t);
    const { kept } = await fill(service, get("/gated").repeat(64) + "a".repeat(60_000));
    assert.ok(kept.length >= 13 && kept.length <= 15, `${kept.length} were kept`);
  });

  test("is given back with the responses, and if a client goes away", async (t) => {
    const service = await serveGated(t);
    const counts: number[] = [];
    for (const isLeaving of [false, true, false]) {
      const { kept } = await fill(service, request.repeat(80));
      counts.push(kept.length);
      if (isLeaving) for (const { socket } of kept) socket.resetAndDestroy();
      service.gate.open();
      if (!isLeaving) await Promise.all(kept.map((client) => client.untilResponses(80)));
      for (const { socket } of kept) socket.destroy();
      await until(async () => (await connectionCount(service.server)) === 0, "the ends");
      service.gate.close();
    }
    assert.equal(new Set(counts).size, 1, `kept: ${counts.join(", ")}`);
  });
});

/** Which of 80 connections are kept that pipeline the same bytes, one after the other. */
async function fill(
  service: GatedService,
  bytes: string,
): Promise<{ kept: Client[]; closed: Client[] }> {
  const clients: Client[] = [];
  while (clients.length < 80) {
    const before = service.contexts.length;
    const client = await open(service.port, bytes);
    clients.push(client);
    const isFull = (): boolean => service.contexts.length === before + MAX_OPEN;
    await until(() => isFull() || client.closed, "64 requests, or the end");
  }
  await someTurns();
  return {
    kept: clients.filter((client) => !client.closed),
    closed: clients.filter((client) => client.closed),
  };
}
