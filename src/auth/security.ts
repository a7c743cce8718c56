import { HttpError } from "../http/error.ts";
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
    const field = context.request.headers[FIELD];
    // node:http joins two fields with ", ": no key, since a key has no blanks.
    const result = verifyKey(keyring.current, typeof field === "string" ? field : "", Date.now());
    if ("name" in result) {
      context.key = result.name;
      return undefined;
    }
    context.denied = isDoubled(context.request.rawHeaders) ? "duplicate" : result.denied;
    return DENIED;
  };
}

// FastAPI's APIKeyHeader(name="X-API-Key").
const API_KEY_HEADER = "X-API-Key";
const FIELD = API_KEY_HEADER.toLowerCase();

const DENIED = new HttpError(401, "Invalid or missing API Key", ["WWW-Authenticate", API_KEY_HEADER]);

function isDoubled(rawHeaders: readonly string[]): boolean {
  return rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === FIELD).length > 1;
}
