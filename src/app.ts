import { readFileSync } from "node:fs";

import { createGuard, type Keyring } from "./auth/security.ts";
import { renderPage } from "./docs/page.ts";
import type { Route } from "./http/route.ts";
import { type DocsFiles, docsRoutes } from "./routes/docs.ts";
import { health } from "./routes/health.ts";
import { processRoute } from "./routes/process.ts";
import type { Settings } from "./settings.ts";

/** What the routes need to know. */
export type AppSettings = Pick<Settings, "processDelayMs" | "docs">;

/** The route table. A new endpoint is one more line here. */
export function createRoutes({ processDelayMs, docs }: AppSettings, keyring: Keyring): Route[] {
  const validateAuthentication = createGuard(keyring);
  return [
    processRoute(validateAuthentication, processDelayMs),
    health,
    ...(docs ? docsRoutes(readDocs()) : []),
  ];
}

/** Reads the docs' files from beside this program. Throws where one is missing. */
function readDocs(): DocsFiles {
  const read = (name: string): string => readFileSync(new URL(`docs/${name}`, import.meta.url), "utf8");
  const openapi = read("openapi.json");
  const page = renderPage(JSON.parse(openapi));
  return { page, openapi, css: read("docs.css"), js: read("docs.js"), icon: read("icon.svg") };
}
