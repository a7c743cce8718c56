import type { TestContext } from "node:test";

import { json } from "../../src/http/reply.ts";
import { type Context, route } from "../../src/http/route.ts";
import type { Limits } from "../../src/http/server.ts";
import { get } from "./requests.ts";
import { echo, serveFor, type TestService } from "./server.ts";
import { until } from "./wait.ts";

/** A request whose handler waits for `SlowService.release`. */
export const SLOW: string = get("/slow");

/** A request without a limit on requests in flight. */
export const HEALTH: string = get("/health");

/** A service whose `/slow` waits until it is released. */
export class SlowService {
  readonly service: TestService;
  /** The contexts of the requests of `/slow`. */
  readonly entered: readonly Context[];
  /** Lets all requests of `/slow` respond, and those to come. */
  readonly release: () => void;

  constructor(service: TestService, entered: readonly Context[], release: () => void) {
    this.service = service;
    this.entered = entered;
    this.release = release;
  }

  get port(): number {
    return this.service.port;
  }

  /** Resolves when the handler of `/slow` has been called so many times. */
  untilEntered(count: number): Promise<void> {
    return until(() => this.entered.length === count, `${count} requests in progress`);
  }

  drain(): Promise<void> {
    return this.service.connections.drain(this.service.server);
  }
}

/** Serves `/slow`, `/health` and `/echo` until the test ends. */
export async function serveSlow(
  t: TestContext,
  limits: Partial<Limits> = {},
): Promise<SlowService> {
  const entered: Context[] = [];
  let release = (): void => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const slow = route({
    method: "GET",
    path: "/slow",
    handler: async (_body, context) => {
      entered.push(context);
      const gone = new Promise<void>((resolve) => {
        context.signal.addEventListener("abort", () => resolve());
      });
      await Promise.race([gate, gone]);
      return json(200, "slow");
    },
  });
  const health = route({
    method: "GET",
    path: "/health",
    limited: false,
    handler: () => json(200, "fine"),
  });
  const service = await serveFor(t, [echo, slow, health], limits);
  return new SlowService(service, entered, release);
}
