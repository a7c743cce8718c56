import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, test } from "node:test";

import { MemoryBudget } from "../../src/http/budget.ts";
import { type Route, route } from "../../src/http/route.ts";
import type { Limits } from "../../src/http/server.ts";
import { type Client, exchange, open } from "../support/client.ts";
import { get, postEcho, postHead } from "../support/requests.ts";
import type { Scope } from "../support/scope.ts";
import { anything, echo, serveFor, type TestService } from "../support/server.ts";
import { CONNECTION } from "../support/transport.ts";
import { until } from "../support/wait.ts";

describe("a memory budget", () => {
  test("is overdrawn by the first byte past it, and takes back what it gave", () => {
    const budget = new MemoryBudget(10);
    assert.equal(budget.take(4), true);
    assert.equal(budget.take(6), true);
    assert.equal(budget.take(1), false);
    assert.equal(budget.take(-1), true);
    assert.equal(budget.take(-10), true);
    assert.equal(budget.take(10), true);
  });

  test("is still overdrawn after too little was given back", () => {
    const budget = new MemoryBudget(10);
    budget.take(15);
    assert.equal(budget.take(-4), false);
    assert.equal(budget.take(-1), true);
  });

  test("has what is left, and no more", () => {
    const budget = new MemoryBudget(10);
    budget.take(3);
    assert.deepEqual([budget.has(7), budget.has(8), budget.has(0)], [true, false, true]);
    budget.take(7);
    assert.deepEqual([budget.has(0), budget.has(1)], [true, false]);
    budget.take(1);
    assert.equal(budget.has(0), false);
  });
});

/** Longer than node:http reads at once: such a body must have its memory before it arrives. */
const LONG = 100_000;

/** The memory for one such body and the half of another. */
const MEMORY = 150_000;

const ECHO = { path: "/echo", key: "" };

/** A JSON string of this many bytes. */
function text(bytes: number): string {
  return `"${"a".repeat(bytes - 2)}"`;
}

/** The beginning of a request whose body lacks its last byte. */
function withoutLastByte(bytes: number): Buffer {
  return postEcho(text(bytes)).subarray(0, -1);
}

interface BudgetService extends TestService {
  /** Opens a connection, and resolves when the service has read these bytes. */
  send(bytes: string | Buffer): Promise<Client>;
}

async function serveWith(
  scope: Scope,
  limits: Partial<Limits> = {},
  routes: readonly Route[] = [],
): Promise<BudgetService> {
  const service = await serveFor(scope, [echo, ...routes], { maxBodyMemory: MEMORY, ...limits });
  const send = async (bytes: string | Buffer): Promise<Client> => {
    const accepted = new Promise<Socket>((resolve) => service.server.once(CONNECTION, resolve));
    const client = await open(service.port, bytes);
    const socket = await accepted;
    await until(() => socket.bytesRead === bytes.length || client.ended, "the bytes to be read");
    return client;
  };
  return { ...service, send };
}

/** Whether there is memory for a long body. */
async function hasRoom({ port }: TestService, bytes = LONG): Promise<boolean> {
  const { responses } = await exchange(port, postEcho(text(bytes)));
  const [response] = responses;
  assert.ok(response?.status === 200 || response?.status === 503, String(response?.status));
  return response.status === 200;
}

