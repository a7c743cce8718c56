import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { before, describe, test } from "node:test";

import { createRoutes } from "../src/app.ts";
import { keySetOf } from "../src/auth/keys.ts";
import { resolve } from "../src/docs/document.ts";
import type { Route } from "../src/http/route.ts";
import { exchange, open, type RawResponse } from "./support/client.ts";
import { get, KEY, post } from "./support/requests.ts";
import { root } from "./support/root.ts";
import { suiteScope } from "./support/scope.ts";
import { serveFor, type TestService } from "./support/server.ts";

const text = readFileSync(new URL("src/docs/openapi.json", root), "utf8");

interface Operation {
  security?: readonly Readonly<Record<string, readonly string[]>>[];
  responses: Record<string, object>;
  requestBody?: object;
}

interface Document {
  info: { title: string; version: string };
  paths: Record<string, Record<string, Operation>>;
  components: { securitySchemes: Record<string, object> };
}

const document = JSON.parse(text) as Document;

const keyring = { current: keySetOf({ default: KEY }) };
const isDraining = (): boolean => false;
const routes = createRoutes({ keyring, isDraining, processDelayMs: 0, docs: true });

/** The statuses that were seen, by operation. */
type Observed = Readonly<Record<string, ReadonlySet<number>>>;

/** Every way in which the routes, what they answer, and the document don't agree. */
function differences(
  table: readonly Route[],
  { paths, components }: Document,
  observed: Observed,
): string[] {
  const operations = new Map<string, Operation>();
  for (const [path, item] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(item))
      operations.set(`${method.toUpperCase()} ${path}`, operation);
  }
  const declared = new Map(
    table.filter((one) => one.includeInSchema).map((one) => [`${one.method} ${one.path}`, one]),
  );
  const faults: string[] = [];
  for (const name of operations.keys())
    if (!declared.has(name)) faults.push(`${name} has no route`);
  for (const [name, one] of declared) {
    const operation = operations.get(name);
    if (operation === undefined) {
      faults.push(`${name} is not in the document`);
      continue;
    }
    const guarded = one.dependencies.some(
      (dependency) => dependency.name === "validateAuthentication",
    );
    const security = JSON.stringify(operation.security ?? []);
    if (guarded && security !== '[{"APIKeyHeader":[]}]')
      faults.push(`${name} needs a key, and the document doesn't say so`);
    if (!guarded && security !== "[]")
      faults.push(`${name} needs no key, and the document says so`);
    if (guarded && !("APIKeyHeader" in components.securitySchemes))
      faults.push(`${name} has a security scheme that is none`);
    if ((one.body !== undefined) !== (operation.requestBody !== undefined))
      faults.push(`${name} and the document differ in the body`);
    // What a route responses by itself shows only when it is asked: requests for a new one belong into PROVOKING.
    const seen = observed[name];
    for (const status of seen === undefined ? [] : Object.keys(operation.responses))
      if (!seen?.has(Number(status))) faults.push(`${name} never responses ${status}`);
    for (const status of seen ?? commonStatuses(one))
      if (!(status in operation.responses))
        faults.push(`${name} responses ${status}, undocumented`);
  }
  return faults.sort();
}

/** What any route of this kind can answer. */
function commonStatuses({ dependencies, body, limited }: Route): number[] {
  const statuses = [200, 400, 408, 417, 431, 501, 505];
  if (dependencies.length > 0) statuses.push(401);
  if (body !== undefined) statuses.push(413, 415, 422);
  if (limited) statuses.push(503);
  return statuses;
}

const GOOD = '{"status":"SUCCESS"}';
const FIELDS = Array.from({ length: 98 }, (_, index) => `A${index}: b`);

