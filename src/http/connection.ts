import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";

import type { MemoryBudget } from "./budget.ts";
import {
  isPausedByNode,
  isReset,
  pauseParser,
  resumeParser,
  unsentBytes,
} from "./node-internals.ts";
import type { HttpError } from "./reply.ts";
import type { Turns } from "./turns.ts";

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
  /** It uses TLS. */
  readonly isEncrypted: boolean;
  readonly #budget: MemoryBudget;
  readonly #turns: Turns;
  /** How many bytes it has taken from the budget. */
  #taken = 0;
  /**
   * Requests that still arrive, or whose response is not written yet, in the order of their
   * arrival.
   */
  #open: Pending[] = NONE_OPEN;
  /** Bytes that have been read from the socket, but that the parser has not got yet. */
  #heldBack: Buffer | undefined = undefined;
  /** The parser was told to stop within the bytes that it reads. */
  #isStopping = false;
  /** The parser gets them once the client has read more of its responses. */
  #awaitsReader = false;
  /** The last response has been decided on: whatever else arrives is ignored. */
  #isClosing = false;
  /** While lingering: how many bytes may have been read in all. */
  #readLimit = Infinity;
  /** Since when it has been idle, as performance.now() has it. */
  #idleSince: number = performance.now();
  /** How many bytes had been read at the last sweep. */
  #bytesSwept = 0;
  /** Since when the client has not read on, as performance.now() has it. */
  #unreadSince = Infinity;
  /** How many bytes waited to be sent at the last sweep. */
  #unsentSwept = 0;

  constructor(socket: Socket, budget: MemoryBudget, turns: Turns) {
    this.socket = socket;
    this.remoteAddress = socket.remoteAddress;
    this.isEncrypted = (socket as TLSSocket).encrypted === true;
    this.#budget = budget;
    this.#turns = turns;
  }

  get isClosing(): boolean {
    return this.#isClosing;
  }

  /** The request whose body is still arriving. */
  get receiving(): Pending | undefined {
    const latest = this.#open.at(-1);
    return latest?.request.complete === false ? latest : undefined;
  }

  /**
   * Whether the parser must stop behind a request that has arrived: the connection has had its
   * turn, or no one will get a response.
   */
  mustStop(): boolean {
    // A request is open at least until the end of its turn.
    this.forgetWritten();
    const hasHadTurn = this.#open.length % REQUESTS_PER_TURN === 0;
    // What follows a closing response is ignored, unless it is the body of the last request.
    this.#isStopping = this.socket.destroyed || (hasHadTurn && !this.#isClosing);
    return this.#isStopping;
  }

  /** Whether no byte has arrived after this request. */
  isLatest(pending: Pending): boolean {
    // The parser may have stopped at the end of all that has arrived.
    const isHoldingBack = this.#heldBack !== undefined && this.#heldBack.length > 0;
    return this.#open.at(-1) === pending && !isHoldingBack;
  }

  /** A request is started. */
  add(pending: Pending): void {
    if (this.#open === NONE_OPEN) this.#open = [pending];
    else this.#open.push(pending);
    this.#settle();
  }

  /**
   * The parser has stopped at `bytesParsed` in `bytes`. Or it had stopped before them: node:http
   * may have paused it, and node:tls still delivers what it has decrypted. Keeps the rest and stops
   * reading: until the connection's next turn, or, if 64 requests are open, until those before the
   * latest have their responses.
   */
  holdBack(bytes: Buffer, bytesParsed: number): void {
    if (this.#isClosing) {
      this.stopReadingAtLimit();
      return;
    }
    this.socket.pause();
    this.socket.resume = () => this.#resume();
    const rest = this.#isStopping ? bytes.subarray(bytesParsed) : bytes;
    this.#isStopping = false;
    if (this.#heldBack === undefined) {
      this.#heldBack = rest;
      // The body of the latest request may be among these bytes: wait for the one before.
      if (this.#open.length < MAX_OPEN) this.#releaseNextTurn();
      else this.#open.at(-2)?.response.once("close", () => this.#release());
    } else {
      // Read before the pause took effect.
      this.#heldBack = Buffer.concat([this.#heldBack, rest]);
    }
    this.#settle();
  }

  /** The socket has closed: ends what is open on it. */
  close(): void {
    const open = this.#open;
    this.#open = NONE_OPEN;
    this.#heldBack = undefined;
    this.#settle();
    for (const pending of open) {
      if (!pending.hasEnded) pending.abandon();
    }
  }

  /**
   * Closes after the response that is about to be written, and lingers. node:http calls the
   * socket's destroySoon() after its last response. If unread bytes have arrived by then, that is a
   * reset, which can destroy the response on its way (RFC 9112 9.6).
   */
  closeAfterResponse(): void {
    this.#isClosing = true;
    this.socket.destroySoon = () => this.#linger();
  }

  /** Reads the rest of a body that no one needs, so that the client can read its response. */
  discard(request: IncomingMessage): void {
    request.on("data", () => this.stopReadingAtLimit());
  }

  /** Writes a whole response after those that are due, closes, and lingers. */
  writeLast(response: string): void {
    this.#isClosing = true;
    const write = (): void => {
      if (this.socket.writable) this.socket.write(response);
      this.#linger();
    };
    const previous = this.#open.at(-1)?.response;
    if (previous === undefined || previous.writableFinished) write();
    else previous.once("finish", write);
  }

  /** Stops reading once the linger budget is used up, so that the client stops sending. */
  stopReadingAtLimit(): void {
    if (this.socket.bytesRead <= this.#readLimit) return;
    this.#open.at(-1)?.request.pause();
    this.socket.pause();
  }

  /**
   * Destroys the connection if it has been idle for too long, measured from sweep to sweep; if its
   * client does not read; or if its client has reset it while the service is not reading. Returns
   * whether it may still have a response to give. `now` is that of performance.now().
   */
  sweep(now: number, policy: SweepPolicy): boolean {
    const { socket } = this;
    this.forgetWritten();
    const isGone = this.#heldBack !== undefined && isReset(socket);
    if (isGone || this.#isUnreadFor(policy.writeTimeoutMs, now)) {
      socket.destroy();
      return false;
    }
    const isResponseDue = this.#isResponseDue();
    // Bytes read since the last sweep may be the beginning of a request.
    if (isResponseDue || socket.bytesRead !== this.#bytesSwept) this.#idleSince = now;
    this.#bytesSwept = socket.bytesRead;
    if (isResponseDue) return true;
    if (this.#isClosing) return false;
    if (this.#mayStay(now, policy)) return true;
    socket.destroy();
    return false;
  }

  #isResponseDue(): boolean {
    const isUnread = this.socket.writableLength > 0;
    return isUnread || this.#heldBack !== undefined || this.#open.some(isUnanswered);
  }

  /** Whether for `timeoutMs` the client has read nothing of what waits for it. */
  #isUnreadFor(timeoutMs: number, now: number): boolean {
    if (this.socket.writableLength === 0) {
      this.#unsentSwept = 0;
      return false;
    }
    const unsent = unsentBytes(this.socket);
    if (unsent !== this.#unsentSwept) this.#unreadSince = now;
    this.#unsentSwept = unsent;
    return now - this.#unreadSince >= timeoutMs;
  }

  #mayStay(now: number, { idleMs, isDraining, isPastDeadline }: SweepPolicy): boolean {
    if (isPastDeadline) return false;
    const idle = now - this.#idleSince;
    if (this.socket.bytesWritten > 0) return idle < idleMs;
    // node:http's own timeout covers a connection that has yet to send its first request. While
    // draining, its client may be about to send one that no one else can serve.
    return !isDraining || idle < Math.max(idleMs, FIRST_REQUEST_MS);
  }

  /** Forgets requests that are complete and whose responses are written, to free their memory. */
  forgetWritten(): void {
    let count = 0;
    while (count < this.#open.length && isWritten(this.#open[count] as Pending)) count += 1;
    if (count === 0) return;
    if (count === this.#open.length) this.#open = NONE_OPEN;
    else this.#open.splice(0, count);
    this.#settle();
  }

  /** Settles with the budget, and destroys the socket if it is used up. */
  #settle(): void {
    // A request that no other precedes is free.
    const requests = Math.max(this.#open.length - 1, 0);
    const held = requests * REQUEST_BYTES + (this.#heldBack?.length ?? 0);
    const change = held - this.#taken;
    if (change === 0) return;
    this.#taken = held;
    const isEnough = this.#budget.take(change);
    if (isEnough || change < 0) return;
    this.#isClosing = true;
    this.socket.destroy();
  }

  /**
   * Stands for the socket's own resume() while bytes are held back. node:http calls it when
   * responses have been sent, or a body is wanted. What was read then would overtake these bytes.
   */
  #resume(): Socket {
    // node:http has just let it go on.
    pauseParser(this.socket);
    if (this.#awaitsReader) this.#releaseNextTurn();
    this.#awaitsReader = false;
    return this.socket;
  }

  #releaseNextTurn(): void {
    this.#turns.add(() => this.#release());
  }

  /** Goes on with the bytes that were held back, if the client reads its responses. */
  #release(): void {
    const bytes = this.#heldBack;
    if (bytes === undefined || this.#isClosing) return;
    this.#awaitsReader = isPausedByNode(this.socket);
    if (this.#awaitsReader) return;
    this.forgetWritten();
    this.#heldBack = undefined;
    resumeParser(this.socket, bytes);
    if (this.#heldBack === undefined) this.#endHoldingBack();
    this.#settle();
  }

  /** Reads on, so that closing does not reset the connection. */
  #dropHeldBack(): void {
    this.#heldBack = undefined;
    this.#endHoldingBack();
    this.#settle();
  }

  /** Lets the socket read on, unless node:http waits until the client reads. */
  #endHoldingBack(): void {
    delete (this.socket as Partial<Socket>).resume;
    if (!isPausedByNode(this.socket)) this.socket.resume();
  }

  /** Closes the write side and reads on for a while, so that the client can read its response. */
  #linger(): void {
    const { socket } = this;
    this.#readLimit = socket.bytesRead + LINGER_BYTES;
    if (this.#heldBack !== undefined) this.#dropHeldBack();
    socket.end();
    const timer = setTimeout(() => socket.destroy(), LINGER_MS);
    socket.once("close", () => clearTimeout(timer));
  }
}

/** How many requests of one connection may be open at once. */
const MAX_OPEN = 64;

/**
 * After how many requests a connection lets others have their turn. One read may hold 2,000, and
 * what has been made for a request is garbage only after the turn. A divisor of MAX_OPEN.
 */
const REQUESTS_PER_TURN = 4;

/** About how much memory an open request takes, in bytes. */
const REQUEST_BYTES = 8192;

// Shared by all connections: an idle one needs no list of its own. Nothing is added to it.
const NONE_OPEN: Pending[] = [];

function isUnanswered(pending: Pending): boolean {
  return !pending.hasEnded;
}

function isWritten({ hasEnded, request, response }: Pending): boolean {
  return hasEnded && request.complete && response.writableFinished;
}

const FIRST_REQUEST_MS = 500;
const LINGER_MS = 2000;
const LINGER_BYTES = 3_145_728;
