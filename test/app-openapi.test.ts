import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { before, describe, test } from "node:test";

import { createRoutes } from "../src/app.ts";
import { createKey, keySetOf } from "../src/auth/keys.ts";
import {
  asObject,
  entriesOf,
  type JsonObject,
  type OpenApiDocument,
  operationsOf,
  resolve,
} from "../src/docs/document.ts";
import { open, type RawResponse, request } from "./support/client.ts";
import { get, KEY, post, postHead } from "./support/requests.ts";
import { root } from "./support/root.ts";
import { suiteScope } from "./support/scope.ts";
import { serveFor, type TestService } from "./support/server.ts";
import { until } from "./support/wait.ts";

const json = readFileSync(new URL("src/docs/openapi.json", root), "utf8");
const document = JSON.parse(json) as OpenApiDocument;

const keyring = { current: keySetOf({ default: KEY }) };
const options = { keyring, isDraining: () => false, processDelayMs: 0, docs: true };
const routes = createRoutes(options);

const GOOD = '{"status":"SUCCESS"}';
const FIELDS = Array.from({ length: 98 }, (_, index) => `A${index}: b`);

/** Requests that get each status of an operation. 408 and 503 need more than one request. */
const PROVOKING: readonly (readonly [operation: string, status: number, bytes: string | Buffer])[] =
  [
    ["POST /process", 200, post(GOOD)],
    ["POST /process", 400, post(Buffer.from([0xff]))],
    ["POST /process", 400, post(GOOD, ["Host: y"])],
    ["POST /process", 401, post(GOOD, [], { key: "" })],
    ["POST /process", 401, post("{", [], { key: "x" })],
    ["POST /process", 413, post("x".repeat(1001))],
    ["POST /process", 415, post(GOOD, [], { type: "text/plain" })],
    ["POST /process", 415, post(GOOD, ["Content-Encoding: gzip"])],
    ["POST /process", 417, post(GOOD, ["Expect: foo"])],
    ["POST /process", 422, post("{")],
    ["POST /process", 422, post("{}")],
    ["POST /process", 422, post("")],
    ["POST /process", 431, post(GOOD, [...FIELDS, "B: c"])],
    ["POST /process", 431, post(GOOD, [`A: ${"b".repeat(20_000)}`])],
    ["POST /process", 500, post('{"status":"x"}')],
    ["POST /process", 501, postHead(["Transfer-Encoding: gzip, chunked"])],
    ["POST /process", 505, post(GOOD).toString("latin1").replace("HTTP/1.1", "HTTP/2.0")],
    ["GET /health", 200, get("/health")],
    ["GET /health", 400, get("/health", ["Host: y"])],
    ["GET /health", 417, get("/health", ["Expect: foo"])],
    ["GET /health", 431, get("/health", [...FIELDS, "B: c", "D: e", "F: g"])],
    ["GET /health", 501, get("/health", ["Transfer-Encoding: gzip, chunked"])],
    ["GET /health", 505, get("/health").replace("HTTP/1.1", "HTTP/2.0")],
  ];

describe("the responses of the routes", () => {
  const suite = suiteScope();
  let service: TestService;
  const observed: Record<string, Set<number>> = {
    "POST /process": new Set(),
    "GET /health": new Set(),
  };
  const responses: (readonly [operation: string, response: RawResponse])[] = [];
  before(async () => {
    const limits = { maxBodyBytes: 1000, headersTimeoutMs: 200, requestTimeoutMs: 400 };
    service = await serveFor(suite, routes, limits);
  });

  /** Checks the status of an operation's response, and remembers the response. */
  function note(operation: string, response: RawResponse, status: number): void {
    assert.equal(response.status, status, response.body);
    observed[operation]?.add(status);
    responses.push([operation, response]);
  }

  for (const [operation, status, bytes] of PROVOKING) {
    const [header = ""] = bytes.toString("latin1").split("\r\n\r\n");
    test(`${operation} gives ${status} for ${JSON.stringify(header.slice(-30))}`, async () => {
      note(operation, await request(service.port, bytes), status);
    });
  }

  test("POST /process and GET /health give 408 if a request does not arrive", async () => {
    note("POST /process", await request(service.port, post(GOOD).subarray(0, -1)), 408);
    note("GET /health", await request(service.port, get("/health").slice(0, -1)), 408);
  });

  test("POST /process gives 503 if too many requests are in flight", async (t) => {
    const slow = createRoutes({ ...options, processDelayMs: 60_000 });
    const busy = await serveFor(t, slow, { maxInFlight: 1 });
    await open(busy.port, post(GOOD));
    await until(() => busy.connections.inFlight === 1, "a request in progress");
    note("POST /process", await request(busy.port, post(GOOD)), 503);
  });

  test("POST /process gives 429 past a limit of the key", async (t) => {
    const { hash = new Uint8Array() } = keySetOf({ slow: KEY })[0] ?? {};
    const inFlight = 1;
    const key = createKey("slow", Buffer.from(hash).toString("hex"), { inFlight });
    const limited = { ...options, keyring: { current: [key] }, processDelayMs: 60_000 };
    const busy = await serveFor(t, createRoutes(limited));
    await open(busy.port, post(GOOD));
    await until(() => busy.connections.inFlight === 1, "a request in progress");
    note("POST /process", await request(busy.port, post(GOOD)), 429);
  });

  test("GET /health gives 503 if the service is about to stop", async (t) => {
    const draining = await serveFor(t, createRoutes({ ...options, isDraining: () => true }));
    note("GET /health", await request(draining.port, get("/health")), 503);
  });

  test("are all documented, and all that are documented have been given", () => {
    for (const [operation, statuses] of Object.entries(observed)) {
      const documented = Object.keys(responsesOf(operation)).map(Number);
      assert.deepEqual([...statuses].sort(), documented, operation);
    }
  });

  test("have the fields that the document requires, and its media type", () => {
    for (const [operation, { status, headers }] of responses) {
      const documented = resolve(document, responsesOf(operation)[status]);
      for (const [field, value] of entriesOf(documented["headers"])) {
        if (resolve(document, value)["required"] !== true) continue;
        assert.ok(field.toLowerCase() in headers, `${operation} ${status}: ${field}`);
      }
      const types = Object.keys(asObject(documented["content"]));
      assert.deepEqual(types, [headers["content-type"]]);
    }
  });
});

/** The documented responses of an operation such as `GET /health`, by status. */
function responsesOf(name: string): JsonObject {
  const operation = operationsOf(document).find(({ method, path }) => `${method} ${path}` === name);
  return asObject(operation?.["responses"]);
}
