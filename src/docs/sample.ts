import { entriesOf, type JsonObject, type OpenApiDocument, resolve, valuesOf } from "./document.ts";

/**
 * A value of the schema's type, for a caller to start from: an example or the default if the schema
 * has one. Lengths and the lower bounds of numbers are kept, patterns are not.
 *
 * Throws an Error that shows a `$ref` which leads nowhere.
 */
export function sampleOf(document: OpenApiDocument, schema: unknown): unknown {
  return sampleAt(document, schema, 0);
}

/**
 * The schema that a value which is not null has: references are followed, and of several variants
 * the first is taken.
 *
 * Throws an Error that shows a `$ref` which leads nowhere.
 */
export function mainVariant(document: OpenApiDocument, schema: unknown): JsonObject {
  let found = resolve(document, schema);
  for (let depth = 0; depth < MAX_DEPTH; depth += 1) {
    const { anyOf, oneOf, allOf, ...own } = found;
    const variants = valuesOf(anyOf ?? oneOf ?? allOf).map((each) => resolve(document, each));
    const variant = variants.find(({ type }) => type !== "null");
    if (variant === undefined) break;
    found = { ...variant, ...own };
  }
  return found;
}

/** The type of a schema; of several the first that is not null. */
export function mainType({ type }: JsonObject): unknown {
  return [type].flat().find((name) => name !== "null");
}

/** The values that a schema lists: one for `const`, none if it lists none. */
export function listedValues(schema: JsonObject): unknown[] {
  if ("const" in schema) return [schema["const"]];
  return Array.isArray(schema["enum"]) ? schema["enum"] : [];
}

/** Deeper objects and lists are left empty, so schemas that contain themselves come to an end. */
const MAX_DEPTH = 8;

/** A text of each format that models have. */
const FORMATS: Readonly<Record<string, string>> = {
  uuid: "5f0c6b0e-3d2a-4b8f-9c1d-7e6a5b4c3d2e",
  uri: "https://example.com/",
  "date-time": "2027-01-31T12:00:00Z",
  date: "2027-01-31",
};

function sampleAt(document: OpenApiDocument, schema: unknown, depth: number): unknown {
  const variant = mainVariant(document, schema);
  const { example, examples, default: byDefault } = variant;
  const [first] = listedValues(variant);
  if (example !== undefined) return example;
  if (Array.isArray(examples)) return examples[0];
  if (byDefault !== undefined) return byDefault;
  if (first !== undefined) return first;
  const sampler = SAMPLERS[String(mainType(variant))];
  return sampler === undefined ? null : sampler(variant, document, depth);
}

/** What makes a value of a schema, by the schema's type. `depth` counts the schemas around it. */
const SAMPLERS: Readonly<
  Record<string, (schema: JsonObject, document: OpenApiDocument, depth: number) => unknown>
> = {
  string: textSample,
  integer: numberSample,
  number: numberSample,
  boolean: () => false,
  array: ({ items }, document, depth) => {
    return depth < MAX_DEPTH ? [sampleAt(document, items, depth + 1)] : [];
  },
  object: ({ properties }, document, depth) => {
    const entries = depth < MAX_DEPTH ? entriesOf(properties) : [];
    const members = entries.map(([name, property]) => {
      return [name, sampleAt(document, property, depth + 1)];
    });
    return Object.fromEntries(members);
  },
};

function textSample({ format, minLength = 0, maxLength = Infinity }: JsonObject): string {
  const text = FORMATS[String(format)] ?? "text".padEnd(Number(minLength), "x");
  return text.slice(0, Number(maxLength));
}

/** The number within the bounds that is nearest to 0, or 1 beyond an exclusive bound. */
function numberSample(schema: JsonObject): number {
  const { minimum, maximum = 0, exclusiveMinimum, exclusiveMaximum = Infinity } = schema;
  if (exclusiveMinimum !== undefined) return Number(exclusiveMinimum) + 1;
  const most = Math.min(0, Number(maximum), Number(exclusiveMaximum) - 1);
  return minimum === undefined ? most : Math.max(Number(minimum), most);
}
