import { text } from "../http/reply.ts";
import { type Dependency, type Route, route } from "../http/route.ts";
import { string } from "../models/model.ts";

/** Returns all metrics in Prometheus' text format. */
export type MetricsReader = () => string | Promise<string>;

/** The media type of Prometheus' text format. */
const TYPE = "text/plain; version=0.0.4; charset=utf-8";

/**
 * `GET /metrics`, for Prometheus: what this service counts and measures, for callers with a key. It
 * responds even at full load, when it is needed most. The document does not have it.
 */
export function metricsRoute(validateAuthentication: Dependency, read: MetricsReader): Route {
  return route({
    method: "GET",
    path: "/metrics",
    dependencies: [validateAuthentication],
    responses: { 200: { description: "All metrics.", type: TYPE, body: string() } },
    includeInSchema: false,
    limited: false,
    handler: async () => text(200, TYPE, await read()),
  });
}
