import type { RequestRecord } from "./http/exchange.ts";
import { Histogram, series } from "./metrics-text.ts";

/**
 * The label of what belongs to no route, whatever its path and method: a stranger could make any
 * number of others.
 */
const NONE = "none";

/** Counts the requests of one process. */
export class RequestMetrics {
  readonly #routes = new Map<string, RouteMetrics>();
  readonly #denials = new Map<string, number>();
  readonly #limited = new Map<string, number>();

  /** Counts a request that has ended. */
  count(record: RequestRecord): void {
    const { route = NONE, denied, limited } = record;
    let metrics = this.#routes.get(route);
    if (metrics === undefined) {
      metrics = new RouteMetrics(route);
      this.#routes.set(route, metrics);
    }
    metrics.count(record);
    if (denied !== undefined) {
      increment(this.#denials, series("api_denials_total", { reason: denied }));
    }
    if (limited !== undefined) {
      const { key = NONE } = record;
      increment(this.#limited, series("api_limited_total", { key, limit: limited }));
    }
  }

  /** Adds its series to `samples`. */
  addTo(samples: Map<string, number>): void {
    for (const route of this.#routes.values()) route.addTo(samples);
    for (const [key, value] of [...this.#denials, ...this.#limited]) samples.set(key, value);
  }
}

/** The requests of one route. */
class RouteMetrics {
  readonly #route: string;
  readonly #durations = new Histogram();
  /** By method, then by status. */
  readonly #counts = new Map<string, Map<number | null, number>>();

  constructor(route: string) {
    this.#route = route;
  }

  count({ method, status, durationMs }: RequestRecord): void {
    this.#durations.observe(durationMs / 1000);
    const label = this.#route === NONE ? NONE : String(method);
    let statuses = this.#counts.get(label);
    if (statuses === undefined) {
      statuses = new Map();
      this.#counts.set(label, statuses);
    }
    increment(statuses, status);
  }

  addTo(samples: Map<string, number>): void {
    const route = this.#route;
    for (const [method, statuses] of this.#counts) {
      for (const [status, count] of statuses) {
        // A client that has gone away got none.
        const labels = { route, method, status: String(status ?? NONE) };
        samples.set(series("api_requests_total", labels), count);
      }
    }
    this.#durations.addTo(samples, "api_request_duration_seconds", { route });
  }
}

function increment<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
