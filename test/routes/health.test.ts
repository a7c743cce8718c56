import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";

import { JSON_HEADERS } from "../../src/http/reply.ts";
import type { Context } from "../../src/http/route.ts";
import { healthRoute } from "../../src/routes/health.ts";
import { type RawResponse, request } from "../support/client.ts";
import { get, head, lines } from "../support/requests.ts";
import { serveFor } from "../support/server.ts";

describe("the health route", () => {
  test("is GET /health, without a key and without a limit on requests in flight", () => {
    const { method, path, dependencies, body, limited, includeInSchema } = healthRoute(() => false);
    assert.deepEqual(
      [method, path, dependencies, body, limited, includeInSchema],
      ["GET", "/health", [], undefined, false, true],
    );
  });

  test("is a probe, whose successes a log can leave out", () => {
    assert.equal(healthRoute(() => false).isProbe, true);
  });

  test("is 200 while the service takes requests", async () => {
    const reply = await healthRoute(() => false).handler({}, {} as Context);
    assert.deepEqual([reply.status, reply.body], [200, '{"status":"ok"}']);
    assert.deepEqual(reply.headers, JSON_HEADERS);
  });

  test("is 503 when the service is about to stop", async () => {
    const reply = await healthRoute(() => true).handler({}, {} as Context);
    assert.deepEqual([reply.status, reply.body], [503, '{"status":"draining"}']);
    assert.deepEqual(reply.headers, JSON_HEADERS);
  });

  test("needs no key on the wire, takes HEAD, and ignores a query", async (t) => {
    const { port } = await serveFor(t, [healthRoute(() => false)]);
    const ok = [200, '{"status":"ok"}', "keep-alive"];
    assert.deepEqual(summary(await request(port, get("/health"))), ok);
    assert.deepEqual(summary(await request(port, get("/health?x=%"))), ok);
    const toHead = await request(port, head("/health"), { isHead: true });
    assert.deepEqual(summary(toHead), [200, "", "keep-alive"]);
  });

  for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
    test(`is 405 for ${method}`, async (t) => {
      const { port } = await serveFor(t, [healthRoute(() => false)]);
      assert.equal(
        (await request(port, lines(`${method} /health HTTP/1.1`, "Host: x"))).status,
        405,
      );
    });
  }

  test("closes the connection when the service is about to stop", async (t) => {
    const port = await serveDraining(t);
    const draining = [503, '{"status":"draining"}', "close"];
    assert.deepEqual(summary(await request(port, get("/health"))), draining);
    const toHead = await request(port, head("/health"), { isHead: true });
    assert.deepEqual(summary(toHead), [503, "", "close"]);
  });
});

async function serveDraining(t: TestContext): Promise<number> {
  const service = await serveFor(t, [healthRoute(() => true)]);
  service.connections.startDraining();
  return service.port;
}

function summary({ status, body, headers }: RawResponse): unknown[] {
  return [status, body, headers["connection"]];
}
