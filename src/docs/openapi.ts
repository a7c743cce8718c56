import type { Dependency, ResponseDeclaration, Responses, Route } from "../http/route.ts";
import { checkTable } from "../http/table.ts";
import type { Members, Model } from "../models/model.ts";
import { type Parameter, sortParameters } from "../models/parameters.ts";
import { Problems } from "../models/problems.ts";
import { BASE, HEADERS, RESPONSES, SCHEMAS, SECURITY_SCHEMES, TAGS } from "./base.ts";
import { Components } from "./components.ts";
import {
  asObject,
  type JsonObject,
  type OpenApiDocument,
  reasonPhrase,
  valuesOf,
} from "./document.ts";
import { sampleOf } from "./sample.ts";

/**
 * The OpenAPI 3.1 document of a route table: what the routes declare, and what the service adds to
 * each according to its kind. The names of operations are FastAPI's. Members that are undefined are
 * not written.
 *
 * Throws an Error that names the route and the remedy if the table holds a mistake, or if a
 * declaration has no place in a document.
 */
export function openApiDocument(routes: readonly Route[]): OpenApiDocument {
  checkTable(routes);
  const components = new Components({
    schemas: SCHEMAS,
    headers: HEADERS,
    securitySchemes: SECURITY_SCHEMES,
  });
  const listed = routes.filter(({ includeInSchema }) => includeInSchema);
  const paths: Record<string, Record<string, JsonObject>> = {};
  const ids = new Set<string>();
  for (const route of listed) {
    const { method, path } = route;
    try {
      addOnce(ids, operationIdOf(route));
      const operations = (paths[path] ??= {});
      operations[method.toLowerCase()] = operationOf(route, components);
    } catch (error) {
      throw new Error(`${method} ${path}: ${(error as Error).message}`, { cause: error });
    }
  }
  return { ...BASE, tags: describedTags(listed), paths, components: components.toJson() };
}

/** The methods that a path of a document can have. */
const METHODS: readonly string[] = ["GET", "PUT", "POST", "DELETE", "OPTIONS", "PATCH", "TRACE"];

function operationOf(route: Route, components: Components): JsonObject {
  const { method, summary, description, dependencies, body } = route;
  if (!METHODS.includes(method)) {
    throw new Error("OpenAPI has no such method: add includeInSchema: false");
  }
  const parameters = parametersOf(route, components);
  return {
    summary,
    description,
    operationId: operationIdOf(route),
    tags: tagsOf(route),
    security: securityOf(dependencies),
    parameters: parameters.length === 0 ? undefined : parameters,
    requestBody: body === undefined ? undefined : requestBodyOf(body, components),
    responses: responsesOf(route, components),
  };
}

/** As in FastAPI, with the group in place of the function's name, then the path and the method. */
function operationIdOf({ method, path }: Route): string {
  return `${groupOf(path)}${path}_${method.toLowerCase()}`.replace(/\W/g, "_");
}

function addOnce(ids: Set<string>, id: string): void {
  if (ids.has(id)) throw new Error(`another route has its operationId, ${id}: rename a segment`);
  ids.add(id);
}

