import assert from "node:assert/strict";
import type { AddressInfo, Socket } from "node:net";
import { test } from "node:test";

import { json } from "../../src/http/reply.ts";
import { route } from "../../src/http/route.ts";
import { createService } from "../../src/http/server.ts";
import { exchange, open } from "../support/client.ts";
import { get, postEcho } from "../support/requests.ts";
import { echo, LIMITS } from "../support/server.ts";
import { until } from "../support/wait.ts";

test("a log that takes no responses changes no response, and gets no error", async (t) => {
  const errors: unknown[] = [];
  const stuck = route({
    method: "GET",
    path: "/stuck",
    handler: () => new Promise<never>(() => {}),
  });
  const fine = route({ method: "GET", path: "/", handler: () => json(200, "fine") });
  const events = { response: undefined, error: (error: unknown) => errors.push(error) };
  const { server, connections } = createService([echo, stuck, fine], LIMITS, events);
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  server.on("connection", (socket: Socket) => socket.unref());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const statusesFor = async (bytes: string | Buffer): Promise<number[]> => {
    const { responses } = await exchange(port, bytes);
    return responses.map(({ status }) => status);
  };
  assert.deepEqual(await statusesFor(get("/")), [200]);
  assert.deepEqual(await statusesFor(postEcho("1")), [200]);
  assert.deepEqual(await statusesFor(get("/nope")), [404]);
  assert.deepEqual(await statusesFor("garbage\r\n\r\n"), [400]);
  const client = await open(port, get("/stuck"));
  await until(() => connections.inFlight === 1, "the request");
  client.socket.destroy();
  await until(() => connections.inFlight === 0, "the end of the request");
  assert.deepEqual(errors, []);
});
