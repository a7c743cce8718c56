// The client of the benchmark, a process of its own. It uses raw sockets, so that it costs less
// than what it measures.
import { connect, type Socket } from "node:net";

/** What the client is to do with a pool of connections, over IPC. It sends back a Reply. */
export type Command = { readonly pool: string } & (Open | Burst | Drive | Send | Close);

/** Opens connections. */
interface Open {
  readonly do: "open";
  readonly port: number;
  /** How many the pool has afterwards. */
  readonly count: number;
  /** What each sends. Its response has arrived when the command is done. */
  readonly request?: string;
}

/** Closes the connections of the pool. */
interface Close {
  readonly do: "close";
}

/**
 * For `ms`, each connection sends `request`, and again once it has the response. They start one
 * after the other over `spreadMs`.
 */
export interface Burst {
  readonly do: "burst";
  readonly request: string;
  /** Any other status is an error. */
  readonly status: number;
  readonly ms: number;
  readonly spreadMs: number;
}

/** The connections send `request` until there were `count` responses, each one at a time. */
interface Drive {
  readonly do: "drive";
  readonly request: string;
  /** Any other status is an error. */
  readonly status: number;
  readonly count: number;
}

/** Each connection sends one request. The command is done before the responses arrive. */
interface Send {
  readonly do: "send";
  readonly request: string;
}

/** What a command led to. */
export type Reply =
  | { readonly kind: "result"; readonly result: Result }
  | { readonly kind: "error"; readonly message: string };

/** The figures of a burst; zeros for the other commands. */
export interface Result {
  /** Requests with a response. */
  readonly requests: number;
  readonly perSecond: number;
  /** The median time of a request, in ms. */
  readonly p50: number;
  /** The time within which 99 % of the requests had their response, in ms. */
  readonly p99: number;
}

interface Client {
  readonly socket: Socket;
  /** When its latest request was sent, as performance.now() has it. */
  sentAt: number;
  /** Bytes of the response that have yet to arrive. */
  missing: number;
  /** Of the latest response. */
  status: number;
  /** Called when a response is complete, and when the connection is closed. */
  onResponse: (client: Client) => void;
}

const NOTHING: Result = { requests: 0, perSecond: 0, p50: 0, p99: 0 };

/** How many connections are opened at once: no more than a listen queue takes. */
const BATCH = 50;

const pools = new Map<string, Client[]>();

async function run(command: Command): Promise<Result> {
  const pool = pools.get(command.pool) ?? [];
  pools.set(command.pool, pool);
  if (command.do !== "close") assertOpen(pool);
  switch (command.do) {
    case "open":
      await open(pool, command);
      return NOTHING;
    case "burst":
      return burst(pool, command);
    case "drive":
      await drive(pool, command);
      return NOTHING;
    case "send":
      for (const { socket } of pool) socket.write(command.request);
      return NOTHING;
    case "close":
      for (const { socket } of pool.splice(0)) socket.destroy();
      return NOTHING;
  }
}

function assertOpen(pool: readonly Client[]): void {
  if (pool.some(({ socket }) => socket.destroyed)) {
    throw new Error("the server has closed a connection");
  }
}

async function open(pool: Client[], { port, count, request }: Open): Promise<void> {
  while (pool.length < count) {
    const batch = Array.from({ length: Math.min(BATCH, count - pool.length) }, () =>
      createClient(port),
    );
    pool.push(...(await Promise.all(batch)));
    if (request === undefined) continue;
    await Promise.all(pool.slice(-batch.length).map((client) => once(client, request)));
  }
}

function createClient(port: number): Promise<Client> {
  return new Promise((resolve, reject) => {
    const callback = (size: number, buffer: Uint8Array): boolean => {
      take(client, buffer as Buffer, size);
      return true;
    };
    // Every read goes into the one buffer: no allocation, no stream events.
    const socket = connect({
      port,
      host: "127.0.0.1",
      noDelay: true,
      onread: { buffer: READ_BUFFER, callback },
    });
    const client: Client = { socket, sentAt: 0, missing: 0, status: 0, onResponse: () => {} };
    socket.once("connect", () => resolve(client));
    socket.on("error", reject);
    socket.on("close", () => client.onResponse(client));
  });
}

