import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { deserialize, serialize } from "node:v8";

import {
  addCounts,
  formatMetrics,
  Histogram,
  isSamples,
  type MetricName,
  type Samples,
  series,
} from "../src/metrics-text.ts";
import { parseMetrics, valueOf } from "./support/prometheus.ts";

function samplesOf(entries: Readonly<Record<string, number>>): Samples {
  return new Map(Object.entries(entries));
}

describe("a series", () => {
  test("is the name of its metric with its labels", () => {
    assert.equal(series("api_connections"), "api_connections");
    assert.equal(
      series("api_requests_total", { route: "/jobs/{id}", method: "GET", status: "200" }),
      'api_requests_total{route="/jobs/{id}",method="GET",status="200"}',
    );
  });
});

describe("a histogram", () => {
  const NAME: MetricName = "api_request_duration_seconds";

  function bucketsOf(...seconds: readonly number[]): Map<string, number> {
    const histogram = new Histogram();
    for (const each of seconds) histogram.observe(each);
    const samples = new Map<string, number>();
    histogram.addTo(samples, NAME, { route: "/x" });
    const families = parseMetrics(formatMetrics([{ samples }]));
    const prefix = `${NAME}_bucket{route="/x",le="`;
    const entries = [...(families.get(NAME)?.samples ?? [])];
    return new Map(
      entries
        .filter(([key]) => key.startsWith(prefix))
        .map(([key, value]) => [key.slice(prefix.length, -2), value]),
    );
  }

  test("counts in each bucket what is at most its bound", () => {
    const bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
    assert.deepEqual([...bucketsOf().keys()], [...bounds.map(String), "+Inf"]);
    for (const [index, bound] of bounds.entries()) {
      const expected = [...bounds, Infinity].map((_, i) => (i >= index ? 1 : 0));
      assert.deepEqual([...bucketsOf(bound).values()], expected, `${bound}`);
      const above = expected.map((_, i) => (i > index ? 1 : 0));
      assert.deepEqual([...bucketsOf(bound * 1.0001).values()], above, `above ${bound}`);
    }
  });

  test("counts zero in the first bucket, and days in the last", () => {
    const buckets = bucketsOf(0, 0, 86_400);
    assert.deepEqual(
      ["0.001", "10", "+Inf"].map((bound) => buckets.get(bound)),
      [2, 2, 3],
    );
  });

  test("has the sum and the count", () => {
    const histogram = new Histogram();
    for (const each of [0.5, 0.25, 100]) histogram.observe(each);
    const samples = new Map<string, number>();
    histogram.addTo(samples, NAME);
    assert.equal(samples.get(`${NAME}_sum`), 100.75);
    assert.equal(samples.get(`${NAME}_count`), 3);
    parseMetrics(formatMetrics([{ samples }]));
  });
});

