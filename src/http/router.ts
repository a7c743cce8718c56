import { type ParameterSets, sortParameters } from "../models/parameters.ts";
import { decodeSegment, PARAMETER, parsePath } from "../models/paths.ts";
import { HttpError } from "./reply.ts";
import type { Route } from "./route.ts";
import { checkTable } from "./table.ts";

/**
 * Finds the route for a method and a path, or the 404, 405 or 307 to respond with. `query` is empty
 * or starts with "?".
 */
export type Router = (method: string, path: string, query: string) => Match | HttpError;

/** The route for a request. */
export interface Match {
  readonly route: Route;
  readonly parameters: ParameterSets;
  /** The texts of the path's parameters, percent-decoded. */
  readonly texts: readonly string[];
}

/**
 * Builds the router. Throws an Error if the table holds a mistake; it names the route, or both
 * routes, and the remedy.
 *
 * A path without parameters takes one look-up. Any other takes one more for each arrangement of
 * literal segments and parameters that the routes have. A path is one resource: it has the methods
 * of the most literal route that it fits, and no others.
 */
export function createRouter(routes: readonly Route[]): Router {
  checkTable(routes);
  const table = new RouteTable(routes);
  return (method, path, query) => {
    const resource = table.find(path);
    if (resource === undefined) return redirectOrNotFound(table, path, query);
    const { methods, texts } = resource;
    const match = methods.get(method);
    if (match === undefined) return methodNotAllowed(methods);
    return texts === NO_TEXTS ? match : { ...match, texts };
  };
}

/** What a path stands for. */
interface Resource {
  /** A GET route also stands under HEAD. */
  readonly methods: Map<string, Match>;
  readonly texts: readonly string[];
}

/** Paths whose parameters are the same segments. */
interface Shape {
  /** For each segment whether it is a parameter; the first one is what precedes the first "/". */
  readonly mask: readonly boolean[];
  /** By their paths, with PARAMETER for each parameter. */
  readonly resources: Map<string, Resource>;
}

const NO_TEXTS: readonly string[] = [];

class RouteTable {
  readonly #literal = new Map<string, Resource>();
  /** Those with fewer parameters first. */
  readonly #shapes: Shape[] = [];
  /** The number of segments of the longest path with parameters. */
  #longest = 0;

  constructor(routes: readonly Route[]) {
    for (const route of routes) this.#add(route);
    const parameterCount = ({ mask }: Shape): number => mask.filter(Boolean).length;
    this.#shapes.sort((one, other) => parameterCount(one) - parameterCount(other));
  }

  /** The resource of a request's path. */
  find(path: string): Resource | undefined {
    const literal = this.#literal.get(path);
    if (literal !== undefined || this.#longest === 0) return literal;
    const segments = path.split("/", this.#longest + 1);
    for (const { mask, resources } of this.#shapes) {
      if (mask.length !== segments.length) continue;
      const resource = resources.get(keyOf(segments, mask));
      if (resource !== undefined) return withTexts(resource, segments, mask);
    }
    return undefined;
  }

  #add(route: Route): void {
    const { method, path } = route;
    const { methods } = this.#resourceFor(path);
    const parameters = sortParameters(path, route.parameters);
    const match = { route, parameters, texts: NO_TEXTS };
    methods.set(method, match);
    if (method === "GET") methods.set("HEAD", match);
  }

  #resourceFor(path: string): Resource {
    const segments = ["", ...(parsePath(path)?.segments ?? [])];
    const mask = segments.map((segment) => segment === PARAMETER);
    const isLiteral = !mask.includes(true);
    const resources = isLiteral ? this.#literal : this.#shapeFor(mask).resources;
    const key = isLiteral ? path : segments.join("/");
    const resource = resources.get(key) ?? { methods: new Map(), texts: NO_TEXTS };
    resources.set(key, resource);
    return resource;
  }

  #shapeFor(mask: readonly boolean[]): Shape {
    const found = this.#shapes.find((shape) => String(shape.mask) === String(mask));
    if (found !== undefined) return found;
    const shape = { mask, resources: new Map<string, Resource>() };
    this.#shapes.push(shape);
    this.#longest = Math.max(this.#longest, mask.length);
    return shape;
  }
}

function keyOf(segments: readonly string[], mask: readonly boolean[]): string {
  return segments.map((segment, index) => (mask[index] ? PARAMETER : segment)).join("/");
}

/** The resource with the texts of its parameters; undefined if one of them matches nothing. */
function withTexts(
  { methods }: Resource,
  segments: readonly string[],
  mask: readonly boolean[],
): Resource | undefined {
  const texts: string[] = [];
  for (const [index, segment] of segments.entries()) {
    if (!mask[index]) continue;
    const text = decodeSegment(segment);
    if (text === undefined) return undefined;
    texts.push(text);
  }
  return { methods, texts };
}

const NOT_FOUND = new HttpError(404, "Not Found");

function redirectOrNotFound(table: RouteTable, path: string, query: string): HttpError {
  const withoutSlash = path.slice(0, -1);
  if (!path.endsWith("/") || table.find(withoutSlash) === undefined) return NOT_FOUND;
  // Relative, so that it depends neither on the client's Host nor on a prefix that a proxy strips.
  const location = `..${withoutSlash.slice(withoutSlash.lastIndexOf("/"))}${query}`;
  return new HttpError(307, "Temporary Redirect", ["Location", location]);
}

function methodNotAllowed(methods: Map<string, Match>): HttpError {
  const allowed = [...methods.keys()].sort().join(", ");
  return new HttpError(405, "Method Not Allowed", ["Allow", allowed]);
}
