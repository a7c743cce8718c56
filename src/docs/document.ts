import { METHODS, STATUS_CODES } from "../http/node-modules.ts";

/** An object of the document, by the names of its members. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** An OpenAPI 3.1 document. A member that is missing or malformed is read as an empty one. */
export type OpenApiDocument = JsonObject;

/** An operation of the document, with where it was found. */
export type Operation = JsonObject & {
  /** In capitals, as in a request. */
  readonly method: string;
  /** With its parameters in braces. */
  readonly path: string;
};

/** A parameter of an operation. */
export interface Parameter {
  readonly name: string;
  /** `path`, `query`, `header` or `cookie`. */
  readonly place: string;
  readonly isRequired: boolean;
  readonly schema: unknown;
  /** A text, if there is one. */
  readonly description: unknown;
  /** A value to start from; undefined if there is none. */
  readonly example: unknown;
}

/** `value` if it is an object; else an object without members. */
export function asObject(value: unknown): JsonObject {
  return typeof value === "object" && value !== null ? (value as JsonObject) : {};
}

/** The members of an object with their names, or the items of a list with their indices. */
export function entriesOf(value: unknown): [string, JsonObject][] {
  return Object.entries(asObject(value)).map(([name, member]) => [name, asObject(member)]);
}

/** The members of an object, or the items of a list, without their names. */
export function valuesOf(value: unknown): JsonObject[] {
  return Object.values(asObject(value)).map(asObject);
}

/** Every operation, in the document's order. */
export function operationsOf({ paths }: OpenApiDocument): Operation[] {
  const operations: Operation[] = [];
  for (const [path, item] of entriesOf(paths)) {
    for (const [name, operation] of entriesOf(item)) {
      const method = name.toUpperCase();
      // A path has other members too: `parameters`, `summary`, …
      if (METHODS.includes(method)) operations.push({ ...operation, method, path });
    }
  }
  return operations;
}

/**
 * `value` as an object. If it is a reference, the object that it leads to: `{ $ref: "#/a/b" }`
 * leads to the member `b` of the document's member `a`.
 *
 * Throws an Error that shows the reference if it leads nowhere or in a circle.
 */
export function resolve(document: OpenApiDocument, value: unknown): JsonObject {
  let object = asObject(value);
  for (let depth = 0; "$ref" in object; depth++) {
    const target = depth < MAX_REFERENCES ? follow(document, String(object["$ref"])) : undefined;
    if (target === undefined) {
      throw new Error(`The OpenAPI document has no ${JSON.stringify(object)}`);
    }
    object = target;
  }
  return object;
}

/**
 * The operation's parameters, in the document's order.
 *
 * Throws an Error that shows a `$ref` which leads nowhere.
 */
export function parametersOf(document: OpenApiDocument, operation: Operation): Parameter[] {
  return valuesOf(operation["parameters"]).map((value) => {
    const parameter = resolve(document, value);
    const { examples } = resolve(document, parameter["schema"]);
    return {
      name: String(parameter["name"]),
      place: String(parameter["in"]),
      isRequired: parameter["required"] === true,
      schema: parameter["schema"],
      description: parameter["description"],
      example: examplesOf(parameter)[0]?.["value"] ?? [examples].flat()[0],
    };
  });
}

/**
 * The examples of a parameter or of a media type, as OpenAPI's Example Objects. The only one has
 * no summary.
 */
export function examplesOf({ example, examples }: JsonObject): JsonObject[] {
  if (example !== undefined) return [{ value: example }];
  return valuesOf(examples);
}

/** The reason phrase of a status, as in RFC 9110 15; undefined if it has none. */
export function reasonPhrase(status: string): string | undefined {
  return PHRASES[status] ?? STATUS_CODES[status];
}

/** Reason phrases that differ from Node's. */
const PHRASES: Readonly<Record<string, string>> = {
  413: "Content Too Large",
  422: "Unprocessable Content",
};

/** The most references that may follow each other: more are taken for a circle. */
const MAX_REFERENCES = 9;

function follow(document: OpenApiDocument, reference: string): JsonObject | undefined {
  const [start, ...names] = reference.split("/");
  if (start !== "#") return undefined;
  let target = document;
  for (const name of names) {
    if (!Object.hasOwn(target, name)) return undefined;
    target = asObject(target[name]);
  }
  return target;
}
