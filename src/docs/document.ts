import { METHODS } from "node:http";

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
