import { hashPrefix } from "../auth/keys.ts";
import type { Secrets } from "../config/settings.ts";
import { API_VERSION } from "../docs/base.ts";
import type { RequestRecord } from "../http/exchange.ts";
import type { Service } from "../http/server.ts";
import type { Log } from "../log.ts";
import { RequestMetrics } from "../metrics.ts";
import { Histogram, type Samples, series } from "../metrics-text.ts";

/** How often the delay of the event loop is measured, in ms. */
const DELAY_INTERVAL_MS = 100;

/** What METRICS=on counts and measures in this process. */
export class ProcessMetrics {
  readonly #log: Log;
  readonly #requests = new RequestMetrics();
  readonly #delays = new Histogram();

  /** Measures the delay of the event loop from now on. That does not keep the process alive. */
  constructor(log: Log) {
    this.#log = log;
    let due = performance.now() + DELAY_INTERVAL_MS;
    const measure = (): void => {
      const now = performance.now();
      this.#delays.observe(Math.max(0, now - due) / 1000);
      due = now + DELAY_INTERVAL_MS;
    };
    setInterval(measure, DELAY_INTERVAL_MS).unref();
  }

  /** Counts a request that has ended, and passes it on to the log. */
  readonly response = (record: RequestRecord): void => {
    this.#requests.count(record);
    this.#log.response?.(record);
  };

  /** Everything that is this process's own, at this moment. */
  samples({ connections }: Service): Samples {
    const { rss, heapUsed, heapTotal } = process.memoryUsage();
    const { user, system } = process.cpuUsage();
    const { trusted, withoutKey, lost } = this.#log.missing();
    const samples = new Map([
      [series("api_requests_in_flight"), connections.inFlight],
      [series("api_connections"), connections.count],
      [series("api_log_lines_dropped_total", { kind: "trusted" }), trusted],
      [series("api_log_lines_dropped_total", { kind: "without_key" }), withoutKey],
      [series("api_log_lines_dropped_total", { kind: "lost" }), lost],
      [series("process_cpu_seconds_total"), (user + system) / 1e6],
      [series("process_resident_memory_bytes"), rss],
      [series("process_start_time_seconds"), performance.timeOrigin / 1000],
      [series("nodejs_heap_size_used_bytes"), heapUsed],
      [series("nodejs_heap_size_total_bytes"), heapTotal],
    ]);
    this.#requests.addTo(samples);
    this.#delays.addTo(samples, "api_event_loop_delay_seconds");
    return samples;
  }
}

/** What all processes have in common at `now`, in ms since the epoch. */
export function commonSamples({ keys, tls }: Secrets, now: number): Samples {
  const samples = new Map([
    [series("api_info", { version: API_VERSION, node: process.version }), 1],
  ]);
  for (const key of keys) {
    if (key.expires === Infinity) continue;
    const labels = { key: key.name, hash: hashPrefix(key) };
    samples.set(series("api_key_expiry_seconds", labels), (key.expires - now) / 1000);
  }
  if (tls !== undefined) {
    samples.set(series("api_certificate_expiry_seconds"), (tls.expires - now) / 1000);
  }
  return samples;
}
