import { HttpError, type Reply } from "../../src/http/reply.ts";
import type { Dependency, ResponseDeclaration, Responses, Route } from "../../src/http/route.ts";
import { type Model, object, string } from "../../src/models/model.ts";
import { Problems } from "../../src/models/problems.ts";

/** Routes that keep what they respond with, and what is wrong with it. */
export interface WatchedRoutes {
  readonly routes: readonly Route[];
  /** A line for each response that is not as its route, or its dependency, declares it. */
  readonly problems: string[];
}

/** Watches the responses of routes. Those that declare none may respond as they like. */
export function watchResponses(routes: readonly Route[]): WatchedRoutes {
  const problems: string[] = [];
  return { routes: routes.map((route) => watch(route, problems)), problems };
}

/** What is wrong with a reply of a route, by these declarations; empty if nothing is. */
export function undeclared(responses: Responses, reply: Reply): string[] {
  const { status } = reply;
  const declaration = responses[status];
  if (declaration === undefined) return [`${status} is not declared`];
  const found = [
    ...contentProblems(declaration, reply),
    ...headerProblems(declaration, namesOf(reply)),
  ];
  return found.map((problem) => `${status}: ${problem}`);
}

function watch(route: Route, problems: string[]): Route {
  const { method, path, responses, dependencies } = route;
  if (Object.keys(responses).length === 0) return route;
  const note = (reply: unknown, also: Responses = {}): void => {
    if (!isReply(reply)) return;
    const found = undeclared({ ...also, ...responses }, reply);
    problems.push(...found.map((problem) => `${method} ${path}: ${problem}`));
  };
  return {
    ...route,
    dependencies: dependencies.map((dependency) => watchDependency(dependency, note)),
    handler: (input, context) => observe(() => route.handler(input, context), note),
  };
}

function watchDependency(
  dependency: Dependency,
  note: (reply: unknown, also?: Responses) => void,
): Dependency {
  const noteOwn = (reply: unknown): void => note(reply, dependency.responses);
  const { admit, recheck } = dependency;
  const watched: Dependency = (context) => observe(() => dependency(context), noteOwn);
  return Object.assign(watched, dependency, {
    ...(admit && { admit: (context: never) => observe(() => admit(context), noteOwn) }),
    ...(recheck && { recheck: (context: never) => observe(() => recheck(context), noteOwn) }),
  });
}

/** Calls `action`, and `note` with what it returns, resolves to or throws. */
function observe<T>(action: () => T, note: (reply: unknown) => void): T {
  let result: T;
  try {
    result = action();
  } catch (error) {
    if (error instanceof HttpError) note(error);
    throw error;
  }
  if (!(result instanceof Promise)) {
    note(result);
    return result;
  }
  return result.then(
    (value: unknown) => {
      note(value);
      return value;
    },
    (error: unknown) => {
      if (error instanceof HttpError) note(error);
      throw error;
    },
  ) as T;
}

function isReply(value: unknown): value is Reply {
  return typeof value === "object" && value !== null && "status" in value && "headers" in value;
}

function contentProblems(declaration: ResponseDeclaration, reply: Reply): string[] {
  const { headers, body } = reply;
  const model = modelOf(declaration, reply);
  const expected = declaration.type ?? (model && "application/json");
  const actual = valueOf(headers, "content-type");
  if (withoutParameters(actual) !== withoutParameters(expected)) {
    return [`the type is ${actual}, not ${expected}`];
  }
  if (model === undefined || typeof body !== "string") return [];
  const problems = new Problems();
  const isJson = /[/+]json$/.test(withoutParameters(actual) ?? "");
  model.check(isJson ? JSON.parse(body) : body, ["body"], problems);
  return problems.list.map(({ loc, msg }) => `${loc.join(".")}: ${msg}`);
}

/** What the content must be if it is JSON. An error's is that of HttpError by default. */
function modelOf(
  { body, type }: ResponseDeclaration,
  { status }: Reply,
): Model<unknown> | undefined {
  if (body !== undefined || type !== undefined) return body;
  return status >= 400 ? ERROR : undefined;
}

const ERROR = object({ detail: string() });

function withoutParameters(type: string | undefined): string | undefined {
  return type?.split(";", 1)[0];
}

function headerProblems({ headers = {} }: ResponseDeclaration, names: readonly string[]): string[] {
  return Object.entries(headers)
    .filter(([name, { absent }]) => absent === undefined && !names.includes(name.toLowerCase()))
    .map(([name]) => `${name} is missing`);
}

function namesOf({ headers }: Reply): string[] {
  return headers.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase());
}

function valueOf(headers: readonly string[], name: string): string | undefined {
  const index = headers.findIndex((field, at) => at % 2 === 0 && field.toLowerCase() === name);
  return index === -1 ? undefined : headers[index + 1];
}
