import { findProblem, type Keywords, type Model, type Rule, scalar } from "./base.ts";
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
    parseProblem: NOT_READ_AS_NUMBER,
  });
}

/** A number without a fraction, such as 1.0, below 2^53: from there on JSON.parse rounds. */
export function integer(options: NumberOptions = {}): Model<number> {
  const rules = boundRules(options);
  return scalar({
    schema: { type: "integer", ...safeBounds(options), ...options },
    problemOf: (value) => {
      if (typeof value !== "number") return NOT_AN_INTEGER;
      const isSafe = Number.isSafeInteger(value);
      return findProblem(isSafe ? rules : SAFE_INTEGER, value);
    },
    parse: (text) => (INTEGER.test(text) ? Number(text) : undefined),
    parseProblem: NOT_READ_AS_INTEGER,
  });
}

/** true or false. */
export function boolean(options: Keywords = {}): Model<boolean> {
  return scalar({
    schema: { type: "boolean", ...options },
    problemOf: (value) => {
      return typeof value === "boolean" ? undefined : NOT_A_BOOLEAN;
    },
    parse: (text) => {
      const word = text.toLowerCase();
      if (TRUE.has(word)) return true;
      return FALSE.has(word) ? false : undefined;
    },
    parseProblem: NOT_READ_AS_BOOLEAN,
  });
}

const NOT_A_NUMBER = expected("float_type", "a valid number");
const NOT_AN_INTEGER = expected("int_type", "a valid integer");
const NOT_A_BOOLEAN = expected("bool_type", "a valid boolean");
const NOT_FINITE = expected("finite_number", "a finite number");
const HAS_FRACTION = expected(
  "int_from_float",
  "a valid integer, got a number with a fractional part",
);
const NOT_READ_AS_NUMBER = expected(
  "float_parsing",
  "a valid number, unable to parse string as a number",
);
const NOT_READ_AS_INTEGER = expected(
  "int_parsing",
  "a valid integer, unable to parse string as an integer",
);
const NOT_READ_AS_BOOLEAN = expected("bool_parsing", "a valid boolean, unable to interpret input");

const SAFE = {
  minimum: Number.MIN_SAFE_INTEGER,
  maximum: Number.MAX_SAFE_INTEGER,
};

/** Those of safe integers, but for a bound that the options have in another form. */
function safeBounds({ exclusiveMinimum, exclusiveMaximum }: NumberOptions): NumberOptions {
  return {
    ...(exclusiveMinimum === undefined && { minimum: SAFE.minimum }),
    ...(exclusiveMaximum === undefined && { maximum: SAFE.maximum }),
  };
}

// The texts that pydantic reads as int and float, but for "_" between digits, "inf" and "nan".
const INTEGER = /^\s*[+-]?\d+(?:\.0+)?\s*$/;
const NUMBER = /^\s*[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?\s*$/i;

// What pydantic reads, in any case.
const TRUE = new Set(["1", "t", "true", "y", "yes", "on"]);
const FALSE = new Set(["0", "f", "false", "n", "no", "off"]);

/** A keyword that limits a number. */
interface Bound {
  /** The type of its problem. */
  readonly type: string;
  /** The name of the bound in the problem's `ctx`. */
  readonly name: string;
  /** What the problem says before the bound. */
  readonly words: string;
  readonly isMet: (value: number, bound: number) => boolean;
}

/** In the order in which pydantic checks them. */
const BOUNDS = {
  multipleOf: {
    type: "multiple_of",
    name: "multiple_of",
    words: "a multiple of",
    isMet: isMultiple,
  },
  maximum: {
    type: "less_than_equal",
    name: "le",
    words: "less than or equal to",
    isMet: (value, bound) => value <= bound,
  },
  exclusiveMaximum: {
    type: "less_than",
    name: "lt",
    words: "less than",
    isMet: (value, bound) => value < bound,
  },
  minimum: {
    type: "greater_than_equal",
    name: "ge",
    words: "greater than or equal to",
    isMet: (value, bound) => value >= bound,
  },
  exclusiveMinimum: {
    type: "greater_than",
    name: "gt",
    words: "greater than",
    isMet: (value, bound) => value > bound,
  },
} satisfies Readonly<Record<string, Bound>>;

function boundRules(options: NumberOptions): Rule<number>[] {
  const rules: Rule<number>[] = [];
  for (const [keyword, { type, name, words, isMet }] of Object.entries(BOUNDS)) {
    const bound = options[keyword as keyof typeof BOUNDS];
    if (bound === undefined) continue;
    rules.push({
      isMet: (value) => isMet(value, bound),
      problem: expected(type, `${words} ${bound}`, { [name]: bound }),
    });
  }
  return rules;
}

/** What a safe integer meets. */
const SAFE_INTEGER: readonly Rule<number>[] = [
  { isMet: Number.isFinite, problem: NOT_FINITE },
  { isMet: Number.isInteger, problem: HAS_FRACTION },
  ...boundRules(SAFE),
];

/**
 * Exact for integers. Other numbers may be off by a billionth, as in pydantic, or by as much as the
 * rounding of a large value can bring: pydantic says that 123456789.1 is no multiple of 0.1.
 */
function isMultiple(value: number, step: number): boolean {
  const rest = Math.abs(value % step);
  const distance = Math.min(rest, step - rest);
  const isExact = Number.isInteger(value) && Number.isInteger(step);
  const tolerance = isExact ? 0 : Math.max(1e-9, Math.abs(value) * Number.EPSILON);
  return distance <= tolerance;
}
