import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";

/*
 * What the service uses of Node beyond its documentation. The tests show on each supported Node
 * that it works. On a Node that lacks one of these members, the service does without the feature
 * that needs it.
 */

/** The members of a socket of node:http that are used here. */
interface HttpSocket {
  readonly parser?: Parser | null;
  readonly _handle?: Handle | null;
  /** node:http has paused it because much of what was written waits to be sent. */
  readonly _paused?: boolean;
  /** Of a TLS socket: the one that it was made of. */
  readonly _parent?: Socket;
}

interface Handle {
  /** Bytes that the kernel has not taken yet; of a TLS socket, those that are encrypted. */
  readonly writeQueueSize?: number;
  /** Of a TLS socket: the handle of the connection that it encrypts. */
  readonly _parent?: Handle;
  /** Fills in the peer's address. Returns 0, or libuv's code of the error. */
  getpeername?(address: object): number;
}

interface Parser {
  /** Called when a header section is complete. The result goes to llhttp. */
  onIncoming?: (request: IncomingMessage, shouldKeepAlive: boolean) => number;
  pause(): void;
  resume(): void;
}

/** llhttp's code to pause. node:http then emits `clientError` with the code HPE_PAUSED. */
const HPE_PAUSED = 21;

/**
 * Stops the parser of a socket after each header section for which `mustStop` returns true.
 *
 * The parser reads up to 64 KiB at once and makes a request of all that it finds there. For a
 * client that pipelines, that is 2,000 requests, or 6 MiB. Nothing documented stops it in between.
 */
export function stopParserIf(socket: Socket, mustStop: () => boolean): void {
  const { parser } = socket as HttpSocket;
  const onIncoming = parser?.onIncoming;
  if (!parser || onIncoming === undefined) return;
  parser.onIncoming = (request, shouldKeepAlive) => {
    const result = onIncoming(request, shouldKeepAlive);
    return result === 0 && mustStop() ? HPE_PAUSED : result;
  };
}

/** Lets a stopped parser go on with `bytes`, which it has not read yet. */
export function resumeParser(socket: Socket, bytes: Buffer): void {
  const { parser } = socket as HttpSocket;
  parser?.resume();
  socket.emit("data", bytes);
}

/**
 * Whether the parser has stopped at a well-formed HTTP version that it does not know, such as
 * HTTP/1.2. The bytes can't tell, since a read may end anywhere; only llhttp's words can.
 */
export function isOtherVersion(error: Error): boolean {
  const { reason } = error as { readonly reason?: string };
  return reason === "Invalid HTTP version";
}

/** Keeps a stopped parser from reading, although node:http has let it go on. */
export function pauseParser(socket: Socket): void {
  (socket as HttpSocket).parser?.pause();
}

/** Whether node:http has paused a socket until its client reads. Then it resumes it, too. */
export function isPausedByNode(socket: Socket): boolean {
  return (socket as HttpSocket)._paused === true;
}

/**
 * Tells how much of what has been written waits to be sent, in bytes. While a client reads, the
 * result changes, even within one large write, which `writableLength` counts as a whole until its
 * end.
 */
export function unsentBytes(socket: Socket): number {
  const { _handle: handle } = socket as HttpSocket;
  const bytes = (handle?.writeQueueSize ?? 0) + (handle?._parent?.writeQueueSize ?? 0);
  return socket.writableLength + bytes;
}

/** The socket that a TLS socket was made of; undefined on a Node that does not tell. */
export function rawSocketOf(socket: Socket): Socket | undefined {
  return (socket as HttpSocket)._parent;
}

/**
 * Whether the client has reset the connection. Node 20 may report a reset as an end: then only the
 * kernel knows that there is no peer any more.
 */
export function isReset(socket: Socket): boolean {
  const { _handle: handle } = socket as HttpSocket;
  const error = handle?.getpeername?.({}) ?? 0;
  return error !== 0;
}
