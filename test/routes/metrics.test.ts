import assert from "node:assert/strict";
import { describe, test } from "node:test";

import type { Context, Dependency } from "../../src/http/route.ts";
import { type MetricsReader, metricsRoute } from "../../src/routes/metrics.ts";

const METRICS = "# TYPE api_connections gauge\napi_connections 1\n";
const TYPE = "text/plain; version=0.0.4; charset=utf-8";
const guard: Dependency = () => undefined;

describe("the route of the metrics", () => {
  test("is GET /metrics, behind the guard, and responds even at full load", () => {
    const { method, path, dependencies, limited } = metricsRoute(guard, () => METRICS);
    assert.deepEqual([method, path, dependencies, limited], ["GET", "/metrics", [guard], false]);
  });

  test("is not in the document, but declares its response", () => {
    const { includeInSchema, responses } = metricsRoute(guard, () => METRICS);
    assert.equal(includeInSchema, false);
    assert.deepEqual(Object.keys(responses), ["200"]);
    assert.deepEqual([responses[200]?.description, responses[200]?.type], ["All metrics.", TYPE]);
  });

  const readers: readonly (readonly [when: string, read: MetricsReader])[] = [
    ["that are there", () => METRICS],
    ["that workers have yet to send", async () => METRICS],
  ];
  for (const [which, read] of readers) {
    test(`responds with the metrics ${which}, in Prometheus' media type`, async () => {
      const reply = await metricsRoute(guard, read).handler({}, {} as Context);
      assert.deepEqual([reply.status, reply.body], [200, METRICS]);
      assert.deepEqual(reply.headers, ["Content-Type", TYPE, "Cache-Control", "no-store"]);
    });
  }
});
