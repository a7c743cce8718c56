import { METHODS } from "node:http";

import { HttpError } from "./reply.ts";
import type { Route } from "./route.ts";

/**
 * Finds the route for a method and a path, or the 404, 405 or 307 to respond with. `query` is empty
 * or starts with "?".
 */
export type Router = (method: string, path: string, query: string) => Route | HttpError;

/**
 * Builds the router. Throws an Error if the table holds a mistake; it names the route, or both
 * routes, and the remedy.
 */
export function createRouter(routes: readonly Route[]): Router {
  const resources: Resources = new Map();
  for (const [index, route] of routes.entries()) {
    const { method, path } = route;
    const methods = resources.get(path) ?? new Map<string, Route>();
    const problem = findMistake(route) ?? findDuplicate(routes, methods.get(method));
    if (problem !== undefined) throw new Error(`routes[${index}] ${method} ${path}: ${problem}`);
    methods.set(method, route);
    if (method === "GET") methods.set("HEAD", route);
    resources.set(path, methods);
  }
  return (method, path, query) =>
    resources.get(path)?.get(method) ?? noRouteReply(resources, path, query);
}

/** The routes by path, then by method. A GET route also stands under HEAD. */
type Resources = Map<string, Map<string, Route>>;

// path = "/" / 1*( "/" 1*unreserved ): RFC 3986 without percent-encoding, sub-delims, dot segments
const PATH = /^(?:\/|(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._~-]+)+)$/;

const NOT_FOUND = new HttpError(404, "Not Found");

function findMistake({ method, path, dependencies, body, handler }: Route): string | undefined {
  if (!METHODS.includes(method)) return "the method must be one of node:http's, in capitals";
  if (method === "HEAD") return "a GET route responds to HEAD, too";
  if (method === "CONNECT") return "CONNECT is for proxies";
  if (!PATH.test(path)) {
    return "the path must be /segments of letters, digits and . _ ~ -, without a slash at the end";
  }
  if (method === "GET" && body !== undefined) return "a GET request has no body to check";
  // Types are not checked when the sources run as they are.
  const parts: unknown[] = [handler, ...dependencies];
  if (body !== undefined) parts.push(body.check);
  if (!parts.every((part) => typeof part === "function")) {
    return "the handler, the body's check and each dependency must be functions";
  }
  return undefined;
}

function findDuplicate(routes: readonly Route[], earlier: Route | undefined): string | undefined {
  if (earlier === undefined) return undefined;
  const { method, path } = earlier;
  return `the same method and path as routes[${routes.indexOf(earlier)}] ${method} ${path}`;
}

/** The response if no route has this path and method. */
function noRouteReply(resources: Resources, path: string, query: string): HttpError {
  const methods = resources.get(path);
  if (methods !== undefined) {
    const allowed = [...methods.keys()].sort().join(", ");
    return new HttpError(405, "Method Not Allowed", ["Allow", allowed]);
  }
  const withoutSlash = path.slice(0, -1);
  if (!path.endsWith("/") || !resources.has(withoutSlash)) return NOT_FOUND;
  // Relative, so that it depends neither on the client's Host nor on a prefix that a proxy strips.
  const location = `..${withoutSlash.slice(withoutSlash.lastIndexOf("/"))}${query}`;
  return new HttpError(307, "Temporary Redirect", ["Location", location]);
}
