import { type Check, type Keywords, type Model, scalar, type ValueOf } from "./model-base.ts";
import { expected, type Location, type ProblemKind, type Problems } from "./problems.ts";

export type { JsonSchema, Model, ValueOf } from "./model-base.ts";
export { boolean, integer, number } from "./model-number.ts";
export { string } from "./model-string.ts";

/** The models of an object's members, by name. */
export type Members = Readonly<Record<string, Model<unknown>>>;

/** The type of an object with these members: a `?` marks what may be absent from it. */
export type ObjectOf<M extends Members> = Flat<
  { [K in keyof M as M[K] extends Optional<unknown> ? never : K]: ValueOf<M[K]> } & {
    [K in keyof M as M[K] extends Optional<unknown> ? K : never]?: PresentValueOf<M[K]>;
  }
>;

/** The model of a member that may be absent from its object. */
export interface Optional<T> extends Model<T | undefined> {
  readonly absent: { readonly value: undefined };
}

type PresentValueOf<M> = M extends Optional<infer T> ? T : never;

type Flat<T> = { [K in keyof T]: T[K] };

/** An object with these members. Others are dropped, or are problems if the options say so. */
export function object<M extends Members>(
  members: M,
  options: Keywords & { readonly additionalProperties?: false } = {},
): Model<ObjectOf<M>> {
  const models = Object.entries(members);
  const properties = Object.fromEntries(models.map(([name, { schema }]) => [name, schema]));
  const required = models.filter(([, { absent }]) => absent === undefined).map(([name]) => name);
  const check: Check<ObjectOf<M>> = (input, location, problems) => {
    const value: Record<string, unknown> = {};
    if (!isJsonObject(input)) {
      problems.add(NOT_AN_OBJECT, input, location);
      return value as ObjectOf<M>;
    }
    for (const [name, model] of models) {
      location.push(name);
      const member = checkMember(model, name, input, location, problems);
      location.pop();
      if (member !== undefined) value[name] = member;
    }
    if (options.additionalProperties === false) forbidOthers(members, input, location, problems);
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
    if (!isArray(input)) {
      problems.add(NOT_A_LIST, input, location);
      return [];
    }
    if (input.length > maxItems) {
      problems.add(wrongLength("long", "most", maxItems, input), input, location);
      return [];
    }
    const { count } = problems;
    const items = checkItems(model, input, location, problems);
    if (input.length < minItems && problems.count === count) {
      problems.add(wrongLength("short", "least", minItems, input), input, location);
    }
    return items;
  };
  return Object.freeze({ schema: { type: "array", items: model.schema, ...options }, check });
}

/** One of these values. The text of a parameter stands for the one that is written like it. */
export function literal<const T extends string | number | boolean>(
  ...values: readonly T[]
): Model<T> {
  const words = values.map((value) => (typeof value === "string" ? `'${value}'` : String(value)));
  const last = words.pop() ?? "";
  const list = words.length === 0 ? last : `${words.join(", ")} or ${last}`;
  return scalar({
    schema: { enum: values },
    isType: (value): value is T => values.includes(value as T),
    problem: expected("literal_error", list, { expected: list }),
    parse: (text) => values.find((value) => String(value) === text),
  });
}

/** A value of the model, or null. A parameter is never null. */
export function nullable<T>(model: Model<T>): Model<T | null> {
  const check: Check<T | null> = (input, location, problems) =>
    input === null ? null : model.check(input, location, problems);
  return Object.freeze({ schema: { anyOf: [model.schema, { type: "null" }] }, check });
}

/** What may be absent, and is then undefined. */
export function optional<T>(model: Model<T>): Optional<T>;
/** What may be absent, and is then a copy of `value`, which is not checked. */
export function optional<T>(model: Model<T>, value: NoInfer<T>): Model<T>;
/** Either of them. */
export function optional<T>(model: Model<T>, value?: T): Model<T | undefined> {
  if (value === undefined) return Object.freeze({ ...model, absent: { value } });
  const absent = {
    get value(): T {
      return structuredClone(value);
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
    const { count } = problems;
    const rejections = [];
    for (const { schema, check } of models) {
      location.push(String(schema["title"] ?? schema["type"] ?? "enum"));
      const value = check(input, location, problems);
      location.pop();
      if (problems.count === count) return value;
      // The next one needs room for its problems: without it, it would seem to have none.
      rejections.push(...problems.takeBack(count));
    }
    for (const { input, loc, ...kind } of rejections) problems.add(kind, input, [...loc]);
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
export function refine<T>(
  model: Model<T>,
  isMet: (value: T) => boolean,
  message: string,
): Model<T> {
  const problem = { type: "value_error", msg: `Value error, ${message}`, ctx: { error: {} } };
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
  return typeof input === "object" && input !== null && !isArray(input);
}

function isArray(input: unknown): input is readonly unknown[] {
  return Array.isArray(input);
}

/** The member as a value of its model; undefined if it is absent. */
function checkMember(
  model: Model<unknown>,
  name: string,
  input: JsonObject,
  location: Location,
  problems: Problems,
): unknown {
  // Only own members count: the client did not send what every object inherits.
  if (Object.hasOwn(input, name)) return model.check(input[name], location, problems);
  if (model.absent === undefined) problems.add(MISSING, input, location);
  return model.absent?.value;
}

function forbidOthers(
  members: Members,
  input: JsonObject,
  location: Location,
  problems: Problems,
): void {
  for (const name of Object.keys(input)) {
    if (Object.hasOwn(members, name)) continue;
    problems.add(NOT_DECLARED, input[name], [...location, name]);
  }
}

function checkItems<T>(
  { check }: Model<T>,
  inputs: readonly unknown[],
  location: Location,
  problems: Problems,
): T[] {
  // Most items stay as they are. Then so does the array: a copy takes longer than the checks.
  let items = inputs as T[];
  for (let index = 0; index < inputs.length && !problems.isFull; index += 1) {
    location.push(index);
    const item = check(inputs[index], location, problems);
    location.pop();
    if (item === inputs[index]) continue;
    if (items === inputs) items = [...items];
    items[index] = item;
  }
  return items;
}

function wrongLength(
  type: string,
  words: string,
  limit: number,
  { length }: readonly unknown[],
): ProblemKind {
  const items = limit === 1 ? "1 item" : `${limit} items`;
  const name = type === "long" ? "max_length" : "min_length";
  return {
    type: `too_${type}`,
    msg: `List should have at ${words} ${items} after validation, not ${length}`,
    ctx: { field_type: "List", [name]: limit, actual_length: length },
  };
}

const NOT_AN_OBJECT = expected(
  "model_attributes_type",
  "a valid dictionary or object to extract fields from",
);
const NOT_A_LIST = expected("list_type", "a valid list");
const MISSING = { type: "missing", msg: "Field required" };
const NOT_DECLARED = { type: "extra_forbidden", msg: "Extra inputs are not permitted" };
