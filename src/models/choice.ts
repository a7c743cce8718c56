import { type Check, type Keywords, type Model, scalar, type ValueOf } from "./base.ts";
import { expected, Problems } from "./problems.ts";

/** One of these values. The text of a parameter stands for the one that is written like it. */
export function literal<const V extends OneOrMore<Literal>>(...values: V): Model<V[number]> {
  const words = wordsFor(values);
  const problem = expected("literal_error", words, { expected: words });
  return scalar({
    schema: { enum: values },
    problemOf: (value) => {
      const isOne = values.includes(value as Literal);
      return isOne ? undefined : problem;
    },
    parse: (text) => values.find((value) => String(value) === text),
    parseProblem: problem,
  });
}

type Literal = string | number | boolean;

type OneOrMore<T> = readonly [T, ...T[]];

/** Such as `'a', 'b' or 'c'`. */
function wordsFor(values: readonly Literal[]): string {
  const words = values.map((value) => {
    return typeof value === "string" ? `'${value}'` : String(value);
  });
  const last = words.pop() as string;
  return words.length === 0 ? last : `${words.join(", ")} or ${last}`;
}

/** A value of the model, or null. A parameter is never null. */
export function nullable<T>(model: Model<T>): Model<T | null> {
  const schema = { anyOf: [model.schema, { type: "null" }] };
  const check: Check<T | null> = (input, location, problems) => {
    if (input === null) return null;
    return model.check(input, location, problems);
  };
  return Object.freeze({ ...model, schema, check });
}

/** What may be absent, and is then undefined. */
export function optional<T>(model: Model<T>): Model<T | undefined>;
/** What may be absent, and is then a copy of `value`, which is not checked. */
export function optional<T>(model: Model<T>, value: NoInfer<T>): Model<T>;
/** Either of them. */
export function optional<T>(model: Model<T>, value?: T): Model<T | undefined> {
  if (value === undefined) return Object.freeze({ ...model, absent: { value } });
  const schema = { ...model.schema, default: value };
  const text = JSON.stringify(value);
  const absent = {
    get value(): T {
      return JSON.parse(text) as T;
    },
  };
  return Object.freeze({ ...model, schema, absent });
}

/**
 * A value of the first of these models that has no problem with it. If each of them has some, all
 * are reported, at locations that end with the model's title, else its type, else the first keyword
 * of its schema.
 */
export function union<M extends OneOrMore<Model<unknown>>>(
  ...models: M
): Model<ValueOf<M[number]>> {
  const check: Check<unknown> = (input, location, problems) => {
    for (const model of models) {
      const attempt = new Problems(0);
      const value = model.check(input, location, attempt);
      if (attempt.isEmpty) return value;
    }
    for (const model of models) {
      location.push(nameOf(model));
      model.check(input, location, problems);
      location.pop();
    }
    return undefined;
  };
  const model = {
    schema: { anyOf: models.map(({ schema }) => schema) },
    check: check as Check<ValueOf<M[number]>>,
  };
  const areTexts = models.every(({ texts }) => texts === "last");
  return Object.freeze(areTexts ? { ...model, texts: "last" } : model);
}

/** What stands for a model of a union in a location. */
function nameOf({ schema }: Model<unknown>): string {
  const { title, type } = schema;
  const [keyword] = Object.keys(schema);
  return String(title ?? type ?? keyword);
}

/**
 * A value of the model that also meets a condition of your own. It is checked only for values that
 * the model has no problem with.
 *
 * @example
 *     const range = object({ from: integer(), to: integer() });
 *     refine(range, ({ from, to }) => from <= to, "from must not be greater than to");
 */
export function refine<T>(model: Model<T>, isMet: (value: T) => boolean, words: string): Model<T> {
  const problem = {
    type: "value_error",
    msg: `Value error, ${words}`,
    ctx: { error: {} },
  };
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

/**
 * The model with keywords that describe its values, for models that take no options.
 *
 * @example
 *     annotate(literal("fast", "safe"), { description: "How to run it." });
 */
export function annotate<T>(model: Model<T>, keywords: Keywords): Model<T> {
  return Object.freeze({ ...model, schema: { ...model.schema, ...keywords } });
}
