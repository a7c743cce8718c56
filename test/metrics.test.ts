import assert from "node:assert/strict";
import { test } from "node:test";

import type { RequestRecord } from "../src/http/exchange.ts";
import { RequestMetrics } from "../src/metrics.ts";
import { formatMetrics } from "../src/metrics-text.ts";
import { type Family, parseMetrics, sumOf } from "./support/prometheus.ts";

const RECORD: RequestRecord = {
  requestId: "id",
  remote: "127.0.0.1",
  method: "POST",
  path: "/process",
  route: "/process",
  status: 200,
  durationMs: 12,
};

/** The metrics after these requests. */
function metricsOf(...records: readonly Partial<RequestRecord>[]): Map<string, Family> {
  const metrics = new RequestMetrics();
  for (const record of records) metrics.count({ ...RECORD, ...record });
  const samples = new Map<string, number>();
  metrics.addTo(samples);
  return parseMetrics(formatMetrics([{ samples }]));
}

function samplesOf(families: Map<string, Family>, name: string): Record<string, number> {
  return Object.fromEntries(families.get(name)?.samples ?? []);
}

test("requests are counted by route, method and status", () => {
  const families = metricsOf(
    {},
    {},
    { status: 401, denied: "missing" },
    { method: "GET", route: "/health", path: "/health" },
    { method: "HEAD", route: "/health", path: "/health" },
    { status: null },
  );
  assert.deepEqual(samplesOf(families, "api_requests_total"), {
    'api_requests_total{route="/process",method="POST",status="200"}': 2,
    'api_requests_total{route="/process",method="POST",status="401"}': 1,
    'api_requests_total{route="/process",method="POST",status="none"}': 1,
    'api_requests_total{route="/health",method="GET",status="200"}': 1,
    'api_requests_total{route="/health",method="HEAD",status="200"}': 1,
  });
});

test("whatever has no route shares its labels", () => {
  const strangers = Array.from({ length: 500 }, (_, index) => ({
    route: undefined,
    path: `/stranger/${index}"}\n`,
    method: ["GET", "POST", "PROPFIND", `X${index}`][index % 4],
    requestId: `id-${index}`,
    remote: `192.0.2.${index}`,
    status: 404,
  }));
  const { path: _path, method: _method, route: _route, ...bytes } = RECORD;
  const metrics = new RequestMetrics();
  for (const stranger of strangers) metrics.count({ ...RECORD, ...stranger });
  metrics.count({ ...bytes, status: 400 });
  const samples = new Map<string, number>();
  metrics.addTo(samples);
  const families = parseMetrics(formatMetrics([{ samples }]));
  assert.deepEqual(samplesOf(families, "api_requests_total"), {
    'api_requests_total{route="none",method="none",status="404"}': 500,
    'api_requests_total{route="none",method="none",status="400"}': 1,
  });
  assert.equal(sumOf(families, "api_request_duration_seconds", "_count"), 501);
  assert.ok(samples.size < 25, `${samples.size} series`);
});

test("durations are counted by route", () => {
  const families = metricsOf(
    { durationMs: 0.4 },
    { durationMs: 600 },
    { route: "/a", durationMs: 3 },
  );
  const samples = samplesOf(families, "api_request_duration_seconds");
  const of = (suffix: string, labels: string): number | undefined =>
    samples[`api_request_duration_seconds_${suffix}{${labels}}`];
  assert.equal(of("count", 'route="/process"'), 2);
  assert.equal(of("bucket", 'route="/process",le="0.001"'), 1);
  assert.equal(of("bucket", 'route="/process",le="0.5"'), 1);
  assert.equal(of("bucket", 'route="/process",le="1"'), 2);
  assert.ok(Math.abs((of("sum", 'route="/process"') ?? 0) - 0.6004) < 1e-9);
  assert.equal(of("bucket", 'route="/a",le="0.0025"'), 0);
  assert.equal(of("bucket", 'route="/a",le="0.005"'), 1);
});

test("denials are counted by reason, and requests past a limit by key and limit", () => {
  const families = metricsOf(
    {},
    { status: 401, denied: "missing" },
    { status: 401, denied: "missing" },
    { status: 401, denied: "expired", key: "old" },
    { status: 429, limited: "rate", key: "ci" },
    { status: 429, limited: "rate", key: "ci" },
    { status: 429, limited: "in_flight", key: "ci" },
    { status: 429, limited: "rate", key: "backup" },
  );
  assert.deepEqual(samplesOf(families, "api_denials_total"), {
    'api_denials_total{reason="missing"}': 2,
    'api_denials_total{reason="expired"}': 1,
  });
  assert.deepEqual(samplesOf(families, "api_limited_total"), {
    'api_limited_total{key="ci",limit="rate"}': 2,
    'api_limited_total{key="ci",limit="in_flight"}': 1,
    'api_limited_total{key="backup",limit="rate"}': 1,
  });
});

test("without requests there is nothing", () => {
  const samples = new Map<string, number>();
  new RequestMetrics().addTo(samples);
  assert.equal(samples.size, 0);
});
