import { type Check, type Keywords, type Model, scalar, type ValueOf } from "./model-base.ts";
import { expected, type ProblemKind, Problems } from "./problems.ts";

export type { JsonSchema, Model, ValueOf } from "./model-base.ts";
export { boolean, integer, number } from "./model-number.ts";
export { string } from "./model-string.ts";

/** The models of an object's members, by name. */
export type Members = Readonly<Record<string, Model<unknown>>>;

/** The type of an object with these members: a `?` marks what may be absent from it. */
export type ObjectOf<M extends Members> = Flat<
  { [K in keyof M as undefined extends ValueOf<M[K]> ? never : K]: ValueOf<M[K]> } & {
    [K in keyof M as undefined extends ValueOf<M[K]> ? K : never]?: Present<ValueOf<M[K]>>;
  }
>;

type Present<T> = Exclude<T, undefined>;

type Flat<T> = { [K in keyof T]: T[K] };

/** An object with these members. Others are dropped, or are problems if the options say so. */
export function object<M extends Members>(
  members: M,
  options: Keywords & { readonly additionalProperties?: false } = {},
): Model<ObjectOf<M>> {
  const models = Object.entries(members);
  const properties = Object.fromEntries(models.map(([name, { schema }]) => [name, schema]));
  const required = models.filter(([, { absent }]) => absent === undefined).map(([name]) => name);
  const isClosed = options.additionalProperties === false;
  const undeclared = (input: JsonObject): string[] =>
    isClosed ? Object.keys(input).filter((name) => !Object.hasOwn(members, name)) : [];
  const check: Check<ObjectOf<M>> = (input, location, problems) => {
    const value: Record<string, unknown> = {};
    if (!isJsonObject(input)) {
      problems.add(NOT_AN_OBJECT, input, location);
      return value as ObjectOf<M>;
    }
    for (const [name, { check, absent }] of models) {
      location.push(name);
      // Only own members count: the client did not send what every object inherits.
      const isPresent = Object.hasOwn(input, name);
      const member = isPresent ? check(input[name], location, problems) : absent?.value;
      if (!isPresent && absent === undefined) problems.add(MISSING, input, location);
      if (member !== undefined) value[name] = member;
      location.pop();
    }
    for (const name of undeclared(input)) {
      problems.add(UNDECLARED, input[name], [...location, name]);
    }
    return value as ObjectOf<M>;
  };
  return Object.freeze({ schema: { type: "object", properties, required, ...options }, check });
}

/** An array of items of one model. As a parameter it has an item for each text. */
export function array<T>(
  model: Model<T>,
  options: Keywords<"minItems" | "maxItems"> = {},
): Model<T[]> {
  const { minItems = 0, maxItems = Infinity } = options;
  const check: Check<T[]> = (input, location, problems) => {
    if (!Array.isArray(input)) {
      problems.add(NOT_A_LIST, input, location);
      return [];
    }
    const { length } = input;
    if (length > maxItems) {
      problems.add(wrongLength("long", "most", maxItems, length), input, location);
      return [];
    }
    const { count } = problems;
    // Most items stay as they are. Then so does the array: a copy takes longer than the checks.
    let items: T[] = input;
    for (let index = 0; index < length && !problems.isFull; index += 1) {
      location.push(index);
      const item = model.check(input[index], location, problems);
      location.pop();
      if (item === input[index]) continue;
      if (items === input) items = [...items];
      items[index] = item;
    }
    if (length < minItems && problems.count === count) {
      problems.add(wrongLength("short", "least", minItems, length), input, location);
    }
    return items;
  };
  return Object.freeze({ schema: { type: "array", items: model.schema, ...options }, check });
}

