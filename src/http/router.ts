import { METHODS } from "node:http";

import { HttpError } from "./reply.ts";
import type { Route } from "./route.ts";

/** The route for a method and a path, or the 404, 405 or 307 to answer; `query` is "" or starts with "?". */
export type Router = (method: string, path: string, query: string) => Route | HttpError;

/** Builds the router. Throws an Error that names both routes, or the one at fault, when the table holds a mistake. */
export function createRouter(routes: readonly Route[]): Router {
  const resources: Resources = new Map();
  routes.forEach((route, index) => {
    const { method, path } = route;
    const methods = resources.get(path) ?? new Map<string, Route>();
    const earlier = methods.get(method);
    const again =
      earlier && `the same method and path as routes[${routes.indexOf(earlier)}] ${method} ${path}`;
    const fault = faultOf(route) ?? again;
    if (fault !== undefined) throw new Error(`routes[${index}] ${method} ${path}: ${fault}`);
    resources.set(path, methods.set(method, route));
    if (method === "GET") methods.set("HEAD", route);
  });
  return (method, path, query) =>
    resources.get(path)?.get(method) ?? refusal(resources, path, query);
}

/** Splits a request target into path and query, in origin-form or absolute-form (RFC 9112 3.2); decodes nothing. */
export function splitTarget(target: string): { path: string; query: string } {
  const local = target.startsWith("/") ? target : target.replace(ORIGIN, "");
  const mark = local.indexOf("?");
  if (mark === -1) return { path: local || "/", query: "" };
  return { path: local.slice(0, mark) || "/", query: local.slice(mark) };
}

/** The routes by path and method; a GET route stands under HEAD too. */
type Resources = Map<string, Map<string, Route>>;

// absolute-form = scheme "://" authority path-abempty [ "?" query ]
const ORIGIN = /^https?:\/\/[^/?#]*/i;

// path = "/" / 1*( "/" 1*unreserved ): RFC 3986 without percent-encoding, sub-delims and dot segments
const PATH = /^(?:\/|(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._~-]+)+)$/;

const NOT_FOUND = new HttpError(404, "Not Found");

function faultOf({ method, path, dependencies, body, handler }: Route): string | undefined {
  if (!METHODS.includes(method)) return "the method must be one of node:http's, in capitals";
  if (method === "HEAD") return "HEAD is answered by the GET route";
  if (method === "CONNECT") return "CONNECT is for proxies";
  if (!PATH.test(path))
    return "the path must be /segments of letters, digits and . _ ~ -, without a slash at the end";
  if (method === "GET" && body !== undefined) return "a GET request has no body to check";
  // From source, nobody has checked the types.
  const isCallable = [handler, body ?? handler, ...dependencies].every(
    (part) => typeof part === "function",
  );
  if (!isCallable) return "the handler, the body's model and each dependency must be functions";
  return undefined;
}

/** The answer where a path has no route for the method, or none at all: without its last slash it may have one. */
function refusal(resources: Resources, path: string, query: string): HttpError {
  const methods = resources.get(path)?.keys();
  if (methods !== undefined)
    return new HttpError(405, "Method Not Allowed", ["Allow", [...methods].sort().join(", ")]);
  const bare = path.slice(0, -1);
  if (!path.endsWith("/") || !resources.has(bare)) return NOT_FOUND;
  // Relative, so that neither the client's Host nor a prefix that a proxy strips matters.
  const location = `..${bare.slice(bare.lastIndexOf("/"))}${query}`;
  return new HttpError(307, "Temporary Redirect", ["Location", location]);
}
