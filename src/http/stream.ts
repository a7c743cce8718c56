import type { ServerResponse } from "node:http";
import type { Readable } from "node:stream";

import type { Exchange } from "./exchange.ts";

/**
 * Writes a stream as the content of a response, as fast as the client reads it. Resolves at the end
 * of the stream; rejects if it fails, or holds anything but text and bytes. A client that goes away
 * destroys it.
 */
export async function writeStream(
  exchange: Exchange,
  content: Readable,
  hasContent: boolean,
): Promise<void> {
  const { request, response } = exchange;
  exchange.onEnd(() => dropStream(content));
  if (!hasContent || request.method === "HEAD") {
    response.end();
    return;
  }
  try {
    await copy(content, response);
  } catch (error) {
    // If the client has gone, that is why reading the stream failed.
    if (!exchange.hasEnded) throw error;
  }
}

/** Destroys a stream that is not read to its end. What is wrong with it no longer matters. */
export function dropStream(content: Readable): void {
  content.on("error", () => {});
  content.destroy();
}

async function copy(content: Readable, response: ServerResponse): Promise<void> {
  let goOn = (): void => {};
  response.on("drain", () => goOn());
  for await (const chunk of content) {
    if (response.write(chunk)) continue;
    // If the client goes away, this is never resolved, and is collected with the response.
    await new Promise<void>((resolve) => (goOn = resolve));
  }
  response.end();
}
