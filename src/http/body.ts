import { isUtf8 } from "node:buffer";
import type { IncomingMessage } from "node:http";

import type { MemoryBudget } from "./budget.ts";
import type { BodyReader, Exchange } from "./exchange.ts";
import { declaredLength } from "./head.ts";
import { locateJsonError } from "./json.ts";
import { HttpError } from "./reply.ts";
import type { Route } from "./route.ts";

/** Whether a body is read: one that is optional may be left out. */
export function isBodyDue(request: IncomingMessage, { body }: Route): boolean {
  return body !== undefined && (body.absent === undefined || declaredLength(request) !== 0);
}

/**
 * Checks the header fields that describe a body that is due, in this order: no body (422), its type
 * or coding (415), its size (413). Returns the response that rejects the request, or undefined.
 */
export function checkBodyFields(
  request: IncomingMessage,
  route: Route,
  maxBytes: number,
): HttpError | undefined {
  if (!isBodyDue(request, route)) return undefined;
  const { headers } = request;
  const length = declaredLength(request);
  if (length === 0) return NO_BODY;
  if (!JSON_TYPE.test(headers["content-type"] ?? "")) return NOT_JSON;
  const contentEncoding = headers["content-encoding"] ?? "identity";
  if (contentEncoding.toLowerCase() !== "identity") return UNSUPPORTED_ENCODING;
  if (length !== undefined && length > maxBytes) return tooLarge(maxBytes);
  return undefined;
}

/** Rejects (503) a body that is too long to arrive in one read if there is no memory for it. */
export function checkBodyMemory(
  request: IncomingMessage,
  budget: MemoryBudget,
): HttpError | undefined {
  const length = declaredLength(request) ?? 0;
  return length > ONE_READ_BYTES && !budget.has(length) ? NO_MEMORY : undefined;
}

/** What bodies may take. */
export interface BodyLimits {
  /** The longest body, in bytes. */
  readonly maxBytes: number;
  /** What bodies that have not arrived in full may hold, in all. */
  readonly budget: MemoryBudget;
}

/**
 * Reads the body and calls `done` once: with the body, or with the response to give instead. That
 * is a 413 at the first byte past the limit, a 503 if there is no memory left for it, or the reason
 * why the rest will not arrive.
 */
export function readBody(
  exchange: Exchange,
  limits: BodyLimits,
  done: (body: Buffer | HttpError) => void,
): void {
  const collector = new BodyCollector(exchange, limits, done);
  if (exchange.bodyError === undefined) collector.start();
  else done(exchange.bodyError);
}

/**
 * The value of a JSON body, or the response to give: 422 for an empty body and for what is not
 * JSON, 400 for what is not UTF-8. undefined for an empty body that is optional.
 */
export function parseBody(body: Buffer, isOptional = false): unknown {
  if (body.length === 0) return isOptional ? undefined : NO_BODY;
  if (!isUtf8(body)) return NOT_UTF8;
  // RFC 8259 8.1 lets a parser ignore one byte order mark.
  const text = body.toString().replace(/^\ufeff/, "");
  try {
    return JSON.parse(text);
  } catch {
    return invalidJson(text);
  }
}

// media-type = type "/" subtype parameters (RFC 9110 8.3.1): application/json or
// application/*+json, with any parameters.
const JSON_TYPE = /^application\/(?:[!#$%&'*+.^_`|~0-9a-z-]+\+)?json[ \t]*(?:;|$)/i;

/** node:http reads at most this many bytes at once. */
const ONE_READ_BYTES = 65_536;

const EMPTY = Buffer.alloc(0);

const NO_BODY = new HttpError(422, [
  { type: "missing", loc: ["body"], msg: "Field required", input: null },
]);
const NOT_JSON = new HttpError(
  415,
  "Unsupported Media Type: send the body as Content-Type: application/json",
  ["Accept", "application/json"],
);
const NO_MEMORY = new HttpError(503, "Service Unavailable: too many bodies are arriving at once", [
  "Retry-After",
  "1",
]);
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

/** Collects the chunks of one body. */
class BodyCollector implements BodyReader {
  readonly #exchange: Exchange;
  readonly #limits: BodyLimits;
  readonly #done: (body: Buffer | HttpError) => void;
  readonly #declaredLength: number | undefined;
  #buffer: Buffer = EMPTY;
  /** How many bytes of the buffer are filled. */
  #size = 0;
  /** How many bytes it has taken from the budget. */
  #reserved = 0;
  /**
   * It has called `done`. What still arrives is read only so that the client reads its response.
   */
  #isOver = false;

  constructor(exchange: Exchange, limits: BodyLimits, done: (body: Buffer | HttpError) => void) {
    this.#exchange = exchange;
    this.#limits = limits;
    this.#done = done;
    this.#declaredLength = declaredLength(exchange.request);
  }

  start(): void {
    const { request } = this.#exchange;
    this.#exchange.bodyReader = this;
    request.on("data", this.#onData);
    request.on("end", this.#onEnd);
    // Pass the first chunk on as it arrives: the stream would keep it until a later turn.
    request.read(0);
  }

  fail(reason: HttpError): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.release();
    this.#done(reason);
  }

  release(): void {
    this.#buffer = EMPTY;
    this.#limits.budget.take(-this.#reserved);
    this.#reserved = 0;
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#isOver) return;
    const { maxBytes } = this.#limits;
    const size = this.#size + chunk.length;
    if (size > maxBytes) this.fail(tooLarge(maxBytes));
    else if (this.#makeRoom(chunk, size)) this.#size = size;
    else this.fail(NO_MEMORY);
  };

  readonly #onEnd = (): void => {
    const { request } = this.#exchange;
    // These closures are a tenth of the memory of a request in progress: drop them now.
    request.off("data", this.#onData);
    request.off("end", this.#onEnd);
    this.#exchange.bodyReader = undefined;
    if (this.#isOver) return;
    this.#isOver = true;
    this.#done(this.#buffer.subarray(0, this.#size));
    this.release();
  };

  /**
   * Puts `chunk` behind what is there, which makes `size` bytes. Returns false without the memory.
   */
  #makeRoom(chunk: Buffer, size: number): boolean {
    // Most bodies are one chunk, which need not be copied, and are complete with it.
    if (this.#size === 0) {
      this.#buffer = chunk;
      return size === this.#declaredLength || this.#reserve(size);
    }
    if (size > this.#buffer.length && !this.#grow(size)) return false;
    chunk.copy(this.#buffer, this.#size);
    return true;
  }

  /**
   * Takes a buffer for the declared length, else one of twice the size: tiny chunks cost no more.
   */
  #grow(size: number): boolean {
    const twice = Math.min(2 * this.#buffer.length, this.#limits.maxBytes);
    const capacity = this.#declaredLength ?? Math.max(size, twice);
    if (!this.#reserve(capacity)) return false;
    // Its pages are not resident until they are filled.
    const buffer = Buffer.allocUnsafeSlow(capacity);
    this.#buffer.copy(buffer, 0, 0, this.#size);
    this.#buffer = buffer;
    return true;
  }

  /** Makes the budget count `bytes` for this body. */
  #reserve(bytes: number): boolean {
    const more = bytes - this.#reserved;
    this.#reserved = bytes;
    return this.#limits.budget.take(more);
  }
}
