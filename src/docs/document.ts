import { METHODS } from "node:http";

import { type Html, html, join, json } from "./html.ts";

/** An object of the document. Its members are read as OpenAPI 3.1 has them; what is missing or odd shows as nothing. */
export type Part = Readonly<Record<string, unknown>>;

/** An OpenAPI 3.1 document. */
export type OpenApiDocument = Part;

/** One method of one path. */
export type Operation = Part & { readonly method: string; readonly path: string };

/** `value`, if it is an object; else one without members. */
export const partOf = (value: unknown): Part =>
  typeof value === "object" && value !== null ? (value as Part) : {};

/** The members of an object with their names, or the items of a list with their indexes; none of anything else. */
export const membersOf = (value: unknown): [string, Part][] =>
  Object.entries(partOf(value)).map(([name, member]) => [name, partOf(member)]);

/** Every operation of the document, in its order. */
export const operationsOf = ({ paths }: OpenApiDocument): Operation[] =>
  membersOf(paths).flatMap(([path, item]) => {
    const all = membersOf(item).map(([name, operation]) => ({
      ...operation,
      method: name.toUpperCase(),
      path,
    }));
    return all.filter(({ method }) => METHODS.includes(method));
  });

/**
 * `value` as an object of the document, or what its `$ref` stands for: a component, by its path in the document.
 * Throws an Error that shows a `$ref` which leads nowhere or in a circle. `hops`: how many have been followed.
 */
export function resolve(document: OpenApiDocument, value: unknown, hops = 0): Part {
  const part = partOf(value);
  if (!("$ref" in part)) return part;
  const [start, ...names] = String(part["$ref"]).split("/");
  const step = (parent: Part | undefined, name: string): Part | undefined =>
    new Map(membersOf(parent)).get(name);
  const target =
    start === "#" && hops < 9 ? names.reduce<Part | undefined>(step, document) : undefined;
  if (target === undefined) throw new Error(`The OpenAPI document has no ${JSON.stringify(value)}`);
  return resolve(document, target, hops + 1);
}

/** What a schema (JSON Schema 2020-12, OpenAPI 3.0) allows, in words; a reference is a link, so that a cycle ends. */
export function typeOf(schema: unknown): Html {
  const types = alternatives(partOf(schema));
  if (partOf(schema)["nullable"] === true) types.push("null");
  return join(types.length === 0 ? ["any"] : types, " or ");
}

/** A table of the schema's properties, those of objects inside it too (`ctx.error`, `list[].name`); else nothing. */
export function propertyTable(schema: Part): Html | undefined {
  const rows = propertyRows(schema, "");
  return rows.length === 0 ? undefined : html`<table>\n${rows}</table>`;
}

/** A row of a table: a name with its mark where it is required, a type and its meaning. */
export function row(name: string, required: unknown, schema: unknown, meaning: unknown): Html {
  const mark = required === true && html` <em>required</em>`;
  return html`<tr><th>${name}${mark}<td>${typeOf(schema)}<td>${meaning}\n`;
}

function alternatives(schema: Part): unknown[] {
  const { $ref, type = [], format, items, allOf, oneOf, anyOf = oneOf } = schema;
  const values = "const" in schema ? [schema["const"]] : schema["enum"];
  const name = String($ref).split("/").at(-1);
  if ($ref !== undefined) return [html`<a href="#${name}">${name}</a>`];
  if (Array.isArray(values)) return values.map((value) => html`<code>${json(value)}</code>`);
  const variants = membersOf(anyOf ?? allOf).map(([, variant]) => typeOf(variant));
  if (variants.length > 0) return anyOf === undefined ? [join(variants, " and ")] : variants;
  return [type].flat().map((each) => {
    if (each === "array") return html`array of ${typeOf(items)}`;
    return html`${each}${format !== undefined && each !== "null" && [" (", format, ")"]}`;
  });
}

function propertyRows(schema: Part, prefix: string): Html[] {
  const { properties, required, items, allOf, anyOf, oneOf } = schema;
  const own = membersOf(properties).flatMap(([name, property]) => [
    row(prefix + name, [required].flat().includes(name), property, property["description"]),
    ...propertyRows(property, `${prefix}${name}.`),
  ]);
  const variants = [allOf, anyOf, oneOf]
    .flatMap(membersOf)
    .flatMap(([, variant]) => propertyRows(variant, prefix));
  const inner =
    items === undefined ? [] : propertyRows(partOf(items), `${prefix.replace(/\.$/, "")}[].`);
  return [...own, ...variants, ...inner];
}
