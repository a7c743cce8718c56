import { EventEmitter, once } from "node:events";
import { createServer, request } from "node:http";
import type {
  IncomingHttpHeaders,
  IncomingMessage,
  RequestListener,
  ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";

import type { Scope } from "./scope.ts";

/** A request that came to the proxy. */
export interface SeenRequest {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingHttpHeaders;
  /** As Latin-1. */
  readonly body: string;
  /** The status of its response; 0 until that has been sent. */
  status: number;
}

/** A proxy in front of the service. It strips a prefix from paths, and can handle paths itself. */
export interface Proxy {
  readonly origin: string;
  /** Every request so far. */
  readonly seen: SeenRequest[];
  /** By path without prefix: what handles a request instead of the service. */
  readonly handlers: Map<string, RequestListener>;
  /** Resolves when this many requests have their responses. */
  responded(count: number): Promise<void>;
}

/**
 * Starts a proxy in front of the service at `port`, until the scope ends. Paths that don't begin
 * with `prefix` are 404.
 */
export async function startProxy(scope: Scope, port: number, prefix = ""): Promise<Proxy> {
  const seen: SeenRequest[] = [];
  const handlers = new Map<string, RequestListener>();
  const events = new EventEmitter();
  const server = createServer(async (incoming, outgoing) => {
    const body = await bytesOf(incoming);
    const { method, url = "", headers } = incoming;
    const entry = { method, url, headers, body: body.toString("latin1"), status: 0 };
    seen.push(entry);
    outgoing.on("finish", () => {
      entry.status = outgoing.statusCode;
      events.emit("response");
    });
    if (!url.startsWith(`${prefix}/`)) {
      outgoing.writeHead(404).end();
      return;
    }
    const path = url.slice(prefix.length);
    const handler = handlers.get(path);
    if (handler === undefined) forward(port, path, incoming, body, outgoing);
    else handler(incoming, outgoing);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  scope.after(async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  });
  const responded = async (count: number): Promise<void> => {
    while (seen.filter(({ status }) => status !== 0).length < count) await once(events, "response");
  };
  return { origin, seen, handlers, responded };
}

function forward(
  port: number,
  path: string,
  { method, headers }: IncomingMessage,
  body: Buffer,
  outgoing: ServerResponse,
): void {
  const onward = request({
    port,
    host: "127.0.0.1",
    method,
    path,
    headers: { ...headers, connection: "close" },
  });
  onward.on("response", (response) => {
    outgoing.writeHead(response.statusCode ?? 0, response.rawHeaders);
    response.pipe(outgoing);
  });
  onward.on("error", () => outgoing.destroy());
  onward.end(body);
}

async function bytesOf(incoming: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
