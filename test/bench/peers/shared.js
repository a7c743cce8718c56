// What the peers have in common: the checks, and the line that says where they listen.
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";

/** The response to a request without the right key, as JSON. */
export const DENIED = { detail: "Invalid or missing API Key" };

/** The response to a body whose status is no string, as JSON. */
export const INVALID = { detail: [{ loc: ["body", "status"], msg: "Input should be a string" }] };

/** The header fields that every response of the service has, too, but for the request's id. */
const SERVICE_FIELDS = {
  "X-Content-Type-Options": "nosniff",
  "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
  "Cache-Control": "no-store",
};
const sendsServiceFields = process.env["SERVICE_FIELDS"] === "yes";
const idPrefix = randomBytes(8).toString("hex");
let requests = 0;

/** What a response has beside its type and length: nothing, or what the service has there. */
export function addedFields() {
  if (!sendsServiceFields) return {};
  requests += 1;
  return { "X-Request-Id": `${idPrefix}-${requests}`, ...SERVICE_FIELDS };
}

const expected = sha256(process.env["SERVICE_API_KEY"] ?? "");

/** Whether a header field's value is the key of SERVICE_API_KEY. A missing one costs no hash. */
export function isKey(value) {
  return typeof value === "string" && timingSafeEqual(sha256(value), expected);
}

/** Whether a body is what the service takes. */
export function isValid(body) {
  return typeof body === "object" && body !== null && typeof body.status === "string";
}

/** Writes a response of JSON, for peers that have no function for it. */
export function respond(response, status, value) {
  const body = JSON.stringify(value);
  response.writeHead(status, {
    ...addedFields(),
    "Content-Type": "application/json",
    "Content-Length": Buffer.byteLength(body),
  });
  response.end(body);
}

/**
 * Says on stderr where a node:http server listens, as the service does with --hints. Connections
 * stay open as long as the service's, since the servers are measured in turn.
 */
export function reportListening(server) {
  server.keepAliveTimeout = 65_000;
  process.stderr.write(`Listening on http://127.0.0.1:${server.address().port}\n`);
}

function sha256(text) {
  return createHash("sha256").update(text).digest();
}
