import { readFileSync } from "node:fs";

import { createGuard, type Keyring } from "./auth/security.ts";
import type { Route } from "./http/route.ts";
import { docsRoutes } from "./routes/docs.ts";
import { health } from "./routes/health.ts";
import { processRoute } from "./routes/process.ts";
import type { Settings } from "./config/settings.ts";

/** The route table. A new endpoint is one more line here. Throws where a file of the docs is missing. */
export function createRoutes(
  settings: Pick<Settings, "processDelayMs" | "docs">,
  keyring: Keyring,
): Route[] {
  const validateAuthentication = createGuard(keyring);
  return [
    processRoute(validateAuthentication, settings.processDelayMs),
    health,
    ...(settings.docs ? docsRoutes(readDocsFile) : []),
  ];
}

const readDocsFile = (name: string): string =>
  readFileSync(new URL(`docs/${name}`, import.meta.url), "utf8");
