import { type Html, html, join, text } from "./html.ts";

/** The part of JSON Schema 2020-12, and of OpenAPI 3.0, that the page shows. */
export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly format?: string;
  readonly nullable?: boolean;
  readonly description?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly items?: Schema | boolean;
  readonly properties?: Readonly<Record<string, Schema | boolean>>;
  readonly required?: readonly string[];
  readonly allOf?: readonly (Schema | boolean)[];
  readonly anyOf?: readonly (Schema | boolean)[];
  readonly oneOf?: readonly (Schema | boolean)[];
}

/** The schema's type in words; a reference is a link, so that a cycle ends here. */
export function typeOf(schema: Schema | boolean = true): Html {
  if (typeof schema === "boolean") return html`${schema ? "any" : "nothing"}`;
  const types = alternatives(schema);
  if (schema.nullable === true) types.push(html`null`);
  return types.length === 0 ? html`any` : join(types, " or ");
}

/** A table of the schema's properties, those of objects inside it too (`ctx.error`, `list[].name`); else nothing. */
export function propertyTable(schema: Schema): Html | undefined {
  const rows = propertyRows(schema, "");
  return rows.length === 0 ? undefined : html`<table>\n${rows}</table>`;
}

/** A row of a table: a name with its mark where it is required, a type and its meaning. */
export function row(name: string, required: boolean | undefined, type: Html, meaning: string | undefined): Html {
  const mark = required && html` <em>required</em>`;
  return html`<tr><th>${name}${mark}</th><td>${type}</td><td>${meaning}</td></tr>\n`;
}

/** A value as JSON with two blanks per level; a short array or object stands on one line. */
export function pretty(value: unknown, indent: string = ""): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "";
  const deeper = indent + "  ";
  const items = Array.isArray(value)
    ? value.map((item) => pretty(item, deeper))
    : Object.entries(value).map(([name, item]) => `${JSON.stringify(name)}: ${pretty(item, deeper)}`);
  const [open, close, blank] = Array.isArray(value) ? ["[", "]", ""] : ["{", "}", " "];
  if (items.length === 0) return open + close;
  const line = items.join(", ");
  if (line.length <= 60 && !line.includes("\n")) return open + blank + line + blank + close;
  return `${open}\n${deeper}${items.join(`,\n${deeper}`)}\n${indent}${close}`;
}

function alternatives(schema: Schema): Html[] {
  const { $ref, allOf, anyOf = schema.oneOf, type = [], format } = schema;
  if ($ref !== undefined) return [reference($ref)];
  const values = "const" in schema ? [schema.const] : schema.enum;
  if (values !== undefined) return values.map((value) => html`<code>${text(JSON.stringify(value))}</code>`);
  if (anyOf !== undefined) return anyOf.map(typeOf);
  if (allOf !== undefined) return [join(allOf.map(typeOf), " and ")];
  return [type].flat().map((name) => {
    if (name === "array") return html`array of ${typeOf(schema.items)}`;
    return html`${name}${format && name !== "null" && ` (${format})`}`;
  });
}

function reference(ref: string): Html {
  const name = ref.slice(ref.lastIndexOf("/") + 1);
  return ref.startsWith("#/components/schemas/") ? html`<a href="#${name}">${name}</a>` : html`${name}`;
}

function propertyRows(schema: Schema | boolean | undefined, prefix: string): Html[] {
  if (typeof schema !== "object") return [];
  const own = Object.entries(schema.properties ?? {}).flatMap(([name, property]) => {
    const meaning = typeof property === "object" ? property.description : undefined;
    const inner = propertyRows(property, `${prefix}${name}.`);
    return [row(prefix + name, schema.required?.includes(name), typeOf(property), meaning), ...inner];
  });
  const variants = [schema.allOf ?? [], schema.anyOf ?? [], schema.oneOf ?? []].flat();
  const items = propertyRows(schema.items, `${prefix.replace(/\.$/, "")}[].`);
  return [...own, ...variants.flatMap((variant) => propertyRows(variant, prefix)), ...items];
}
