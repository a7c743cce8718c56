import { dotenvTarget, keysFileTarget, settingsTarget } from "./files.ts";
import { pipelineTarget, requestTarget } from "./http.ts";
import { forwardedTarget, modelTarget, queryTarget, segmentTarget } from "./inputs.ts";
import { bodyTarget, jsonTarget } from "./json.ts";
import { entityTagTarget, logTarget, pageTarget, routeTarget } from "./pages.ts";
import { pemTarget } from "./pem.ts";
import type { Target } from "./target.ts";

/** Everything that parses what strangers, or operators, write. */
export function createTargets(): Target[] {
  return [
    pipelineTarget(),
    requestTarget(),
    bodyTarget(),
    jsonTarget(),
    routeTarget(),
    segmentTarget(),
    queryTarget(),
    modelTarget(),
    forwardedTarget(),
    entityTagTarget(),
    dotenvTarget(),
    keysFileTarget(),
    settingsTarget(),
    pemTarget(),
    logTarget(),
    pageTarget(),
  ];
}