describe("the text", () => {
  test("has each metric once, with its help and type, in a fixed order", () => {
    const samples = samplesOf({
      api_connections: 3,
      'api_requests_total{route="/a",method="GET",status="200"}': 1,
      'api_denials_total{reason="missing"}': 2,
      'api_requests_total{route="/b",method="GET",status="200"}': 4,
    });
    assert.equal(
      formatMetrics([{ samples }]),
      "# HELP api_requests_total Requests by route, method and status.\n" +
        "# TYPE api_requests_total counter\n" +
        'api_requests_total{route="/a",method="GET",status="200"} 1\n' +
        'api_requests_total{route="/b",method="GET",status="200"} 4\n' +
        "# HELP api_denials_total Requests that the guard denied, by reason.\n" +
        "# TYPE api_denials_total counter\n" +
        'api_denials_total{reason="missing"} 2\n' +
        "# HELP api_connections Open connections.\n" +
        "# TYPE api_connections gauge\n" +
        "api_connections 3\n",
    );
  });

  test("of several workers has sums, and the worker where a sum means nothing", () => {
    const first = samplesOf({
      api_connections: 3,
      process_cpu_seconds_total: 1.5,
      process_resident_memory_bytes: 100,
      'api_requests_total{route="/a",method="GET",status="200"}': 1,
    });
    const second = samplesOf({
      api_connections: 4,
      process_cpu_seconds_total: 2,
      process_resident_memory_bytes: 200,
      'api_requests_total{route="/b",method="GET",status="200"}': 5,
    });
    const common = samplesOf({ 'api_key_expiry_seconds{key="ci",hash="00"}': -12.5 });
    const families = parseMetrics(
      formatMetrics([
        { samples: first, worker: "1" },
        { samples: second, worker: "7" },
        { samples: common },
      ]),
    );
    for (const [key, value] of [
      ["api_connections", 7],
      ["process_cpu_seconds_total", 3.5],
      ['process_resident_memory_bytes{worker="1"}', 100],
      ['process_resident_memory_bytes{worker="7"}', 200],
      ["process_resident_memory_bytes", undefined],
      ['api_requests_total{route="/a",method="GET",status="200"}', 1],
      ['api_requests_total{route="/b",method="GET",status="200"}', 5],
      ['api_key_expiry_seconds{key="ci",hash="00"}', -12.5],
    ] as const) {
      assert.equal(valueOf(families, key), value, key);
    }
  });

  const metrics: readonly (readonly [name: MetricName, type: string, isPerWorker?: true])[] = [
    ["api_requests_total", "counter"],
    ["api_request_duration_seconds", "histogram"],
    ["api_denials_total", "counter"],
    ["api_limited_total", "counter"],
    ["api_requests_in_flight", "gauge"],
    ["api_connections", "gauge"],
    ["api_log_lines_dropped_total", "counter"],
    ["api_key_expiry_seconds", "gauge"],
    ["api_certificate_expiry_seconds", "gauge"],
    ["api_event_loop_delay_seconds", "histogram"],
    ["process_cpu_seconds_total", "counter"],
    ["process_resident_memory_bytes", "gauge", true],
    ["process_start_time_seconds", "gauge", true],
    ["nodejs_heap_size_used_bytes", "gauge", true],
    ["nodejs_heap_size_total_bytes", "gauge", true],
    ["api_info", "gauge"],
  ];

  test("knows these metrics, in this order, of these types, each with a sentence", () => {
    const samples = samplesOf(Object.fromEntries(metrics.map(([name]) => [name, 1])));
    const blocks = metrics.map(([name, type, isPerWorker]) => {
      const series = isPerWorker === true ? `${name}\{worker="3"\}` : name;
      return `# HELP ${name} [A-Z][^.\n]+\\.\n# TYPE ${name} ${type}\n${series} 1\n`;
    });
    const text = formatMetrics([{ samples, worker: "3" }]);
    assert.match(text, new RegExp(`^${blocks.join("")}$`));
  });

  test("has the worker before other labels", () => {
    const samples = samplesOf({ 'process_resident_memory_bytes{kind="a"}': 1 });
    const text = formatMetrics([{ samples, worker: "3" }]);
    assert.match(text, /^process_resident_memory_bytes\{worker="3",kind="a"\} 1$/m);
  });

  test("of no samples is empty", () => {
    assert.equal(formatMetrics([]), "");
    assert.equal(formatMetrics([{ samples: new Map() }]), "");
  });

  test("has large, small and fractional values as Prometheus reads them", () => {
    for (const value of [0, 1e21, 1e-7, 0.1 + 0.2, 2 ** 53, 1_764_400_000.123]) {
      const text = formatMetrics([{ samples: samplesOf({ api_connections: value }) }]);
      assert.equal(valueOf(parseMetrics(text), "api_connections"), value);
    }
  });
});

test("of a worker that has ended, counts and histograms stay, and nothing else", () => {
  const totals = new Map([["process_cpu_seconds_total", 1]]);
  const samples = samplesOf({
    process_cpu_seconds_total: 2,
    api_connections: 9,
    api_requests_in_flight: 9,
    process_resident_memory_bytes: 9,
    'api_limited_total{key="ci",limit="rate"}': 3,
    'api_request_duration_seconds_bucket{route="/a",le="+Inf"}': 4,
    'api_request_duration_seconds_sum{route="/a"}': 5,
    'api_request_duration_seconds_count{route="/a"}': 4,
  });
  addCounts(totals, samples);
  addCounts(totals, samples);
  assert.deepEqual(Object.fromEntries(totals), {
    process_cpu_seconds_total: 5,
    'api_limited_total{key="ci",limit="rate"}': 6,
    'api_request_duration_seconds_bucket{route="/a",le="+Inf"}': 8,
    'api_request_duration_seconds_sum{route="/a"}': 10,
    'api_request_duration_seconds_count{route="/a"}': 8,
  });
});

describe("samples of another process", () => {
  test("are samples after a message of node:cluster", () => {
    const samples = samplesOf({ api_connections: 1, 'api_denials_total{reason="missing"}': 2 });
    assert.ok(isSamples(samples));
    assert.ok(isSamples(deserialize(serialize(samples))));
    assert.ok(isSamples(new Map()));
  });

  const others: readonly (readonly [name: string, value: unknown])[] = [
    ["undefined", undefined],
    ["null", null],
    ["a number", 1],
    ["an object", { api_connections: 1 }],
    ["a list", [["api_connections", 1]]],
    ["a set", new Set(["api_connections"])],
    ["a map with a text", new Map([["api_connections", "1"]])],
    ["a map with an object", new Map([["api_connections", {}]])],
    ["a map with a number as its key", new Map([[1, 1]])],
    ["an unknown metric", new Map([["other_total", 1]])],
    ["a metric with a suffix in its midst", new Map([["api_sum_connections", 1]])],
    ["a property that all objects have", new Map([["__proto__", 1]])],
    ["another such property", new Map([["constructor", 1]])],
    [
      "one wrong entry among right ones",
      new Map<string, unknown>([
        ["api_connections", 1],
        ["x", 1],
      ]),
    ],
  ];
  for (const [name, value] of others) {
    test(`are not ${name}`, () => assert.equal(isSamples(value), false));
  }
});
