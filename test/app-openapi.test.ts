import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { before, describe, test } from "node:test";

import { createRoutes } from "../src/app.ts";
import { createKey, keySetOf } from "../src/auth/keys.ts";
import { resolve } from "../src/docs/document.ts";
import type { Route } from "../src/http/route.ts";
import { disagreements, type Document, type Operation } from "./support/agreement.ts";
import { open, type RawResponse, request } from "./support/client.ts";
import { get, KEY, post, postHead } from "./support/requests.ts";
import { root } from "./support/root.ts";
import { suiteScope } from "./support/scope.ts";
import { serveFor, type TestService } from "./support/server.ts";
import { until } from "./support/wait.ts";

const text = readFileSync(new URL("src/docs/openapi.json", root), "utf8");
const document = JSON.parse(text) as Document;

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
    assert.deepEqual(disagreements(routes, document, observed), []);
    const statuses = Object.entries(observed).map(([name, set]) => [name, [...set].sort()]);
    assert.deepEqual(Object.fromEntries(statuses), {
      "POST /process": [200, 400, 401, 408, 413, 415, 417, 422, 429, 431, 500, 501, 503, 505],
      "GET /health": [200, 400, 408, 417, 431, 501, 503, 505],
    });
  });

  test("have the fields that the document requires, and its media type", () => {
    for (const [operation, { status, headers }] of responses) {
      const [method = "", path = ""] = operation.split(" ");
      const reference = document.paths[path]?.[method.toLowerCase()]?.responses[status] ?? {};
      const documented = resolved<DocumentedResponse>(reference);
      for (const [field, value] of Object.entries(documented.headers ?? {})) {
        const { required = false } = resolved<{ required?: boolean }>(value);
        if (!required) continue;
        assert.ok(field.toLowerCase() in headers, `${operation} ${status}: ${field}`);
      }
      assert.deepEqual(Object.keys(documented.content ?? {}), [headers["content-type"]]);
    }
  });
});

interface DocumentedResponse {
  readonly headers?: Readonly<Record<string, object>>;
  readonly content?: object;
}

/** What a value of the document is, or what it refers to. */
function resolved<T>(value: object): T {
  return resolve(document as never, value) as T;
}

// What follows shows that each disagreement is found, with the original's two operations, whatever
// other routes there are.
const ORIGINALS = ["/process", "/health"];
const known = routes.filter(
  ({ path, includeInSchema }) => !includeInSchema || ORIGINALS.includes(path),
);
const observedOfOriginals = Object.fromEntries(
  Object.entries(documentOfOriginals().paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, { responses }]) => [
      `${method.toUpperCase()} ${path}`,
      new Set(Object.keys(responses).map(Number)),
    ]),
  ),
);

function documentOfOriginals(): Document {
  const copy = JSON.parse(text) as Document;
  const entries = Object.entries(copy.paths).filter(([path]) => ORIGINALS.includes(path));
  return { ...copy, paths: Object.fromEntries(entries) };
}

function processOf({ paths }: Document): Operation {
  return paths["/process"]?.["post"] as Operation;
}

function healthOf({ paths }: Document): Operation {
  return paths["/health"]?.["get"] as Operation;
}

test("the document and the routes of the original agree", () => {
  assert.deepEqual(disagreements(known, documentOfOriginals(), observedOfOriginals), []);
});

const DOCUMENTS: readonly (readonly [
  name: string,
  change: (copy: Document) => void,
  problems: readonly string[],
])[] = [
  [
    "a path that is missing",
    ({ paths }) => delete paths["/health"],
    ["GET /health is not in the document"],
  ],
  [
    "an extra path",
    (copy) => (copy.paths["/more"] = { get: healthOf(copy) }),
    ["GET /more has no route"],
  ],
  [
    "a path in another spelling",
    ({ paths }) => {
      paths["/Health"] = paths["/health"] ?? {};
      delete paths["/health"];
    },
    ["GET /Health has no route", "GET /health is not in the document"],
  ],
  [
    "a method that is missing",
    ({ paths }) => delete paths["/process"]?.["post"],
    ["POST /process is not in the document"],
  ],
  [
    "an extra method",
    (copy) => (copy.paths["/process"] = { post: processOf(copy), put: processOf(copy) }),
    ["PUT /process has no route"],
  ],
  [
    "a status that is missing",
    (copy) => delete processOf(copy).responses["413"],
    ["POST /process gives 413, undocumented"],
  ],
  [
    "an extra status",
    (copy) => (processOf(copy).responses["418"] = {}),
    ["POST /process never gives 418"],
  ],
  [
    "another route's status that is missing",
    (copy) => delete healthOf(copy).responses["503"],
    ["GET /health gives 503, undocumented"],
  ],
  [
    "a security entry that is missing",
    (copy) => delete processOf(copy).security,
    ["POST /process needs a key, and the document does not say so"],
  ],
  [
    "a security entry that is empty",
    (copy) => (processOf(copy).security = []),
    ["POST /process needs a key, and the document does not say so"],
  ],
  [
    "a security entry that is optional",
    (copy) => (processOf(copy).security = [{}, { APIKeyHeader: [] }]),
    ["POST /process needs a key, and the document does not say so"],
  ],
  [
    "a security entry of another scheme",
    (copy) => (processOf(copy).security = [{ Other: [] }]),
    ["POST /process needs a key, and the document does not say so"],
  ],
  [
    "an extra security entry",
    (copy) => (healthOf(copy).security = [{ APIKeyHeader: [] }]),
    ["GET /health needs no key, and the document says so"],
  ],
  [
    "a security scheme that is missing",
    ({ components }) => delete components.securitySchemes["APIKeyHeader"],
    ["POST /process needs a security scheme that is missing"],
  ],
  [
    "a body that is missing",
    (copy) => delete processOf(copy).requestBody,
    ["POST /process and the document disagree about the body"],
  ],
  [
    "an extra body",
    (copy) => (healthOf(copy).requestBody = {}),
    ["GET /health and the document disagree about the body"],
  ],
];

