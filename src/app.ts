import { readFileSync } from "node:fs";

import { createGuard, type Keyring } from "./auth/security.ts";
import { openApiDocument } from "./docs/openapi.ts";
import type { Route } from "./http/route.ts";
import { docsRoutes } from "./routes/docs.ts";
import { healthRoute } from "./routes/health.ts";
import { type MetricsReader, metricsRoute } from "./routes/metrics.ts";
import { processRoute } from "./routes/process.ts";

/** What the routes need to know. */
export interface AppOptions {
  /** The keys that the guard accepts. */
  readonly keyring: Keyring;
  /** Whether the service is about to stop. */
  readonly isDraining: () => boolean;
  /** How long the stand-in for real work takes, in ms. */
  readonly processDelayMs: number;
  /** Whether `/docs` and `/openapi.json` are served. */
  readonly docs: boolean;
  /** What `/metrics` responds with; undefined if it is not served. */
  readonly readMetrics?: MetricsReader | undefined;
}

/**
 * The route table. A new endpoint is one more line here. Throws an Error if a file of the docs is
 * missing.
 */
export function createRoutes(options: AppOptions): Route[] {
  const { readMetrics } = options;
  const validateAuthentication = createGuard(options.keyring);
  return [
    processRoute(validateAuthentication, options.processDelayMs),
    healthRoute(options.isDraining),
    ...(options.docs ? docsRoutes(readDocsFile) : []),
    ...(readMetrics === undefined ? [] : [metricsRoute(validateAuthentication, readMetrics)]),
  ];
}

/**
 * The text of `docs/openapi.json`, as the routes declare it. `npm run openapi` writes it. Throws an
 * Error that names the route if the table holds a mistake, or a declaration has no place in a
 * document.
 */
export function openApiText(): string {
  const routes = createRoutes({
    keyring: { current: [] },
    isDraining: () => false,
    processDelayMs: 0,
    docs: false,
  });
  return `${JSON.stringify(openApiDocument(routes), null, 2)}\n`;
}

function readDocsFile(name: string): string {
  return readFileSync(new URL(`docs/${name}`, import.meta.url), "utf8");
}
