import { connect, type Socket } from "node:net";

import { type Answer, parseAnswers, until } from "../service.ts";

/** One connection of a client that sends what it likes, when it likes. */
export interface Peer {
  readonly socket: Socket;
  /** The whole answers so far, in their order. */
  readonly answers: Answer[];
  /** The service has closed its side. */
  ended: boolean;
  /** The connection was reset, or never came about. */
  reset: boolean;
  closed: boolean;
}

/** Opens a connection to a port of 127.0.0.1, and sends `first`; a refused one is `reset` and `closed`. */
export function open(port: number, first: string | Buffer = ""): Promise<Peer> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const peer: Peer = { socket, answers: [], ended: false, reset: false, closed: false };
    let pending: Buffer = Buffer.alloc(0);
    socket.on("connect", () => {
      if (first.length > 0) socket.write(first);
      resolve(peer);
    });
    socket.on("data", (chunk: Buffer) => {
      pending = takeAnswers(peer, pending.length === 0 ? chunk : Buffer.concat([pending, chunk]));
    });
    socket.on("end", () => (peer.ended = true));
    socket.on("error", () => (peer.reset = true));
    socket.on("close", () => {
      peer.closed = true;
      resolve(peer);
    });
  });
}

/** Opens `count` connections, some at a time so that the listen queue is not what is tested. */
export async function openMany(port: number, count: number, first: string | Buffer = ""): Promise<Peer[]> {
  const peers: Peer[] = [];
  while (peers.length < count) {
    const batch = Math.min(100, count - peers.length);
    peers.push(...(await Promise.all(Array.from({ length: batch }, () => open(port, first)))));
  }
  return peers;
}

/** Resolves when every peer has `count` answers; rejects after 20 s. */
export function untilAnswered(peers: readonly Peer[], count = 1): Promise<void> {
  return until(() => peers.every(({ answers }) => answers.length >= count), `${count} answers on each connection`);
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
  return countBy(peers.map(({ answers, reset }) => (reset ? "reset" : (answers.at(-1)?.status ?? "none"))));
}

/** Moves the whole answers at the start of `bytes` to the peer; returns the rest. */
function takeAnswers({ answers }: Peer, bytes: Buffer): Buffer {
  let rest = bytes;
  for (;;) {
    const end = rest.indexOf("\r\n\r\n");
    if (end === -1) return rest;
    const length = Number(/\r\nContent-Length: (\d+)/i.exec(rest.toString("latin1", 0, end))?.[1] ?? 0);
    const whole = end + 4 + length;
    if (rest.length < whole) return rest;
    answers.push(...parseAnswers(rest.subarray(0, whole)));
    rest = rest.subarray(whole);
  }
}
