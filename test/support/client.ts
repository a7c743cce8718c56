import { EventEmitter } from "node:events";
import type { Socket } from "node:net";

import { get } from "./requests.ts";
import { connect } from "./transport.ts";

/** One parsed response. */
export interface RawResponse {
  /** NaN if the status line is not one of HTTP/1.1. */
  readonly status: number;
  /** Values by names in lower case. Those of a repeated field are joined with ", ". */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** How a client connects. */
export interface ClientOptions {
  /** The client's side stays open when the service closes its own. */
  readonly allowHalfOpen?: boolean;
  /** The responses are to HEAD requests: they have no body. */
  readonly isHead?: boolean;
}

/** Longer than anything should take on a busy machine: a bound, not a measurement. */
const LIMIT_MS = 60_000;

/** One connection of a client that sends any bytes at any time. */
export class Client {
  readonly socket: Socket;
  /** The whole responses so far in their order, interim ones too. */
  readonly responses: RawResponse[] = [];
  /** The service has closed its side. */
  ended = false;
  /** The connection was reset, or refused. */
  reset = false;
  closed = false;
  readonly #parser: ResponseParser;
  readonly #chunks: Buffer[] = [];
  readonly #events = new EventEmitter().setMaxListeners(0);

  constructor(socket: Socket, isHead = false) {
    this.socket = socket;
    this.#parser = new ResponseParser(isHead);
    socket.on("data", (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.responses.push(...this.#parser.push(chunk));
      this.#events.emit("change");
    });
    socket.on("end", () => {
      this.ended = true;
      this.#events.emit("change");
    });
    socket.on("error", () => {
      this.reset = true;
    });
    socket.on("close", () => {
      this.closed = true;
      this.#events.emit("change");
    });
  }

  /** All that has arrived, one character per byte. */
  get text(): string {
    return Buffer.concat(this.#chunks).toString("latin1");
  }

  /** Sends bytes; text with one byte per character. */
  send(bytes: string | Buffer): void {
    this.socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  }

  /** Resolves when `condition` holds. Rejects after `limitMs`. */
  until(condition: () => boolean, what: string, limitMs = LIMIT_MS): Promise<void> {
    return new Promise((resolve, reject) => {
      const check = (): void => {
        if (!condition()) return;
        stopWaiting();
        resolve();
      };
      const giveUp = (): void => {
        stopWaiting();
        const statuses = this.responses.map(({ status }) => status).join(", ");
        reject(new Error(`waited too long for ${what}; statuses so far: ${statuses}`));
      };
      const timer = setTimeout(giveUp, limitMs);
      const stopWaiting = (): void => {
        clearTimeout(timer);
        this.#events.off("change", check);
      };
      this.#events.on("change", check);
      check();
    });
  }

  /** Resolves to the responses when there are `count`. */
  async untilResponses(count = 1): Promise<readonly RawResponse[]> {
    await this.until(() => this.responses.length >= count, `${count} responses`);
    return this.responses;
  }

  /** Resolves when the service has closed its side. */
  untilEnded(): Promise<void> {
    return this.until(() => this.ended || this.closed, "the end of the connection");
  }

  /** Resolves when the connection is closed. */
  untilClosed(limitMs = LIMIT_MS): Promise<void> {
    return this.until(() => this.closed, "the connection to be closed", limitMs);
  }
}

/**
 * Opens a connection to a port of 127.0.0.1 and sends `first`. A refused one is `reset` and
 * `closed`.
 */
export function open(
  port: number,
  first: string | Buffer = "",
  { allowHalfOpen = false, isHead = false }: ClientOptions = {},
): Promise<Client> {
  return new Promise((resolve) => {
    // An open connection must not keep the process of a failed test from ending.
    const socket = connect({ port, allowHalfOpen }, () => {
      if (first.length > 0) client.send(first);
      resolve(client);
    }).unref();
    const client = new Client(socket, isHead);
    socket.on("close", () => resolve(client));
  });
}

/** Opens `count` connections, some at a time so as not to test the listen queue. */
export async function openMany(
  port: number,
  count: number,
  first: string | Buffer = "",
): Promise<Client[]> {
  const clients: Client[] = [];
  while (clients.length < count) {
    const batch = Math.min(100, count - clients.length);
    clients.push(...(await Promise.all(Array.from({ length: batch }, () => open(port, first)))));
  }
  return clients;
}

/**
 * Sends `bytes` on `count` connections, and resolves when the service has read them: each worker
 * reads them before it responds to the requests of /health that follow.
 */
export async function startRequests(
  port: number,
  bytes: string | Buffer,
  count: number,
): Promise<Client[]> {
  const clients = await openMany(port, count, bytes);
  // The kernel chooses the workers: these are enough for each to get one.
  for (let i = 0; i < 20; i += 1) await statusOf(port, get("/health"));
  return clients;
}

/** The responses on one connection, and how it ended. */
export interface Exchanged {
  readonly responses: readonly RawResponse[];
  /** Whether the service closed the connection. */
  readonly closed: boolean;
  /** Whether it was reset. */
  readonly reset: boolean;
}

/** What `exchange` waits for. */
export interface ExchangeOptions extends ClientOptions {
  /** How many final responses; 1 by default. */
  readonly count?: number;
  /** Also wait until the service closes the connection. */
  readonly close?: boolean;
  /** Reject after this many ms. */
  readonly limitMs?: number;
}

/**
 * Sends bytes on a connection of its own, and resolves when the responses are there or the
 * connection is closed.
 */
export async function exchange(
  port: number,
  bytes: string | Buffer,
  { count = 1, close = false, limitMs = LIMIT_MS, ...options }: ExchangeOptions = {},
): Promise<Exchanged> {
  const client = await open(port, bytes, options);
  const isDone = (): boolean => {
    if (client.closed) return true;
    if (close && !client.ended) return false;
    return client.responses.filter(({ status }) => status >= 200).length >= count;
  };
  await client.until(isDone, close ? "the connection to be closed" : `${count} responses`, limitMs);
  client.socket.destroy();
  const { responses, ended, closed, reset } = client;
  return { responses, closed: ended || closed, reset };
}

/** The one response to a request on a connection of its own. Throws unless there is one. */
export async function request(
  port: number,
  bytes: string | Buffer,
  options: ExchangeOptions = {},
): Promise<RawResponse & { readonly closed: boolean }> {
  const { responses, closed } = await exchange(port, bytes, options);
  const [response, ...others] = responses;
  if (response === undefined || others.length > 0) {
    throw new Error(`${responses.length} responses instead of one`);
  }
  return { ...response, closed };
}

/** The status of the one response to a request on a connection of its own. */
export async function statusOf(port: number, bytes: string | Buffer): Promise<number> {
  return (await request(port, bytes)).status;
}

/** Resolves when each client has `count` responses. */
export async function untilAnswered(clients: readonly Client[], count = 1): Promise<void> {
  await Promise.all(clients.map((client) => client.untilResponses(count)));
}

/** Resolves when each client's connection is closed. Rejects after `limitMs`. */
export async function untilClosed(clients: readonly Client[], limitMs = LIMIT_MS): Promise<void> {
  await Promise.all(clients.map((client) => client.untilClosed(limitMs)));
}

/** How many of the values there are of each kind, as in `{"200": 3}`. */
export function countBy(values: readonly (string | number | undefined)[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const value of values) {
    const name = String(value);
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

/** How many clients have which outcome: the status of the last response, "reset" or "none". */
export function outcomes(clients: readonly Client[]): Record<string, number> {
  return countBy(clients.map(outcomeOf));
}

function outcomeOf({ responses, reset }: Client): string | number {
  if (reset) return "reset";
  return responses.at(-1)?.status ?? "none";
}

/** Finds responses in the bytes of a connection, which may be cut anywhere. */
class ResponseParser {
  readonly #isHead: boolean;
  #rest: Buffer = Buffer.alloc(0);
  /** Chunks that are not in `#rest` yet. */
  readonly #waiting: Buffer[] = [];
  /** How many bytes of the response that is arriving are missing, as far as that is known. */
  #missing = 0;

  constructor(isHead: boolean) {
    this.#isHead = isHead;
  }

  /** The responses that are complete with this chunk. */
  push(chunk: Buffer): RawResponse[] {
    this.#waiting.push(chunk);
    this.#missing -= chunk.length;
    // A long body is put together once, and not with each chunk.
    if (this.#missing > 0) return [];
    this.#rest = Buffer.concat([this.#rest, ...this.#waiting.splice(0)]);
    const responses: RawResponse[] = [];
    for (let next = this.#shift(); next !== undefined; next = this.#shift()) responses.push(next);
    return responses;
  }

  #shift(): RawResponse | undefined {
    const headEnd = this.#rest.indexOf("\r\n\r\n");
    if (headEnd === -1) return undefined;
    const [statusLine = "", ...fields] = this.#rest.toString("latin1", 0, headEnd).split("\r\n");
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(statusLine)?.[1] ?? NaN);
    const headers = parseFields(fields);
    const start = headEnd + 4;
    const end = start + (this.#hasBody(status) ? Number(headers["content-length"] ?? 0) : 0);
    this.#missing = end - this.#rest.length;
    if (this.#missing > 0) return undefined;
    const body = this.#rest.toString("utf8", start, end);
    this.#rest = this.#rest.subarray(end);
    return { status, headers, body };
  }

  #hasBody(status: number): boolean {
    return !this.#isHead && status >= 200 && status !== 204 && status !== 304;
  }
}

function parseFields(lines: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    // A field that is sent twice would hide in a plain record.
    headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
  }
  return headers;
}
