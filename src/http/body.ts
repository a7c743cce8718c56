import { isUtf8 } from "node:buffer";
import type { IncomingMessage } from "node:http";

import { HttpError } from "./reply.ts";
import type { Exchange } from "./exchange.ts";
import { locateJsonError } from "./json.ts";
import type { Fault, Model, Refusal } from "./route.ts";

/** The body's length in bytes by the request's framing (RFC 9112 6.3): 0 where there is none, Infinity in chunks. */
export const declaredLength = ({ headers }: IncomingMessage): number =>
  // node:http has refused any Content-Length that is no number.
  headers["transfer-encoding"] === undefined ? Number(headers["content-length"] ?? 0) : Infinity;

/** Refuses by the header fields alone, in this order: no body (422), its type or coding (415), its size (413). */
export function checkBodyFields(request: IncomingMessage, maxBytes: number): Refusal {
  const { headers } = request;
  const length = declaredLength(request);
  if (length === 0) return NO_BODY;
  if (!JSON_TYPE.test(headers["content-type"] ?? "")) return NOT_JSON;
  if ((headers["content-encoding"] ?? "identity").toLowerCase() !== "identity") return CODED;
  return length > maxBytes && length !== Infinity ? tooLarge(maxBytes) : undefined;
}

/** Reads the whole body for `done`; or why it can't be had: a 413 at the first byte past `maxBytes`, or its error. */
export function readBody(
  exchange: Exchange,
  maxBytes: number,
  done: (body: Buffer | HttpError) => void,
): void {
  const { request } = exchange;
  let body: Buffer = EMPTY;
  let size = 0;
  const onData = (chunk: Buffer): void => {
    // Refused already: the rest is read only so that the client gets to read its answer.
    if (size > maxBytes) return;
    body = append(body, size, chunk);
    size += chunk.length;
    if (size <= maxBytes) return;
    body = EMPTY;
    done(tooLarge(maxBytes));
  };
  const onEnd = (): void => {
    // Else they would be a tenth of what a request keeps in memory until its answer.
    request.off("data", onData).off("end", onEnd);
    exchange.failBody = undefined;
    if (size <= maxBytes) done(size < body.length ? body.subarray(0, size) : body);
  };
  exchange.failBody = done;
  // The first chunk is passed on as it arrives: the stream would keep it for a later turn.
  request.on("data", onData).on("end", onEnd).read(0);
  if (exchange.bodyError !== undefined) done(exchange.bodyError);
}

/** The T in a body; or a 422 for no body, for what isn't JSON and for what isn't a T, and 400 for what isn't UTF-8. */
export function parseBody<T>(body: Buffer, model: Model<T>): T | HttpError {
  if (body.length === 0) return NO_BODY;
  if (!isUtf8(body)) return NOT_UTF8;
  // One byte order mark may stand before the text (RFC 8259 8.1).
  const text = body.toString().replace(/^\ufeff/, "");
  const faults: Fault[] = [];
  let input: unknown;
  try {
    input = JSON.parse(text);
  } catch {
    const { position, message } = locateJsonError(text);
    const where = { type: "json_invalid", loc: ["body", position], msg: "JSON decode error" };
    return new HttpError(422, [{ ...where, input: {}, ctx: { error: message } }]);
  }
  const value = model(input, ["body"], faults);
  return faults.length > 0 ? new HttpError(422, faults) : value;
}

// media-type = type "/" subtype parameters (RFC 9110 8.3.1): application/json or application/*+json, any parameters
const JSON_TYPE = /^application\/(?:[!#$%&'*+.^_`|~0-9a-z-]+\+)?json[ \t]*(?:;|$)/i;

const EMPTY = Buffer.alloc(0);

const NO_BODY = new HttpError(422, [
  { type: "missing", loc: ["body"], msg: "Field required", input: null },
]);
const NOT_JSON = new HttpError(
  415,
  "Unsupported Media Type: send the body as Content-Type: application/json",
);
const IDENTITY = ["Accept-Encoding", "identity"];
const CODED = new HttpError(
  415,
  "Unsupported Media Type: send the body without a Content-Encoding",
  IDENTITY,
);
const NOT_UTF8 = new HttpError(400, "There was an error parsing the body");

const tooLarge = (maxBytes: number): HttpError =>
  new HttpError(413, `Content Too Large: the body may have at most ${maxBytes} bytes`);

/** Puts `chunk` at `start`, in twice the room where it doesn't fit: tiny chunks cost linear time and space. */
function append(body: Buffer, start: number, chunk: Buffer): Buffer {
  // One chunk is the rule, and is not copied.
  if (start === 0) return chunk;
  const size = start + chunk.length;
  const room = size > body.length ? Buffer.concat([body], Math.max(size, 2 * body.length)) : body;
  chunk.copy(room, start);
  return room;
}
