import { METHODS } from "node:http";

import { HttpError } from "./error.ts";
import type { Route } from "./route.ts";

/** Finds the route of a request. */
export interface Router {
  /** The route for a method and a path, or the 404, 405 or 307 to answer; `query` is "" or starts with "?". */
  match(method: string, path: string, query: string): Route | HttpError;
}

/** Builds the router. Throws an Error that names both routes, or the one at fault, when the table holds a mistake. */
export function createRouter(routes: readonly Route[]): Router {
  const resources = new Map<string, Resource>();
  routes.forEach((route, index) => addRoute(resources, route, `routes[${index}] ${route.method} ${route.path}`));
  for (const resource of resources.values()) {
    const allow = [...resource.routes.keys()].sort().join(", ");
    resource.notAllowed = new HttpError(405, "Method Not Allowed", ["Allow", allow]);
  }
  return {
    match(method, path, query) {
      const resource = resources.get(path);
      if (resource === undefined) return elsewhere(resources, path, query);
      return resource.routes.get(method) ?? resource.notAllowed;
    },
  };
}

/** Splits a request target into path and query, in origin-form or absolute-form (RFC 9112 3.2); decodes nothing. */
export function splitTarget(target: string): { path: string; query: string } {
  const local = target.startsWith("/") ? target : target.replace(ORIGIN, "");
  const mark = local.indexOf("?");
  if (mark === -1) return { path: local || "/", query: "" };
  return { path: local.slice(0, mark) || "/", query: local.slice(mark) };
}

/** All that is known of one path. */
interface Resource {
  /** By method; a GET route stands under HEAD too. */
  readonly routes: Map<string, Route>;
  /** By method, where the route was declared. */
  readonly places: Map<string, string>;
  notAllowed: HttpError;
}

// absolute-form = scheme "://" authority path-abempty [ "?" query ]
const ORIGIN = /^https?:\/\/[^/?#]*/i;

// path = "/" / 1*( "/" 1*unreserved ): RFC 3986 without percent-encoding, sub-delims and dot segments
const PATH = /^(?:\/|(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._~-]+)+)$/;

const NOT_FOUND = new HttpError(404, "Not Found");

function addRoute(resources: Map<string, Resource>, route: Route, place: string): void {
  const fault = faultOf(route);
  if (fault !== undefined) throw new Error(`${place}: ${fault}`);
  let resource = resources.get(route.path);
  if (resource === undefined) {
    resource = { routes: new Map(), places: new Map(), notAllowed: NOT_FOUND };
    resources.set(route.path, resource);
  }
  const earlier = resource.places.get(route.method);
  if (earlier !== undefined) throw new Error(`${place}: the same method and path as ${earlier}`);
  resource.places.set(route.method, place);
  resource.routes.set(route.method, route);
  if (route.method === "GET") resource.routes.set("HEAD", route);
}

function faultOf({ method, path, dependencies, body, handler }: Route): string | undefined {
  if (!METHODS.includes(method)) return "the method must be one of node:http's, in capitals";
  if (method === "HEAD") return "HEAD is answered by the GET route";
  if (method === "CONNECT") return "CONNECT is for proxies";
  if (!PATH.test(path)) return "the path must be /segments of letters, digits and . _ ~ -, without a slash at the end";
  if (method === "GET" && body !== undefined) return "a GET request has no body to check";
  if (body !== undefined && typeof body !== "function") return "the body must be a model";
  if (typeof handler !== "function") return "the handler must be a function";
  if (!dependencies.every((dependency) => typeof dependency === "function")) return "a dependency must be a function";
  return undefined;
}

/** The answer for a path that has no route: its spelling without the last slash may have one. */
function elsewhere(resources: Map<string, Resource>, path: string, query: string): HttpError {
  const bare = path.slice(0, -1);
  if (!path.endsWith("/") || !resources.has(bare)) return NOT_FOUND;
  // Relative, so that neither the client's Host nor a prefix that a proxy strips matters.
  const location = `..${bare.slice(bare.lastIndexOf("/"))}${query}`;
  return new HttpError(307, "Temporary Redirect", ["Location", location]);
}
