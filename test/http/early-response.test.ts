import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { open } from "../support/client.ts";
import { get, lines } from "../support/requests.ts";
import { bytesReadAtClose, echo, serveFor } from "../support/server.ts";

const LENGTH = 60_000;

/** Requests whose response comes before the body, and the connection closes after it. */
const CLOSING: Readonly<Record<string, string>> = {
  "Connection: close": lines(
    "POST /none HTTP/1.1",
    "Host: x",
    `Content-Length: ${LENGTH}`,
    "Connection: close",
  ),
  "HTTP/1.0": lines("POST /none HTTP/1.0", "Host: x", `Content-Length: ${LENGTH}`),
  draining: lines("POST /none HTTP/1.1", "Host: x", `Content-Length: ${LENGTH}`),
};

describe("a body that goes on after the last response of its connection is read:", () => {
  for (const [name, head] of Object.entries(CLOSING)) {
    test(name, async (t) => {
      const { port, server, connections } = await serveFor(t, [echo]);
      const bytesRead = bytesReadAtClose(server);
      if (name === "draining") connections.startDraining();
      const client = await open(port, head, { allowHalfOpen: true });
      const [response] = await client.untilResponses();
      assert.deepEqual([response?.status, response?.headers["connection"]], [404, "close"]);
      await client.untilEnded();
      // In two parts: the answer to the first would be a reset.
      for (const part of [LENGTH / 2, LENGTH / 2]) {
        await new Promise((resolve) => client.socket.write("a".repeat(part), resolve));
      }
      client.socket.end();
      await client.untilClosed();
      assert.equal(client.reset, false);
      assert.ok((await bytesRead) >= head.length + LENGTH);
    });
  }
});

test(
  "a connection closes at once after a request without a body",
  { timeout: 60_000 },
  async (t) => {
    // Lingering would end with a timer, which never fires here.
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const { port, server } = await serveFor(t, [echo]);
    const closed = bytesReadAtClose(server);
    const client = await open(port, get("/none", ["Connection: close"]), { allowHalfOpen: true });
    await closed;
    client.socket.destroy();
  },
);
