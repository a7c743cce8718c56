import { randomUUID } from "node:crypto";

import { HttpError } from "../http/reply.ts";
import { object, string } from "../http/model.ts";
import {
  type Context,
  type Dependency,
  json,
  type Reply,
  type Route,
  route,
} from "../http/route.ts";

/** `POST /process`, for callers that pass the guard. `delayMs`: how long the stand-in pretends to work. */
export function processRoute(validateAuthentication: Dependency, delayMs: number): Route {
  return route({
    method: "POST",
    path: "/process",
    dependencies: [validateAuthentication],
    body: object({ status: string() }),
    handler: ({ status }, context) => fakeProcessing(status, delayMs, context),
  });
}

/**
 * Stands in for the real work: replace it. `context` tells when nobody waits for the result any more: `onGone` is
 * called, `signal` (for fetch and the like) aborts.
 */
function fakeProcessing(status: string, delayMs: number, context: Context): Reply | Promise<Reply> {
  // No promise where there is nothing to wait for: it would take a twentieth of the request's time.
  if (delayMs === 0) return resultOf(status);
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(resultOf(status)), delayMs);
    context.onGone = () => {
      clearTimeout(timer);
      resolve(FAILED);
    };
  });
}

const resultOf = (status: string): Reply =>
  status === "SUCCESS" ? json(200, { status, id: randomUUID() }) : FAILED;

const FAILED = new HttpError(500, "Task processing failed");