describe("memory for bodies", () => {
  test("without it, a long body is 503 with Retry-After before it arrives", async (t) => {
    const service = await serveWith(t);
    await service.send(withoutLastByte(LONG));
    const head = postHead([`Content-Length: ${LONG}`], ECHO);
    const { responses, reset } = await exchange(service.port, head, { close: true });
    const [response] = responses;
    assert.deepEqual(
      [responses.length, response?.status, response?.headers["retry-after"], reset],
      [1, 503, "1", false],
    );
    assert.equal(
      response?.body,
      '{"detail":"Service Unavailable: too many bodies are arriving at once"}',
    );
    assert.equal(response?.headers["connection"], "close");
  });

  test("without it, a client that waits for 100 Continue gets 503 and no 100", async (t) => {
    const service = await serveWith(t);
    await service.send(withoutLastByte(LONG));
    const head = postHead([`Content-Length: ${LONG}`, "Expect: 100-continue"], ECHO);
    const { responses } = await exchange(service.port, head, { close: true });
    assert.deepEqual(
      responses.map(({ status }) => status),
      [503],
    );
  });

  test("without it, requests with a short body or none are served", async (t) => {
    const service = await serveWith(t);
    await service.send(withoutLastByte(LONG));
    const { responses } = await exchange(service.port, postEcho("1"));
    assert.equal(responses[0]?.status, 200);
    const missing = await exchange(service.port, get("/nope"));
    assert.equal(missing.responses[0]?.status, 404);
  });

  test("a long body costs its size once", async (t) => {
    const service = await serveWith(t, { maxBodyMemory: 10 * LONG });
    const clients: Client[] = [];
    for (let index = 0; index < 9; index += 1) {
      clients.push(await service.send(withoutLastByte(LONG)));
    }
    assert.equal(await hasRoom(service), true);
    clients.push(await service.send(withoutLastByte(LONG)));
    assert.equal(await hasRoom(service), false);
    for (const client of clients) client.send('"');
    for (const client of clients) {
      await client.untilResponses();
      assert.equal(client.responses[0]?.status, 200);
    }
  });

  test("a body longer than all of it is 503, too", async (t) => {
    const service = await serveWith(t);
    assert.equal(await hasRoom(service, MEMORY), true);
    assert.equal(await hasRoom(service, MEMORY + 1), false);
  });

  test("short bodies that lack a byte use it, too, and the one past it is 503", async (t) => {
    const service = await serveWith(t, { maxBodyMemory: 10_000 });
    for (let index = 0; index < 10; index += 1) await service.send(withoutLastByte(1001));
    const client = await service.send(withoutLastByte(1001));
    await client.untilResponses();
    assert.equal(client.responses[0]?.status, 503);
    // A whole one is gone as soon as it is here.
    const { responses } = await exchange(service.port, postEcho(text(1001)));
    assert.equal(responses[0]?.status, 200);
  });

  test("a body of one byte at a time is read to its end in it", async (t) => {
    const service = await serveWith(t, { maxBodyMemory: 400 });
    const request = postEcho(text(400));
    const client = await open(service.port, request.subarray(0, -400));
    client.socket.setNoDelay(true);
    for (const byte of request.subarray(-400)) {
      client.send(Buffer.of(byte));
      await nextTurn();
    }
    await client.untilResponses();
    assert.equal(client.responses[0]?.status, 200);
  });
});

/** A chunk of a chunked body. */
function chunk(content: string): Buffer {
  return Buffer.from(`${content.length.toString(16)}\r\n${content}\r\n`);
}

const CHUNKED = postHead(["Transfer-Encoding: chunked"], ECHO);

describe("memory for chunked bodies", () => {
  test("is taken as they grow, to at most twice their size", async (t) => {
    const service = await serveWith(t, { maxBodyMemory: 100_000, maxBodyBytes: 1_000_000 });
    const client = await service.send(CHUNKED);
    // Doubling from one byte takes 65,536 bytes for 40,000.
    for (const size of [1, 1, 2, 10, 1000, 20_000, 18_986]) {
      client.send(chunk("1".repeat(size)));
      await nextTurn();
    }
    client.send(chunk("1"));
    client.send("0\r\n\r\n");
    await client.untilResponses();
    assert.equal(client.responses[0]?.status, 200);
    assert.equal(await hasRoom(service, 100_000), true);
  });

  test("is taken for twice their size when they grow", async (t) => {
    for (const [maxBodyMemory, status] of [
      [30_000, 200],
      [29_999, 503],
    ] as const) {
      const service = await serveWith(t, { maxBodyMemory });
      const client = await service.send(Buffer.concat([CHUNKED, chunk("1".repeat(15_000))]));
      client.send(Buffer.concat([chunk("1"), Buffer.from("0\r\n\r\n")]));
      await client.untilResponses();
      assert.equal(client.responses[0]?.status, status, `of ${maxBodyMemory} bytes`);
    }
  });

  test("is never more than the longest body", async (t) => {
    const service = await serveWith(t, { maxBodyMemory: 50_000, maxBodyBytes: 50_000 });
    const client = await service.send(CHUNKED);
    client.send(chunk("1".repeat(20_000)));
    await nextTurn();
    client.send(chunk("1".repeat(20_000)));
    await nextTurn();
    client.send(chunk("1".repeat(10_000)));
    client.send("0\r\n\r\n");
    await client.untilResponses();
    assert.equal(client.responses[0]?.status, 200);
  });

  test("without it, the body is one 503 at once, and the connection closes", async (t) => {
    const service = await serveWith(t, { maxBodyMemory: 10_000 });
    const client = await service.send(CHUNKED);
    for (let index = 0; index < 20 && !client.ended; index += 1) {
      client.send(chunk("1".repeat(1000)));
      await nextTurn();
    }
    await client.untilEnded();
    assert.deepEqual(
      client.responses.map(({ status, headers }) => [status, headers["retry-after"]]),
      [[503, "1"]],
    );
    assert.equal(client.reset, false);
    assert.equal(await hasRoom(service, 10_000), true);
  });

  test("many that do not end use it up, and the others are served", async (t) => {
    const service = await serveWith(t, { maxBodyMemory: 100_000 });
    const clients: Client[] = [];
    for (let index = 0; index < 20; index += 1) {
      clients.push(await service.send(Buffer.concat([CHUNKED, chunk("1".repeat(10_000))])));
    }
    const isRefused = ({ responses }: Client): boolean => responses[0]?.status === 503;
    await until(() => clients.filter(isRefused).length === 10, "half of them to be refused");
    const others = clients.filter((client) => !isRefused(client));
    assert.equal(others.length, 10);
    for (const client of others) {
      client.send("0\r\n\r\n");
      await client.untilResponses();
      assert.equal(client.responses[0]?.status, 200);
    }
  });
});

