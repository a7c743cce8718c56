import { randomUUID } from "node:crypto";

import { HttpError, json, type Reply } from "../http/reply.ts";
import { type Context, type Dependency, type Route, route } from "../http/route.ts";
import { object, string } from "../models/model.ts";

const status = string({ description: "SUCCESS is processed, others fail.", examples: ["SUCCESS"] });
const sent = string({ description: "The status that was sent.", examples: ["SUCCESS"] });
const id = string({ format: "uuid", description: "A fresh random identifier, a version 4 UUID." });
const processModel = object({ status }, { title: "ProcessModel", description: "What to process." });
const processResponseModel = object(
  { status: sent, id },
  { title: "ProcessResponseModel", description: "A processed task." },
);

/** `POST /process`, for callers that pass the guard. The stand-in takes `delayMs`. */
export function processRoute(validateAuthentication: Dependency, delayMs: number): Route {
  return route({
    method: "POST",
    path: "/process",
    dependencies: [validateAuthentication],
    summary: "Process a task",
    description:
      "Works on a status for a moment. Only SUCCESS is processed; any other text fails with 500.",
    body: processModel,
    responses: {
      200: { description: "The task was processed.", body: processResponseModel },
      500: { description: "The task failed.", example: { detail: "Task processing failed" } },
    },
    handler: ({ body }, context) => fakeProcessing(body.status, delayMs, context),
  });
}

/**
 * Stands in for the real work: replace it. If the client goes away, `context.onGone` is called, and
 * `context.signal` (for fetch and the like) aborts: no reply is needed then.
 */
function fakeProcessing(status: string, delayMs: number, context: Context): Reply | Promise<Reply> {
  // Without a delay there is nothing to wait for; a promise would take a twentieth of the request.
  if (delayMs === 0) return replyFor(status);
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(replyFor(status)), delayMs);
    context.onGone = () => clearTimeout(timer);
  });
}

function replyFor(status: string): Reply {
  return status === "SUCCESS" ? json(200, { status, id: randomUUID() }) : FAILED;
}

const FAILED = new HttpError(500, "Task processing failed");
