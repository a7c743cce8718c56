import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { createRoutes } from "../../src/app.ts";
import { membersOf, operationsOf, partOf, resolve } from "../../src/docs/document.ts";
import type { OpenApiDocument, Operation, Part } from "../../src/docs/document.ts";
import type { Route } from "../../src/http/route.ts";
import { root } from "../root.ts";
import { type Answer, exchange, get, KEY, post, type Service, startService } from "../service.ts";

const document = JSON.parse(readFileSync(new URL("src/docs/openapi.json", root), "utf8")) as OpenApiDocument;
const routes = createRoutes({ processDelayMs: 0, docs: true }, { current: [] } as never);

/** What the service was seen to answer, by operation (`POST /process`). */
type Observations = ReadonlyMap<string, readonly Answer[]>;

test("the document and the service agree on paths, methods, bodies, security, statuses, headers, members", async () => {
  assert.deepEqual(differences(document, routes, await observe()), []);
});

test("a path, method, body, security entry or status that only the document has, or only the service, is found", () => {
  const observed = declaredAnswers();
  assert.deepEqual(differences(document, routes, observed), []);
  for (const { path, method, responses } of operationsOf(document)) {
    const changes: ((item: Record<string, Operation>, operation: Record<string, unknown>) => void)[] = [
      (item) => delete item[method.toLowerCase()],
      (item) => (item["put"] = item[method.toLowerCase()] as Operation),
      (_item, operation) => (operation["security"] = operation["security"] ? undefined : [{ APIKeyHeader: [] }]),
      (_item, operation) => (operation["security"] = [{ Other: [] }]),
      (_item, operation) => (operation["requestBody"] = operation["requestBody"] ? undefined : {}),
      (_item, operation) => ((operation["responses"] as Record<string, object>)["402"] = { description: "" }),
      ...membersOf(responses).map(
        ([status]) => (_item: unknown, operation: Record<string, unknown>) => {
          delete (operation["responses"] as Record<string, object>)[status];
        },
      ),
    ];
    for (const change of changes) {
      const changed = structuredClone(document) as { paths: Record<string, Record<string, Operation>> };
      const item = changed.paths[path] as Record<string, Operation>;
      change(item, item[method.toLowerCase()] as unknown as Record<string, unknown>);
      assert.equal(differences(changed as never, routes, observed).length, 1, `${method} ${path}: ${change}`);
    }
  }
  const [first, ...others] = routes as [Route, ...Route[]];
  assert.equal(differences(document, others, observed).length, 1);
  assert.equal(differences(document, [...routes, { ...first, path: "/more" }], observed).length, 1);
  assert.equal(differences(document, [{ ...first, dependencies: [] }, ...others], observed).length, 1);
});

test("every reference of the document leads somewhere", () => {
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]*)"/g)];
  assert.ok(references.length > 20);
  for (const [, $ref = ""] of references) assert.equal(typeof resolve(document, { $ref }), "object");
});

test("every operation, status, schema and property has a description of one or two sentences", () => {
  const operations = operationsOf(document);
  const schemas = membersOf(partOf(document["components"])["schemas"]);
  const described = [
    ...operations,
    ...operations.flatMap(({ responses }) => membersOf(responses)).map(([, each]) => resolve(document, each)),
    ...schemas.map(([, schema]) => schema),
    ...schemas.flatMap(([, { properties }]) => membersOf(properties)).map(([, property]) => property),
  ];
  assert.ok(described.length > 30);
  for (const { description } of described) assert.match(String(description), /^[^.]+\.( [^.]+\.)?$/);
});

/** How the document differs from the routes and from what the service was seen to answer; nothing when they agree. */
function differences(openapi: OpenApiDocument, table: readonly Route[], observed: Observations): string[] {
  const nameOf = ({ method, path }: { method: string; path: string }): string => `${method} ${path}`;
  const shown = new Map(table.filter(({ includeInSchema }) => includeInSchema).map((route) => [nameOf(route), route]));
  const operations = new Map(operationsOf(openapi).map((operation) => [nameOf(operation), operation]));
  const names = [...new Set([...shown.keys(), ...operations.keys()])];
  return names.flatMap((name) => {
    const route = shown.get(name);
    const operation = operations.get(name);
    if (route === undefined) return [`${name} has no route`];
    if (operation === undefined) return [`${name} is not in the document`];
    return [
      ...(securityOf(route) === JSON.stringify(operation["security"] ?? []) ? [] : [`${name}: another security`]),
      ...((route.body === undefined) === (operation["requestBody"] === undefined) ? [] : [`${name}: another body`]),
      ...answerDifferences(openapi, operation, observed.get(name) ?? []).map((difference) => `${name}: ${difference}`),
    ];
  });
}

