import { randomUUID } from "node:crypto";

import { HttpError } from "../http/error.ts";
import { object, string } from "../http/model.ts";
import { type Context, type Dependency, json, type Model, type Route, route } from "../http/route.ts";

/** The body of `POST /process`. */
export interface ProcessModel {
  readonly status: string;
}

/** Checks a ProcessModel. */
export const processModel: Model<ProcessModel> = object({ status: string() });

/** `POST /process`, for callers that pass the guard. `delayMs`: how long the stand-in pretends to work. */
export function processRoute(validateAuthentication: Dependency, delayMs: number): Route {
  return route({
    method: "POST",
    path: "/process",
    dependencies: [validateAuthentication],
    body: processModel,
    handler: async (body, context) => {
      if (!(await fakeProcessing(body, delayMs, context))) throw TASK_FAILED;
      return json(200, { status: "SUCCESS", id: randomUUID() });
    },
  });
}

const TASK_FAILED = new HttpError(500, "Task processing failed");

/**
 * Stands in for the real work: replace it. Resolves to whether the task succeeded. `context` tells when nobody waits
 * for the result any more: `onGone` is called, `signal` (for fetch and the like) aborts.
 */
function fakeProcessing({ status }: ProcessModel, delayMs: number, context: Context): boolean | Promise<boolean> {
  if (delayMs === 0) return status === "SUCCESS";
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(status === "SUCCESS"), delayMs);
    context.onGone = () => {
      clearTimeout(timer);
      resolve(false);
    };
  });
}
