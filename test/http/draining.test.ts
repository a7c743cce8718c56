import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { exchange, open, openMany } from "../support/client.ts";
import { get, postEcho } from "../support/requests.ts";
import { HEALTH, serveSlow, SLOW } from "../support/slow-service.ts";
import { until } from "../support/wait.ts";

for (const [name, bytes] of [
  ["GET /health", HEALTH],
  ["POST /echo", postEcho("1")],
  ["an unknown path", get("/nope")],
] as const) {
  test(`draining closes the connection after the response to ${name}`, async (t) => {
    const { service, port } = await serveSlow(t);
    service.connections.startDraining();
    const { responses, closed, reset } = await exchange(port, bytes, { close: true });
    const fields = responses.map(({ headers }) => headers["connection"]);
    assert.deepEqual([fields, closed, reset], [["close"], true, false]);
  });
}

test("draining closes idle and silent connections and those with half a request", async (t) => {
  const slow = await serveSlow(t);
  const clients = [
    await open(slow.port),
    await open(slow.port, HEALTH),
    await open(slow.port, "GET / HTTP/1.1\r\nHo"),
    await open(slow.port, `${HEALTH}GET`),
  ];
  await clients[1]?.untilResponses();
  await clients[3]?.untilResponses();
  await slow.drain();
  for (const client of clients) await client.untilEnded();
  const late = await open(slow.port);
  assert.ok(late.reset, "a new connection is refused");
});

test("draining waits for responses in progress, also for several on a connection", async (t) => {
  const slow = await serveSlow(t);
  const clients = await openMany(slow.port, 20, SLOW);
  const last = await open(slow.port, SLOW + SLOW);
  await slow.untilEntered(22);
  let isDone = false;
  const draining = slow.drain().then(() => {
    isDone = true;
  });
  // Longer than an idle connection may stay.
  await sleep(100);
  assert.equal(isDone, false);
  slow.release();
  await draining;
  for (const client of [...clients, last]) {
    await client.untilEnded();
    assert.equal(client.reset, false);
    assert.deepEqual(new Set(client.responses.map(({ body }) => body)), new Set(['"slow"']));
    assert.equal(client.responses.at(-1)?.headers["connection"], "close");
  }
  assert.equal(last.responses.length, 2);
});

test("a request that has arrived when draining begins gets its response", async (t) => {
  for (let round = 0; round < 10; round += 1) {
    const slow = await serveSlow(t);
    const client = await open(slow.port, HEALTH);
    await client.untilResponses();
    client.send(HEALTH);
    // By now the bytes are in this machine's kernel, but not read.
    await new Promise((resolve) => client.socket.write("", resolve));
    await slow.drain();
    await client.untilEnded();
    const statuses = client.responses.map(({ status }) => status);
    assert.deepEqual([statuses, client.reset], [[200, 200], false]);
  }
});

test("a body on its way when draining begins may arrive within a second", async (t) => {
  const slow = await serveSlow(t);
  const bytes = postEcho('"body"');
  const client = await open(slow.port, bytes.subarray(0, -3));
  await until(() => slow.service.connections.inFlight === 1, "the request");
  const draining = slow.drain();
  await sleep(100);
  client.send(bytes.subarray(-3));
  const [response] = await client.untilResponses();
  assert.deepEqual([response?.status, response?.body], [200, '"body"']);
  assert.equal(response?.headers["connection"], "close");
  await draining;
});

test("a body that does not arrive gets 408, and draining ends", async (t) => {
  const slow = await serveSlow(t);
  const client = await open(slow.port, postEcho('"body"').subarray(0, -3));
  await until(() => slow.service.connections.inFlight === 1, "the request");
  await slow.drain();
  const [response] = await client.untilResponses();
  assert.deepEqual([response?.status, response?.headers["connection"]], [408, "close"]);
  await client.untilEnded();
  assert.equal(client.reset, false);
  assert.equal(slow.service.records.at(-1)?.status, 408);
});

test("draining ends when the last client leaves", async (t) => {
  const slow = await serveSlow(t);
  const client = await open(slow.port, SLOW);
  await slow.untilEntered(1);
  const draining = slow.drain();
  client.socket.resetAndDestroy();
  await draining;
  assert.equal(slow.service.records.at(-1)?.status, null);
});

test("draining without connections stops listening", async (t) => {
  const slow = await serveSlow(t);
  await slow.drain();
  assert.equal(slow.service.server.listening, false);
});
