import { json } from "../http/reply.ts";
import { type Route, route } from "../http/route.ts";
import { annotate, literal, object } from "../models/model.ts";

const healthModel = object(
  {
    status: annotate(literal("ok", "draining"), {
      description: "ok while it takes work, draining while it stops.",
    }),
  },
  { title: "HealthModel", description: "The health of the service." },
);

/**
 * `GET /health`, for load balancers: 200 while the service takes requests, 503 when it is about to
 * stop. It needs no key, and responds even at full load.
 */
export function healthRoute(isDraining: () => boolean): Route {
  return route({
    method: "GET",
    path: "/health",
    summary: "Report health",
    description:
      "Says whether the service takes new work. Needs no key, so that a load balancer can ask.",
    responses: {
      200: { description: "The service takes work.", body: healthModel },
      503: {
        description: "The service is stopping. Send new work elsewhere.",
        body: healthModel,
        example: { status: "draining" },
      },
    },
    limited: false,
    isProbe: true,
    handler: () => (isDraining() ? json(503, { status: "draining" }) : json(200, { status: "ok" })),
  });
}
