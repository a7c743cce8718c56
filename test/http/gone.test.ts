import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, test, type TestContext } from "node:test";

import { json } from "../../src/http/reply.ts";
import { type Context, route } from "../../src/http/route.ts";
import { open, request } from "../support/client.ts";
import { get } from "../support/requests.ts";
import { serveFor, type TestService } from "../support/server.ts";
import { until } from "../support/wait.ts";

type Handler = (context: Context) => Promise<unknown>;

/** Has a client leave while a handler works for it, and waits until the service has noticed. */
async function leave(t: TestContext, work: Handler): Promise<TestService> {
  let hasBegun = false;
  const slow = route({
    method: "GET",
    path: "/slow",
    handler: async (_input, context) => {
      hasBegun = true;
      return json(200, await work(context));
    },
  });
  const fine = route({ method: "GET", path: "/fine", handler: () => json(200, {}) });
  const service = await serveFor(t, [slow, fine]);
  const client = await open(service.port, get("/slow"));
  await until(() => hasBegun, "the handler");
  client.socket.destroy();
  await until(() => service.records.length === 1, "the end of the request");
  // By the response to a later request, whatever the handler does has happened.
  assert.equal((await request(service.port, get("/fine"))).status, 200);
  assert.deepEqual(
    service.records.map(({ status }) => status),
    [null, 200],
  );
  return service;
}

describe("when a client goes away,", () => {
  test("what onGone throws is logged, and the signal still aborts", async (t) => {
    const error = new Error("why");
    let signal: AbortSignal | undefined;
    const { failures } = await leave(t, (context) => {
      signal = context.signal;
      context.onGone = () => {
        throw error;
      };
      return new Promise(() => {});
    });
    assert.deepEqual(
      failures.map((failure) => failure.error),
      [error],
    );
    assert.equal(signal?.aborted, true);
  });

  test("work that its signal cancels is no error", async (t) => {
    const { failures } = await leave(t, ({ signal }) => sleep(60_000, "", { signal }));
    assert.deepEqual(failures, []);
  });

  test("work that fails otherwise is one", async (t) => {
    const error = new Error("not because of the signal");
    const { failures } = await leave(t, async ({ signal }) => {
      await until(() => signal.aborted, "the signal");
      throw error;
    });
    await until(() => failures.length > 0, "the error");
    assert.deepEqual(
      failures.map((failure) => failure.error),
      [error],
    );
  });
});

test("work that is canceled while its client waits is an error", async (t) => {
  const canceled = route({
    method: "GET",
    path: "/",
    handler: async () => json(200, await sleep(60_000, "", { signal: AbortSignal.abort() })),
  });
  const { port, failures } = await serveFor(t, [canceled]);
  assert.equal((await request(port, get("/"))).status, 500);
  assert.equal((failures[0]?.error as Error).name, "AbortError");
});
