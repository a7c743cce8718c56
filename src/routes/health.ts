import { json, type Route, route } from "../http/route.ts";

/** `GET /health`: 200 while the service takes requests, 503 when it is about to stop. For load balancers: no key. */
export const health: Route = route({
  method: "GET",
  path: "/health",
  limited: false,
  handler: (_body, { draining }) =>
    draining ? json(503, { status: "draining" }) : json(200, { status: "ok" }),
});
