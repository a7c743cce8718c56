// The floor of the benchmark: one handler on bare node:http that does by hand what the contract
// needs. It has no request ids, no security headers, no log, and no limit but the body's. Whatever
// the service adds costs extra.
import { createHash, randomUUID, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

const MAX_BODY_BYTES = 1_048_576;
const DENIED = JSON.stringify({ detail: "Invalid or missing API Key" });

function serve(): void {
  const key = sha256(process.env["SERVICE_API_KEY"] ?? "");
  const delayMs = Number(process.env["PROCESS_DELAY_MS"]);
  const page = Buffer.alloc(Number(process.env["PAGE_BYTES"]), "x");
  const server = createServer((request, response) => {
    if (request.method === "POST" && request.url === "/process") {
      const presented = String(request.headers["x-api-key"]);
      if (timingSafeEqual(sha256(presented), key)) readBody(request, response, delayMs);
      else respond(response, 401, DENIED);
    } else if (request.method === "GET" && request.url === "/docs") {
      response.writeHead(200, {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Length": page.length,
      });
      response.end(page);
    } else {
      respond(response, 404, JSON.stringify({ detail: "Not Found" }));
    }
  });
  server.keepAliveTimeout = 65_000;
  server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => {
    process.stderr.write(
      `Listening on http://127.0.0.1:${(server.address() as AddressInfo).port}\n`,
    );
  });
}

function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

function readBody(request: IncomingMessage, response: ServerResponse, delayMs: number): void {
  if (!/^application\/json\b/i.test(request.headers["content-type"] ?? "")) {
    respond(response, 415, JSON.stringify({ detail: "Unsupported Media Type" }));
    return;
  }
  const chunks: Buffer[] = [];
  let size = 0;
  request.on("data", (chunk: Buffer) => {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) request.destroy();
    else chunks.push(chunk);
  });
  request.on("end", () => {
    const problems = problemsOf(
      (chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)).toString(),
    );
    if (problems !== undefined) respond(response, 422, JSON.stringify({ detail: problems }));
    else if (delayMs > 0) setTimeout(succeed, delayMs, response);
    else succeed(response);
  });
}

function problemsOf(text: string): object[] | undefined {
  let input;
  try {
    input = JSON.parse(text) as { status?: unknown };
  } catch {
    return [{ type: "json_invalid", loc: ["body", 0], msg: "JSON decode error", input: {} }];
  }
  if (input.status === undefined) {
    return [{ type: "missing", loc: ["body", "status"], msg: "Field required", input }];
  }
  if (input.status === "SUCCESS") return undefined;
  return [
    {
      type: "string_type",
      loc: ["body", "status"],
      msg: "Input should be a valid string",
      input: input.status,
    },
  ];
}

function succeed(response: ServerResponse): void {
  respond(response, 200, JSON.stringify({ status: "SUCCESS", id: randomUUID() }));
}

function respond(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, {
    "Content-Type": "application/json",
    "Content-Length": Buffer.byteLength(body),
  });
  response.end(body);
}

// The test runner loads every file below test/: there this one does nothing.
if (process.env["NODE_TEST_CONTEXT"] === undefined) serve();
