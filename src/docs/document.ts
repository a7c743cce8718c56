import { METHODS } from "node:http";

/** An object of the document. Its members are read as OpenAPI 3.1 has them; what is missing or odd shows as nothing. */
export type Part = Readonly<Record<string, unknown>>;

/** An OpenAPI 3.1 document. */
export type OpenApiDocument = Part;

/** One method of one path. */
export type Operation = Part & { readonly method: string; readonly path: string };

/** `value`, if it is an object; else one without members. */
export function partOf(value: unknown): Part {
  return typeof value === "object" && value !== null ? (value as Part) : {};
}

/** The members of an object with their names, or the items of a list with their indexes; none of anything else. */
export function membersOf(value: unknown): [string, Part][] {
  return Object.entries(partOf(value)).map(([name, member]) => [name, partOf(member)]);
}

/** Every operation of the document, in its order. */
export function operationsOf({ paths }: OpenApiDocument): Operation[] {
  return membersOf(paths).flatMap(([path, item]) =>
    membersOf(item)
      .map(([name, operation]) => ({ ...operation, method: name.toUpperCase(), path }))
      .filter(({ method }) => METHODS.includes(method)),
  );
}

/**
 * `value` as an object of the document, or what its `$ref` stands for: a component, by its path in the document.
 * Throws an Error that shows a `$ref` which leads nowhere or in a circle.
 */
export function resolve(document: OpenApiDocument, value: unknown): Part {
  let target: Part | undefined = partOf(value);
  for (let hops = 0; target !== undefined && hops < 9; hops++) {
    if (!("$ref" in target)) return target;
    const [start, ...names]: string[] = String(target["$ref"]).split("/");
    const step = (parent: Part | undefined, name: string): Part | undefined => new Map(membersOf(parent)).get(name);
    target = start === "#" ? names.reduce(step, document) : undefined;
  }
  throw new Error(`The OpenAPI document has no ${JSON.stringify(value)}`);
}