const READ_BUFFER = Buffer.alloc(65_536);

/**
 * Follows one response. Its header section arrives in one piece: a server writes it at once, and it
 * fits.
 */
function take(client: Client, buffer: Buffer, size: number): void {
  if (client.missing > 0) {
    client.missing -= size;
  } else {
    const end = buffer.indexOf("\r\n\r\n");
    const head = buffer.toString("latin1", 0, end);
    client.status = Number(head.slice(9, 12));
    client.missing = end + 4 + Number(/\r\nContent-Length: (\d+)/i.exec(head)?.[1]) - size;
  }
  if (client.missing === 0) client.onResponse(client);
}

function once(client: Client, request: string): Promise<void> {
  return new Promise((resolve) => {
    client.onResponse = () => resolve();
    client.socket.write(request, "latin1");
  });
}

function burst(pool: Client[], { request, status, ms, spreadMs }: Burst): Promise<Result> {
  const bytes = Buffer.from(request, "latin1");
  const times: number[] = [];
  const start = performance.now();
  // Responses while all connections are in use: after the start was spread, and before the end.
  let steady = 0;
  let active = pool.length;
  return new Promise((resolve, reject) => {
    // If it slept, waking it would be charged to the server, and to the slower one more often.
    const stayAwake = (): void => {
      if (active > 0) setImmediate(stayAwake);
    };
    stayAwake();
    const send = (client: Client): void => {
      client.sentAt = performance.now();
      client.socket.write(bytes);
    };
    const onResponse = (client: Client): void => {
      if (client.status !== status || client.socket.destroyed) {
        active = 0;
        reject(unexpected(status, client));
        return;
      }
      const now = performance.now();
      times.push(now - client.sentAt);
      if (now < start + ms) {
        if (now > start + spreadMs) steady += 1;
        send(client);
      } else {
        active -= 1;
        if (active === 0) resolve(summarize(times, (1000 * steady) / (ms - spreadMs)));
      }
    };
    pool.forEach((client, index) => {
      client.onResponse = onResponse;
      setTimeout(send, (spreadMs * index) / pool.length, client);
    });
  });
}

function drive(pool: readonly Client[], { request, status, count }: Drive): Promise<void> {
  const bytes = Buffer.from(request, "latin1");
  let sent = 0;
  let received = 0;
  return new Promise((resolve, reject) => {
    const send = ({ socket }: Client): void => {
      if (sent === count) return;
      sent += 1;
      socket.write(bytes);
    };
    const onResponse = (client: Client): void => {
      if (client.status !== status || client.socket.destroyed) {
        reject(unexpected(status, client));
        return;
      }
      received += 1;
      if (received === count) resolve();
      else send(client);
    };
    for (const client of pool) {
      client.onResponse = onResponse;
      send(client);
    }
  });
}

function unexpected(status: number, client: Client): Error {
  return new Error(`expected ${status}, got ${client.status}, or the connection was closed`);
}

function reply(message: Reply): void {
  process.send?.(message);
}

function summarize(times: number[], perSecond: number): Result {
  const sorted = Float64Array.from(times).sort();
  const at = (part: number): number => sorted[Math.floor(part * (sorted.length - 1))] ?? NaN;
  return { requests: times.length, perSecond, p50: at(0.5), p99: at(0.99) };
}

// The test runner loads every file below test/. There this one does nothing.
if (process.send !== undefined && process.env["NODE_TEST_CONTEXT"] === undefined) {
  process.on("message", (command: Command) => {
    run(command).then(
      (result) => reply({ kind: "result", result }),
      (error: Error) => reply({ kind: "error", message: error.message }),
    );
  });
  process.once("disconnect", () => process.exit());
}
