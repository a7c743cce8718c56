import { PARAMETER, parsePath } from "../models/paths.ts";
import { METHODS } from "./node-modules.ts";
import type { Route } from "./route.ts";

/**
 * Throws an Error if a table of routes holds a mistake; it names the route, or both routes, and the
 * remedy. Two routes conflict if they have one method and path, or if some path fits the paths of
 * both, whatever their methods, and neither is the more literal one.
 */
export function checkTable(routes: readonly Route[]): void {
  for (const [index, route] of routes.entries()) {
    const problem = findMistake(route) ?? findConflict(routes, index);
    if (problem !== undefined) throw new Error(`${nameOf(routes, index)}: ${problem}`);
  }
}

const PATH_RULE =
  "the path must be /segments, each {name} or letters, digits and . _ ~ -, " +
  "without a slash at the end";

function segmentsOf({ path }: Route): readonly string[] {
  return parsePath(path)?.segments ?? [];
}

function nameOf(routes: readonly Route[], index: number): string {
  const { method, path } = routes[index] as Route;
  return `routes[${index}] ${method} ${path}`;
}

function findMistake(route: Route): string | undefined {
  const { method, path, body } = route;
  if (!METHODS.includes(method)) return "the method must be one of node:http's, in capitals";
  if (method === "HEAD") return "a GET route responds to HEAD, too";
  if (method === "CONNECT") return "CONNECT is for proxies";
  if (parsePath(path) === undefined) return PATH_RULE;
  if (method === "GET" && body !== undefined) return "a GET request has no body to check";
  return findUncallable(route) ?? findPathMistake(route) ?? findParameterMistake(route);
}

/** Types are not checked when the sources run as they are. */
function findUncallable({ handler, dependencies, body }: Route): string | undefined {
  const parts: unknown[] = [handler, ...dependencies];
  if (body !== undefined) parts.push(body.check);
  if (parts.every((part) => typeof part === "function")) return undefined;
  return "the handler, the body's check and each dependency must be functions";
}

function findPathMistake({ path, parameters }: Route): string | undefined {
  const names = parsePath(path)?.names ?? [];
  for (const [index, name] of names.entries()) {
    if (names.indexOf(name) !== index) return `the path has {${name}} twice`;
    if (!Object.hasOwn(parameters, name)) return `{${name}} must have a model in \`parameters\``;
    const { texts, absent } = parameters[name] ?? {};
    const isOne = texts === "last" && absent === undefined;
    if (!isOne) return `{${name}} must be one value that is not optional`;
  }
  return undefined;
}

function findParameterMistake({ parameters, body }: Route): string | undefined {
  for (const [name, { texts, check }] of Object.entries(parameters)) {
    const isModel = texts !== undefined && typeof check === "function";
    if (!isModel) return `the parameter ${name} must have a model of a text or of a list of texts`;
    if (name === "body" && body !== undefined) return "a parameter can't have the name of the body";
  }
  return undefined;
}

/** A conflict of the route at `index` with one before it. */
function findConflict(routes: readonly Route[], index: number): string | undefined {
  for (let earlier = 0; earlier < index; earlier += 1) {
    const problem = compare(routes[index] as Route, routes[earlier] as Route);
    if (problem !== undefined) return `${problem} ${nameOf(routes, earlier)}`;
  }
  return undefined;
}

function compare(one: Route, other: Route): string | undefined {
  if (one.path === other.path) {
    return one.method === other.method ? "the same method and path as" : undefined;
  }
  const segments = segmentsOf(one);
  const others = segmentsOf(other);
  if (segments.length !== others.length) return undefined;
  const pairs = segments.map((segment, index) => [segment, others[index]] as const);
  const different = pairs.filter(([left, right]) => left !== right);
  if (different.length === 0) return "the parameters must have the same names as in";
  const isDisjoint = different.some((pair) => !pair.includes(PARAMETER));
  const isWider = different.some(([segment]) => segment === PARAMETER);
  const isNarrower = different.some(([, segment]) => segment === PARAMETER);
  return !isDisjoint && isWider && isNarrower ? "some paths fit both this route and" : undefined;
}
