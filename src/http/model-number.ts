import { findProblem, type Keywords, type Model, type Rule, scalar } from "./model-base.ts";
import { expected } from "./problems.ts";

/** Bounds of a number. */
export type NumberOptions = Keywords<keyof typeof BOUNDS>;

/** A finite number. */
export function number(options: NumberOptions = {}): Model<number> {
  const rules = boundRules(options);
  return scalar({
    schema: { type: "number", ...options },
    problemOf: (value) => {
      if (typeof value !== "number") return NOT_A_NUMBER;
      return Number.isFinite(value) ? findProblem(rules, value) : NOT_FINITE;
    },
    parse: (text) => (NUMBER.test(text) ? Number(text) : undefined),
    parseProblem: expected("float_parsing", "a valid number, unable to parse string as a number"),
  });
}

/** A number without a fraction, such as 1.0, below 2^53: from there on JSON.parse rounds. */
export function integer(options: NumberOptions = {}): Model<number> {
  const rules = boundRules(options);
  return scalar({
    schema: { type: "integer", ...SAFE, ...options },
    problemOf: (value) => {
      if (typeof value !== "number") return NOT_AN_INTEGER;
      return findProblem(Number.isSafeInteger(value) ? rules : SAFE_INTEGER, value);
    },
    parse: (text) => (INTEGER.test(text) ? Number(text) : undefined),
    parseProblem: expected("int_parsing", "a valid integer, unable to parse string as an integer"),
  });
}

/** true or false. */
export function boolean(options: Keywords = {}): Model<boolean> {
  return scalar({
    schema: { type: "boolean", ...options },
    problemOf: (value) => (typeof value === "boolean" ? undefined : NOT_A_BOOLEAN),
    parse: (text) => BOOLEANS.get(text.toLowerCase()),
    parseProblem: expected("bool_parsing", "a valid boolean, unable to interpret input"),
  });
}

const NOT_A_NUMBER = expected("float_type", "a valid number");
const NOT_AN_INTEGER = expected("int_type", "a valid integer");
const NOT_A_BOOLEAN = expected("bool_type", "a valid boolean");
const NOT_FINITE = expected("finite_number", "a finite number");
const FRACTION = expected("int_from_float", "a valid integer, got a number with a fractional part");

const SAFE = { minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER };

// The texts that Python's int() and float() read, but for "_" between digits, "inf" and "nan".
const INTEGER = /^\s*[+-]?\d+(?:\.0+)?\s*$/;
const NUMBER = /^\s*[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?\s*$/i;

const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ...["true", "t", "yes", "y", "on", "1"].map((word) => [word, true] as const),
  ...["false", "f", "no", "n", "off", "0"].map((word) => [word, false] as const),
]);

type Compare = (bound: number) => (value: number) => boolean;
type Bound = readonly [type: string, name: string, words: string, isMet: Compare];

/** In the order in which pydantic checks them. */
const BOUNDS = {
  multipleOf: ["multiple_of", "multiple_of", "a multiple of", (step) => (n) => isMultiple(n, step)],
  maximum: ["less_than_equal", "le", "less than or equal to", (most) => (n) => n <= most],
  exclusiveMaximum: ["less_than", "lt", "less than", (end) => (n) => n < end],
  minimum: ["greater_than_equal", "ge", "greater than or equal to", (least) => (n) => n >= least],
  exclusiveMinimum: ["greater_than", "gt", "greater than", (end) => (n) => n > end],
} satisfies Readonly<Record<string, Bound>>;

function boundRules(options: NumberOptions): Rule<number>[] {
  return Object.entries(BOUNDS).flatMap(([keyword, [type, name, words, conditionFor]]) => {
    const bound = options[keyword as keyof typeof BOUNDS];
    if (bound === undefined) return [];
    return [[conditionFor(bound), expected(type, `${words} ${bound}`, { [name]: bound })]];
  });
}

/** What a safe integer meets. */
const SAFE_INTEGER: readonly Rule<number>[] = [
  [Number.isFinite, NOT_FINITE],
  [Number.isInteger, FRACTION],
  ...boundRules(SAFE),
];

/** Exact for integers. Otherwise, like pydantic's, off by up to a billionth of the value. */
function isMultiple(value: number, step: number): boolean {
  const rest = Math.abs(value % step);
  const isExact = Number.isInteger(value) && Number.isInteger(step);
  const tolerance = isExact ? 0 : Math.abs(value) / 1e9;
  return rest <= tolerance || Math.abs(rest - step) <= tolerance;
}
