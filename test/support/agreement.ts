import type { Route } from "../../src/http/route.ts";

/** The parts of an OpenAPI document that have to agree with the routes. */
export interface Document {
  info: { title: string; version: string };
  /** Operations by path, then by method in small letters. */
  paths: Record<string, Record<string, Operation>>;
  components: { securitySchemes: Record<string, object> };
}

/** One operation of a document. */
export interface Operation {
  security?: readonly Readonly<Record<string, readonly string[]>>[];
  /** By status. */
  responses: Record<string, object>;
  requestBody?: object;
}

/** The statuses that an operation has given, by its method and path. */
export type Observed = Readonly<Record<string, ReadonlySet<number>>>;

/** Everything in which the routes, their responses and the document disagree. */
export function disagreements(
  table: readonly Route[],
  document: Document,
  observed: Observed,
): string[] {
  const operations = operationsOf(document);
  const routes = new Map<string, Route>();
  for (const one of table) {
    if (one.includeInSchema) routes.set(`${one.method} ${one.path}`, one);
  }
  const problems: string[] = [];
  for (const name of operations.keys()) {
    if (!routes.has(name)) problems.push(`${name} has no route`);
  }
  for (const [name, one] of routes) {
    const operation = operations.get(name);
    if (operation === undefined) {
      problems.push(`${name} is not in the document`);
      continue;
    }
    const found = [
      ...securityProblems(one, operation, document),
      ...bodyProblems(one, operation),
      ...statusProblems(one, operation, observed[name]),
    ];
    problems.push(...found.map((problem) => `${name} ${problem}`));
  }
  return problems.sort();
}

function operationsOf({ paths }: Document): Map<string, Operation> {
  const operations = new Map<string, Operation>();
  for (const [path, item] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(item)) {
      operations.set(`${method.toUpperCase()} ${path}`, operation);
    }
  }
  return operations;
}

function securityProblems(
  { dependencies }: Route,
  operation: Operation,
  { components }: Document,
): string[] {
  const isGuarded = dependencies.some(({ name }) => name === "validateAuthentication");
  const security = JSON.stringify(operation.security ?? []);
  if (!isGuarded) return security === "[]" ? [] : ["needs no key, and the document says so"];
  const problems: string[] = [];
  if (security !== '[{"APIKeyHeader":[]}]') {
    problems.push("needs a key, and the document does not say so");
  }
  if (!("APIKeyHeader" in components.securitySchemes)) {
    problems.push("needs a security scheme that is missing");
  }
  return problems;
}

function bodyProblems({ body }: Route, { requestBody }: Operation): string[] {
  const agrees = (body !== undefined) === (requestBody !== undefined);
  return agrees ? [] : ["and the document disagree about the body"];
}

/** Without observations, a route is expected to give what every route of its kind can. */
function statusProblems(
  one: Route,
  { responses }: Operation,
  seen: ReadonlySet<number> | undefined,
): string[] {
  const given = seen ?? commonStatuses(one);
  const problems: string[] = [];
  for (const status of given) {
    if (!(status in responses)) problems.push(`gives ${status}, undocumented`);
  }
  if (seen === undefined) return problems;
  for (const status of Object.keys(responses)) {
    if (!seen.has(Number(status))) problems.push(`never gives ${status}`);
  }
  return problems;
}

function commonStatuses({ dependencies, body, limited }: Route): ReadonlySet<number> {
  const statuses = [200, 400, 408, 417, 431, 501, 505];
  if (dependencies.length > 0) statuses.push(401);
  if (body !== undefined) statuses.push(413, 415, 422);
  if (limited) statuses.push(503);
  return new Set(statuses);
}
