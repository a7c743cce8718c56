import { asObject, entriesOf, type JsonObject, valuesOf } from "./document.ts";
import { type Html, html, join, jsonHtml } from "./html.ts";

/**
 * The types that a schema (JSON Schema 2020-12, or OpenAPI 3.0) allows, with their bounds and the
 * default: `integer (at least 0, at most 9), default 5`. A reference is a link and is not followed,
 * so schemas that contain each other come to an end.
 */
export function describeType(schema: unknown): Html {
  const object = asObject(schema);
  const alternatives = typeAlternatives(object);
  if (object["nullable"] === true) alternatives.push(html`null`);
  const type = join(alternatives.length === 0 ? ["any"] : alternatives, " or ");
  return "default" in object ? html`${type}, default ${literal(object["default"])}` : type;
}

/**
 * A table of the schema's properties, with those of objects inside it (`ctx.error`, `list[].name`).
 * undefined if it has none.
 */
export function propertyTable(schema: JsonObject): Html | undefined {
  return table(propertyRows(schema, ""));
}

/** The identifier on the page of the component that a reference leads to: `schemas/Job`. */
export function componentId(reference: string): string {
  return reference.replace("#/components/", "");
}

/** A table of rows; undefined if there are none. */
export function table(rows: readonly Html[]): Html | undefined {
  return rows.length === 0 ? undefined : html`<table>\n${rows}</table>`;
}

/** A row of a table. `note` stands behind the name: whether it is required, say. */
export function tableRow(name: string, note: string, schema: unknown, description: unknown): Html {
  const mark = note !== "" && html` <em>${note}</em>`;
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
  return html`<a href="#${componentId(reference)}">${reference.split("/").at(-1)}</a>`;
}

function literal(value: unknown): Html {
  return html`<code>${jsonHtml(value)}</code>`;
}

/** `type` is one name or a list of names. */
function namedTypes(schema: JsonObject): Html[] {
  const { type = [], items } = schema;
  const bounds = describeBounds(schema);
  return [type].flat().map((name) => {
    if (name === "null") return html`null`;
    const words = name === "array" ? html`array of ${describeType(items)}` : name;
    return bounds.length === 0 ? html`${words}` : html`${words} (${join(bounds, ", ")})`;
  });
}

/** How the keywords of JSON Schema that limit a value read; `#` stands for the limit. */
const BOUNDS: Readonly<Record<string, string>> = {
  format: "#",
  minimum: "at least #",
  exclusiveMinimum: "more than #",
  maximum: "at most #",
  exclusiveMaximum: "less than #",
  multipleOf: "a multiple of #",
  minLength: "# or more characters",
  maxLength: "up to # characters",
  pattern: "pattern #",
  minItems: "# or more items",
  maxItems: "up to # items",
};

function describeBounds(schema: JsonObject): string[] {
  const bounds: string[] = [];
  for (const [keyword, words] of Object.entries(BOUNDS)) {
    const limit = schema[keyword];
    const isLimit = typeof limit === "string" || typeof limit === "number";
    // Every integer has these bounds: JSON.parse rounds larger ones.
    const isOfAll = Math.abs(Number(limit)) === Number.MAX_SAFE_INTEGER;
    if (isLimit && !isOfAll) bounds.push(words.replace("#", () => String(limit)));
  }
  return bounds;
}

/** `prefix` is the way to the schema, with a dot at its end: `ctx.`. */
function propertyRows(schema: JsonObject, prefix: string): Html[] {
  const { properties, items, allOf, anyOf, oneOf } = schema;
  const required = [schema["required"]].flat();
  const rows: Html[] = [];
  for (const [name, property] of entriesOf(properties)) {
    const note = required.includes(name) ? "required" : "";
    rows.push(tableRow(prefix + name, note, property, property["description"]));
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
