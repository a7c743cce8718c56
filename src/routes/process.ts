import { randomUUID } from "node:crypto";

import { HttpError } from "../http/error.ts";
import { object, string } from "../http/model.ts";
import { type Context, type Dependency, json, type Route, route } from "../http/route.ts";

/** `POST /process`, for callers that pass the guard. `delayMs`: how long the stand-in pretends to work. */
export function processRoute(validateAuthentication: Dependency, delayMs: number): Route {
  return route({
    method: "POST",
    path: "/process",
    dependencies: [validateAuthentication],
    body: object({ status: string() }),
    handler: async ({ status }, context) => {
      if (!(await fakeProcessing(status, delayMs, context))) throw new HttpError(500, "Task processing failed");
      return json(200, { status: "SUCCESS", id: randomUUID() });
    },
  });
}

/**
 * Stands in for the real work: replace it. Resolves to whether the task succeeded. `context` tells when nobody waits
 * for the result any more: `onGone` is called, `signal` (for fetch and the like) aborts.
 */
function fakeProcessing(status: string, delayMs: number, context: Context): boolean | Promise<boolean> {
  if (delayMs === 0) return status === "SUCCESS";
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(status === "SUCCESS"), delayMs);
    context.onGone = () => {
      clearTimeout(timer);
      resolve(false);
    };
  });
}
