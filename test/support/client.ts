import { connect, type Socket } from "node:net";

import { type Answer, parseAnswers, until } from "../service.ts";

/** One connection of a client that sends what it likes, when it likes. */
export class Peer {
  readonly socket: Socket;
  /** The whole answers so far, interim ones too, in their order. */
  readonly answers: Answer[] = [];
  /** All that has arrived, one character per byte. */
  text = "";
  /** The service has closed its side. */
  ended = false;
  /** The connection was reset, or never came about. */
  reset = false;
  closed = false;
  #pending: Buffer = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    socket.on("end", () => (this.ended = true));
    socket.on("error", () => (this.reset = true));
    socket.on("close", () => (this.closed = true));
  }

  send(bytes: string | Buffer): void {
    this.socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  }

  /** Resolves to the answers when there are `count`; rejects after 20 s. */
  async until(count: number): Promise<Answer[]> {
    await until(() => this.answers.length >= count, `${count} answers, not ${this.answers.length}`);
    return this.answers;
  }

  untilEnded(): Promise<void> {
    return until(() => this.ended || this.closed, "the end");
  }

  #take(chunk: Buffer): void {
    this.text += chunk.toString("latin1");
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    for (;;) {
      const end = this.#pending.indexOf("\r\n\r\n");
      if (end === -1) return;
      const length = Number(
        /\r\nContent-Length: (\d+)/i.exec(this.#pending.toString("latin1", 0, end))?.[1] ?? 0,
      );
      const whole = end + 4 + length;
      if (this.#pending.length < whole) return;
      this.answers.push(...parseAnswers(this.#pending.subarray(0, whole)));
      this.#pending = this.#pending.subarray(whole);
    }
  }
}

/**
 * Opens a connection to a port of 127.0.0.1, and sends `first`; a refused one is `reset` and `closed`. With
 * `allowHalfOpen` the client's side stays open when the service closes its own.
 */
export function open(
  port: number,
  first: string | Buffer = "",
  { allowHalfOpen = false } = {},
): Promise<Peer> {
  return new Promise((resolve) => {
    // A test that fails leaves it behind: it must not keep its process from ending.
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen }).unref();
    const peer = new Peer(socket);
    socket.on("connect", () => {
      if (first.length > 0) peer.send(first);
      resolve(peer);
    });
    socket.on("close", () => resolve(peer));
  });
}

/** Opens `count` connections, some at a time so that the listen queue is not what is tested. */
export async function openMany(
  port: number,
  count: number,
  first: string | Buffer = "",
): Promise<Peer[]> {
  const peers: Peer[] = [];
  while (peers.length < count) {
    const batch = Math.min(100, count - peers.length);
    peers.push(...(await Promise.all(Array.from({ length: batch }, () => open(port, first)))));
  }
  return peers;
}

/** Resolves when every peer has `count` answers; rejects after 20 s. */
export function untilAnswered(peers: readonly Peer[], count = 1): Promise<void> {
  return until(
    () => peers.every(({ answers }) => answers.length >= count),
    `${count} answers on each connection`,
  );
}

/** Resolves when every peer's connection is closed; rejects after `limitMs`. */
export function untilClosed(peers: readonly Peer[], limitMs = 20_000): Promise<void> {
  return until(() => peers.every(({ closed }) => closed), "every connection to be closed", limitMs);
}

/** How many of the values there are of each kind, as in `{"200": 3}`. */
export function countBy(values: readonly (string | number | undefined)[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const value of values) counts[String(value)] = (counts[String(value)] ?? 0) + 1;
  return counts;
}

/** The status of each peer's last answer, "reset", or "none". */
export function outcomes(peers: readonly Peer[]): Record<string, number> {
  return countBy(
    peers.map(({ answers, reset }) => (reset ? "reset" : (answers.at(-1)?.status ?? "none"))),
  );
}
