import type { Server } from "node:http";
import { Server as NetServer, type Socket } from "node:net";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";

import { HttpError } from "./error.ts";
import type { Connection, Exchange } from "./exchange.ts";

/** The sockets of one server, what is open on each, and how they come to an end. */
export class Connections {
  /** Set: every answer says `Connection: close`, `/health` says draining. */
  draining = false;
  #inFlight = 0;
  #accepted = 0;
  readonly #connections = new Map<Socket, Connection>();
  readonly #onClose: (this: Socket) => void;

  /** `onGone` is told of each request whose client went away before its answer. */
  constructor(onGone: (exchange: Exchange) => void) {
    const remove = (socket: Socket): void => this.#remove(socket, onGone);
    // One listener for all sockets: ten thousand idle ones should cost little.
    this.#onClose = function (): void {
      remove(this);
    };
  }

  /** Takes a new socket into account until it closes. */
  add(socket: Socket): void {
    this.#accepted += 1;
    const state = { open: [], last: undefined, closing: false, readLimit: Infinity, idleAt: -1 };
    this.#connections.set(socket, { socket, remote: undefined, service: this, since: performance.now(), ...state });
    socket.on("close", this.#onClose).on("error", ignore);
  }

  /** What is open on a socket of this server; undefined once it has closed. */
  get(socket: Socket): Connection | undefined {
    return this.#connections.get(socket);
  }

  /**
   * Closes connections that have been idle since an answer for `keepAliveMs`, and has those time out whose client leaves
   * answers unread for `unreadMs`. To be called every second; node:http's own time-outs arm timers for every request.
   */
  sweep(keepAliveMs: number, unreadMs: number): void {
    const expired = performance.now() - keepAliveMs;
    for (const connection of this.#connections.values()) {
      const { socket, open, last, since, idleAt } = connection;
      if (socket.writableLength > 0 && socket.timeout !== unreadMs) socket.setTimeout(unreadMs);
      if (socket.writableLength === 0 && open.length === 0 && last !== undefined && since < expired) {
        // Unless the next request has begun to arrive.
        if (idleAt === socket.bytesRead) socket.destroy();
        connection.idleAt = socket.bytesRead;
      }
    }
  }

  /** Counts a request as in flight; false when there are `max` already. */
  admit(exchange: Exchange, max: number): boolean {
    if (this.#inFlight >= max) return false;
    this.#inFlight += 1;
    exchange.counted = true;
    return true;
  }

  /** Marks a request as answered. */
  end(exchange: Exchange): void {
    const { open } = exchange.connection;
    open.splice(open.indexOf(exchange), 1);
    exchange.connection.since = performance.now();
    this.#settle(exchange);
  }

  /**
   * Stops accepting, and closes each connection as its last answer is out. Resolves when no answer is due any more.
   * A body that is still on its way has a second to arrive, then its client is told 408.
   */
  async drain(server: Server): Promise<void> {
    this.draining = true;
    const late = performance.now() + GRACE_MS;
    // libuv accepts one connection a turn; closing the server would reset those that wait in the kernel's queue.
    for (let seen = -1; this.#accepted > seen && performance.now() < late; await nextTurn()) seen = this.#accepted;
    // Not http's close(): that one resets idle connections at once, with a request that is about to be read.
    NetServer.prototype.close.call(server);
    while (this.#closeIdle(performance.now(), late) > 0) await sleep(POLL_MS);
  }

  /** Destroys what is idle; returns how many connections may still have an answer to give. */
  #closeIdle(now: number, late: number): number {
    let busy = 0;
    for (const { socket, open, last, closing, since } of this.#connections.values()) {
      if (open.length > 0 || last?.response.writableFinished === false) busy += 1;
      // A request may be on its way: clients send the first at once, and many the next on an answer.
      else if (!closing && now - since < IDLE_GRACE_MS) busy += 1;
      else if (!closing) socket.destroy();
      if (now > late) for (const exchange of open) if (!exchange.request.complete) exchange.breakBody(TOO_LATE);
    }
    return busy;
  }

  #remove(socket: Socket, onGone: (exchange: Exchange) => void): void {
    const open = this.#connections.get(socket)?.open ?? [];
    this.#connections.delete(socket);
    for (const exchange of open.splice(0)) {
      this.#settle(exchange);
      exchange.breakBody(GONE);
      exchange.cancel();
      onGone(exchange);
    }
  }

  #settle(exchange: Exchange): void {
    exchange.ended = true;
    if (exchange.counted) this.#inFlight -= 1;
  }
}

/** node:http listens, too, but not after a CONNECT. */
function ignore(): void {}

const GRACE_MS = 1000;
const IDLE_GRACE_MS = 50;
const POLL_MS = 20;

const TOO_LATE = new HttpError(408, "Request Timeout: the service is stopping and the body has not arrived");

/** Ends the reading of a body whose sender is gone; nobody gets it. */
const GONE = new HttpError(400, "The client went away");