/** Requests that provoke each status of an operation; those of 408 and 503 need more than one request. */
const PROVOKING: readonly (readonly [string, number, string | Buffer])[] = [
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
  [
    "POST /process",
    501,
    post("", ["Transfer-Encoding: gzip, chunked"])
      .toString("latin1")
      .replace("Content-Length: 0\r\n", ""),
  ],
  ["POST /process", 505, post(GOOD).toString("latin1").replace("HTTP/1.1", "HTTP/2.0")],
  ["GET /health", 200, get("/health")],
  ["GET /health", 400, get("/health", ["Host: y"])],
  ["GET /health", 417, get("/health", ["Expect: foo"])],
  ["GET /health", 431, get("/health", [...FIELDS, "B: c", "D: e", "F: g"])],
  ["GET /health", 501, get("/health", ["Transfer-Encoding: gzip, chunked"])],
  ["GET /health", 505, get("/health").replace("HTTP/1.1", "HTTP/2.0")],
];

describe("the route table and the OpenAPI document", () => {
  const suite = suiteScope();
  let service: TestService;
  const observed: Record<string, Set<number>> = {
    "POST /process": new Set(),
    "GET /health": new Set(),
  };
  const responses: (readonly [string, RawResponse])[] = [];
  before(async () => {
    service = await serveFor(suite, routes, {
      maxBodyBytes: 1000,
      headersTimeoutMs: 200,
      requestTimeoutMs: 400,
    });
  });

  /** Takes down an answer to a request of an operation. */
  function note(name: string, answer: RawResponse | undefined, status: number): void {
    assert.ok(answer);
    assert.equal(answer.status, status, answer.body);
    observed[name]?.add(answer.status);
    responses.push([name, answer]);
  }

  for (const [name, status, request] of PROVOKING) {
    const [head = ""] = request.toString("latin1").split("\r\n\r\n");
    test(`${name} can be made to answer ${status}: ${JSON.stringify(head.slice(-40))}`, async () => {
      note(name, (await exchange(service.port, request)).responses[0], status);
    });
  }

  test("both can be made to answer 408, by a request that doesn't arrive in time", async () => {
    note(
      "POST /process",
      (await exchange(service.port, post(GOOD).subarray(0, -1))).responses[0],
      408,
    );
    note(
      "GET /health",
      (await exchange(service.port, get("/health").slice(0, -1))).responses[0],
      408,
    );
  });

  test("both can be made to answer 503: the one when it is busy, the other when it is about to stop", async (t) => {
    const busy = await serveFor(
      t,
      createRoutes({ keyring, isDraining: () => true, processDelayMs: 60_000, docs: false }),
      {
        maxInFlight: 1,
      },
    );
    const client = await open(busy.port);
    client.send(post(GOOD, ["X-Request-Id: first"]));
    let answer: RawResponse | undefined;
    // The first may not have been read yet: then it is the second that is held.
    for (let tries = 0; answer === undefined && tries < 20; tries++) {
      answer = (await exchange(busy.port, post(GOOD), { limitMs: 500 })).responses[0];
    }
    note("POST /process", answer, 503);
    note("GET /health", (await exchange(busy.port, get("/health"))).responses[0], 503);
  });

  test("they agree in paths, methods, security, bodies and statuses", () => {
    assert.deepEqual(differences(routes, document, observed), []);
    const all = Object.fromEntries(
      Object.entries(observed).map(([name, statuses]) => [name, [...statuses].sort()]),
    );
    assert.deepEqual(all, {
      "POST /process": [200, 400, 401, 408, 413, 415, 417, 422, 431, 500, 501, 503, 505],
      "GET /health": [200, 400, 408, 417, 431, 501, 503, 505],
    });
  });

  test("a route whose responses nobody has seen is documented with those that every route of its kind can give", () => {
    const copy = structuredClone(document);
    for (const status of ["401", "422", "503"])
      delete copy.paths["/process"]?.["post"]?.responses[status];
    const seen = observed["GET /health"] ?? new Set<number>();
    assert.deepEqual(differences(routes, copy, { "GET /health": seen }), [
      "POST /process responses 401, undocumented",
      "POST /process responses 422, undocumented",
      "POST /process responses 503, undocumented",
    ]);
  });

  test("every answer has the fields that the document requires, and its media type", () => {
    for (const [name, { status, headers }] of responses) {
      const [method = "", path = ""] = name.split(" ");
      const response = resolve(
        document as never,
        document.paths[path]?.[method.toLowerCase()]?.responses[status] ?? {},
      ) as {
        headers?: Record<string, object>;
        content?: object;
      };
      for (const [field, reference] of Object.entries(response.headers ?? {})) {
        const { required = false } = resolve(document as never, reference) as {
          required?: boolean;
        };
        if (required) assert.ok(field.toLowerCase() in headers, `${name} ${status}: ${field}`);
      }
      assert.deepEqual(Object.keys(response.content ?? {}), [headers["content-type"]]);
    }
  });

  // What follows shows that a difference is found, on the original's two operations, whatever else has been added.
  const originals = ["/process", "/health"];
  const known = routes.filter(
    ({ path, includeInSchema }) => !includeInSchema || originals.includes(path),
  );

  /** The document of the two after a change. */
  const changed = (change: (copy: Document) => void): Document => {
    const copy = JSON.parse(text) as Document;
    copy.paths = Object.fromEntries(
      Object.entries(copy.paths).filter(([path]) => originals.includes(path)),
    );
    change(copy);
    return copy;
  };
  const original = changed(() => {});
  const process = (copy: Document): Operation => copy.paths["/process"]?.["post"] as Operation;
  const health = (copy: Document): Operation => copy.paths["/health"]?.["get"] as Operation;

  const documents: readonly (readonly [string, (copy: Document) => void, readonly string[]])[] = [
    [
      "a path that is missing",
      ({ paths }) => delete paths["/health"],
      ["GET /health is not in the document"],
    ],
    [
      "a path too many",
      (copy) => (copy.paths["/more"] = { get: health(copy) }),
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
      "a method too many",
      (copy) => (copy.paths["/process"] = { post: process(copy), put: process(copy) }),
      ["PUT /process has no route"],
    ],
    [
      "a status that is missing",
      (copy) => delete process(copy).responses["413"],
      ["POST /process responses 413, undocumented"],
    ],
    [
      "a status too many",
      (copy) => (process(copy).responses["429"] = {}),
      ["POST /process never responses 429"],
    ],
    [
      "another route's status that is missing",
      (copy) => delete health(copy).responses["503"],
      ["GET /health responses 503, undocumented"],
    ],
    [
      "a security entry that is missing",
      (copy) => delete process(copy).security,
      ["POST /process needs a key, and the document doesn't say so"],
    ],
    [
      "a security entry that is empty",
      (copy) => (process(copy).security = []),
      ["POST /process needs a key, and the document doesn't say so"],
    ],
    [
      "a security entry that is optional",
      (copy) => (process(copy).security = [{}, { APIKeyHeader: [] }]),
      ["POST /process needs a key, and the document doesn't say so"],
    ],
    [
      "a security entry of another scheme",
      (copy) => (process(copy).security = [{ Other: [] }]),
      ["POST /process needs a key, and the document doesn't say so"],
    ],
    [
      "a security entry too many",
      (copy) => (health(copy).security = [{ APIKeyHeader: [] }]),
      ["GET /health needs no key, and the document says so"],
    ],
    [
      "a security scheme that is missing",
      ({ components }) => delete components.securitySchemes["APIKeyHeader"],
      ["POST /process has a security scheme that is none"],
    ],
    [
      "a body that is missing",
      (copy) => delete process(copy).requestBody,
      ["POST /process and the document differ in the body"],
    ],
    [
      "a body too many",
      (copy) => (health(copy).requestBody = {}),
      ["GET /health and the document differ in the body"],
    ],
  ];
  for (const [what, change, faults] of documents) {
    test(`a document with ${what} doesn't agree with the routes`, () => {
      assert.deepEqual(differences(known, changed(change), observed), faults);
    });
  }

  const [first, second, ...rest] = known;
  const guard = first?.dependencies ?? [];
  const tables: readonly (readonly [string, readonly object[], readonly string[]])[] = [
    ["without a route", [second as Route, ...rest], ["POST /process has no route"]],
    [
      "with a route more",
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
      "with a route that is kept from the document",
      [first as Route, { ...second, includeInSchema: false }],
      ["GET /health has no route"],
    ],
    [
      "with a docs' route that is not",
      [...known.slice(0, -1), { ...rest.at(-1), includeInSchema: true }],
      ["GET /openapi.json is not in the document"],
    ],
    [
      "without the guard",
      [{ ...first, dependencies: [] }, second as Route],
      ["POST /process needs no key, and the document says so"],
    ],
    [
      "with another dependency for the guard",
      [{ ...first, dependencies: [(): void => {}] }, second as Route],
      ["POST /process needs no key, and the document says so"],
    ],
    [
      "with a guard more",
      [first as Route, { ...second, dependencies: guard }],
      ["GET /health needs a key, and the document doesn't say so"],
    ],
    [
      "without the body's model",
      [{ ...first, body: undefined }, second as Route],
      ["POST /process and the document differ in the body"],
    ],
  ];
  for (const [what, table, faults] of tables) {
    test(`a route table ${what} doesn't agree with the document`, () => {
      assert.deepEqual(differences(table as Route[], original, observed), faults);
    });
  }

  test("a status that is answered but not documented is found, and the other way round", () => {
    const more = {
      ...observed,
      "POST /process": new Set([...(observed["POST /process"] ?? []), 418]),
    };
    assert.deepEqual(differences(known, original, more), [
      "POST /process responses 418, undocumented",
    ]);
    const fewer = {
      ...observed,
      "GET /health": new Set(
        [...(observed["GET /health"] ?? [])].filter((status) => status !== 408),
      ),
    };
    assert.deepEqual(differences(known, original, fewer), ["GET /health never responses 408"]);
  });
});

