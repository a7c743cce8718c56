import { isUtf8 } from "node:buffer";
import type { IncomingMessage } from "node:http";

import { HttpError } from "./error.ts";
import type { Exchange } from "./exchange.ts";
import { locateJsonError } from "./json.ts";
import type { Fault, Model, Refusal } from "./route.ts";

/** Whether the request's framing announces a body (RFC 9112 6.3), be it an empty chunked one. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || declaredLength(headers["content-length"]) > 0;
}

/** The Content-Length in bytes, 0 where there is none. node:http has refused all that is no number. */
export function declaredLength(field: string | undefined): number {
  return field === undefined ? 0 : Number(field);
}

/** Refuses by the header fields alone, in this order: no body (422), its type or coding (415), its size (413). */
export function checkBodyFields(request: IncomingMessage, maxBytes: number): Refusal {
  const { headers } = request;
  if (!hasBody(request)) return NO_BODY;
  if (!JSON_TYPE.test(headers["content-type"] ?? "")) return NOT_JSON;
  const coding = headers["content-encoding"];
  if (coding !== undefined && coding.toLowerCase() !== "identity") return CODED;
  if (declaredLength(headers["content-length"]) > maxBytes) return tooLarge(maxBytes);
  return undefined;
}

/** Reads the whole body. Throws 413 at the first byte past `maxBytes`, or the reason why the rest never comes. */
export function readBody(exchange: Exchange, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let body: Buffer = EMPTY;
    let size = 0;
    if (exchange.bodyError !== undefined) reject(exchange.bodyError);
    exchange.failBody = reject;
    exchange.request.on("data", (chunk: Buffer) => {
      const start = size;
      size += chunk.length;
      if (size <= maxBytes) {
        // One chunk is the rule, and is not copied.
        body = start === 0 ? chunk : append(body, start, chunk);
      } else if (start <= maxBytes) {
        body = EMPTY;
        reject(tooLarge(maxBytes));
      }
    });
    exchange.request.on("end", () => {
      exchange.failBody = undefined;
      resolve(body.subarray(0, size));
    });
  });
}

/** The T in a body; or a 422 for no body, for what isn't JSON and for what isn't a T, and 400 for what isn't UTF-8. */
export function parseBody<T>(body: Buffer, model: Model<T>): T | HttpError {
  if (body.length === 0) return NO_BODY;
  if (!isUtf8(body)) return NOT_UTF8;
  // One byte order mark may stand before the text (RFC 8259 8.1).
  const text = body.toString("utf8", body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? 3 : 0);
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

const NO_BODY = new HttpError(422, [{ type: "missing", loc: ["body"], msg: "Field required", input: null }]);
const NOT_JSON = new HttpError(415, "Unsupported Media Type: send the body as Content-Type: application/json");
const IDENTITY = ["Accept-Encoding", "identity"];
const CODED = new HttpError(415, "Unsupported Media Type: send the body without a Content-Encoding", IDENTITY);
const NOT_UTF8 = new HttpError(400, "There was an error parsing the body");

function tooLarge(maxBytes: number): HttpError {
  return new HttpError(413, `Content Too Large: the body may have at most ${maxBytes} bytes`);
}

/** Puts `chunk` at `start`, in twice the room where it doesn't fit: tiny chunks cost linear time and space. */
function append(body: Buffer, start: number, chunk: Buffer): Buffer {
  const size = start + chunk.length;
  const room = size > body.length ? Buffer.concat([body], Math.max(size, 2 * body.length)) : body;
  chunk.copy(room, start);
  return room;
}
