import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";

import type { HttpError } from "./reply.ts";

/** A request, as its connection sees it. */
export interface Pending {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** It has its response, or its client is gone. */
  readonly hasEnded: boolean;
  /** Ends it without a response: the client is gone. */
  abandon(): void;
  /** The rest of its body will not arrive, or not in time. */
  failBody(reason: HttpError): void;
}

/** What `Connection.sweep` goes by. Times are in ms. */
export interface SweepPolicy {
  /** How long a connection may be idle. */
  readonly idleMs: number;
  /** How long a client may leave a response unread. */
  readonly writeTimeoutMs: number;
  /** The service is draining. */
  readonly isDraining: boolean;
  /** Draining no longer waits for requests and bodies that have yet to arrive. */
  readonly isPastDeadline: boolean;
}

/** One socket: the requests on it, whether it is idle, and how it closes. */
export class Connection {
  readonly socket: Socket;
  /** The peer's address. A closed socket no longer has it. */
  readonly remoteAddress: string | undefined;
  /** Requests without a response yet, in the order of their arrival. */
  #pending: readonly Pending[] = NONE_PENDING;
  /** The latest request, while it arrives or its response is being written. */
  #latest: Pending | undefined = undefined;
  /** The last response has been decided on: whatever else arrives is ignored. */
  #isClosing = false;
  /** While lingering: how many bytes may have been read in all. */
  #readLimit = Infinity;
  /** Since when it has been idle, as performance.now() has it. */
  #idleSince: number = performance.now();
  /** How many bytes had been read at the last sweep. */
  #bytesSwept = 0;

  constructor(socket: Socket) {
    this.socket = socket;
    this.remoteAddress = socket.remoteAddress;
  }

  get pending(): readonly Pending[] {
    return this.#pending;
  }

  get isClosing(): boolean {
    return this.#isClosing;
  }

  /** The request whose body is still arriving. */
  get receiving(): Pending | undefined {
    return this.#latest?.request.complete === false ? this.#latest : undefined;
  }

  isLatest(pending: Pending): boolean {
    return this.#latest === pending;
  }

  /** A request has arrived. */
  add(pending: Pending): void {
    this.#latest = pending;
    this.#pending = [...this.#pending, pending];
  }

  /** A request has its response, or will not get one. */
  remove(pending: Pending): void {
    this.#pending =
      this.#pending.length === 1
        ? NONE_PENDING
        : this.#pending.filter((other) => other !== pending);
    const isOver = pending.request.complete && pending.response.writableLength === 0;
    // Drop the reference, so that a finished request can be collected.
    if (isOver && this.isLatest(pending)) this.#latest = undefined;
  }

  /**
   * Closes after the response that is about to be written to `request`, and lingers. node:http
   * calls the socket's destroySoon() after its last response. If unread bytes have arrived by then,
   * that is a reset, which can destroy the response on its way (RFC 9112 9.6).
   */
  closeAfterResponse(request: IncomingMessage): void {
    this.#isClosing = true;
    this.socket.destroySoon = () => this.#linger();
    request.on("data", () => this.stopReadingAtLimit());
  }

  /** Writes a whole response after those that are due, closes, and lingers. */
  writeLast(response: string): void {
    this.#isClosing = true;
    const write = (): void => {
      if (this.socket.writable) this.socket.write(response);
      this.#linger();
    };
    const previous = this.#latest?.response;
    if (previous === undefined || previous.writableFinished) write();
    else previous.once("finish", write);
  }

  /** Stops reading once the linger budget is used up, so that the client stops sending. */
  stopReadingAtLimit(): void {
    if (this.socket.bytesRead <= this.#readLimit) return;
    this.#latest?.request.pause();
    this.socket.pause();
  }

  /**
   * Destroys the connection if it has been idle for too long, measured from sweep to sweep, and
   * times out a client that does not read. Returns whether it may still have a response to give.
   * `now` is that of performance.now().
   */
  sweep(now: number, policy: SweepPolicy): boolean {
    const { socket } = this;
    const isUnread = socket.writableLength > 0;
    if (isUnread && socket.timeout !== policy.writeTimeoutMs) {
      socket.setTimeout(policy.writeTimeoutMs);
    }
    const isResponseDue = isUnread || this.#pending.length > 0;
    // Bytes read since the last sweep may be the beginning of a request.
    if (isResponseDue || socket.bytesRead !== this.#bytesSwept) this.#idleSince = now;
    this.#bytesSwept = socket.bytesRead;
    if (isResponseDue) return true;
    if (this.#isClosing) return false;
    if (this.#mayStay(now, policy)) return true;
    socket.destroy();
    return false;
  }

  #mayStay(now: number, { idleMs, isDraining, isPastDeadline }: SweepPolicy): boolean {
    if (isPastDeadline) return false;
    // node:http's own timeout covers a connection that has yet to send its first request.
    if (this.socket.bytesWritten === 0 && !isDraining) return true;
    return now - this.#idleSince < idleMs;
  }

  /** Closes the write side and reads on for a while, so that the client can read its response. */
  #linger(): void {
    const { socket } = this;
    this.#readLimit = socket.bytesRead + LINGER_BYTES;
    socket.end();
    const timer = setTimeout(() => socket.destroy(), LINGER_MS);
    socket.once("close", () => clearTimeout(timer));
  }
}

/** Shared by all connections: an idle one needs no list of its own. */
const NONE_PENDING: readonly Pending[] = [];

const LINGER_MS = 2000;
const LINGER_BYTES = 3_145_728;
