import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { Server as NetServer, type Socket } from "node:net";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";

import { MemoryBudget } from "./budget.ts";
import { Connection, type SweepPolicy } from "./connection.ts";
import { Exchange, type RequestRecord } from "./exchange.ts";
import { stopParserIf } from "./node-internals.ts";
import { HttpError } from "./reply.ts";
import { Turns } from "./turns.ts";

/** Where the service reports what happens. */
export interface ServerEvents {
  /** Each response. Undefined if the log does not take them. */
  readonly response: ((record: RequestRecord) => void) | undefined;
  /** What a dependency or a handler threw that is not an HttpError. */
  readonly error: (error: unknown, requestId: string) => void;
}

/** The sockets of one server: what is in progress on them, and how they close. */
export class Connections {
  readonly #connections = new Map<Socket, Connection>();
  readonly #events: ServerEvents;
  readonly #writeTimeoutMs: number;
  readonly #pipelineBudget = new MemoryBudget(PIPELINE_BYTES);
  readonly #turns = new Turns();
  #inFlight = 0;
  #accepted = 0;
  #isDraining = false;
  /** When draining stops waiting for what clients have yet to send, as performance.now() has it. */
  #bodyDeadline = Infinity;

  /** `writeTimeoutMs`: how long a client may leave its responses unread. */
  constructor(events: ServerEvents, writeTimeoutMs: number) {
    this.#events = events;
    this.#writeTimeoutMs = writeTimeoutMs;
  }

  /** How many requests have no response yet. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** How many connections are open. */
  get count(): number {
    return this.#connections.size;
  }

  /** While true, the last response on each connection says `Connection: close`. */
  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** A TLS handshake has succeeded on a socket: tracks the TLS socket instead of it. */
  replace(raw: Socket | undefined, socket: Socket): void {
    if (raw !== undefined) this.#connections.delete(raw);
    this.add(socket);
  }

  /** Tracks a socket until it closes. */
  add(socket: Socket): void {
    this.#accepted += 1;
    const connection = new Connection(socket, this.#pipelineBudget, this.#turns);
    this.#connections.set(socket, connection);
    stopParserIf(socket, () => connection.mustStop());
    socket.on("close", () => {
      this.#connections.delete(socket);
      connection.close();
    });
  }

  /** The connection of a socket; undefined once it has closed. */
  get(socket: Socket): Connection | undefined {
    return this.#connections.get(socket);
  }

  /** Starts an exchange on a connection. */
  begin(connection: Connection, request: IncomingMessage, response: ServerResponse): Exchange {
    this.#inFlight += 1;
    return new Exchange(request, response, connection, this.#onEnd);
  }

  /** From now on, connections close after their last response. New ones are still accepted. */
  startDraining(): void {
    this.#isDraining = true;
  }

  /**
   * Stops accepting, and closes each connection after its last response. Resolves when no response
   * is due any more. Connections that wait to be accepted come first, for at most half of
   * `timeoutMs`: the other half is for responses. After that a body on its way has a second to
   * arrive, then its client gets 408.
   */
  async drain(server: Server, timeoutMs = Infinity): Promise<void> {
    this.startDraining();
    await this.#acceptWaiting(performance.now() + timeoutMs / 2);
    this.#bodyDeadline = performance.now() + BODY_GRACE_MS;
    // http's own close() resets idle connections at once, even with a request about to be read.
    NetServer.prototype.close.call(server);
    // Clients often send a request right after connecting, or right after a response.
    while (this.sweep(DRAIN_IDLE_MS) > 0) await sleep(DRAIN_POLL_MS);
  }

  /**
   * Closes connections that have been idle for `idleMs`, measured from sweep to sweep, and times
   * out clients that do not read. Returns how many may still have a response to give.
   */
  sweep(idleMs: number): number {
    const now = performance.now();
    const policy: SweepPolicy = {
      idleMs,
      writeTimeoutMs: this.#writeTimeoutMs,
      isDraining: this.#isDraining,
      isPastDeadline: now >= this.#bodyDeadline,
    };
    let busy = 0;
    for (const connection of this.#connections.values()) {
      if (connection.sweep(now, policy)) busy += 1;
      if (policy.isPastDeadline) connection.receiving?.failBody(TOO_LATE);
    }
    return busy;
  }

  /**
   * Waits until the kernel's queue of connections is empty, since closing the server resets those
   * in it. libuv accepts one connection per turn of the event loop, and under load turns are long.
   * If clients keep connecting, the queue may never be empty: hence the deadline.
   */
  async #acceptWaiting(deadline: number): Promise<void> {
    let accepted: number;
    do {
      accepted = this.#accepted;
      await nextTurn();
    } while (accepted < this.#accepted && performance.now() < deadline);
  }

  /** A function of its own for each instance, so that exchanges can share it. */
  readonly #onEnd = (exchange: Exchange, status: number | null): void => {
    this.#inFlight -= 1;
    this.#events.response?.(exchange.toRecord(status));
    exchange.runEndCallbacks(this.#events.error);
  };
}

/** What requests that are pipelined behind others may take in memory. */
const PIPELINE_BYTES = 8_388_608;

const BODY_GRACE_MS = 1000;
const DRAIN_IDLE_MS = 50;
const DRAIN_POLL_MS = 20;

const TOO_LATE = new HttpError(
  408,
  "Request Timeout: the service is stopping and the body has not arrived",
);
