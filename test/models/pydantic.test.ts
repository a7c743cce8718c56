import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";

import {
  array,
  boolean,
  integer,
  literal,
  type Model,
  nullable,
  number,
  object,
  optional,
  refine,
  string,
  union,
} from "../../src/models/model.ts";
import { Problems, type ValidationProblem } from "../../src/models/problems.ts";
import { root } from "../support/root.ts";

/** A line of pydantic-cases.jsonl; record-pydantic.py says what it holds. */
type Line = ModelLine | FormatLine;

interface ModelLine extends Outcome {
  readonly model: string;
  readonly way: "body" | "query";
  /** Texts of bodies, or lists of texts of a parameter. */
  readonly inputs: readonly (string | readonly string[])[];
}

interface FormatLine {
  readonly format: keyof typeof OTHER_TEXTS;
  readonly isValid: boolean;
  readonly inputs: readonly string[];
}

/** What a check found. */
interface Outcome {
  readonly value?: unknown;
  readonly problems?: readonly ValidationProblem[];
}

const status = object({ status: string() });
const cat = object({ kind: literal("cat"), lives: integer({ minimum: 0 }) }, { title: "Cat" });
const dog = object({ kind: literal("dog"), name: string() }, { title: "Dog" });

/** The models of record-pydantic.py. */
const MODELS: Readonly<Record<string, Model<unknown>>> = {
  string: string(),
  "string of 3 to 5": string({ minLength: 3, maxLength: 5 }),
  "string of letters": string({ maxLength: 3, pattern: "^[a-z]+$" }),
  integer: integer(),
  "integer of 0 to 9": integer({ minimum: 0, maximum: 9 }),
  "integer between 0 and 10": integer({ exclusiveMinimum: 0, exclusiveMaximum: 10 }),
  "integer times 3": integer({ multipleOf: 3, maximum: 100 }),
  number: number(),
  "number of 0.5 to 9.5": number({ minimum: 0.5, maximum: 9.5 }),
  "number times 0.1": number({ multipleOf: 0.1 }),
  boolean: boolean(),
  "fast or safe": literal("fast", "safe"),
  fast: literal("fast"),
  "a, b or c": literal("a", "b", "c"),
  "array of strings": array(string()),
  "array of 2 or 3 integers": array(integer({ minimum: 0 }), { minItems: 2, maxItems: 3 }),
  "array of arrays": array(array(integer())),
  "nullable string": nullable(string()),
  "nullable integer": nullable(integer()),
  status,
  closed: object(
    { a: integer(), b: optional(string(), "x"), c: optional(string()) },
    { additionalProperties: false },
  ),
  job: object({
    name: string({ minLength: 1, maxLength: 100 }),
    priority: optional(integer({ minimum: 0, maximum: 9 }), 5),
    tags: optional(array(string(), { maxItems: 10 }), []),
    callback: nullable(string()),
    mode: literal("fast", "safe"),
    options: object({ dry_run: boolean(), timeout_s: number({ exclusiveMinimum: 0 }) }),
  }),
  "array of statuses": array(status),
  "cat or dog": union(cat, dog),
  "integer or string": union(integer(), string({ maxLength: 3 })),
  even: refine(integer(), (value) => value % 2 === 0, "must be even"),
  range: refine(
    object({ start: integer(), end: integer() }),
    ({ start, end }) => start <= end,
    "start must not be after end",
  ),
};

/** What pydantic calls the alternatives of a union, and what we do. */
const ALTERNATIVES: Readonly<Record<string, string>> = {
  "function-wrap[no_text()]": "integer",
  "function-wrap[safe()]": "integer",
  "constrained-str": "string",
};

/** Inputs that we read in another way. README.md says why, and model.test.ts how. */
const OTHER_INPUTS = ['"\\ud800"', "1_000", "nan", "-inf"];

