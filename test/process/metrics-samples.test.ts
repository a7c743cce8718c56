import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";

import { createKey } from "../../src/auth/keys.ts";
import type { RequestRecord } from "../../src/http/exchange.ts";
import type { Service } from "../../src/http/server.ts";
import type { Log } from "../../src/log.ts";
import type { Samples } from "../../src/metrics-text.ts";
import { commonSamples, ProcessMetrics } from "../../src/process/metrics.ts";

const SERVICE = { connections: { inFlight: 3, count: 5 } } as unknown as Service;
const RECORD: RequestRecord = { requestId: "r", remote: undefined, status: 200, durationMs: 1 };

/** A log that records responses. */
function createRecorder(): { readonly log: Log; readonly records: RequestRecord[] } {
  const records: RequestRecord[] = [];
  const log = {
    response: (record: RequestRecord) => records.push(record),
    missing: () => ({ trusted: 1, withoutKey: 2, lost: 4 }),
  } as unknown as Log;
  return { log, records };
}

/** Metrics of which the test moves the clock: `fireAt` fires the timer, late or not. */
function start(t: TestContext, log: Log): { metrics: ProcessMetrics; fireAt(ms: number): void } {
  t.mock.timers.enable({ apis: ["setInterval"] });
  let now = 0;
  t.mock.method(performance, "now", () => now);
  const metrics = new ProcessMetrics(log);
  const fireAt = (ms: number): void => {
    now = ms;
    t.mock.timers.tick(100);
  };
  return { metrics, fireAt };
}

describe("the samples of a process", () => {
  test("are its requests, connections, lost lines and what Node says of it", (t) => {
    const memory = { rss: 1000, heapUsed: 200, heapTotal: 300, external: 0, arrayBuffers: 0 };
    t.mock.method(process, "memoryUsage", () => memory);
    t.mock.method(process, "cpuUsage", () => ({ user: 2_000_000, system: 500_000 }));
    const { metrics } = start(t, createRecorder().log);
    metrics.response(RECORD);
    const samples = metrics.samples(SERVICE);
    const expected: Readonly<Record<string, number>> = {
      api_requests_in_flight: 3,
      api_connections: 5,
      'api_log_lines_dropped_total{kind="trusted"}': 1,
      'api_log_lines_dropped_total{kind="without_key"}': 2,
      'api_log_lines_dropped_total{kind="lost"}': 4,
      process_cpu_seconds_total: 2.5,
      process_resident_memory_bytes: 1000,
      process_start_time_seconds: performance.timeOrigin / 1000,
      nodejs_heap_size_used_bytes: 200,
      nodejs_heap_size_total_bytes: 300,
      'api_requests_total{route="none",method="none",status="200"}': 1,
    };
    for (const [series, value] of Object.entries(expected)) {
      assert.equal(samples.get(series), value, series);
    }
  });

  test("count a response, which the log has, too", (t) => {
    const { log, records } = createRecorder();
    start(t, log).metrics.response(RECORD);
    assert.deepEqual(records, [RECORD]);
    const silent = { ...log, response: undefined };
    t.mock.timers.reset();
    const { metrics } = start(t, silent);
    metrics.response(RECORD);
    const samples = metrics.samples(SERVICE);
    assert.equal(samples.get('api_requests_total{route="none",method="none",status="200"}'), 1);
  });

  test("have how late the timer fires each 100 ms, and nothing for one that is early", (t) => {
    const { metrics, fireAt } = start(t, createRecorder().log);
    const delays = (): readonly (number | undefined)[] => {
      const samples: Samples = metrics.samples(SERVICE);
      const name = "api_event_loop_delay_seconds";
      return [samples.get(`${name}_count`), samples.get(`${name}_sum`)];
    };
    assert.deepEqual(delays(), [0, 0]);
    fireAt(100);
    assert.deepEqual(delays(), [1, 0]);
    fireAt(450);
    assert.deepEqual(delays(), [2, 0.25]);
    fireAt(549);
    assert.deepEqual(delays(), [3, 0.25]);
    t.mock.timers.tick(99);
    assert.deepEqual(delays(), [3, 0.25]);
  });
});

describe("the samples that all processes have in common", () => {
  const INFO = `api_info{version="0.1.0",node="${process.version}"}`;

  test("are the versions, and the time until keys and the certificate expire", () => {
    const keys = [
      createKey("ci", "ab".repeat(32), { expires: 61_000 }),
      createKey("forever", "cd".repeat(32)),
    ];
    const tls = { certificates: "", privateKey: "", expires: 31_000 };
    assert.deepEqual(
      [...commonSamples({ keys, tls }, 1000)],
      [
        [INFO, 1],
        ['api_key_expiry_seconds{key="ci",hash="abababab"}', 60],
        ["api_certificate_expiry_seconds", 30],
      ],
    );
  });

  test("have no time for what does not expire", () => {
    assert.deepEqual([...commonSamples({ keys: [], tls: undefined }, 0)], [[INFO, 1]]);
  });
});