/** One of these values. The text of a parameter stands for the one that is written like it. */
export function literal<const V extends readonly (string | number | boolean)[]>(
  ...values: V
): Model<V[number]> {
  const words = values.map((value) => (typeof value === "string" ? `'${value}'` : String(value)));
  const last = words.pop() ?? "";
  const list = words.length === 0 ? last : `${words.join(", ")} or ${last}`;
  const problem = expected("literal_error", list, { expected: list });
  return scalar({
    schema: { enum: values },
    problemOf: (value) => (values.includes(value as V[number]) ? undefined : problem),
    parse: (text) => values.find((value) => String(value) === text),
    parseProblem: problem,
  });
}

/** A value of the model, or null. A parameter is never null. */
export function nullable<T>(model: Model<T>): Model<T | null> {
  const check: Check<T | null> = (input, location, problems) =>
    input === null ? null : model.check(input, location, problems);
  return Object.freeze({ ...model, schema: { anyOf: [model.schema, { type: "null" }] }, check });
}

/** What may be absent, and is then undefined. */
export function optional<T>(model: Model<T>): Model<T | undefined>;
/** What may be absent, and is then a copy of `value`, which is not checked. */
export function optional<T>(model: Model<T>, value: NoInfer<T>): Model<T>;
/** Either of them. */
export function optional<T>(model: Model<T>, value?: T): Model<T | undefined> {
  if (value === undefined) return Object.freeze({ ...model, absent: { value } });
  const text = JSON.stringify(value);
  const absent = {
    get value(): T {
      return JSON.parse(text) as T;
    },
  };
  return Object.freeze({ ...model, schema: { ...model.schema, default: value }, absent });
}

/**
 * A value of the first of these models that has no problem with it. If each of them has some, all
 * are reported, at locations that end with the title of the model, or else its type.
 */
export function union<M extends readonly Model<unknown>[]>(
  ...models: M
): Model<ValueOf<M[number]>> {
  const check: Check<unknown> = (input, location, problems) => {
    for (const { check } of models) {
      const attempt = new Problems(0);
      const value = check(input, location, attempt);
      if (attempt.isEmpty) return value;
    }
    for (const { schema, check } of models) {
      location.push(String(schema["title"] ?? schema["type"] ?? Object.keys(schema)[0]));
      check(input, location, problems);
      location.pop();
    }
    return undefined;
  };
  const schema = { anyOf: models.map((model) => model.schema) };
  return Object.freeze({ schema, check: check as Check<ValueOf<M[number]>> });
}

/**
 * A value of the model that also meets a condition of your own. It is asked only about values that
 * the model has no problem with.
 *
 * @example
 *     const range = object({ from: integer(), to: integer() });
 *     refine(range, ({ from, to }) => from <= to, "from must not be greater than to");
 */
export function refine<T>(model: Model<T>, isMet: (value: T) => boolean, words: string): Model<T> {
  const problem = { type: "value_error", msg: `Value error, ${words}`, ctx: { error: {} } };
  const check: Check<T> = (input, location, problems) => {
    const { count } = problems;
    const value = model.check(input, location, problems);
    // Once they are full, a value without a new problem may not have been looked at to its end.
    const isValid = problems.count === count && !problems.isFull;
    if (isValid && !isMet(value)) problems.add(problem, input, location);
    return value;
  };
  return Object.freeze({ ...model, check });
}

type JsonObject = Readonly<Record<string, unknown>>;

function isJsonObject(input: unknown): input is JsonObject {
  return typeof input === "object" && input !== null && !Array.isArray(input);
}

function wrongLength(type: string, words: string, limit: number, length: number): ProblemKind {
  const items = limit === 1 ? "1 item" : `${limit} items`;
  const msg = `List should have at ${words} ${items} after validation, not ${length}`;
  const name = type === "long" ? "max_length" : "min_length";
  const ctx = { field_type: "List", [name]: limit, actual_length: length };
  return { type: `too_${type}`, msg, ctx };
}

const NOT_AN_OBJECT = expected(
  "model_attributes_type",
  "a valid dictionary or object to extract fields from",
);
const NOT_A_LIST = expected("list_type", "a valid list");
const MISSING = { type: "missing", msg: "Field required" };
const UNDECLARED = { type: "extra_forbidden", msg: "Extra inputs are not permitted" };