describe("memory for bodies is given back", () => {
  const slow = route({
    method: "POST",
    path: "/slow",
    body: anything,
    handler: () => new Promise<never>(() => {}),
  });
  const failing = route({
    method: "POST",
    path: "/failing",
    body: anything,
    handler: () => {
      throw new Error("on purpose");
    },
  });

  /** How a body that has all the memory but a byte ends, by what happens to it. */
  const endings: Readonly<Record<string, (client: Client) => Promise<unknown>>> = {
    "when the body is whole": (client) => {
      client.send('"');
      return client.untilResponses();
    },
    "when it is no JSON": (client) => {
      client.send("x");
      return client.untilResponses();
    },
    "when its client closes": (client) => {
      client.socket.destroy();
      return client.untilClosed();
    },
    "when its client resets": (client) => {
      client.socket.resetAndDestroy();
      return client.untilClosed();
    },
    "when its client closes its side": (client) => {
      client.socket.end();
      return client.untilClosed();
    },
    "when it does not arrive in time": (client) => client.untilEnded(),
  };
  for (const [when, end] of Object.entries(endings)) {
    test(when, async (t) => {
      const service = await serveWith(t, { headersTimeoutMs: 500, requestTimeoutMs: 500 });
      const client = await service.send(withoutLastByte(LONG));
      await end(client);
      await until(() => hasRoom(service, MEMORY), "the memory");
    });
  }

  test("when a handler starts, not when it ends", async (t) => {
    const service = await serveWith(t, {}, [slow]);
    const options = { path: "/slow", key: "" };
    const head = postHead([`Content-Length: ${LONG}`], options);
    await service.send(Buffer.concat([head, Buffer.from(text(LONG))]));
    await until(() => service.connections.inFlight === 1, "the request");
    assert.equal(await hasRoom(service, MEMORY), true);
  });

  test("when a handler fails", async (t) => {
    const service = await serveWith(t, {}, [failing]);
    const head = postHead([`Content-Length: ${LONG}`], { path: "/failing", key: "" });
    for (let index = 0; index < 5; index += 1) {
      const bytes = Buffer.concat([head, Buffer.from(text(LONG))]);
      const { responses } = await exchange(service.port, bytes);
      assert.equal(responses[0]?.status, 500);
    }
    assert.equal(await hasRoom(service, MEMORY), true);
  });

  const cutChunks: readonly (readonly [what: string, bytes: string, status: number])[] = [
    ["one that is too long", chunk("1".repeat(200_000)).toString(), 413],
    ["one with a chunk that is none", `${chunk("1").toString()}x\r\n`, 400],
    ["one with long chunk extensions", `1;${"a".repeat(20_000)}\r\n1\r\n`, 413],
  ];
  for (const [what, bytes, status] of cutChunks) {
    test(`after a chunked body is refused: ${what}`, async (t) => {
      const service = await serveWith(t, { maxBodyBytes: MEMORY });
      for (let index = 0; index < 5; index += 1) {
        const request = Buffer.concat([CHUNKED, chunk("1".repeat(1000)), Buffer.from(bytes)]);
        const { responses } = await exchange(service.port, request, { close: true });
        assert.deepEqual(
          responses.map((response) => response.status),
          [status],
        );
      }
      assert.equal(await hasRoom(service, MEMORY), true);
    });
  }

  test("after 200 clients that go away at any point", async (t) => {
    const service = await serveWith(t, { maxBodyMemory: 20_000_000, maxBodyBytes: 20_000_000 });
    const request = postEcho(text(LONG));
    for (let round = 0; round < 200; round += 1) {
      const client = await open(service.port, request.subarray(0, 200 + round * 500));
      if (round % 3 === 0) await nextTurn();
      if (round % 2 === 0) client.socket.destroy();
      else client.socket.resetAndDestroy();
    }
    await until(() => hasRoom(service, 20_000_000), "all of the memory");
  });

  test("while draining, when the rest is too late", async (t) => {
    const service = await serveWith(t);
    const client = await service.send(withoutLastByte(LONG));
    await service.connections.drain(service.server);
    await client.untilEnded();
    assert.equal(client.responses[0]?.status, 408);
    assert.equal(service.connections.inFlight, 0);
  });
});
