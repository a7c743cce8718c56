/** Values by their series: a metric's name with its labels, as Prometheus writes it. */
export type Samples = ReadonlyMap<string, number>;

/** What a metric is, and how those of several processes become one. */
interface Metric {
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  /** Each worker has its own, since a sum would mean nothing. */
  readonly isPerWorker?: true;
}

/** All metrics by their names, in the order in which they are shown. */
const METRICS = {
  api_requests_total: {
    type: "counter",
    help: "Requests by route, method and status.",
  },
  api_request_duration_seconds: {
    type: "histogram",
    help: "Time from the end of the header section to the response, by route.",
  },
  api_denials_total: {
    type: "counter",
    help: "Requests that the guard denied, by reason.",
  },
  api_limited_total: {
    type: "counter",
    help: "Requests that met a limit of their key, by its name and the limit.",
  },
  api_requests_in_flight: {
    type: "gauge",
    help: "Requests that have no response yet, this one included.",
  },
  api_connections: {
    type: "gauge",
    help: "Open connections.",
  },
  api_log_lines_dropped_total: {
    type: "counter",
    help: "Log lines that were not written, by kind.",
  },
  api_key_expiry_seconds: {
    type: "gauge",
    help: "Time until a key expires, by its name and the first digits of its hash.",
  },
  api_certificate_expiry_seconds: {
    type: "gauge",
    help: "Time until the TLS certificate expires.",
  },
  api_event_loop_delay_seconds: {
    type: "histogram",
    help: "How late a timer was that fires ten times a second.",
  },
  process_cpu_seconds_total: {
    type: "counter",
    help: "CPU time in user mode and in the kernel.",
  },
  process_resident_memory_bytes: {
    type: "gauge",
    help: "Resident memory.",
    isPerWorker: true,
  },
  process_start_time_seconds: {
    type: "gauge",
    help: "When the process started, in seconds since the epoch.",
    isPerWorker: true,
  },
  nodejs_heap_size_used_bytes: {
    type: "gauge",
    help: "The part of the heap that is in use.",
    isPerWorker: true,
  },
  nodejs_heap_size_total_bytes: {
    type: "gauge",
    help: "The heap of JavaScript.",
    isPerWorker: true,
  },
  api_info: {
    type: "gauge",
    help: "Always 1, with the versions of the program and of Node.",
  },
} as const satisfies Readonly<Record<string, Metric>>;

/** The name of a metric. */
export type MetricName = keyof typeof METRICS;

/** Labels by their names. No value has a character that Prometheus would need escaped. */
export type Labels = Readonly<Record<string, string>>;

/** The samples of one process. */
export interface Source {
  readonly samples: Samples;
  /** The id of the worker; undefined for the only process, or for what is no worker's own. */
  readonly worker?: string;
}

/** Where the buckets of a histogram end, in seconds; the last one has no end. */
const BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Counts durations. */
export class Histogram {
  /** How many are in each bucket, and past the last bound. */
  readonly #counts: number[] = [...BOUNDS.map(() => 0), 0];
  #sum = 0;

  observe(seconds: number): void {
    let bucket = 0;
    while (seconds > (BOUNDS[bucket] ?? Infinity)) bucket += 1;
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1;
    this.#sum += seconds;
  }

  /** Adds its series to `samples`: each bucket counts those before it, too. */
  addTo(samples: Map<string, number>, name: MetricName, labels: Labels = {}): void {
    let total = 0;
    for (const [index, count] of this.#counts.entries()) {
      total += count;
      const le = String(BOUNDS[index] ?? "+Inf");
      samples.set(seriesOf(`${name}_bucket`, { ...labels, le }), total);
    }
    samples.set(seriesOf(`${name}_sum`, labels), this.#sum);
    samples.set(seriesOf(`${name}_count`, labels), total);
  }
}

/**
 * The series of a metric with these labels.
 *
 * @example
 *     series("api_denials_total", { reason: "missing" }); // 'api_denials_total{reason="missing"}'
 */
export function series(name: MetricName, labels: Labels = {}): string {
  return seriesOf(name, labels);
}

function seriesOf(name: string, labels: Labels): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  return pairs.length === 0 ? name : `${name}{${pairs.join(",")}}`;
}

/** Tells whether a value from another process is samples of known metrics. */
export function isSamples(value: unknown): value is Samples {
  if (!(value instanceof Map)) return false;
  return [...(value as Map<unknown, unknown>)].every(
    ([key, sample]) =>
      typeof key === "string" && Object.hasOwn(METRICS, nameOf(key)) && typeof sample === "number",
  );
}

/** Adds the counts of a process that has ended to `totals`. What it measured last is over. */
export function addCounts(totals: Map<string, number>, samples: Samples): void {
  for (const [key, value] of samples) {
    if (metricOf(key).type !== "gauge") totals.set(key, (totals.get(key) ?? 0) + value);
  }
}

/** Writes samples in Prometheus' text format 0.0.4: sums, or one series for each worker. */
export function formatMetrics(sources: readonly Source[]): string {
  const totals = new Map<string, number>();
  for (const { samples, worker } of sources) {
    for (const [key, value] of samples) {
      const isOwn = metricOf(key).isPerWorker === true && worker !== undefined;
      const shown = isOwn ? withLabel(key, `worker="${worker}"`) : key;
      totals.set(shown, (totals.get(shown) ?? 0) + value);
    }
  }
  const lines = new Map<string, string[]>();
  for (const [key, value] of totals) {
    const name = nameOf(key);
    const known = lines.get(name) ?? [];
    known.push(`${key} ${value}\n`);
    lines.set(name, known);
  }
  const names = Object.keys(METRICS).filter((name) => lines.has(name));
  return names.map((name) => `${headOf(name)}${lines.get(name)?.join("")}`).join("");
}

function headOf(name: string): string {
  const { help, type } = METRICS[name as MetricName];
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
}

function metricOf(key: string): Metric {
  return METRICS[nameOf(key) as MetricName];
}

/** The metric that a series belongs to. */
function nameOf(key: string): string {
  const [name = ""] = key.split("{");
  return Object.hasOwn(METRICS, name) ? name : name.replace(/_(?:bucket|sum|count)$/, "");
}

function withLabel(key: string, label: string): string {
  return key.includes("{") ? key.replace("{", `{${label},`) : `${key}{${label}}`;
}
