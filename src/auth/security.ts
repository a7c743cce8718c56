import { countFields, HttpError } from "../http/reply.ts";
import type { Context, Dependency, Rejection, Responses } from "../http/route.ts";
import { annotate, integer, literal } from "../models/model.ts";
import { type Key, type KeySet, keyState, matchKey } from "./keys.ts";
import { KeyLimits } from "./limits.ts";

/** The keys in force. A reload replaces the set. */
export interface Keyring {
  current: KeySet;
}

/**
 * The guard. It lets a request pass if its one X-API-Key field is a valid key, and gives all others
 * the same 401. Only the log learns whether a key was missing, sent twice, unknown or expired. Past
 * a limit of its key's name, a request gets a 429. When a body has arrived, the key must still be
 * valid.
 *
 * @example
 *     route({ method: "POST", path: "/jobs", dependencies: [createGuard(keyring)], … });
 */
export function createGuard(keyring: Keyring): Dependency {
  const limits = new KeyLimits();
  function validateAuthentication(context: Context): Rejection {
    const { request } = context;
    // node:http joins two fields with ", ". That is never a key, since a key has no blanks.
    const presented = String(request.headers[API_KEY_HEADER] ?? "");
    const { key, denied } = matchKey(keyring.current, presented, Date.now);
    context.key = key?.name;
    context.credential = key;
    if (denied === undefined) return undefined;
    const isDuplicate = countFields(request.rawHeaders, API_KEY_HEADER) > 1;
    context.denialReason = isDuplicate ? "duplicate" : denied;
    return DENIED;
  }
  validateAuthentication.admit = (context: Context): Rejection => {
    const usage = limits.of(keyring.current, context.key ?? "");
    if (usage === undefined) return undefined;
    const met = usage.take(performance.now());
    context.limited = met;
    if (met !== undefined) return usage.rejection(met);
    context.onEnd(() => usage.release());
    return undefined;
  };
  validateAuthentication.recheck = (context: Context): Rejection => {
    const key = context.credential as Key;
    // The common case costs no hash: the set is the same, and the key has not expired.
    const isInForce = keyring.current.includes(key) && keyState(key, Date.now()) === "active";
    return isInForce ? undefined : validateAuthentication(context);
  };
  validateAuthentication.security = "APIKeyHeader";
  validateAuthentication.responses = REJECTIONS;
  return validateAuthentication;
}

// FastAPI's APIKeyHeader(name="X-API-Key"), in lower case as node:http has it.
const API_KEY_HEADER = "x-api-key";

const DENIED = new HttpError(401, "Invalid or missing API Key", ["WWW-Authenticate", "X-API-Key"]);

const REJECTIONS: Responses = {
  401: {
    description: "The key is missing, unknown or expired. Every denial reads the same.",
    headers: {
      "WWW-Authenticate": annotate(literal("X-API-Key"), {
        description: "Names the header that carries the key.",
      }),
    },
    example: { detail: "Invalid or missing API Key" },
  },
  429: {
    description: "Too many requests with this key. Wait as long as Retry-After says.",
    headers: {
      "Retry-After": integer({ minimum: 1, description: "Seconds to wait before the next try." }),
    },
    example: { detail: "Too Many Requests: too many requests with this key are in flight" },
  },
};
