import { findProblem, type Keywords, type Model, type Rule, scalar } from "./base.ts";
import { FORMATS } from "./formats.ts";
import { expected, type ProblemKind } from "./problems.ts";

/** Keywords of a string. Lengths count code points. */
export type StringOptions = Keywords<"minLength" | "maxLength"> & {
  /**
   * The source of a regular expression with the flag `u`, which may match anywhere in the string.
   * JavaScript's expressions backtrack: one with a repetition in a repetition, such as `(a+)+$`,
   * can stop the service with 40 characters. Others take up to the square of the length: add a
   * maxLength, which is checked first.
   */
  readonly pattern?: string;
  readonly format?: keyof typeof FORMATS;
};

/** A string; without options, of any length and content. */
export function string(options: StringOptions = {}): Model<string> {
  const { format } = options;
  const rules = [...lengthRules(options), ...patternRules(options)];
  if (format !== undefined) rules.push(FORMATS[format]);
  return scalar({
    schema: { type: "string", ...options },
    problemOf: (value) => {
      return typeof value === "string" ? findProblem(rules, value) : NOT_A_STRING;
    },
  });
}

const NOT_A_STRING = expected("string_type", "a valid string");

function lengthRules({ minLength, maxLength }: StringOptions): Rule<string>[] {
  const rules: Rule<string>[] = [];
  if (maxLength !== undefined) {
    rules.push({
      isMet: (text) => hasAtMost(text, maxLength),
      problem: wrongLength("long", "most", "max_length", maxLength),
    });
  }
  if (minLength !== undefined) {
    rules.push({
      isMet: (text) => !hasAtMost(text, minLength - 1),
      problem: wrongLength("short", "least", "min_length", minLength),
    });
  }
  return rules;
}

function wrongLength(type: string, words: string, name: string, limit: number): ProblemKind {
  const characters = limit === 1 ? "1 character" : `${limit} characters`;
  return {
    type: `string_too_${type}`,
    msg: `String should have at ${words} ${characters}`,
    ctx: { [name]: limit },
  };
}

/** Whether there are at most `most` code points. They are counted only if that decides it. */
function hasAtMost(text: string, most: number): boolean {
  if (text.length <= most) return true;
  return text.length <= 2 * most && [...text].length <= most;
}

function patternRules({ pattern }: StringOptions): Rule<string>[] {
  if (pattern === undefined) return [];
  const expression = new RegExp(pattern, "u");
  const problem = {
    type: "string_pattern_mismatch",
    msg: `String should match pattern '${pattern}'`,
    ctx: { pattern },
  };
  return [{ isMet: (text) => expression.test(text), problem }];
}