/** The first segment of a path that is no parameter. */
function groupOf(path: string): string {
  return path.split("/").find((segment) => /^[^{]/.test(segment)) ?? "root";
}

function tagsOf({ path, tags }: Route): readonly string[] {
  return tags.length === 0 ? [groupOf(path)] : tags;
}

/** The tags of all operations, by name. */
function describedTags(routes: readonly Route[]): JsonObject[] {
  const names = new Set(routes.flatMap(tagsOf));
  return [...names].sort().map((name) => ({ name, description: memberOf(TAGS, name, "TAGS") }));
}

/** Every guard must let a request pass, so one requirement names all schemes. */
function securityOf(dependencies: readonly Dependency[]): JsonObject[] {
  const names = dependencies.flatMap(({ security }) => security ?? []);
  for (const name of names) memberOf(SECURITY_SCHEMES, name, "SECURITY_SCHEMES");
  return names.length === 0 ? [] : [Object.fromEntries(names.map((name) => [name, []]))];
}

function memberOf<T>(members: Readonly<Record<string, T>>, name: string, list: string): T {
  const member = Object.hasOwn(members, name) ? members[name] : undefined;
  if (member === undefined) throw new Error(`add ${name} to ${list} in src/docs/base.ts`);
  return member;
}

/** Those of the path come first. */
function parametersOf({ path, parameters }: Route, components: Components): JsonObject[] {
  const sets = sortParameters(path, parameters);
  return (["path", "query"] as const).flatMap((place) =>
    sets[place].map((parameter) => parameterOf(parameter, place, components)),
  );
}

function parameterOf(
  [name, { schema, absent }]: Parameter,
  place: string,
  components: Components,
): JsonObject {
  const { description: _, ...shown } = components.schema(schema);
  const isRequired = absent === undefined;
  return {
    name,
    in: place,
    required: isRequired,
    description: schema["description"],
    schema: shown,
  };
}

function requestBodyOf(model: Model<unknown>, components: Components): JsonObject {
  const { schema, absent } = model;
  const note = hasOpenObject(schema) ? " Members that are not listed are ignored." : "";
  return {
    description: `One JSON ${schema["type"] === "object" ? "object" : "value"} in UTF-8.${note}`,
    required: absent === undefined,
    content: {
      [JSON_TYPE]: { schema: components.schema(schema), example: exampleOf(model) },
    },
  };
}

/** Whether a value of the schema can hold an object that may have members it does not list. */
function hasOpenObject(schema: JsonObject): boolean {
  const { type, additionalProperties, properties, items, anyOf } = schema;
  if (type === "object" && additionalProperties !== false) return true;
  if (items !== undefined) return hasOpenObject(asObject(items));
  return [...valuesOf(properties), ...valuesOf(anyOf)].some(hasOpenObject);
}

/**
 * By status: those of the handler, those of dependencies, and those of the service. Of several for
 * one status the first in this order counts.
 */
function responsesOf(route: Route, components: Components): JsonObject {
  const responses = new Map<number, JsonObject>();
  for (const [status, response] of declarationsOf(route.responses)) {
    responses.set(status, describeResponse(status, response, components));
  }
  for (const dependency of route.dependencies) {
    for (const [status, response] of declarationsOf(dependency.responses)) {
      if (responses.has(status)) continue;
      const described = describeResponse(status, response, components);
      responses.set(status, shareResponse(status, described, components));
    }
  }
  for (const status of serviceStatuses(route)) {
    if (responses.has(status)) continue;
    responses.set(status, shareResponse(status, RESPONSES[status] as JsonObject, components));
  }
  return Object.fromEntries(responses);
}

function declarationsOf(responses: Responses = {}): [status: number, ResponseDeclaration][] {
  return Object.entries(responses).map(([status, response]) => [Number(status), response]);
}

/** The statuses that the service itself can give for a route. */
function serviceStatuses({ path, parameters, body, limited }: Route): number[] {
  const hasBody = body !== undefined;
  const statuses = [400, 408, 417, 431, 501, 505];
  if (path.includes("{")) statuses.push(404);
  if (hasBody) statuses.push(413, 415);
  if (hasBody || Object.keys(parameters).length > 0) statuses.push(422);
  if (hasBody || limited) statuses.push(503);
  return statuses;
}

/** The component's name is the reason phrase without blanks: `BadRequest`. */
function shareResponse(status: number, response: JsonObject, components: Components): JsonObject {
  const name = reasonPhrase(String(status))?.replace(/\W/g, "") ?? String(status);
  return components.share("responses", name, response);
}

function describeResponse(
  status: number,
  { description, headers = {}, ...content }: ResponseDeclaration,
  components: Components,
): JsonObject {
  return {
    description,
    headers: headersOf(headers, components),
    content: contentOf(status, content, components),
  };
}

/** The declared header fields, and the one that every response has. */
function headersOf(declared: Members, components: Components): JsonObject {
  const headers: Record<string, JsonObject> = {};
  for (const [name, { schema, absent }] of Object.entries(declared)) {
    const { description, ...shown } = schema;
    const required = absent === undefined;
    const header = { description, required, schema: components.schema(shown) };
    headers[name] = components.share("headers", name, header);
  }
  headers["X-Request-Id"] = { $ref: "#/components/headers/X-Request-Id" };
  return headers;
}

function contentOf(
  status: number,
  { body, type, example }: Omit<ResponseDeclaration, "description" | "headers">,
  components: Components,
): JsonObject | undefined {
  if (body !== undefined) {
    const isJson = type === undefined;
    const shown = isJson || example !== undefined ? exampleOf(body, example) : undefined;
    return { [type ?? JSON_TYPE]: { schema: components.schema(body.schema), example: shown } };
  }
  if (type !== undefined) return { [type]: { schema: { type: "string" }, example } };
  // Errors are those of HttpError if they declare nothing else.
  return status < 400 ? undefined : { [JSON_TYPE]: { schema: HTTP_ERROR, example } };
}

const JSON_TYPE = "application/json";

const HTTP_ERROR = { $ref: "#/components/schemas/HTTPError" };

/**
 * The declared example, or a sample that the model finds valid; undefined if there is none. Throws
 * an Error if the declared one is not valid.
 */
function exampleOf({ schema, check }: Model<unknown>, declared?: unknown): unknown {
  const example = declared ?? sampleOf({}, schema);
  const problems = new Problems();
  check(example, ["body"], problems);
  if (problems.isEmpty) return example;
  if (declared === undefined) return undefined;
  const [problem] = problems.list;
  throw new Error(`the example is not valid at ${problem?.loc.join(".")}: ${problem?.msg}`);
}
