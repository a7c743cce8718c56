import { HttpError } from "../http/reply.ts";
import { countFields } from "../http/head.ts";
import type { Context, Dependency, Refusal } from "../http/route.ts";
import { type KeySet, verifyKey } from "./keys.ts";

/** The keys in force. A reload puts another set in place. */
export interface Keyring {
  current: KeySet;
}

/**
 * The guard: lets a request pass whose one X-API-Key field is a valid key, and answers all others with the same 401.
 * Whether a field is missing, doubled, unknown or expired is told to the log only.
 */
export function createGuard(keyring: Keyring): Dependency {
  return function validateAuthentication(context: Context): Refusal {
    // node:http joins two fields with ", ": no key, since a key has no blanks.
    const result = verifyKey(
      keyring.current,
      String(context.request.headers[FIELD] ?? ""),
      Date.now(),
    );
    if ("name" in result) {
      context.key = result.name;
      return undefined;
    }
    context.denied = countFields(context.request, FIELD) > 1 ? "duplicate" : result.denied;
    return DENIED;
  };
}

// FastAPI's APIKeyHeader(name="X-API-Key").
const FIELD = "x-api-key";
const DENIED = new HttpError(401, "Invalid or missing API Key", ["WWW-Authenticate", "X-API-Key"]);
