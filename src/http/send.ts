import { STATUS_CODES } from "node:http";

import { declaredLength } from "./body.ts";
import type { HttpError } from "./reply.ts";
import type { Connection, Exchange } from "./exchange.ts";
import type { Reply } from "./route.ts";

/**
 * Hands one answer to node:http. Throws, with nothing sent, when the reply can't be written: a status that is none, a
 * field with a line break, a body that is neither text nor bytes.
 */
export function send(exchange: Exchange, { status, headers, body }: Reply): void {
  const { request, response, requestId, connection } = exchange;
  const isValid =
    status >= 200 && status <= 599 && (typeof body === "string" || body instanceof Uint8Array);
  if (!isValid)
    throw new TypeError("a reply has a status of 200 to 599, and a body of text or bytes");
  const fields = ["X-Request-Id", requestId, "X-Content-Type-Options", "nosniff", ...headers];
  // RFC 9110 8.6: no Content-Length where there can be no content, unless it is that of the GET.
  const length = Buffer.byteLength(body);
  if (status !== 204 && status !== 304) fields.push("Content-Length", String(length));
  const isUnread = !request.complete && declaredLength(request) > MAX_DRAINED_BYTES;
  const lingers = !exchange.inStep || exchange.bodyError !== undefined || isUnread;
  // While draining, only the last of several: node:http closes after the one that says so.
  if (lingers || (exchange.draining && connection.last === exchange))
    fields.push("Connection", "close");
  response.writeHead(status, STATUS_CODES[status] ?? "", fields);
  if (lingers) {
    connection.closing = true;
    // node:http calls destroySoon() after the last answer. With bytes still to be read that is a reset (RFC 9112 9.6).
    connection.socket.destroySoon = () => linger(connection);
    request.on("data", () => stopAtLimit(connection));
  }
  // One write of one string. Of end(body) Node 20 makes two, the second one empty: a twentieth of a request's time.
  response.cork();
  // Latin-1 is written faster than UTF-8, and is the same where every character is one byte.
  response.write(body, length === body.length ? "latin1" : "utf8");
  response.uncork();
  response.end();
}

/** Answers bytes that are no request, after the answers that are still due, and closes. */
export function sendRaw(connection: Connection, error: HttpError, requestId: string): void {
  const { socket, last } = connection;
  connection.closing = true;
  const write = (): void => {
    if (socket.writable) socket.write(rawAnswer(error, requestId));
    linger(connection);
  };
  if (last === undefined || last.response.writableFinished) write();
  else last.response.once("finish", write);
}

/** While lingering: reads no more than is read for courtesy, so that the client stops sending and reads its answer. */
export function stopAtLimit({ socket, last, readLimit }: Connection): void {
  if (socket.bytesRead <= readLimit) return;
  last?.request.pause();
  socket.pause();
}

/** An unread body this short is read and dropped, and the connection kept. */
const MAX_DRAINED_BYTES = 65_536;

const LINGER_MS = 2000;
const LINGER_BYTES = 3_145_728;

/** Closes the write side and goes on reading for a while, so that the client gets to read its answer. */
function linger(connection: Connection): void {
  const { socket } = connection;
  connection.readLimit = socket.bytesRead + LINGER_BYTES;
  socket.end();
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once("close", () => clearTimeout(timer));
}

function rawAnswer({ status, headers, body }: HttpError, requestId: string): string {
  const fields = [
    "X-Request-Id",
    requestId,
    "X-Content-Type-Options",
    "nosniff",
    ...headers,
    "Connection",
    "close",
  ];
  fields.push("Content-Length", String(Buffer.byteLength(body)), "Date", new Date().toUTCString());
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n`;
  for (let i = 0; i < fields.length; i += 2) head += `${fields[i]}: ${fields[i + 1]}\r\n`;
  return `${head}\r\n${body}`;
}
