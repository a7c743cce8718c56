import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";

/*
 * What the service uses of node:http's parser beyond its documentation. The parser reads up to 64
 * KiB at once and makes a request of all that it finds there: 2,000 requests, or 6 MiB, of a client
 * that pipelines. Nothing documented stops it in between. The tests run on each Node that is
 * supported; on one that lacks these members, the parser is not stopped.
 */

/** The members of the parser that are used here. */
interface Parser {
  /** Called when a header section is complete. The result goes to llhttp. */
  onIncoming?: (request: IncomingMessage, shouldKeepAlive: boolean) => number;
  resume(): void;
}

type HttpSocket = Socket & { readonly parser?: Parser | null };

/**
 * llhttp's code that pauses it. node:http then reports a `clientError` with the code HPE_PAUSED.
 */
const HPE_PAUSED = 21;

/** Stops the parser of a socket after each header section for which `mustStop` returns true. */
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
