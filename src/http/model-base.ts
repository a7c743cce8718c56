import type { Location, ProblemKind, Problems } from "./problems.ts";

/** A JSON Schema (2020-12). */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** What a value must be: a plain, frozen object. */
export interface Model<T> {
  /** The JSON Schema of the values. A schema with a title becomes a component in the document. */
  readonly schema: JsonSchema;
  readonly check: Check<T>;
  /** What an absent member or parameter becomes. Missing if it must be present. */
  readonly absent?: { readonly value: T };
}

/**
 * Returns `input`, which was found at `location`, as a T. If it is not one, the check adds to
 * `problems`, and what it returns is of no use.
 *
 * What was found in the path or the query is a text, or a list of them for an array. Anything else
 * is a value of JSON, in which "1" is no number.
 */
export type Check<T> = (input: unknown, location: Location, problems: Problems) => T;

/** The type of a model's values. */
export type ValueOf<M> = M extends Model<infer T> ? T : never;

/** The keywords of JSON Schema that describe a value, and others that are numbers. */
export type Keywords<Name extends string = never> = { readonly [K in Name]?: number } & {
  /** The name of the schema in the document's components. */
  readonly title?: string;
  readonly description?: string;
  readonly examples?: readonly unknown[];
};

/** A condition, and the problem of values that do not meet it. */
export interface Rule<T> {
  readonly isMet: (value: T) => boolean;
  readonly problem: ProblemKind;
}

/** What makes a model whose values hold no others. */
interface Scalar<T> {
  readonly schema: JsonSchema;
  readonly isType: (value: unknown) => value is T;
  /** The problem of a value of another type. */
  readonly problem: ProblemKind;
  /** The value that a text of the path or the query stands for; without it, the text. */
  readonly parse?: (text: string) => T | undefined;
  /** The problem of a text that stands for none; without it, `problem`. */
  readonly parseProblem?: ProblemKind;
  /** Only the first that is not met is reported. */
  readonly rules?: readonly Rule<T>[];
}

/** Makes a model whose values hold no others. */
export function scalar<T>(parts: Scalar<T>): Model<T> {
  const { schema, isType, problem, parse, parseProblem = problem, rules = [] } = parts;
  const check: Check<T> = (input, location, problems) => {
    const isText = parse !== undefined && location[0] !== "body";
    const value = isText ? parse(input as string) : input;
    let found: ProblemKind | undefined = isText ? parseProblem : problem;
    if (isType(value)) found = rules.find(({ isMet }) => !isMet(value))?.problem;
    if (found !== undefined) problems.add(found, input, location);
    return value as T;
  };
  return Object.freeze({ schema, check });
}
