// The client of the benchmark, a process of its own: raw sockets, so that it costs less than what it measures.
import { connect, type Socket } from "node:net";

/** What the client is asked over IPC, of one named pool of connections; it answers with a Result or an error's text. */
export type Command = { readonly pool: string } & (Open | Burst | Send | { readonly do: "close" });

/** Makes `count` connections; with `request`, each has had it answered. */
interface Open {
  readonly do: "open";
  readonly port: number;
  readonly count: number;
  readonly request?: string;
}

/** For `ms` each connection sends `request` again as it has its answer; they start one by one over `spreadMs`. */
export interface Burst {
  readonly do: "burst";
  readonly request: string;
  /** Any other status is an error. */
  readonly status: number;
  readonly ms: number;
  readonly spreadMs: number;
}

/** Each connection sends one request, and nobody waits for its answer. */
interface Send {
  readonly do: "send";
  readonly request: string;
}

/** What a burst brought; zeros for the other commands. Times in ms. */
export interface Result {
  readonly requests: number;
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
}

interface Client {
  readonly socket: Socket;
  sentAt: number;
  /** Bytes of the answer that are still to come. */
  missing: number;
  status: number;
  /** Called with the status when an answer is complete. */
  answered: (client: Client) => void;
}

const NOTHING: Result = { requests: 0, perSecond: 0, p50: 0, p99: 0 };

/** Connections opened at once: not more than a backlog takes. */
const BATCH = 50;

const pools = new Map<string, Client[]>();

async function run(command: Command): Promise<Result> {
  const pool = pools.get(command.pool) ?? [];
  pools.set(command.pool, pool);
  if (command.do === "open") await open(pool, command);
  else if (command.do === "burst") return burst(pool, command);
  else if (command.do === "send") for (const { socket } of pool) socket.write(command.request);
  else for (const { socket } of pool.splice(0)) socket.destroy();
  return NOTHING;
}

async function open(pool: Client[], { port, count, request }: Open): Promise<void> {
  while (pool.length < count) {
    const batch = Array.from({ length: Math.min(BATCH, count - pool.length) }, () =>
      createClient(port),
    );
    pool.push(...(await Promise.all(batch)));
    if (request !== undefined)
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
    const client: Client = { socket, sentAt: 0, missing: 0, status: 0, answered: () => {} };
    socket.once("connect", () => resolve(client));
    socket.on("error", reject);
    socket.on("close", () => client.answered(client));
  });
}

const READ_BUFFER = Buffer.alloc(65_536);

/** Follows one answer. Its header section comes in one piece: a server writes it at once, and it fits. */
function take(client: Client, buffer: Buffer, size: number): void {
  if (client.missing > 0) {
    client.missing -= size;
  } else {
    const end = buffer.indexOf("\r\n\r\n");
    const head = buffer.toString("latin1", 0, end);
    client.status = Number(head.slice(9, 12));
    client.missing = end + 4 + Number(/\r\nContent-Length: (\d+)/i.exec(head)?.[1]) - size;
  }
  if (client.missing === 0) client.answered(client);
}

function once(client: Client, request: string): Promise<void> {
  return new Promise((resolve) => {
    client.answered = () => resolve();
    client.socket.write(request, "latin1");
  });
}

function burst(pool: Client[], { request, status, ms, spreadMs }: Burst): Promise<Result> {
  const bytes = Buffer.from(request, "latin1");
  const times: number[] = [];
  const start = performance.now();
  let steady = 0; // answers after the start was spread and before the end
  let active = pool.length;
  return new Promise((resolve, reject) => {
    // Never asleep: waking a client on this machine would be charged to the server, and to the slower one more often.
    const stayAwake = (): void => {
      if (active > 0) setImmediate(stayAwake);
    };
    stayAwake();
    const send = (client: Client): void => {
      client.sentAt = performance.now();
      client.socket.write(bytes);
    };
    const answered = (client: Client): void => {
      if (client.status !== status || client.socket.destroyed) {
        active = 0;
        reject(new Error(`expected ${status}, got ${client.status}, or the connection was closed`));
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
      client.answered = answered;
      setTimeout(send, (spreadMs * index) / pool.length, client);
    });
  });
}

function summarize(times: number[], perSecond: number): Result {
  const sorted = Float64Array.from(times).sort();
  const at = (part: number): number => sorted[Math.floor(part * (sorted.length - 1))] ?? NaN;
  return { requests: times.length, perSecond, p50: at(0.5), p99: at(0.99) };
}

// Only as a child of the benchmark: the test runner loads every file below test/, and there this one does nothing.
if (process.send !== undefined && process.env["NODE_TEST_CONTEXT"] === undefined) {
  process.on("message", (command: Command) => {
    run(command).then(
      (result) => process.send?.(result),
      (error: Error) => process.send?.(error.message),
    );
  });
  process.once("disconnect", () => process.exit());
}
