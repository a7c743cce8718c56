import assert from "node:assert/strict";
import { test } from "node:test";

import { open } from "../support/client.ts";
import { postHead } from "../support/requests.ts";
import { echo, serveFor } from "../support/server.ts";
import { until } from "../support/wait.ts";

const HEAD = postHead(["Content-Length: 20"], { path: "/echo" }).toString();

for (const sent of ["", "{", '{"a"']) {
  test(`a client that resets after "${sent}" of its body is logged as gone`, async (t) => {
    const service = await serveFor(t, [echo]);
    for (let i = 0; i < 5; i += 1) {
      const client = await open(service.port, `${HEAD}${sent}`);
      // Half of them reset before the service has read anything.
      if (i % 2 === 0) await until(() => service.connections.inFlight === 1, "the request");
      client.socket.resetAndDestroy();
      await until(() => service.connections.inFlight === 0, "the request to end");
    }
    assert.ok(service.records.length >= 3);
    for (const { status } of service.records) assert.equal(status, null);
  });
}

test("a client that only ends its side within its body gets 400", async (t) => {
  const service = await serveFor(t, [echo]);
  const client = await open(service.port, `${HEAD}{`);
  client.socket.end();
  await client.untilClosed();
  assert.deepEqual(
    client.responses.map(({ status }) => status),
    [400],
  );
  assert.deepEqual(
    service.records.map(({ status }) => status),
    [400],
  );
});
