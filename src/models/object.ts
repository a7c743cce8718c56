import type { Check, Keywords, Model, ValueOf } from "./base.ts";
import { expected, type Location, MISSING, type Problems } from "./problems.ts";

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

/** Keywords of an object. */
export type ObjectOptions = Keywords & {
  /** Makes undeclared members a problem. Without it they are dropped. */
  readonly additionalProperties?: false;
};

/** An object with these members. */
export function object<M extends Members>(
  members: M,
  options: ObjectOptions = {},
): Model<ObjectOf<M>> {
  const models = Object.entries(members);
  const isClosed = options.additionalProperties === false;
  const check: Check<Record<string, unknown>> = (input, location, problems) => {
    const value: Record<string, unknown> = {};
    if (!isJsonObject(input)) {
      problems.add(NOT_AN_OBJECT, input, location);
      return value;
    }
    for (const [name, model] of models) {
      location.push(name);
      const member = checkMember(model, input, name, location, problems);
      location.pop();
      if (member !== undefined) value[name] = member;
    }
    if (isClosed) reportUndeclared(members, input, location, problems);
    return value;
  };
  return Object.freeze({
    schema: schemaOf(members, options),
    check: check as Check<ObjectOf<M>>,
  });
}

type JsonObject = Readonly<Record<string, unknown>>;

function isJsonObject(input: unknown): input is JsonObject {
  return typeof input === "object" && input !== null && !Array.isArray(input);
}

function schemaOf(members: Members, options: ObjectOptions): JsonObject {
  const properties: Record<string, unknown> = {};
  const required: string[] = [];
  for (const [name, { schema, absent }] of Object.entries(members)) {
    properties[name] = schema;
    if (absent === undefined) required.push(name);
  }
  return { type: "object", properties, required, ...options };
}

function checkMember(
  { check, absent }: Model<unknown>,
  input: JsonObject,
  name: string,
  location: Location,
  problems: Problems,
): unknown {
  // Only own members count: the client did not send what every object inherits.
  if (Object.hasOwn(input, name)) return check(input[name], location, problems);
  if (absent === undefined) problems.add(MISSING, input, location);
  return absent?.value;
}

function reportUndeclared(
  members: Members,
  input: JsonObject,
  location: Location,
  problems: Problems,
): void {
  for (const name of Object.keys(input)) {
    if (Object.hasOwn(members, name)) continue;
    problems.add(UNDECLARED, input[name], [...location, name]);
  }
}

const NOT_AN_OBJECT = expected(
  "model_attributes_type",
  "a valid dictionary or object to extract fields from",
);

const UNDECLARED = {
  type: "extra_forbidden",
  msg: "Extra inputs are not permitted",
};
