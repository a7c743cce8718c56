import { json } from "../http/reply.ts";
import { type Route, route } from "../http/route.ts";

/**
 * `GET /health`, for load balancers: 200 while the service takes requests, 503 when it is about to
 * stop. It needs no key, and responds even at full load.
 */
export function healthRoute(isDraining: () => boolean): Route {
  return route({
    method: "GET",
    path: "/health",
    limited: false,
    isProbe: true,
    handler: () => (isDraining() ? json(503, { status: "draining" }) : json(200, { status: "ok" })),
  });
}
