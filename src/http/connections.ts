import type { Server } from "node:http";
import { Server as NetServer, type Socket } from "node:net";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";

import { HttpError } from "./reply.ts";
import { type Connection, NOTHING_OPEN, type Reports } from "./exchange.ts";

/** The sockets of one server, what is open on each, and how they come to an end. */
export class Connections {
  /** Set: every answer says `Connection: close`, `/health` says draining. */
  draining = false;
  /** How many requests have no answer yet. */
  inFlight = 0;
  /** Where the answers and the failures of all of them are told. */
  readonly reports: Reports;
  readonly #connections = new Map<Socket, Connection>();
  #accepted = 0;
  /** When draining stops waiting for what clients have yet to send. */
  #late = Infinity;
  readonly #unreadMs: number;

  /** `unreadMs`: how long a client may leave its answers unread. */
  constructor(reports: Reports, unreadMs: number) {
    this.reports = reports;
    this.#unreadMs = unreadMs;
  }

  /** Takes a new socket into account until it closes. */
  add(socket: Socket): void {
    const connection: Connection = {
      socket,
      remote: socket.remoteAddress,
      service: this,
      open: NOTHING_OPEN,
      last: undefined,
      closing: false,
      readLimit: Infinity,
      idleSince: performance.now(),
      idleBytes: 0,
    };
    this.#connections.set(socket, connection);
    this.#accepted += 1;
    socket.on("close", () => {
      this.#connections.delete(socket);
      for (const exchange of connection.open) exchange.abandon();
    });
  }

  /** What is open on a socket of this server; undefined once it has closed. */
  get(socket: Socket): Connection | undefined {
    return this.#connections.get(socket);
  }

  /**
   * Stops accepting, and closes each connection as its last answer is out. Resolves when no answer is due any more.
   * A body that is still on its way has a second to arrive, then its client is told 408.
   */
  async drain(server: Server): Promise<void> {
    this.draining = true;
    this.#late = performance.now() + GRACE_MS;
    // libuv accepts one connection a turn; closing the server would reset those that wait in the kernel's queue.
    for (let seen = -1; seen < this.#accepted && performance.now() < this.#late; await nextTurn()) {
      seen = this.#accepted;
    }
    // Not http's close(): that one resets idle connections at once, with a request that is about to be read.
    NetServer.prototype.close.call(server);
    // Clients send their first request at once, and many the next on an answer.
    while (this.closeIdle(IDLE_GRACE_MS) > 0) await sleep(POLL_MS);
  }

  /**
   * Destroys what has been idle for `idleMs`, as seen from call to call, and has clients that leave answers unread time
   * out. Returns how many connections may still have an answer to give.
   */
  closeIdle(idleMs: number): number {
    const now = performance.now();
    const isLate = now >= this.#late;
    let busy = 0;
    for (const connection of this.#connections.values()) {
      const { socket, open, last, closing, idleBytes } = connection;
      if (socket.writableLength > 0 && socket.timeout !== this.#unreadMs)
        socket.setTimeout(this.#unreadMs);
      const isDue = open.length > 0 || socket.writableLength > 0;
      // What has been read since the last call may be the beginning of a request.
      if (isDue || socket.bytesRead !== idleBytes) connection.idleSince = now;
      connection.idleBytes = socket.bytesRead;
      // While nothing drains, node:http sees to it that the first request comes in time.
      const mayStay =
        !isLate &&
        (now - connection.idleSince < idleMs || (socket.bytesWritten === 0 && !this.draining));
      if (isDue || (!closing && mayStay)) busy += 1;
      else if (!closing) socket.destroy();
      if (isLate && last?.request.complete === false) last.breakBody(TOO_LATE);
    }
    return busy;
  }
}

const GRACE_MS = 1000;
const IDLE_GRACE_MS = 50;
const POLL_MS = 20;
const TOO_LATE = new HttpError(
  408,
  "Request Timeout: the service is stopping and the body has not arrived",
);
