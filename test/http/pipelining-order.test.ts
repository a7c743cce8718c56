import assert from "node:assert/strict";
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, test } from "node:test";

import { json } from "../../src/http/reply.ts";
import { type Route, route } from "../../src/http/route.ts";
import { type Client, open } from "../support/client.ts";
import { get, postChunks, postEcho } from "../support/requests.ts";
import type { Scope } from "../support/scope.ts";
import { anything, serveFor, type TestService } from "../support/server.ts";
import { until } from "../support/wait.ts";

/** More than node:http writes before it stops reading requests. */
const LARGE = "a".repeat(20_000);

/** Responds after as many turns of the event loop as the request's X-Turns says. */
async function waitTurns(turns: string | string[] | undefined): Promise<void> {
  for (let turn = Number(turns ?? 0); turn > 0; turn -= 1) await nextTurn();
}

function serve(scope: Scope, routes: readonly Route[] = []): Promise<TestService> {
  const large = route({ method: "GET", path: "/large", handler: () => json(200, LARGE) });
  const slow = route({
    method: "GET",
    path: "/slow",
    handler: async (_body, { request }) => {
      await waitTurns(request.headers["x-turns"]);
      return json(200, "slow");
    },
  });
  const echo = route({
    method: "POST",
    path: "/echo",
    // Asynchronous, so that a body may be wanted when the parser has stopped already.
    dependencies: [({ request }) => waitTurns(request.headers["x-turns"]).then(() => undefined)],
    body: anything,
    handler: ({ body }) => json(200, body ?? null),
  });
  const all = [large, slow, echo, ...routes];
  return serveFor(scope, all, { maxInFlight: 10_000 });
}

test("requests behind the 64th keep their order when large responses have been sent", async (t) => {
  let openGate: (() => void) | undefined;
  const gate = new Promise<void>((resolve) => {
    openGate = resolve;
  });
  const gated = route({
    method: "GET",
    path: "/gated",
    handler: async () => {
      await gate;
      return json(200, "gated");
    },
  });
  const service = await serve(t, [gated]);
  const ids = Array.from({ length: 400 }, (_, index) => `id-${index}`);
  // 400 KB, of which node:http reads 64 KiB at once.
  const padding = `A: ${"a".repeat(900)}`;
  const requests = ids.map((id, index) => {
    return get(index < 62 ? "/large" : "/gated", [`X-Request-Id: ${id}`, padding]);
  });
  const client = await open(service.port, requests.join(""));
  // The client reads, and node:http would now read on.
  await client.untilResponses(62);
  for (let turn = 0; turn < 20; turn += 1) await nextTurn();
  openGate?.();
  await client.untilResponses(400);
  assert.deepEqual(
    client.responses.map(({ headers }) => headers["x-request-id"]),
    ids,
  );
});

test("another connection has its turn before all requests of one read are served", async (t) => {
  const paths: string[] = [];
  let other: Client | undefined;
  const note = route({
    method: "GET",
    path: "/note",
    handler: (_input, { requestId }) => {
      paths.push(requestId);
      // It is in the server's queue before the next turn.
      if (paths.length === 1) other?.send(get("/note", ["X-Request-Id: other"]));
      return json(200, "");
    },
  });
  const service = await serveFor(t, [note]);
  other = await open(service.port);
  const client = await open(service.port, get("/note").repeat(1000));
  await client.untilResponses(1000);
  await other.untilResponses(1);
  const position = paths.indexOf("other");
  assert.ok(position < 500, `it was served as number ${position + 1} of ${paths.length}`);
});

/** A request whose options say that it is the last one. Node 20 overlooks it because of the tab. */
const LAST = ["Connection: close\t"] as const;

describe("the body of the last request of a connection", { concurrency: 4 }, () => {
  for (const before of [0, 6, 7, 8, 62, 63, 64]) {
    test(`arrives although ${before} others and their bytes come before it`, async (t) => {
      const service = await serve(t);
      const others = get("/slow", ["X-Turns: 3"]).repeat(before);
      const last = postEcho('"last"', "X-Turns: 3", ...LAST);
      const client = await open(service.port, `${others}${last}${get("/slow")}`);
      await client.untilClosed();
      assert.equal(client.responses.length, before + 1);
      assert.equal(client.responses.at(-1)?.body, '"last"');
    });
  }
});

/** Numbers from 0 up to a limit, the same ones for a seed (a linear congruential generator). */
function randomNumbers(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((state / 2_147_483_648) * limit);
  };
}

interface Sample {
  readonly bytes: Buffer;
  /** The body of its response. */
  readonly expected: string;
}

function sampleRequest(random: (limit: number) => number, id: string): Sample {
  const fields = [`X-Request-Id: ${id}`, `X-Turns: ${random(20)}`];
  const body = `"${"b".repeat(random(5) === 0 ? random(9000) : random(40))}"`;
  switch (random(4)) {
    case 0:
      return { bytes: Buffer.from(get("/large", fields)), expected: JSON.stringify(LARGE) };
    case 1:
      return { bytes: Buffer.from(get("/slow", fields)), expected: '"slow"' };
    case 2:
      return { bytes: postEcho(body, ...fields), expected: body };
    default:
      return { bytes: postChunks(body, 1 + random(2000), ...fields), expected: body };
  }
}

describe("pipelines of any requests, sent and read in any pieces", { concurrency: 4 }, () => {
  for (let seed = 1; seed <= 24; seed += 1) {
    test(`get each response in its place (seed ${seed})`, async (t) => {
      const service = await serve(t);
      const random = randomNumbers(seed);
      const count = 64 + random(300);
      const ids = Array.from({ length: count }, (_, index) => `id-${index}`);
      const samples = ids.map((id) => sampleRequest(random, id));
      const bytes = Buffer.concat(samples.map((sample) => sample.bytes));
      const client = await open(service.port);
      client.socket.setNoDelay(true);
      for (let at = 0; at < bytes.length; ) {
        const size = 1 + random(random(3) === 0 ? 100_000 : 3000);
        client.send(bytes.subarray(at, at + size));
        at += size;
        if (random(3) === 0) client.socket.pause();
        await nextTurn();
        if (random(2) === 0) client.socket.resume();
      }
      client.socket.resume();
      await until(() => client.responses.length >= count || client.ended, "the responses");
      assert.deepEqual(
        client.responses.map(({ headers }) => headers["x-request-id"]),
        ids,
      );
      assert.ok(client.responses.every(({ body }, index) => body === samples[index]?.expected));
      assert.equal(service.records.length, count);
    });
  }
});
