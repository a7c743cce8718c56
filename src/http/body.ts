import { isUtf8 } from "node:buffer";
import type { IncomingMessage } from "node:http";

import type { Exchange } from "./exchange.ts";
import { declaredLength } from "./head.ts";
import { locateJsonError } from "./json.ts";
import type { Model, ValidationProblem } from "./model.ts";
import { HttpError } from "./reply.ts";

/**
 * Checks the header fields that describe the body, in this order: no body (422), its type or coding
 * (415), its size (413). Returns the response that rejects the request, or undefined.
 */
export function checkBodyFields(request: IncomingMessage, maxBytes: number): HttpError | undefined {
  const { headers } = request;
  const length = declaredLength(request);
  if (length === 0) return NO_BODY;
  if (!JSON_TYPE.test(headers["content-type"] ?? "")) return NOT_JSON;
  const contentEncoding = headers["content-encoding"] ?? "identity";
  if (contentEncoding.toLowerCase() !== "identity") return UNSUPPORTED_ENCODING;
  if (length !== undefined && length > maxBytes) return tooLarge(maxBytes);
  return undefined;
}

/**
 * Reads the body and calls `done` with it, or with the response to give instead: a 413 at the first
 * byte past `maxBytes`, or the reason why the rest will not arrive.
 */
export function readBody(
  exchange: Exchange,
  maxBytes: number,
  done: (body: Buffer | HttpError) => void,
): void {
  const { request } = exchange;
  let body: Buffer = EMPTY;
  let size = 0;
  let isTooLarge = false;
  const onData = (chunk: Buffer): void => {
    // The rest of a rejected body is read only so that the client can read its response.
    if (isTooLarge) return;
    if (size + chunk.length > maxBytes) {
      isTooLarge = true;
      body = EMPTY;
      done(tooLarge(maxBytes));
      return;
    }
    body = append(body, size, chunk);
    size += chunk.length;
  };
  const onEnd = (): void => {
    // These closures are a tenth of the memory of a request in progress: drop them now.
    request.off("data", onData);
    request.off("end", onEnd);
    exchange.onBodyFailure = undefined;
    if (!isTooLarge) done(body.subarray(0, size));
  };
  exchange.onBodyFailure = done;
  request.on("data", onData);
  request.on("end", onEnd);
  // Pass the first chunk on as it arrives: the stream would keep it until a later turn.
  request.read(0);
  if (exchange.bodyError !== undefined) done(exchange.bodyError);
}

/**
 * The body as a T. If it is not one, the response to give: 422 for an empty body, for what is not
 * JSON and for what is not a T; 400 for what is not UTF-8.
 */
export function parseBody<T>(body: Buffer, model: Model<T>): T | HttpError {
  if (body.length === 0) return NO_BODY;
  if (!isUtf8(body)) return NOT_UTF8;
  // RFC 8259 8.1 lets a parser ignore one byte order mark.
  const text = body.toString().replace(/^\ufeff/, "");
  let input: unknown;
  try {
    input = JSON.parse(text);
  } catch {
    return invalidJson(text);
  }
  const problems: ValidationProblem[] = [];
  const value = model(input, ["body"], problems);
  return problems.length > 0 ? new HttpError(422, problems) : value;
}

// media-type = type "/" subtype parameters (RFC 9110 8.3.1): application/json or
// application/*+json, with any parameters.
const JSON_TYPE = /^application\/(?:[!#$%&'*+.^_`|~0-9a-z-]+\+)?json[ \t]*(?:;|$)/i;

const EMPTY = Buffer.alloc(0);

const NO_BODY = new HttpError(422, [
  { type: "missing", loc: ["body"], msg: "Field required", input: null },
]);
const NOT_JSON = new HttpError(
  415,
  "Unsupported Media Type: send the body as Content-Type: application/json",
);
const UNSUPPORTED_ENCODING = new HttpError(
  415,
  "Unsupported Media Type: send the body without a Content-Encoding",
  ["Accept-Encoding", "identity"],
);
const NOT_UTF8 = new HttpError(400, "There was an error parsing the body");

function tooLarge(maxBytes: number): HttpError {
  return new HttpError(413, `Content Too Large: the body may have at most ${maxBytes} bytes`);
}

function invalidJson(text: string): HttpError {
  const { position, message } = locateJsonError(text);
  const problem = {
    type: "json_invalid",
    loc: ["body", position],
    msg: "JSON decode error",
    input: {},
    ctx: { error: message },
  };
  return new HttpError(422, [problem]);
}

/**
 * Puts `chunk` into `body` at `start`. A full buffer is replaced by one of twice its size, so that
 * tiny chunks cost linear time and space.
 */
function append(body: Buffer, start: number, chunk: Buffer): Buffer {
  // Most bodies are one chunk, which need not be copied.
  if (start === 0) return chunk;
  const size = start + chunk.length;
  const isFull = size > body.length;
  const target = isFull ? Buffer.concat([body], Math.max(size, 2 * body.length)) : body;
  chunk.copy(target, start);
  return target;
}
