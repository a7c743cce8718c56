import type { IncomingMessage } from "node:http";

import { countFields, HttpError } from "./reply.ts";

/** How large the header section of a request may be. */
export const HEADER_LIMITS = {
  /** Of the request line and all field lines. */
  bytes: 16_384,
  /** Field lines. */
  fields: 100,
} as const;

/**
 * Checks the header section, in this order: version (505), number of fields (431), Host (400),
 * framing (400, 501), Expect (417). Returns the response that rejects the request, or undefined.
 */
export function checkHead(request: IncomingMessage): HttpError | undefined {
  const { httpVersion, rawHeaders } = request;
  if (httpVersion !== "1.1" && httpVersion !== "1.0") return VERSION_NOT_SUPPORTED;
  if (rawHeaders.length > 2 * HEADER_LIMITS.fields) return HEADER_TOO_LARGE;
  if (!hasValidHost(request)) return BAD_HOST;
  return checkTransferEncoding(request) ?? checkExpect(request);
}

/**
 * Whether the client may hold its body back until it gets 100 Continue (RFC 9110 10.1.1). In
 * HTTP/1.0 an Expect field is ignored.
 */
export function isExpectingContinue({ headers, httpVersion }: IncomingMessage): boolean {
  return headers.expect !== undefined && httpVersion !== "1.0";
}

/**
 * Whether the client asks to close the connection after the response (RFC 9112 9.6). Node 20
 * overlooks the option if a tab stands beside it.
 */
export function asksToClose({ headers: { connection } }: IncomingMessage): boolean {
  if (connection === undefined) return false;
  return connection.split(",").some((option) => /^[ \t]*close[ \t]*$/i.test(option));
}

/**
 * The length of the body in bytes by the request's framing (RFC 9112 6.3): 0 if there is none,
 * undefined if it is chunked.
 */
export function declaredLength({ headers }: IncomingMessage): number | undefined {
  if (headers["transfer-encoding"] !== undefined) return undefined;
  // node:http has rejected any Content-Length that is not a number.
  return Number(headers["content-length"] ?? 0);
}

/** A request target in two parts, as received. */
export interface Target {
  /** Starts with "/", or is that of an asterisk-form or of no valid form. */
  readonly path: string;
  /** Empty, or starts with "?". */
  readonly query: string;
}

/**
 * Splits a request target in origin-form or absolute-form (RFC 9112 3.2) into path and query.
 * Decodes nothing.
 *
 * @example
 *     splitTarget("http://a/docs?x=1"); // { path: "/docs", query: "?x=1" }
 */
export function splitTarget(target: string): Target {
  const originForm = target.startsWith("/") ? target : target.replace(ORIGIN, "");
  const queryStart = originForm.indexOf("?");
  if (queryStart === -1) return { path: originForm || "/", query: "" };
  return {
    path: originForm.slice(0, queryStart) || "/",
    query: originForm.slice(queryStart),
  };
}

/** The response to a header section past either limit. */
export const HEADER_TOO_LARGE = new HttpError(
  431,
  `Request Header Fields Too Large: at most ${HEADER_LIMITS.fields} fields and ` +
    `${HEADER_LIMITS.bytes} bytes`,
);

/** The response to bytes that are not an HTTP/1.1 request. */
export const NOT_HTTP = new HttpError(400, "Bad Request: this is not a valid HTTP/1.1 request");

/** The response to a version other than HTTP/1.0 and HTTP/1.1. */
export const VERSION_NOT_SUPPORTED = new HttpError(505, "HTTP Version Not Supported: use HTTP/1.1");

const BAD_HOST = new HttpError(400, "Bad Request: exactly one valid Host header field is required");
const UNKNOWN_TRANSFER_CODING = new HttpError(
  501,
  "Not Implemented: the only Transfer-Encoding accepted is chunked",
);
const UNKNOWN_EXPECTATION = new HttpError(
  417,
  "Expectation Failed: the only Expect accepted is 100-continue",
);

// absolute-form = scheme "://" authority path-abempty [ "?" query ], where the authority of http is
// not empty (RFC 9110 4.2.1)
const ORIGIN = /^https?:\/\/[^/?#]+/i;

// Host = uri-host [ ":" port ] (RFC 9110 7.2): a bracketed IP literal, or a reg-name, which is not
// empty for http.
const HOST = /^(?:\[[0-9A-Fa-f:.]+\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+)(?::[0-9]*)?$/;

/** RFC 9112 3.2: one valid Host field; HTTP/1.0 may do without. */
function hasValidHost(request: IncomingMessage): boolean {
  // `headers` keeps one of several Host fields.
  const count = countFields(request.rawHeaders, "host");
  if (count === 0) return request.httpVersion === "1.0";
  return count === 1 && HOST.test(request.headers.host ?? "");
}

function checkTransferEncoding({ headers, httpVersion }: IncomingMessage): HttpError | undefined {
  const transferEncoding = headers["transfer-encoding"];
  if (transferEncoding === undefined) return undefined;
  // RFC 9112 6.1: the framing of such a message can't be trusted.
  if (httpVersion === "1.0") return NOT_HTTP;
  return transferEncoding.toLowerCase() === "chunked" ? undefined : UNKNOWN_TRANSFER_CODING;
}

function checkExpect(request: IncomingMessage): HttpError | undefined {
  if (!isExpectingContinue(request)) return undefined;
  // node:http accepts any value that contains 100-continue.
  return request.headers.expect?.toLowerCase() === "100-continue" ? undefined : UNKNOWN_EXPECTATION;
}
