import { asObject, entriesOf, type JsonObject, valuesOf } from "./document.ts";
import { type Html, html, join, jsonHtml } from "./html.ts";

/**
 * The types that a schema (JSON Schema 2020-12, or OpenAPI 3.0) allows: `string (uuid) or null`. A
 * reference is a link and is not followed, so schemas that contain each other come to an end.
 */
export function describeType(schema: unknown): Html {
  const alternatives = typeAlternatives(asObject(schema));
  if (asObject(schema)["nullable"] === true) alternatives.push(html`null`);
  return join(alternatives.length === 0 ? ["any"] : alternatives, " or ");
}

/**
 * A table of the schema's properties, with those of objects inside it (`ctx.error`, `list[].name`).
 * undefined if it has none.
 */
export function propertyTable(schema: JsonObject): Html | undefined {
  const rows = propertyRows(schema, "");
  return rows.length === 0 ? undefined : html`<table>\n${rows}</table>`;
}

/** A row of a table: a name with a mark if it is required, a type, and a description. */
export function tableRow(
  name: string,
  isRequired: boolean,
  schema: unknown,
  description: unknown,
): Html {
  const mark = isRequired && html` <em>required</em>`;
  return html`<tr><th>${name}${mark}<td>${describeType(schema)}<td>${description}\n`;
}

function typeAlternatives(schema: JsonObject): Html[] {
  const { $ref, const: constant, enum: values, anyOf, oneOf, allOf } = schema;
  if ($ref !== undefined) return [referenceLink(String($ref))];
  if (constant !== undefined) return [literal(constant)];
  if (Array.isArray(values)) return values.map(literal);
  const variants = valuesOf(anyOf ?? oneOf).map(describeType);
  if (variants.length > 0) return variants;
  const parts = valuesOf(allOf).map(describeType);
  if (parts.length > 0) return [join(parts, " and ")];
  return namedTypes(schema);
}

function referenceLink(reference: string): Html {
  const name = reference.split("/").at(-1);
  return html`<a href="#${name}">${name}</a>`;
}

function literal(value: unknown): Html {
  return html`<code>${jsonHtml(value)}</code>`;
}

/** `type` is one name or a list of names. */
function namedTypes({ type = [], format, items }: JsonObject): Html[] {
  return [type].flat().map((name) => {
    if (name === "array") return html`array of ${describeType(items)}`;
    const hasFormat = format !== undefined && name !== "null";
    return hasFormat ? html`${name} (${format})` : html`${name}`;
  });
}

/** `prefix` is the way to the schema, with a dot at its end: `ctx.`. */
function propertyRows(schema: JsonObject, prefix: string): Html[] {
  const { properties, items, allOf, anyOf, oneOf } = schema;
  const rows: Html[] = [];
  for (const [name, property] of entriesOf(properties)) {
    const isRequired = [schema["required"]].flat().includes(name);
    rows.push(tableRow(prefix + name, isRequired, property, property["description"]));
    rows.push(...propertyRows(property, `${prefix}${name}.`));
  }
  for (const variant of [allOf, anyOf, oneOf].flatMap(valuesOf)) {
    rows.push(...propertyRows(variant, prefix));
  }
  if (items !== undefined) {
    rows.push(...propertyRows(asObject(items), `${prefix.replace(/\.$/, "")}[].`));
  }
  return rows;
}
