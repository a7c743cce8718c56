import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";

import { json } from "../../src/http/reply.ts";
import { route } from "../../src/http/route.ts";
import { type Client, open } from "../support/client.ts";
import { get } from "../support/requests.ts";
import { connectionCount, serveFor, type TestService } from "../support/server.ts";
import { until } from "../support/wait.ts";

/** More than the kernel takes for a client that does not read. */
const LARGE = "a".repeat(16_777_216);

interface Unread {
  readonly service: TestService;
  readonly client: Client;
}

/** A client that asks for 16 MiB and does not read them. */
async function openUnread(t: TestContext, requestTimeoutMs: number): Promise<Unread> {
  const large = route({ method: "GET", path: "/large", handler: () => json(200, LARGE) });
  const service = await serveFor(t, [large], { requestTimeoutMs });
  const client = await open(service.port);
  client.socket.pause();
  client.send(get("/large"));
  await until(() => service.records.length === 1, "the response to be given");
  return { service, client };
}

describe("a client that leaves its response unread", () => {
  test("is closed at the first sweep after the timeout without progress", async (t) => {
    let now = performance.now();
    t.mock.method(performance, "now", () => now);
    const { service } = await openUnread(t, 30_000);
    assert.equal(service.connections.sweep(60_000), 1);
    now += 29_999;
    assert.equal(service.connections.sweep(60_000), 1);
    now += 1;
    assert.equal(service.connections.sweep(60_000), 0);
    await until(
      async () => (await connectionCount(service.server)) === 0,
      "the connection to be closed",
    );
  });

  test("stays as long as it reads on, however slowly, within one large write", async (t) => {
    let now = performance.now();
    t.mock.method(performance, "now", () => now);
    const { service, client } = await openUnread(t, 30_000);
    service.connections.sweep(60_000);
    for (let round = 0; round < 3; round += 1) {
      now += 29_000;
      const enough = client.socket.bytesRead + 3_000_000;
      client.socket.resume();
      // Not polled: the client must stop before it has read everything.
      await client.until(() => client.socket.bytesRead > enough, "the client to read");
      client.socket.pause();
      assert.equal(service.connections.sweep(60_000), 1, `round ${round}`);
    }
    client.socket.resume();
    await until(() => client.responses.length === 1, "the whole response");
    assert.equal(client.responses[0]?.body.length, LARGE.length + 2);
  });
});
