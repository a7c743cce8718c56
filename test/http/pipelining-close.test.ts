import assert from "node:assert/strict";
import { test } from "node:test";

import { HttpError } from "../../src/http/reply.ts";
import { route } from "../../src/http/route.ts";
import { open } from "../support/client.ts";
import { get, postHead } from "../support/requests.ts";
import { anything, serveFor } from "../support/server.ts";

/** Rejects everything before its body is read, after a turn of the event loop. */
const rejecting = route({
  method: "POST",
  path: "/echo",
  dependencies: [async () => new HttpError(403, "Forbidden")],
  body: anything,
  handler: () => assert.fail("the handler was called"),
});

test("a last response behind 63 others is not reset by what is held back behind it", async (t) => {
  const service = await serveFor(t, [rejecting]);
  const client = await open(service.port);
  const others = get("/nope").repeat(63);
  const last = postHead(["Content-Length: 1000000"], { path: "/echo", key: "" }).toString();
  client.send(`${others}${last}${"x".repeat(1_000_000)}`);
  await client.untilClosed();
  assert.equal(client.reset, false);
  const statuses = client.responses.map(({ status }) => status);
  assert.deepEqual(statuses, [...Array.from({ length: 63 }, () => 404), 403]);
  assert.equal(client.responses.at(-1)?.headers["connection"], "close");
});
