import { findProblem, type Keywords, type Model, type Rule, scalar } from "./model-base.ts";
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
  const { minLength, maxLength, pattern, format } = options;
  const rules: Rule<string>[] = [];
  if (maxLength !== undefined) {
    const problem = wrongLength("long", "most", "max_length", maxLength);
    rules.push([(text) => hasAtMost(text, maxLength), problem]);
  }
  if (minLength !== undefined) {
    const problem = wrongLength("short", "least", "min_length", minLength);
    rules.push([(text) => !hasAtMost(text, minLength - 1), problem]);
  }
  if (pattern !== undefined) {
    const expression = new RegExp(pattern, "u");
    const msg = `String should match pattern '${pattern}'`;
    const problem = { type: "string_pattern_mismatch", msg, ctx: { pattern } };
    rules.push([(text) => expression.test(text), problem]);
  }
  if (format !== undefined) rules.push(FORMATS[format]);
  return scalar({
    schema: { type: "string", ...options },
    problemOf: (value) => (typeof value === "string" ? findProblem(rules, value) : NOT_A_STRING),
  });
}

const NOT_A_STRING = expected("string_type", "a valid string");

function wrongLength(type: string, words: string, name: string, limit: number): ProblemKind {
  const characters = limit === 1 ? "1 character" : `${limit} characters`;
  const msg = `String should have at ${words} ${characters}`;
  return { type: `string_too_${type}`, msg, ctx: { [name]: limit } };
}

/** Whether there are at most `most` code points. They are counted only if that decides it. */
function hasAtMost(text: string, most: number): boolean {
  return text.length <= most || (text.length <= 2 * most && [...text].length <= most);
}

// These expressions take time linear in the text: no part of one can match in two ways.
const UUID = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;
// RFC 3986 3: a scheme, then any of the characters of a URI.
const URI = /^[a-z][a-z0-9+.-]*:(?:[a-z0-9._~:/?#[\]@!$&'()*+,;=-]|%[0-9a-f]{2})*$/i;
// RFC 3339 5.6, but for leap seconds, which a Date can't hold.
const DATE = /^\d{4}-\d\d-\d\d$/;
const TIME = /^T(?:[01]\d|2[0-3])(?::[0-5]\d){2}(?:\.\d+)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/i;

const FORMATS = {
  uuid: [
    (text) => UUID.test(text),
    invalid("uuid", "UUID", "expected 8-4-4-4-12 hexadecimal digits"),
  ],
  // A handler can give it to new URL(), which throws if it can't parse it.
  uri: [
    (text) => URI.test(text) && URL.canParse(text),
    invalid("url", "URL", "expected an absolute URI as in RFC 3986"),
  ],
  "date-time": [
    (text) => isDate(text.slice(0, 10)) && TIME.test(text.slice(10)),
    invalid("datetime", "datetime", "expected a date-time as in RFC 3339"),
  ],
  date: [isDate, invalid("date", "date", "expected a full-date as in RFC 3339")],
} satisfies Readonly<Record<string, Rule<string>>>;

function invalid(type: string, name: string, error: string): ProblemKind {
  return expected(`${type}_parsing`, `a valid ${name}, ${error}`, { error });
}

/** Whether the calendar has that day: a Date takes February 30 for March 1. */
function isDate(text: string): boolean {
  const time = DATE.test(text) ? Date.parse(text) : NaN;
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(text);
}
