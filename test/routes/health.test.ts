import assert from "node:assert/strict";
import { test } from "node:test";

import type { Context } from "../../src/http/route.ts";
import { healthRoute } from "../../src/routes/health.ts";
import { exchange } from "../support/client.ts";
import { lines } from "../support/requests.ts";
import { serveFor } from "../support/server.ts";

test("it is GET /health, without a key, and answered however many requests are in flight", () => {
  const { method, path, dependencies, body, limited, includeInSchema } = healthRoute(() => false);
  assert.deepEqual(
    [method, path, dependencies, body, limited, includeInSchema],
    ["GET", "/health", [], undefined, false, true],
  );
});

test("it is 200 while the service takes requests, and 503 when it is about to stop", async () => {
  for (const [draining, status, text] of [
    [false, 200, "ok"],
    [true, 503, "draining"],
  ] as const) {
    const reply = await healthRoute(() => draining).handler(undefined, {} as Context);
    assert.deepEqual([reply.status, reply.body], [status, JSON.stringify({ status: text })]);
    assert.deepEqual(reply.headers, [
      "Content-Type",
      "application/json",
      "Cache-Control",
      "no-store",
    ]);
  }
});

test("on the wire it needs no key, takes HEAD, ignores a query, and turns to 503 with Connection: close", async (t) => {
  let isDraining = false;
  const service = await serveFor(t, [healthRoute(() => isDraining)], { maxInFlight: 1 });
  const ask = async (
    method: string,
    target: string,
  ): Promise<readonly [number | undefined, string | undefined, string | undefined]> => {
    const request = lines(`${method} ${target} HTTP/1.1`, "Host: x");
    const { responses } = await exchange(service.port, request, { isHead: method === "HEAD" });
    return [responses[0]?.status, responses[0]?.body, responses[0]?.headers["connection"]];
  };
  assert.deepEqual(await ask("GET", "/health"), [200, '{"status":"ok"}', "keep-alive"]);
  assert.deepEqual(await ask("GET", "/health?x=%"), [200, '{"status":"ok"}', "keep-alive"]);
  assert.deepEqual(await ask("HEAD", "/health"), [200, "", "keep-alive"]);
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS"])
    assert.equal((await ask(method, "/health"))[0], 405);
  isDraining = true;
  service.connections.startDraining();
  assert.deepEqual(await ask("GET", "/health"), [503, '{"status":"draining"}', "close"]);
  assert.deepEqual(await ask("HEAD", "/health"), [503, "", "close"]);
});