function securityOf({ dependencies }: Route): string {
  const guarded = dependencies.some(({ name }) => name === "validateAuthentication");
  return JSON.stringify(guarded ? [{ APIKeyHeader: [] }] : []);
}

function answerDifferences(openapi: OpenApiDocument, operation: Operation, answers: readonly Answer[]): string[] {
  const responses = partOf(operation["responses"]);
  const seen = new Set(answers.map(({ status }) => String(status)));
  return [
    ...Object.keys(responses).filter((status) => !seen.has(status)).map((status) => `${status} never came`),
    ...answers.flatMap(({ status, headers, body }) => {
      const declared = responses[status];
      if (declared === undefined) return [`${status} is not in the document`];
      return missing(openapi, resolve(openapi, declared), headers, body).map((text) => `${status} without ${text}`);
    }),
  ];
}

function missing(openapi: OpenApiDocument, message: Part, headers: Answer["headers"], body: string): string[] {
  const names = membersOf(message["headers"]).filter(([, header]) => resolve(openapi, header)["required"]);
  const { schema } = partOf(partOf(message["content"])["application/json"]);
  const required = resolve(openapi, schema)["required"] as string[];
  const value = JSON.parse(body) as object;
  return [
    ...names.filter(([name]) => !(name.toLowerCase() in headers)).map(([name]) => `the header ${name}`),
    ...required.filter((name) => !(name in value)).map((name) => `the member ${name}`),
  ];
}

/** Answers as the document has them. */
function declaredAnswers(): Observations {
  const headers = { "x-request-id": "a", "www-authenticate": "X-API-Key", "retry-after": "1" };
  const body = '{"detail":1,"status":1,"id":1}';
  return new Map(
    operationsOf(document).map(({ method, path, responses }) => [
      `${method} ${path}`,
      membersOf(responses).map(([status]) => ({ status: Number(status), headers, body })),
    ]),
  );
}

/** Makes the service give every answer it has. */
async function observe(): Promise<Observations> {
  const service = await startService({
    MAX_BODY_BYTES: "100",
    MAX_IN_FLIGHT: "1",
    HEADERS_TIMEOUT_MS: "500",
    REQUEST_TIMEOUT_MS: "1000",
    SHUTDOWN_DELAY_MS: "10000",
  });
  try {
    const processAnswers = await ask(service, [
      ...damaged("POST /process"),
      ...['{"status":"SUCCESS"}', '{"status":"x"}', "{}", "{", ""].map((body) => post(body)),
      post(Buffer.of(0xff)),
      post("{}", [], { key: "" }),
      post("{}", [], { type: "text/plain" }),
      post("{}", ["Content-Encoding: gzip"]),
      post(" ".repeat(101)),
    ]);
    const healthAnswers = await ask(service, [...damaged("GET /health"), get("/health")]);
    const busyAnswers = await askBusy(service);
    service.child.kill("SIGTERM");
    await service.until(() => service.events("draining").length > 0, "draining");
    const drainingAnswers = await ask(service, [get("/health")]);
    return new Map([
      ["POST /process", [...processAnswers, ...busyAnswers]],
      ["GET /health", [...healthAnswers, ...drainingAnswers]],
    ]);
  } finally {
    service.child.kill("SIGTERM");
    await service.stop();
  }
}

/** Requests that are refused for their form, whatever they ask for; the last never ends. */
function damaged(start: string): string[] {
  const complete = `${start} HTTP/1.1\r\nHost: x\r\n`;
  return [
    `${start} HTTP/1.1\r\n\r\n`,
    `${complete}Expect: something\r\n\r\n`,
    `${complete}${"A: b\r\n".repeat(101)}\r\n`,
    `${complete}Transfer-Encoding: gzip\r\n\r\n`,
    `${start} HTTP/2.0\r\nHost: x\r\n\r\n`,
    complete,
  ];
}

async function ask(service: Service, requests: readonly (string | Buffer)[]): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (const request of requests) answers.push(...(await exchange(service.port, request)).answers);
  return answers;
}

/** A request whose body doesn't come takes the only place, which refuses others, and is late itself. */
async function askBusy(service: Service): Promise<Answer[]> {
  const head = `POST /process HTTP/1.1\r\nHost: x\r\nX-API-Key: ${KEY}\r\nContent-Type: application/json\r\n`;
  const late = exchange(service.port, `${head}Content-Length: 20\r\n\r\n`);
  const answers: Answer[] = [];
  for (let tries = 0; tries < 50 && answers.at(-1)?.status !== 503; tries++) {
    answers.push(...(await ask(service, [post("{}")])));
  }
  return [...(await late).answers, ...answers];
}