/** Texts that pydantic takes for a format and we do not; of those with the year 0 the reverse. */
const OTHER_TEXTS = {
  uuid: [
    "6fa459eaee8a3ca4894edb77e160355e",
    "{6fa459ea-ee8a-3ca4-894e-db77e160355e}",
    "urn:uuid:6fa459ea-ee8a-3ca4-894e-db77e160355e",
  ],
  uri: [
    "http://a/%2",
    'http://a/"b',
    "http://a/<b>",
    "http://a/b\\c",
    "http://é.example",
    " http://a",
    "http://a ",
    "http://a\n/b",
    "http://a/\0",
  ],
  "date-time": [
    "2020-01-01T00:00:00",
    "2020-01-01T00:00Z",
    "2020-01-01",
    "2020-01-01T00:00:00+0000",
    "2020-10-21T10:20:30.5+0130",
    "2020-01-01_00:00:00Z",
    "0000-01-01T00:00:00Z",
    "1577836800",
    "2020-01-01 00:00:00Z",
  ],
  date: ["2020-01-01T00:00:00", "2020-01-01T00:00:00Z", "0000-01-01", "1577836800"],
};

const table = readFileSync(new URL("test/models/pydantic-cases.jsonl", root), "utf8")
  .trimEnd()
  .split("\n")
  .map((line) => JSON.parse(line) as Line);
const modelLines = table.filter((line) => "model" in line);
const formatLines = table.filter((line) => "format" in line);

/** One input of a model, what we make of it, and what pydantic does. */
interface Comparison {
  readonly text: string;
  readonly actual: string;
  readonly expected: string;
}

function compare(name: string, model: Model<unknown>, way: ModelLine["way"]): Comparison[] {
  const location = way === "body" ? ["body"] : ["query", "value"];
  const isList = model.schema["type"] === "array";
  const lines = modelLines.filter((line) => line.model === name && line.way === way);
  return lines.flatMap(({ inputs, ...outcome }) =>
    inputs.map((texts) => {
      const text = String(typeof texts === "string" ? texts : texts.at(-1));
      const parameter = isList ? texts : text;
      const input: unknown = way === "body" ? JSON.parse(text) : parameter;
      const problems = new Problems();
      const value = model.check(input, [...location], problems);
      const actual = problems.isEmpty ? { value } : { problems: problems.list };
      return { text, actual: JSON.stringify(actual), expected: written(outcome, input) };
    }),
  );
}

/** An outcome for this input, as the client gets it. */
function written({ value, problems }: Outcome, input: unknown): string {
  const renamed = problems?.map((problem) => {
    const loc = problem.loc.map((name) => ALTERNATIVES[name] ?? name);
    return { ...problem, loc };
  });
  const text = JSON.stringify(renamed === undefined ? { value } : { problems: renamed });
  return text.replaceAll('"(the input)"', () => JSON.stringify(input));
}

for (const way of ["body", "query"] as const) {
  describe(`what is in the ${way} has the value, or the problems, that it has in pydantic:`, () => {
    for (const [name, model] of Object.entries(MODELS)) {
      const comparisons = compare(name, model, way);
      if (comparisons.length === 0) continue;
      test(`${name}, ${comparisons.length} times`, () => {
        for (const { text, actual, expected } of comparisons) {
          if (!OTHER_INPUTS.includes(text)) assert.equal(actual, expected, text);
        }
        assert.ok(comparisons.length >= 50);
      });
    }
  });
}

test("each input that we read in another way has another outcome for some model", () => {
  const others = Object.entries(MODELS)
    .flatMap(([name, model]) => [...compare(name, model, "body"), ...compare(name, model, "query")])
    .filter(({ actual, expected }) => actual !== expected);
  assert.deepEqual([...new Set(others.map(({ text }) => text))].sort(), [...OTHER_INPUTS].sort());
});

describe("a format takes what pydantic takes, but for some texts:", () => {
  for (const [format, others] of Object.entries(OTHER_TEXTS)) {
    test(format, () => {
      const model = string({ format: format as FormatLine["format"] });
      const lines = formatLines.filter((line) => line.format === format);
      assert.ok(lines.flatMap(({ inputs }) => inputs).length >= 50);
      const wrong = lines.flatMap(({ inputs, isValid }) =>
        inputs.filter((text) => {
          const problems = new Problems();
          model.check(text, ["body"], problems);
          return problems.isEmpty !== isValid;
        }),
      );
      assert.deepEqual(wrong.sort(), [...others].sort());
    });
  }
});
