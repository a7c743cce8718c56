import { STATUS_CODES, type ServerResponse } from "node:http";

import type { Exchange } from "./exchange.ts";
import { declaredLength } from "./head.ts";
import type { HttpError, Reply } from "./reply.ts";

/**
 * Hands one response to node:http. Throws, with nothing sent, if the reply can't be written: a
 * status out of range, a field with a line break, a body that is neither text nor bytes.
 */
export function send(exchange: Exchange, reply: Reply, isDraining: boolean): void {
  checkReply(reply);
  const { status, headers, body } = reply;
  const { request, response, connection } = exchange;
  const length = Buffer.byteLength(body);
  const fields = withCommonFields(exchange.requestId, headers);
  // RFC 9110 8.6: no Content-Length if there can be no content.
  if (status !== 204 && status !== 304) fields.push("Content-Length", String(length));
  const mustLinger = isRestUnknown(exchange) || isLongBodyUnread(exchange);
  // node:http closes after the first response that says so: while draining, the last one does.
  const isDrained = isDraining && connection.isLatest(exchange);
  const isLast = mustLinger || exchange.asksToClose || isDrained;
  if (isLast) fields.push("Connection", "close");
  response.writeHead(status, STATUS_CODES[status] ?? "", fields);
  if (mustLinger) {
    connection.closeAfterResponse();
    connection.discard(request);
  }
  writeBody(response, body, length);
}

/** A whole response as text, for bytes that were not a request. It says `Connection: close`. */
export function rawResponse({ status, headers, body }: HttpError, requestId: string): string {
  const fields = withCommonFields(requestId, headers);
  fields.push("Connection", "close");
  fields.push("Content-Length", String(Buffer.byteLength(body)));
  fields.push("Date", new Date().toUTCString());
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n`;
  for (let i = 0; i < fields.length; i += 2) head += `${fields[i]}: ${fields[i + 1]}\r\n`;
  return `${head}\r\n${body}`;
}

/** The header fields that frame a message, in lower case. */
const FRAMING_FIELDS: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "transfer-encoding",
]);
const FRAMING_LENGTHS: ReadonlySet<number> = new Set([10, 14, 17]);

/** For responses without a policy of their own: nothing of them is a page. */
const DEFAULT_POLICY = [
  "Content-Security-Policy",
  "default-src 'none'; frame-ancestors 'none'; sandbox",
] as const;

const NO_FIELDS: readonly string[] = [];

/** A body of at most this many bytes that no one has read is dropped, and the connection kept. */
const MAX_DRAINED_BYTES = 65_536;

/** `headers` after the header fields of every response: names and values in turn. */
function withCommonFields(requestId: string, headers: readonly string[]): string[] {
  const policy = headers.includes("Content-Security-Policy") ? NO_FIELDS : DEFAULT_POLICY;
  return ["X-Request-Id", requestId, "X-Content-Type-Options", "nosniff", ...policy, ...headers];
}

function checkReply({ status, headers, body }: Reply): void {
  const isFinal = status >= 200 && status <= 599;
  const hasContent = typeof body === "string" || body instanceof Uint8Array;
  if (!isFinal || !hasContent) {
    throw new TypeError("a reply has a status of 200 to 599, and a body of text or bytes");
  }
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    // The lengths of the three names rule out most others.
    if (FRAMING_LENGTHS.has(name.length) && FRAMING_FIELDS.has(name.toLowerCase())) {
      throw new TypeError(`a reply must not have the header field ${name}: the service sets it`);
    }
  }
}

/** Whether what follows on the connection can't be told from the rest of this request. */
function isRestUnknown({ isHeadValid, awaitsContinue, bodyError }: Exchange): boolean {
  return !isHeadValid || awaitsContinue || bodyError !== undefined;
}

function isLongBodyUnread({ request }: Exchange): boolean {
  if (request.complete) return false;
  const length = declaredLength(request);
  return length === undefined || length > MAX_DRAINED_BYTES;
}

/**
 * Writes the body as one string in one write. Of `end(body)` Node 20 makes two writes, the second
 * one empty: 5 to 8 % of a request in the benchmark's scenario "accepted".
 */
function writeBody(response: ServerResponse, body: string | Uint8Array, length: number): void {
  response.cork();
  // Latin-1 is written faster than UTF-8, and is the same if every character is one byte.
  response.write(body, length === body.length ? "latin1" : "utf8");
  response.uncork();
  response.end();
}
