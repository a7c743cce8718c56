import { createServer, request } from "node:http";
import type { IncomingHttpHeaders, IncomingMessage, RequestListener } from "node:http";
import type { AddressInfo } from "node:net";

/** A request that came to the proxy. */
export interface Seen {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** The status it was answered with. */
  status: number;
}

/** A proxy before the service, which strips a prefix from paths and can answer some paths itself. */
export interface Proxy {
  readonly origin: string;
  /** Every request so far. */
  readonly seen: Seen[];
  /** By path without prefix: who answers it instead of the service. */
  readonly answers: Map<string, RequestListener>;
  stop(): Promise<void>;
}

/** Starts a proxy before the service at `port`. What doesn't begin with `prefix` is 404. */
export async function startProxy(port: number, prefix = ""): Promise<Proxy> {
  const seen: Seen[] = [];
  const answers = new Map<string, RequestListener>();
  const server = createServer(async (incoming, outgoing) => {
    const body = await bytesOf(incoming);
    const { method, url = "", headers } = incoming;
    const entry: Seen = { method, url, headers, body: body.toString("latin1"), status: 0 };
    seen.push(entry);
    outgoing.on("finish", () => (entry.status = outgoing.statusCode));
    const path = url.startsWith(`${prefix}/`) ? url.slice(prefix.length) : undefined;
    const answer = answers.get(path ?? "");
    if (path === undefined) outgoing.writeHead(404).end();
    else if (answer !== undefined) answer(incoming, outgoing);
    else {
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
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    answers,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function bytesOf(incoming: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
