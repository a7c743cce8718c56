import { EventEmitter } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { Readable } from "node:stream";

import { MemoryBudget } from "../../src/http/budget.ts";
import { Connection, type Pending, type SweepPolicy } from "../../src/http/connection.ts";
import { Turns } from "../../src/http/turns.ts";

/** As much of a parser as a connection uses. */
export class FakeParser {
  isPaused = false;

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }
}

/** As much of a socket as a connection uses. */
export class FakeSocket extends EventEmitter {
  readonly remoteAddress = "127.0.0.1";
  readonly parser = new FakeParser();
  /** What the parser gets after it has stopped. */
  readonly parsed: string[] = [];
  /** What was written to the client. */
  readonly written: string[] = [];
  bytesRead = 0;
  bytesWritten = 1;
  writableLength = 0;
  writable = true;
  hasEnded = false;
  destroyed = false;
  isPaused = false;
  /** How often it was told to destroy itself. */
  destroyCalls = 0;

  constructor() {
    super();
    this.on("data", (bytes: Buffer) => this.parsed.push(bytes.toString()));
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  write(text: string): void {
    this.written.push(text);
  }

  end(): void {
    this.hasEnded = true;
  }

  /** node:http calls it after the last response. The connection puts its own in its place. */
  destroySoon(): void {
    this.destroy();
  }

  destroy(): void {
    this.destroyCalls += 1;
    this.destroyed = true;
    this.emit("close");
  }
}

/** A request whose response a test writes when it likes. */
export class FakePending implements Pending {
  readonly request = Object.assign(new Readable({ read: () => {} }), {
    complete: true,
  }) as unknown as IncomingMessage;
  readonly response = Object.assign(new EventEmitter(), {
    writableFinished: false,
  }) as unknown as ServerResponse;
  hasEnded = false;
  isAbandoned = false;

  abandon(): void {
    this.isAbandoned = true;
  }

  failBody(): void {}

  /** Its response is written in full. The connection, if given, hears of it. */
  finish(connection?: Connection): void {
    this.hasEnded = true;
    Object.assign(this.response, { writableFinished: true });
    this.response.emit("finish");
    connection?.forgetWritten();
  }

  /** node:http has let go of the response. */
  close(): void {
    this.response.emit("close");
  }
}

/** A connection, and what it is made of. */
export interface Fakes {
  readonly socket: FakeSocket;
  readonly connection: Connection;
  readonly pendings: readonly FakePending[];
}

/** A connection with some open requests. */
export function connect(budget: MemoryBudget, requests: number): Fakes {
  const socket = new FakeSocket();
  const connection = new Connection(socket as unknown as Socket, budget, new Turns());
  const pendings = Array.from({ length: requests }, () => new FakePending());
  for (const pending of pendings) connection.add(pending);
  return { socket, connection, pendings };
}

/** Enough for any test. */
export function largeBudget(): MemoryBudget {
  return new MemoryBudget(1_000_000_000);
}

/** Of a service that is not draining. */
export const POLICY: SweepPolicy = {
  idleMs: 1,
  writeTimeoutMs: 1000,
  isDraining: false,
  isPastDeadline: false,
};
