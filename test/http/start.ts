import type { AddressInfo, Socket } from "node:net";

import { type Model } from "../../src/http/model.ts";
import { json } from "../../src/http/reply.ts";
import { type Route, route } from "../../src/http/route.ts";
import type { RequestRecord } from "../../src/http/exchange.ts";
import { createService, type Limits, type Service } from "../../src/http/server.ts";

/** A service in this process, on a free port. */
export interface Started extends Service {
  readonly port: number;
  /** What the log was told, and what failed. */
  readonly answered: RequestRecord[];
  readonly failures: unknown[];
  /** Ends it with all its connections. */
  close(): void;
}

/** Puts `routes` behind a real socket. */
export async function serveRoutes(
  routes: readonly Route[],
  limits: Partial<Limits> = {},
): Promise<Started> {
  const answered: RequestRecord[] = [];
  const failures: unknown[] = [];
  const service = createService(
    routes,
    {
      maxBodyBytes: 1_048_576,
      maxInFlight: 100,
      maxBodyMemory: 67_108_864,
      maxConnections: 1000,
      headersTimeoutMs: 10_000,
      requestTimeoutMs: 20_000,
      keepAliveTimeoutMs: 60_000,
      ...limits,
    },
    {
      response: (record) => answered.push(record),
      error: (error) => failures.push(error),
    },
  );
  // A test that fails leaves them behind: they must not keep its process from ending.
  service.server.unref().on("connection", (socket: Socket) => socket.unref());
  await new Promise<void>((resolve) => service.server.listen(0, "127.0.0.1", resolve));
  const { port } = service.server.address() as AddressInfo;
  const close = (): void => {
    service.server.close();
    service.server.closeAllConnections();
  };
  return { ...service, port, answered, failures, close };
}

/** Takes any JSON as it is. */
export const anything: Model<unknown> = (input) => input;

/** `POST /echo`: answers with the body it was given. */
export const echo: Route = route({
  method: "POST",
  path: "/echo",
  body: anything,
  handler: (body) => json(200, body ?? null),
});

/** A request with these lines and no more; `\r\n` is put between and after them. */
export function lines(...text: readonly string[]): string {
  return `${text.join("\r\n")}\r\n\r\n`;
}

/** A POST of JSON to `/echo`, in one piece. */
export function postEcho(body: string | Buffer, ...fields: readonly string[]): Buffer {
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  const head = lines(
    "POST /echo HTTP/1.1",
    "Host: x",
    "Content-Type: application/json",
    `Content-Length: ${bytes.length}`,
    ...fields,
  );
  return Buffer.concat([Buffer.from(head, "latin1"), bytes]);
}

/** The same in chunks of `size` bytes. */
export function postChunks(
  body: string | Buffer,
  size: number,
  ...fields: readonly string[]
): Buffer {
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  const parts: Uint8Array[] = [
    Buffer.from(
      lines(
        "POST /echo HTTP/1.1",
        "Host: x",
        "Content-Type: application/json",
        "Transfer-Encoding: chunked",
        ...fields,
      ),
    ),
  ];
  for (let at = 0; at < bytes.length; at += size) {
    const chunk = bytes.subarray(at, at + size);
    parts.push(Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from("\r\n"));
  }
  return Buffer.concat([...parts, Buffer.from("0\r\n\r\n")]);
}