for (const [name, change, problems] of DOCUMENTS) {
  test(`a document with ${name} does not agree with the routes`, () => {
    const changed = documentOfOriginals();
    change(changed);
    assert.deepEqual(disagreements(known, changed, observedOfOriginals), problems);
  });
}

const [first, second, ...rest] = known;
const guard = first?.dependencies ?? [];
const TABLES: readonly (readonly [
  name: string,
  table: readonly object[],
  problems: readonly string[],
])[] = [
  ["without a route", [second as Route, ...rest], ["POST /process has no route"]],
  [
    "with an extra route",
    [...known, { ...second, path: "/more" }],
    ["GET /more is not in the document"],
  ],
  [
    "with another path",
    [first as Route, { ...second, path: "/healthz" }],
    ["GET /health has no route", "GET /healthz is not in the document"],
  ],
  [
    "with another method",
    [{ ...first, method: "PUT" }, second as Route],
    ["POST /process has no route", "PUT /process is not in the document"],
  ],
  [
    "with a route that is not in the schema",
    [first as Route, { ...second, includeInSchema: false }],
    ["GET /health has no route"],
  ],
  [
    "with a docs route in the schema",
    [...known.slice(0, -1), { ...rest.at(-1), includeInSchema: true }],
    ["GET /openapi.json is not in the document"],
  ],
  [
    "without the guard",
    [{ ...first, dependencies: [] }, second as Route],
    ["POST /process needs no key, and the document says so"],
  ],
  [
    "with another dependency instead of the guard",
    [{ ...first, dependencies: [(): void => {}] }, second as Route],
    ["POST /process needs no key, and the document says so"],
  ],
  [
    "with an extra guard",
    [first as Route, { ...second, dependencies: guard }],
    ["GET /health needs a key, and the document does not say so"],
  ],
  [
    "without the body's model",
    [{ ...first, body: undefined }, second as Route],
    ["POST /process and the document disagree about the body"],
  ],
];

for (const [name, table, problems] of TABLES) {
  test(`a route table ${name} does not agree with the document`, () => {
    const found = disagreements(table as Route[], documentOfOriginals(), observedOfOriginals);
    assert.deepEqual(found, problems);
  });
}

test("a status that is given but not documented is found", () => {
  const statuses = [...(observedOfOriginals["POST /process"] ?? []), 418];
  const more = { ...observedOfOriginals, "POST /process": new Set(statuses) };
  const problems = disagreements(known, documentOfOriginals(), more);
  assert.deepEqual(problems, ["POST /process gives 418, undocumented"]);
});

test("a status that is documented but never given is found", () => {
  const statuses = [...(observedOfOriginals["GET /health"] ?? [])];
  const fewer = new Set(statuses.filter((status) => status !== 408));
  const observed = { ...observedOfOriginals, "GET /health": fewer };
  const problems = disagreements(known, documentOfOriginals(), observed);
  assert.deepEqual(problems, ["GET /health never gives 408"]);
});

test("a route without observed responses needs the statuses of its kind", () => {
  const copy = documentOfOriginals();
  for (const status of ["401", "422", "503"]) delete processOf(copy).responses[status];
  const observed = { "GET /health": observedOfOriginals["GET /health"] ?? new Set<number>() };
  assert.deepEqual(disagreements(known, copy, observed), [
    "POST /process gives 401, undocumented",
    "POST /process gives 422, undocumented",
    "POST /process gives 503, undocumented",
  ]);
});
