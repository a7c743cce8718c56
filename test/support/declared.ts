import { HttpError, type Reply } from "../../src/http/reply.ts";
import type {
  Context,
  Dependency,
  ResponseDeclaration,
  Responses,
  Route,
} from "../../src/http/route.ts";
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

/**
 * What is wrong with a reply of a route, by these declarations; empty if nothing is. `added` are
 * the header fields that were added to whatever the response would be: names and values in turn.
 */
export function undeclared(
  responses: Responses,
  reply: Reply,
  added: readonly string[] = [],
): string[] {
  const { status } = reply;
  const declaration = responses[status];
  if (declaration === undefined) return [`${status} is not declared`];
  const found = [
    ...contentProblems(declaration, reply),
    ...headerProblems(declaration, [...reply.headers, ...added]),
  ];
  return found.map((problem) => `${status}: ${problem}`);
}

function watch(route: Route, problems: string[]): Route {
  const { method, path, responses, dependencies } = route;
  if (Object.keys(responses).length === 0) return route;
  const note = (reply: unknown, context: Context, also: Responses = {}): void => {
    if (!isReply(reply)) return;
    const found = undeclared({ ...also, ...responses }, reply, addedTo(context));
    problems.push(...found.map((problem) => `${method} ${path}: ${problem}`));
  };
  return {
    ...route,
    dependencies: dependencies.map((dependency) => watchDependency(dependency, note)),
    handler: (input, context) => {
      addedTo(context);
      return observe(
        () => route.handler(input, context),
        (reply) => note(reply, context),
      );
    },
  };
}

function watchDependency(
  dependency: Dependency,
  note: (reply: unknown, context: Context, also?: Responses) => void,
): Dependency {
  const watchCheck =
    <T>(check: (context: Context) => T) =>
    (context: Context): T => {
      addedTo(context);
      return observe(
        () => check(context),
        (reply) => note(reply, context, dependency.responses),
      );
    };
  const { admit, recheck } = dependency;
  const watched: Dependency = watchCheck(dependency);
  return Object.assign(watched, dependency, {
    ...(admit && { admit: watchCheck(admit) }),
    ...(recheck && { recheck: watchCheck(recheck) }),
  });
}

/** The header fields added to contexts that have been looked at: names and values in turn. */
const ADDED = new WeakMap<Context, string[]>();

/** What has been added to the response of a context since this was first called. */
function addedTo(context: Context): readonly string[] {
  const known = ADDED.get(context);
  if (known !== undefined) return known;
  const added: string[] = [];
  ADDED.set(context, added);
  const { addHeader } = context;
  Object.assign(context, {
    addHeader: (name: string, value: string) => {
      addHeader.call(context, name, value);
      added.push(name, value);
    },
  });
  return added;
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
  const content: unknown = isJson ? JSON.parse(body) : body;
  const value = model.check(content, ["body"], problems);
  if (!problems.isEmpty) return problems.list.map(({ loc, msg }) => `${loc.join(".")}: ${msg}`);
  return undeclaredMembers(content, value, "body").map((place) => `${place} is not declared`);
}

/** The members of a content, in depth, that a model has left out of its value. */
function undeclaredMembers(content: unknown, value: unknown, place: string): string[] {
  if (typeof content !== "object" || content === null) return [];
  return Object.entries(content).flatMap(([name, member]) => {
    const path = `${place}.${name}`;
    const declared = value as Readonly<Record<string, unknown>>;
    return name in declared ? undeclaredMembers(member, declared[name], path) : [path];
  });
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

function headerProblems(
  { headers = {} }: ResponseDeclaration,
  fields: readonly string[],
): string[] {
  return Object.entries(headers).flatMap(([name, { check, absent }]) => {
    const value = valueOf(fields, name.toLowerCase());
    if (value === undefined) return absent === undefined ? [`${name} is missing`] : [];
    const problems = new Problems();
    check(value, ["header", name], problems);
    return problems.list.map(({ msg }) => `${name}: ${msg}`);
  });
}

function valueOf(headers: readonly string[], name: string): string | undefined {
  const index = headers.findIndex((field, at) => at % 2 === 0 && field.toLowerCase() === name);
  return index === -1 ? undefined : headers[index + 1];
}
