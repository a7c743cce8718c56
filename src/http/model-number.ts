import { type Keywords, type Model, type Rule, scalar } from "./model-base.ts";
import { expected } from "./problems.ts";

/** Bounds of a number. */
export type NumberOptions = Keywords<keyof typeof BOUNDS>;

/** A finite number. */
export function number(options: NumberOptions = {}): Model<number> {
  return scalar({
    schema: { type: "number", ...options },
    isType: (value) => typeof value === "number",
    problem: expected("float_type", "a valid number"),
    parse: (text) => (NUMBER.test(text) ? Number(text) : undefined),
    parseProblem: expected("float_parsing", "a valid number, unable to parse string as a number"),
    rules: [FINITE, ...boundRules(options)],
  });
}

/** A number without a fraction, such as 1.0, below 2^53: from there on JSON.parse rounds. */
export function integer(options: NumberOptions = {}): Model<number> {
  const minimum = Math.max(options.minimum ?? -Infinity, Number.MIN_SAFE_INTEGER);
  const maximum = Math.min(options.maximum ?? Infinity, Number.MAX_SAFE_INTEGER);
  const safe = { ...options, minimum, maximum };
  const unreadable = "a valid integer, unable to parse string as an integer";
  return scalar({
    schema: { type: "integer", ...safe },
    isType: (value) => typeof value === "number",
    problem: expected("int_type", "a valid integer"),
    parse: (text) => (INTEGER.test(text) ? Number(text) : undefined),
    parseProblem: expected("int_parsing", unreadable),
    rules: [FINITE, WHOLE, ...boundRules(safe)],
  });
}

/** true or false. */
export function boolean(options: Keywords = {}): Model<boolean> {
  return scalar({
    schema: { type: "boolean", ...options },
    isType: (value) => typeof value === "boolean",
    problem: expected("bool_type", "a valid boolean"),
    parse: (text) => BOOLEANS.get(text.toLowerCase()),
    parseProblem: expected("bool_parsing", "a valid boolean, unable to interpret input"),
  });
}

// The texts that Python's int() and float() read, but for "_" between digits, "inf" and "nan".
const INTEGER = /^\s*[+-]?\d+(?:\.0+)?\s*$/;
const NUMBER = /^\s*[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?\s*$/i;

const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ...["true", "t", "yes", "y", "on", "1"].map((word) => [word, true] as const),
  ...["false", "f", "no", "n", "off", "0"].map((word) => [word, false] as const),
]);

const FINITE: Rule<number> = {
  isMet: Number.isFinite,
  problem: expected("finite_number", "a finite number"),
};

const WHOLE: Rule<number> = {
  isMet: Number.isInteger,
  problem: expected("int_from_float", "a valid integer, got a number with a fractional part"),
};

type Compare = (value: number, bound: number) => boolean;
type Bound = readonly [type: string, name: string, words: string, isMet: Compare];

/** In the order in which pydantic checks them. */
const BOUNDS = {
  multipleOf: ["multiple_of", "multiple_of", "a multiple of", isMultiple],
  maximum: ["less_than_equal", "le", "less than or equal to", (value, most) => value <= most],
  exclusiveMaximum: ["less_than", "lt", "less than", (value, end) => value < end],
  minimum: ["greater_than_equal", "ge", "greater than or equal to", (value, min) => value >= min],
  exclusiveMinimum: ["greater_than", "gt", "greater than", (value, end) => value > end],
} satisfies Readonly<Record<string, Bound>>;

function boundRules(options: NumberOptions): Rule<number>[] {
  return Object.entries(BOUNDS).flatMap(([keyword, [type, name, words, isMet]]) => {
    const bound = options[keyword as keyof typeof BOUNDS];
    if (bound === undefined) return [];
    const problem = expected(type, `${words} ${bound}`, { [name]: bound });
    return { isMet: (value: number) => isMet(value, bound), problem };
  });
}

/** Exact for integers. Otherwise, like pydantic's, off by up to a billionth of the value. */
function isMultiple(value: number, divisor: number): boolean {
  const rest = Math.abs(value % divisor);
  const isExact = Number.isInteger(value) && Number.isInteger(divisor);
  const tolerance = isExact ? 0 : Math.abs(value) / 1e9;
  return rest <= tolerance || Math.abs(rest - divisor) <= tolerance;
}
