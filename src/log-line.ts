import type { RequestRecord } from "./http/exchange.ts";

/** The levels of lines. A log of one level has the lines of those before it, too. */
export const LINE_LEVELS = ["error", "warn", "info", "debug"] as const;

/** One of LINE_LEVELS. */
export type LineLevel = (typeof LINE_LEVELS)[number];

/**
 * The level of a response: `error` for 5xx, `warn` for denials and 429, `debug` for successful
 * probes, else `info`.
 */
export function responseLevel({ status, denied, isProbe }: RequestRecord): LineLevel {
  if (status !== null && status >= 500) return "error";
  if (denied !== undefined || status === 429) return "warn";
  return isProbe && status !== null && status < 400 ? "debug" : "info";
}

/**
 * The line of a response, from its level on: a JSON object without its beginning, which is the
 * time. It is built by hand, since JSON.stringify would take several times as long. All of it is
 * printable ASCII. `remote` is the client's address, if it is known and not the peer's.
 */
export function responseLine(
  level: LineLevel,
  record: RequestRecord,
  remote: string | undefined = record.remote,
): string {
  const { requestId, method, path, key, denied, limited, status, durationMs } = record;
  let line = `"level":"${level}","event":"request","request_id":${jsonString(requestId, redact)}`;
  if (remote !== undefined) line += `,"remote":"${remote}"`;
  if (method !== undefined) line += `,"method":"${method}"`;
  if (path !== undefined) line += `,"path":${jsonString(path, readablePath)}`;
  line += `,"status":${status},"duration_ms":${Math.round(durationMs * 10) / 10}`;
  if (key !== undefined) line += `,"key":"${key}"`;
  if (denied !== undefined) line += `,"denied":"${denied}"`;
  if (limited !== undefined) line += `,"limited":"${limited}"`;
  return `${line}}`;
}

/** The line of an event, from its level on, as `responseLine` has it. */
export function eventLine(level: LineLevel, event: string, fields: object): string {
  const json = JSON.stringify({ level, event, ...fields });
  return redact(escapeJson(json)).slice(1);
}

/**
 * What was thrown, as text for an event: the stack of an Error. Of another object only that it is
 * none is said, since it may hold anything, such as a body. Never throws itself.
 */
export function describeError(error: unknown): string {
  try {
    if (error instanceof Error) return String(error.stack).slice(0, MAX_STACK_LENGTH);
    if (typeof error === "object" && error !== null) return NO_ERROR;
    return String(error).slice(0, MAX_STACK_LENGTH);
  } catch {
    return "an error that has no text";
  }
}

const NO_ERROR = "what was thrown is an object, not an Error: throw an Error or an HttpError";
const MAX_STACK_LENGTH = 16_384;
const MAX_PATH_LENGTH = 256;

/** Cuts last: half a key or half of a userinfo would not be recognized. */
function readablePath(path: string): string {
  return redact(withoutUserinfo(path)).slice(0, MAX_PATH_LENGTH);
}

/**
 * Replaces whatever looks like a key of keygen's: `svk_` and what follows it, in any case, with any
 * of it percent-encoded, once or more often. A configured key of another shape can't be recognized:
 * the program holds hashes only, and hashing each part of each path would cost more than the rest
 * of the request.
 *
 * @example
 *     redact("/process/svk_Zm9vYmFy/x"); // "/process/svk_[redacted]/x"
 */
function redact(text: string): string {
  return text.replace(KEY, "svk_[redacted]");
}

const PERCENT = "%(?:25)*";
const KEY = new RegExp(
  `(?:s|${PERCENT}[57]3)(?:v|${PERCENT}[57]6)(?:k|${PERCENT}[46]b)(?:_|${PERCENT}5f)` +
    `(?:[\\w-]|${PERCENT}[0-9a-f]{2})+`,
  "gi",
);

/**
 * Removes a userinfo (RFC 3986 3.2.1) from a target, and whatever some parser might take for one:
 * all between the first slash and the last `@`, if it has one.
 *
 * @example
 *     withoutUserinfo("ftp://user:password@host/x"); // "ftp://host/x"
 */
function withoutUserinfo(target: string): string {
  const upToAt = /^[^]*(?:@|%40)/.exec(target)?.[0] ?? "";
  const upToSlash = /^[^/\\]*[/\\]+/.exec(upToAt)?.[0] ?? "";
  return upToSlash + target.slice(upToAt.length);
}

/** A text as JSON, after `clean`, which must leave short texts that match ORDINARY as they are. */
function jsonString(text: string, clean: (text: string) => string): string {
  if (text.length <= MAX_PATH_LENGTH && ORDINARY.test(text)) return `"${text}"`;
  return escapeJson(JSON.stringify(clean(text)));
}

// Printable ASCII without what needs escapes (" and \), what keys have (% or _) and what follows a
// userinfo (@). It spares most texts four passes: 4 % of an accepted call at LOG_LEVEL=info.
const ORDINARY = /^[ !#$&-?A-[\]^`-~]*$/;

/**
 * Escapes DEL and all characters beyond ASCII. JSON allows them, but a terminal may take them for
 * commands or for a change of the writing direction, and some readers take U+2028 for the end of a
 * line. It also makes one character one byte.
 */
function escapeJson(json: string): string {
  return json.replace(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
