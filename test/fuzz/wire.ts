import type { Socket } from "node:net";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";

import type { TestService } from "../support/server.ts";
import { connect, CONNECTION, USES_TLS } from "../support/transport.ts";
import { check } from "./target.ts";

/** One response, as it was on the wire. */
export interface WireResponse {
  readonly status: number;
  /** Values by names in lower case. No name occurs twice. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** A connection must be closed after this time, in ms: a bound, not a measurement. */
const LIMIT_MS = 20_000;

/** How many turns of the event loop the service gets to read a piece. */
const MAX_TURNS = 200;

/** After how many turns without a byte no other response is expected. */
const QUIET_TURNS = 5;

/** Lets the service have a turn. What TLS encrypts takes the system some time to deliver. */
const turn = USES_TLS ? (): Promise<void> => sleep(2) : (): Promise<void> => nextTurn();

/**
 * Sends `pieces` one after the other, each when the service has read the one before, then ends, and
 * resolves to all that comes back. Rejects if the connection is reset, or is not closed.
 */
export async function converse(service: TestService, pieces: readonly Buffer[]): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const peer = new Promise<Socket>((resolve) => service.server.once(CONNECTION, resolve));
  const client = connect({ port: service.port, allowHalfOpen: true });
  let quietTurns = 0;
  client.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    quietTurns = 0;
  });
  const closed = untilClosed(client);
  // It may reject while this function still waits for something else.
  closed.catch(() => {});
  const socket = await peer;
  let sent = 0;
  for (const piece of pieces) {
    // It has closed after its last response. What else a client sends is met with a reset.
    if (socket.destroyed) break;
    client.write(piece);
    sent += piece.length;
    for (let turns = 0; turns < MAX_TURNS; turns += 1) {
      if (socket.bytesRead >= sent || socket.destroyed) break;
      await turn();
    }
  }
  for (; quietTurns < QUIET_TURNS; quietTurns += 1) await turn();
  client.end();
  await closed;
  return Buffer.concat(chunks);
}

function untilClosed(client: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      client.destroy(new Error("the service does not close the connection"));
    }, LIMIT_MS);
    // After the end of all responses, a reset takes nothing from the client.
    client.on("error", (error) => client.readableEnded || reject(error));
    client.on("close", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/**
 * Reads the responses on a connection, and checks each. `mayBeHead` says whether a response may be
 * to HEAD, and have no body.
 */
export function readResponses(bytes: Buffer, mayBeHead: boolean): WireResponse[] {
  const responses: WireResponse[] = [];
  for (let at = 0; at < bytes.length; ) {
    const last = responses.at(-1);
    check(!isLast(last), () => "bytes after Connection: close");
    const headEnd = bytes.indexOf("\r\n\r\n", at);
    check(headEnd !== -1, () => `no header section in ${bytes.toString("latin1", at)}`);
    const head = readHead(bytes.toString("latin1", at, headEnd));
    const start = headEnd + 4;
    const isEmpty = hasNoBody(head.status) || (mayBeHead && isNextResponse(bytes, start));
    const end = start + (isEmpty ? 0 : Number(head.headers.get("content-length")));
    check(end <= bytes.length, () => "a body shorter than its Content-Length");
    const response = { ...head, body: bytes.toString("utf8", start, end) };
    if (response.status >= 200) checkResponse(response);
    responses.push(response);
    at = end;
  }
  return responses;
}

function isLast(response: WireResponse | undefined): boolean {
  return response?.headers.get("connection") === "close";
}

function hasNoBody(status: number): boolean {
  return status < 200 || status === 204 || status === 304;
}

function isNextResponse(bytes: Buffer, at: number): boolean {
  return at === bytes.length || bytes.toString("latin1", at, at + 9) === "HTTP/1.1 ";
}

function readHead(text: string): Omit<WireResponse, "body"> {
  const [statusLine = "", ...fields] = text.split("\r\n");
  const status = /^HTTP\/1\.1 ([1-5]\d\d) [A-Za-z ]+$/.exec(statusLine)?.[1];
  check(status !== undefined, () => `the status line ${JSON.stringify(statusLine)}`);
  const headers = new Map<string, string>();
  for (const field of fields) {
    const [, name = "", value = ""] = /^([A-Za-z-]+): ([\x21-\x7e][\x20-\x7e]*)$/.exec(field) ?? [];
    check(name !== "" && !headers.has(name.toLowerCase()), () => `the field ${field}`);
    headers.set(name.toLowerCase(), value);
  }
  return { status: Number(status), headers };
}

/** Final responses of which the service's own contract holds. */
function checkResponse({ status, headers, body }: WireResponse): void {
  for (const name of ["date", "x-request-id", "content-security-policy", "cache-control"]) {
    check(headers.has(name), () => `a ${status} without ${name}`);
  }
  check(
    !headers.has("server") && !headers.has("transfer-encoding"),
    () => `a field of a ${status}`,
  );
  if (status === 304) return;
  check(/^\d+$/.test(headers.get("content-length") ?? ""), () => `a ${status} without a length`);
  if (body !== "" && headers.get("content-type") === "application/json") JSON.parse(body);
}
