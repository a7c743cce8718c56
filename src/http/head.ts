import type { IncomingMessage } from "node:http";

import { HttpError } from "./reply.ts";
import type { Refusal } from "./route.ts";

/** How large a request's header section may be. */
export const HEADER_LIMITS = { bytes: 16_384, fields: 100 } as const;

/** Refuses, in this order, a version (505), too many fields (431), a Host (400), a coding (501), an Expect (417). */
export function checkHead(request: IncomingMessage): Refusal {
  const { httpVersion, rawHeaders, headers } = request;
  // "PRI * HTTP/2.0" is no request but the preface of another protocol.
  if (request.method === "PRI") return NOT_HTTP;
  if (httpVersion !== "1.1" && httpVersion !== "1.0") return UNSUPPORTED_VERSION;
  if (rawHeaders.length > 2 * HEADER_LIMITS.fields) return HEADER_TOO_LARGE;
  if (!hasValidHost(request)) return BAD_HOST;
  const coding = headers["transfer-encoding"]?.toLowerCase();
  // RFC 9112 6.1: the framing of such a message can't be trusted.
  if (coding !== undefined && httpVersion === "1.0") return NOT_HTTP;
  if (coding !== undefined && coding !== "chunked") return UNKNOWN_CODING;
  // node:http takes any value that has 100-continue in it for that.
  if (isExpecting(request) && headers.expect?.toLowerCase() !== "100-continue")
    return UNKNOWN_EXPECTATION;
  return undefined;
}

/** Whether the client may wait for 100 Continue with its body (RFC 9110 10.1.1: in HTTP/1.0 an Expect is ignored). */
export const isExpecting = ({ headers, httpVersion }: IncomingMessage): boolean =>
  headers.expect !== undefined && httpVersion !== "1.0";

/** How many fields have this name, given in lower case: of several, `headers` has one, or all of them as one. */
export const countFields = ({ rawHeaders }: IncomingMessage, name: string): number =>
  rawHeaders.filter(
    (text, i) => i % 2 === 0 && text.length === name.length && text.toLowerCase() === name,
  ).length;

const { fields, bytes } = HEADER_LIMITS;

/** The answer to a header section past either limit. */
export const HEADER_TOO_LARGE: HttpError = new HttpError(
  431,
  `Request Header Fields Too Large: at most ${fields} fields and ${bytes} bytes`,
);

/** The answer to bytes that are no HTTP/1.1 request. */
export const NOT_HTTP = new HttpError(400, "Bad Request: this is not a valid HTTP/1.1 request");

const UNSUPPORTED_VERSION = new HttpError(505, "HTTP Version Not Supported: use HTTP/1.1");
const BAD_HOST = new HttpError(400, "Bad Request: exactly one valid Host header field is required");
const UNKNOWN_CODING = new HttpError(
  501,
  "Not Implemented: the only Transfer-Encoding accepted is chunked",
);
const UNKNOWN_EXPECTATION = new HttpError(
  417,
  "Expectation Failed: the only Expect accepted is 100-continue",
);

// Host = uri-host [ ":" port ] (RFC 9110 7.2): a bracketed IP literal, or a reg-name, which isn't empty for http
const HOST = /^(?:\[[0-9A-Fa-f:.]+\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+)(?::[0-9]*)?$/;

/** RFC 9112 3.2: one valid Host field; HTTP/1.0 may do without. node:http hides a second one in `headers`. */
function hasValidHost(request: IncomingMessage): boolean {
  const hosts = countFields(request, "host");
  return hosts === 0
    ? request.httpVersion === "1.0"
    : hosts === 1 && HOST.test(request.headers.host ?? "");
}
