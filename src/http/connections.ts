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
  readonly #connections = new Map<Socket, Connection>();
  readonly #onGone: (exchange: Exchange) => void;

  /** `onGone` is told of each request whose client went away before its answer. */
  constructor(onGone: (exchange: Exchange) => void) {
    this.#onGone = onGone;
  }

  /** Takes a new socket into account until it closes. */
  add(socket: Socket): void {
    const { remoteAddress: remote } = socket;
    const open: Exchange[] = [];
    const connection = { socket, remote, service: this, open, last: undefined, closing: false, readLimit: Infinity };
    this.#connections.set(socket, connection);
    socket.once("close", () => {
      this.#connections.delete(socket);
      for (const exchange of open.splice(0)) this.#gone(exchange);
    });
  }

  /** What is open on a socket of this server; undefined once it has closed. */
  get(socket: Socket): Connection | undefined {
    return this.#connections.get(socket);
  }

  /** Counts a request as in flight; throws 503 when there are `max` already. */
  admit(exchange: Exchange, max: number): void {
    if (this.#inFlight >= max) throw TOO_BUSY;
    this.#inFlight += 1;
    exchange.counted = true;
  }

  /** Marks a request as answered. */
  end(exchange: Exchange): void {
    const { open } = exchange.connection;
    open.splice(open.indexOf(exchange), 1);
    this.#settle(exchange);
  }

  /**
   * Stops accepting, and closes each connection as its last answer is out. Resolves when no answer is due any more.
   * A body that is still on its way has a second to arrive, then its client is told 408.
   */
  async drain(server: Server): Promise<void> {
    this.draining = true;
    // Not http's close(): that one resets idle connections at once, with a request that is about to be read.
    NetServer.prototype.close.call(server);
    await nextTurn();
    await nextTurn();
    const late = performance.now() + BODY_GRACE_MS;
    while (this.#closeIdle(performance.now() > late) > 0) await sleep(POLL_MS);
  }

  /** Destroys what is idle; returns how many connections still have an answer to give. */
  #closeIdle(bodiesAreLate: boolean): number {
    let busy = 0;
    for (const { socket, open, last, closing } of this.#connections.values()) {
      if (open.length > 0 || last?.response.writableFinished === false) busy += 1;
      else if (!closing) socket.destroy();
      if (bodiesAreLate) for (const exchange of open) if (!exchange.request.complete) exchange.breakBody(TOO_LATE);
    }
    return busy;
  }

  #gone(exchange: Exchange): void {
    this.#settle(exchange);
    exchange.breakBody(GONE);
    exchange.cancel();
    this.#onGone(exchange);
  }

  #settle(exchange: Exchange): void {
    exchange.ended = true;
    if (exchange.counted) this.#inFlight -= 1;
  }
}

const BODY_GRACE_MS = 1000;
const POLL_MS = 20;

const TOO_BUSY = new HttpError(503, "Service Unavailable: too many requests are in flight", ["Retry-After", "1"]);

const TOO_LATE = new HttpError(408, "Request Timeout: the service is stopping and the body has not arrived");

/** Ends the reading of a body whose sender is gone; nobody gets it. */
const GONE = new HttpError(400, "The client went away");
