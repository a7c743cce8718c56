import type { Location, ProblemKind, Problems } from "./problems.ts";

/** A JSON Schema (2020-12). */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** What a value must be: a plain, frozen object. The functions of this folder make them. */
export interface Model<T> {
  /** The JSON Schema of the values. A schema with a title becomes a component in the document. */
  readonly schema: JsonSchema;
  readonly check: Check<T>;
  /** What an absent member or parameter becomes. Missing if it must be present. */
  readonly absent?: { readonly value: T };
  /**
   * Which texts of a repeated parameter its check gets: the last one, or all of them as a list.
   * Missing if no text stands for a value, as for objects.
   */
  readonly texts?: "last" | "all";
}

/**
 * Returns `input`, which was found at `location`, as a T. If it is not one, the check adds to
 * `problems`, and what it returns is of no use.
 *
 * An input from the body is a value of JSON, where "1" is not a number. Any other is the text of a
 * parameter, or for an array all of its texts, and is read as FastAPI reads it.
 */
export type Check<T> = (input: unknown, location: Location, problems: Problems) => T;

/** The type of a model's values. */
export type ValueOf<M> = M extends Model<infer T> ? T : never;

/** Keywords of JSON Schema that describe a value, and the named ones, which are numbers. */
export type Keywords<Name extends string = never> = { readonly [K in Name]?: number } & {
  /** The name of the schema in the document's components. */
  readonly title?: string;
  readonly description?: string;
  readonly examples?: readonly unknown[];
};

/** What makes a model whose values hold no others. */
interface Scalar {
  readonly schema: JsonSchema;
  /** What is wrong with a value; undefined if nothing is. */
  readonly problemOf: (value: unknown) => ProblemKind | undefined;
  /** The value that a text of the path or the query stands for. Without it, that is the text. */
  readonly parse?: (text: string) => unknown;
  /** The problem of a text that stands for none. */
  readonly parseProblem?: ProblemKind;
}

/** Makes a model whose values hold no others. */
export function scalar<T>({ schema, problemOf, parse, parseProblem }: Scalar): Model<T> {
  const check: Check<T> = (input, location, problems) => {
    const isText = parse !== undefined && location[0] !== "body";
    const value = isText ? parse(input as string) : input;
    const problem = value === undefined ? parseProblem : problemOf(value);
    if (problem !== undefined) problems.add(problem, input, location);
    return value as T;
  };
  return Object.freeze({ schema, check, texts: "last" });
}

/** A condition, and the problem of values that do not meet it. */
export interface Rule<T> {
  readonly isMet: (value: T) => boolean;
  readonly problem: ProblemKind;
}

/** The problem of the first rule that a value does not meet. */
export function findProblem<T>(rules: readonly Rule<T>[], value: T): ProblemKind | undefined {
  for (const { isMet, problem } of rules) {
    if (!isMet(value)) return problem;
  }
  return undefined;
}
