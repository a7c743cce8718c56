import assert from "node:assert/strict";
import { test } from "node:test";

import { exchange, open } from "../support/client.ts";
import { get, lines, postEcho } from "../support/requests.ts";
import { bytesReadAtClose, echo, serveFor } from "../support/server.ts";

const CONNECT = lines("CONNECT a:1 HTTP/1.1", "Host: a:1");

// From Node 26 on, the socket of the event is not that of the connection.
for (const [name, bytes, statuses] of [
  ["alone", CONNECT, [400]],
  ["with a request behind it", CONNECT + get("/none"), [400]],
  ["with 1 MiB behind it", CONNECT + "a".repeat(1_048_576), [400]],
  ["behind requests", postEcho("1").toString() + get("/none") + CONNECT, [200, 404, 400]],
  ["twice", CONNECT + CONNECT, [400]],
] as const) {
  test(`CONNECT ${name} has one response, 400, and the connection closes`, async (t) => {
    const { port, records, failures } = await serveFor(t, [echo]);
    const count = statuses.length;
    const { responses, closed, reset } = await exchange(port, bytes, { count, close: true });
    assert.deepEqual(
      responses.map(({ status }) => status),
      statuses,
    );
    assert.equal(responses.at(-1)?.headers["connection"], "close");
    assert.equal(closed && !reset, true);
    assert.deepEqual(records.map(({ status }) => status).sort(), [...statuses].sort());
    assert.deepEqual(failures, []);
  });
}

test("what follows CONNECT is read up to a limit", async (t) => {
  const { port, server } = await serveFor(t, []);
  const bytesRead = bytesReadAtClose(server);
  const client = await open(port, CONNECT, { allowHalfOpen: true });
  await client.untilEnded();
  const chunk = Buffer.alloc(65_536);
  const sendMore = (): void => {
    while (!client.closed && client.socket.write(chunk));
  };
  client.socket.on("drain", sendMore);
  sendMore();
  assert.ok((await bytesRead) < 8_388_608);
  client.socket.destroy();
});

test("what follows CONNECT is read, so that its client is not reset", async (t) => {
  const { port, server } = await serveFor(t, []);
  const bytesRead = bytesReadAtClose(server);
  const bytes = CONNECT + "a".repeat(1_048_576);
  const client = await open(port, bytes, { allowHalfOpen: true });
  await client.untilEnded();
  client.socket.end();
  assert.ok((await bytesRead) >= bytes.length);
});