test("the table has the original's routes and /health, and the docs unless they are off", () => {
  const names = (docs: boolean): string[] =>
    createRoutes({ keyring, isDraining, processDelayMs: 0, docs }).map(
      ({ method, path, includeInSchema }) => `${method} ${path} ${includeInSchema}`,
    );
  const core = ["POST /process true", "GET /health true"];
  const docs = [
    "GET /docs false",
    "GET /docs/docs.css false",
    "GET /docs/docs.js false",
    "GET /docs/icon.svg false",
  ];
  docs.push("GET /openapi.json false");
  for (const name of core) assert.ok(names(false).includes(name), name);
  for (const name of docs)
    assert.ok(!names(false).includes(name) && names(true).includes(name), name);
});

test("the guard of POST /process uses the keys of the keyring it was made with", async (t) => {
  const own = { current: keySetOf({ default: "first" }) };
  const service = await serveFor(
    t,
    createRoutes({ keyring: own, isDraining, processDelayMs: 0, docs: false }),
  );
  const status = async (key: string): Promise<number | undefined> =>
    (await exchange(service.port, post(GOOD, [], { key }))).responses[0]?.status;
  assert.deepEqual([await status("first"), await status("second")], [200, 401]);
  own.current = keySetOf({ default: "second" });
  assert.deepEqual([await status("first"), await status("second")], [401, 200]);
});

test("/openapi.json is the document, byte for byte, with FastAPI's title and version", async (t) => {
  const service = await serveFor(t, routes);
  const { responses } = await exchange(service.port, get("/openapi.json"));
  assert.equal(responses[0]?.body, text);
  assert.deepEqual([document.info.title, document.info.version], ["API", "0.1.0"]);
});

test("there is no /redoc, no /docs/oauth2-redirect, and no root", async (t) => {
  const service = await serveFor(t, routes);
  for (const path of [
    "/redoc",
    "/docs/oauth2-redirect",
    "/",
    "/favicon.ico",
    "/docs/openapi.json",
  ]) {
    assert.equal((await exchange(service.port, get(path))).responses[0]?.status, 404);
  }
});
