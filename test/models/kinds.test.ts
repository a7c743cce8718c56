import assert from "node:assert/strict";
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
import { type Location, Problems, type ValidationProblem } from "../../src/models/problems.ts";

/** The value of an input, or its problems. */
interface Outcome<T> {
  readonly value: T;
  readonly problems: readonly ValidationProblem[];
}

function check<T>(model: Model<T>, input: unknown, location: Location = ["body"]): Outcome<T> {
  const problems = new Problems();
  const value = model.check(input, location, problems);
  return { value, problems: problems.list };
}

/** The types and locations of the problems: `string_type body.a.0`. */
function problemsOf(model: Model<unknown>, input: unknown, location?: Location): string[] {
  const { problems } = check(model, input, location);
  return problems.map(({ type, loc }) => `${type} ${loc.join(".")}`);
}

const MAX = Number.MAX_SAFE_INTEGER;

describe("the JSON Schema of", () => {
  const about = { title: "T", description: "D.", examples: ["a"] };
  const text = { type: "string" };
  const whole = { type: "integer", minimum: -MAX, maximum: MAX };
  const cases: readonly (readonly [name: string, model: Model<unknown>, schema: object])[] = [
    ["a string", string(), text],
    [
      "a string with keywords",
      string({ minLength: 1, maxLength: 2, pattern: "^a", format: "date", ...about }),
      { type: "string", minLength: 1, maxLength: 2, pattern: "^a", format: "date", ...about },
    ],
    ["an integer has the bounds of JavaScript's", integer(), whole],
    [
      "an integer with bounds",
      integer({ minimum: 0, multipleOf: 2 }),
      { ...whole, minimum: 0, multipleOf: 2 },
    ],
    [
      "an integer with an exclusive bound has that one only",
      integer({ exclusiveMinimum: 0, exclusiveMaximum: 9 }),
      { type: "integer", exclusiveMinimum: 0, exclusiveMaximum: 9 },
    ],
    ["a number", number({ exclusiveMinimum: 0 }), { type: "number", exclusiveMinimum: 0 }],
    ["a boolean", boolean(about), { type: "boolean", ...about }],
    ["a literal", literal("a", 1, true), { enum: ["a", 1, true] }],
    [
      "an array",
      array(string(), { minItems: 1, maxItems: 2, ...about }),
      { type: "array", items: text, minItems: 1, maxItems: 2, ...about },
    ],
    ["something nullable", nullable(string()), { anyOf: [text, { type: "null" }] }],
    ["something optional", optional(string()), text],
    ["something with a default", optional(string(), "a"), { ...text, default: "a" }],
    ["a union", union(string(), integer()), { anyOf: [text, whole] }],
    ["something refined", refine(string(about), () => true, ""), { ...text, ...about }],
    [
      "an object requires what has no default",
      object(
        { a: string(), b: optional(string()), c: optional(string(), "x") },
        { additionalProperties: false, title: "T" },
      ),
      {
        type: "object",
        properties: { a: text, b: text, c: { ...text, default: "x" } },
        required: ["a"],
        additionalProperties: false,
        title: "T",
      },
    ],
  ];
  for (const [name, model, schema] of cases) {
    test(name, () => {
      assert.deepEqual(model.schema, schema);
      assert.ok(Object.isFrozen(model));
    });
  }
});

describe("a string's length", () => {
  const rows: readonly (readonly [
    text: string,
    minLength: number,
    maxLength: number,
    problem: string,
  ])[] = [
    ["", 0, 0, ""],
    ["a", 0, 0, "string_too_long"],
    ["", 1, 1, "string_too_short"],
    ["😀", 1, 1, ""],
    ["😀😀", 1, 1, "string_too_long"],
    ["😀😀", 3, 9, "string_too_short"],
    ["😀😀😀", 3, 3, ""],
    ["a😀b😀", 4, 4, ""],
    ["a😀b😀", 5, 6, "string_too_short"],
    ["\ud800\ud800", 2, 2, ""],
    ["e\u0301", 2, 2, ""],
    ["a".repeat(1_000_000), 0, 999_999, "string_too_long"],
    ["😀".repeat(1_000_000), 1_000_000, 1_000_000, ""],
    ["😀".repeat(1_000_000), 1_000_001, 2_000_000, "string_too_short"],
  ];
  for (const [text, minLength, maxLength, problem] of rows) {
    test(`of ${text.slice(0, 8)} (${text.length}) is in code points: ${problem || "valid"}`, () => {
      const { problems } = check(string({ minLength, maxLength }), text);
      assert.deepEqual(
        problems.map(({ type }) => type),
        problem === "" ? [] : [problem],
      );
    });
  }

  test("of 1 has messages without a plural", () => {
    const model = string({ minLength: 1, maxLength: 1 });
    assert.equal(check(model, "").problems[0]?.msg, "String should have at least 1 character");
    assert.equal(check(model, "ab").problems[0]?.msg, "String should have at most 1 character");
  });
});

test("a string may hold half of a surrogate pair", () => {
  assert.deepEqual(check(string(), "\ud800"), { value: "\ud800", problems: [] });
});

test("a pattern is one with the flag u, and may match anywhere", () => {
  assert.deepEqual(problemsOf(string({ pattern: "^.$" }), "😀"), []);
  assert.deepEqual(problemsOf(string({ pattern: "b" }), "abc"), []);
  assert.deepEqual(problemsOf(string({ pattern: "\\p{Lu}" }), "abc"), [
    "string_pattern_mismatch body",
  ]);
  assert.throws(() => string({ pattern: "(" }), SyntaxError);
});

test("a format says what it expects", () => {
  const messages = (["uuid", "uri", "date-time", "date"] as const).map((format) => {
    const [problem] = check(string({ format }), "x").problems;
    return `${problem?.type}: ${problem?.msg}`;
  });
  assert.deepEqual(messages, [
    "uuid_parsing: Input should be a valid UUID, expected 8-4-4-4-12 hexadecimal digits",
    "url_parsing: Input should be a valid URL, expected an absolute URI as in RFC 3986",
    "datetime_parsing: Input should be a valid datetime, expected a date-time as in RFC 3339",
    "date_parsing: Input should be a valid date, expected a full-date as in RFC 3339",
  ]);
});

test("long texts that almost match take linear time", () => {
  const long = (text: string): string => text.repeat(500_000);
  const texts = [long("1"), long("1."), long("a"), long("%20"), long(" "), `1${long(" ")}`];
  const models: Model<unknown>[] = [
    integer(),
    number(),
    ...(["uuid", "uri", "date-time", "date"] as const).map((format) => string({ format })),
  ];
  for (const model of models) {
    for (const text of texts) {
      for (const start of ["", "a:", "2020-01-01", "2020-01-01T00:00:00."]) {
        // A quadratic check would not end.
        assert.equal(check(model, `${start}${text}\0`, ["query", "a"]).problems.length, 1);
      }
    }
  }
});

describe("the text of a parameter", () => {
  const query = ["query", "a"];
  test("is one of the literals if it is written like it", () => {
    const model = literal("a", 1, true);
    for (const value of ["a", 1, true]) {
      assert.deepEqual(check(model, String(value), [...query]), { value, problems: [] });
    }
    assert.equal(
      check(model, "1.0", [...query]).problems[0]?.msg,
      "Input should be 'a', 1 or true",
    );
  });

  test("is no number in Python's notations", () => {
    assert.deepEqual(problemsOf(integer(), "1_000", [...query]), ["int_parsing query.a"]);
    for (const text of ["1_000", "nan", "inf", "-Infinity"]) {
      assert.deepEqual(problemsOf(number(), text, [...query]), ["float_parsing query.a"]);
    }
  });

  test("is read in the path as in the query", () => {
    assert.deepEqual(check(integer(), "07", ["path", "a"]), { value: 7, problems: [] });
  });

  test("is read by each model around a scalar", () => {
    const model = optional(
      nullable(refine(union(integer(), boolean()), (value) => value !== 0, "zero")),
    );
    assert.equal(check(model, "7", [...query]).value, 7);
    assert.equal(check(model, "on", [...query]).value, true);
    assert.deepEqual(check(model, "0", [...query]).problems, [
      {
        type: "value_error",
        loc: query,
        msg: "Value error, zero",
        input: "0",
        ctx: { error: {} },
      },
    ]);
  });
});

describe("what is absent", () => {
  const model = object({
    a: optional(string()),
    b: optional(array(object({ c: integer() })), [{ c: 1 }]),
    d: optional(nullable(string()), null),
    e: optional(boolean(), false),
  });

  test("stays absent without a default, and is the default with one", () => {
    assert.deepEqual(check(model, {}).value, { b: [{ c: 1 }], d: null, e: false });
  });

  test("gets a default of its own each time", () => {
    const first = check(model, {}).value;
    first.b.push({ c: 2 });
    assert.deepEqual(check(model, {}).value.b, [{ c: 1 }]);
  });

  test("is not what is null", () => {
    assert.deepEqual(problemsOf(model, { a: null, b: null, e: null }), [
      "string_type body.a",
      "list_type body.b",
      "bool_type body.e",
    ]);
  });
});

describe("a union", () => {
  const circle = object({ radius: number() }, { title: "Circle" });
  const square = object({ side: number(), radius: optional(number()) }, { title: "Square" });

  test("takes the first model that fits", () => {
    assert.deepEqual(check(union(circle, square), { side: 1, radius: 2 }).value, { radius: 2 });
    assert.deepEqual(check(union(square, circle), { side: 1, radius: 2 }).value, {
      side: 1,
      radius: 2,
    });
  });

  test("names the alternatives by title, or else by type", () => {
    const model = union(circle, string(), array(integer()), literal("a"), nullable(boolean()));
    assert.deepEqual(problemsOf(object({ a: model }), { a: 5 }), [
      "model_attributes_type body.a.Circle",
      "string_type body.a.string",
      "list_type body.a.array",
      "literal_error body.a.enum",
      "bool_type body.a.anyOf",
    ]);
  });

  test("fits although another alternative has more than 100 problems", () => {
    const texts = Array.from({ length: 300 }, (_, index) => `${index}`);
    const { value, problems } = check(union(array(integer()), array(string())), texts);
    assert.deepEqual([value, problems], [texts, []]);
  });

  test("of unions reports each alternative once", () => {
    const model = union(union(integer(), boolean()), string());
    assert.deepEqual(problemsOf(model, null), [
      "int_type body.anyOf.integer",
      "bool_type body.anyOf.boolean",
      "string_type body.string",
    ]);
  });

  test("that fails is not missing", () => {
    const model = object({ a: union(integer(), string()) });
    assert.deepEqual(problemsOf(model, { a: null }), [
      "int_type body.a.integer",
      "string_type body.a.string",
    ]);
  });
});

describe("a refinement", () => {
  test("is asked only about valid values", () => {
    const asked: unknown[] = [];
    const model = refine(
      object({ a: integer() }),
      (value) => {
        asked.push(value);
        return value.a > 1;
      },
      "a must be over 1",
    );
    assert.deepEqual(problemsOf(array(model), [{ a: "x" }, {}, { a: 1 }, { a: 2 }, 3]), [
      "int_type body.0.a",
      "missing body.1.a",
      "value_error body.2",
      "model_attributes_type body.4",
    ]);
    assert.deepEqual(asked, [{ a: 1 }, { a: 2 }]);
  });

  test("is not asked about a value that was not looked at to its end", () => {
    const model = object({
      a: array(integer()),
      b: refine(array(string()), (texts) => texts.every((text) => text.length > 0), ""),
    });
    const input = { a: Array.from({ length: 200 }, () => "x"), b: [1] };
    assert.equal(check(model, input).problems.length, 100);
  });
});

describe("many problems", () => {
  test("are the first 100", () => {
    const inputs = Array.from({ length: 1000 }, (_, index) => (index % 2 === 0 ? "a" : index));
    const problems = problemsOf(array(integer()), inputs);
    assert.equal(problems.length, 100);
    assert.equal(problems[99], "int_type body.198");
  });

  test("end the check of an array", () => {
    let count = 0;
    const failing = refine(
      integer(),
      () => {
        count += 1;
        return false;
      },
      "never",
    );
    check(
      array(array(failing)),
      Array.from({ length: 100 }, () => [1, 2, 3]),
    );
    assert.equal(count, 100);
  });

  test("of undeclared members are the first 100", () => {
    const members = Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`m${index}`, 1]));
    const model = object({ a: string() }, { additionalProperties: false });
    const problems = problemsOf(model, members);
    assert.equal(problems.length, 100);
    assert.deepEqual(problems.slice(0, 2), ["missing body.a", "extra_forbidden body.m0"]);
  });
});

test("an object takes own members only, also if they are called like inherited ones", () => {
  const model = object({ toString: optional(string()), a: optional(string()) });
  assert.deepEqual(Object.entries(check(model, JSON.parse('{"toString":"x"}')).value), [
    ["toString", "x"],
  ]);
  assert.deepEqual(Object.entries(check(model, {}).value), []);
  const closed = object({}, { additionalProperties: false });
  assert.deepEqual(problemsOf(closed, JSON.parse('{"__proto__":1,"toString":2}')), [
    "extra_forbidden body.__proto__",
    "extra_forbidden body.toString",
  ]);
});

test("a location is as it was after each check", () => {
  const location: Location = ["body"];
  const model = object({ a: array(union(integer(), object({ b: string() }))), c: string() });
  for (const input of [{ a: [1, { b: "x" }], c: "y" }, { a: [null, { b: 1 }] }, {}, 5]) {
    model.check(input, location, new Problems());
    assert.deepEqual(location, ["body"]);
  }
});

test("an array is copied only if an item changes, and the input never changes", () => {
  const texts = ["a", "b"];
  assert.equal(check(array(string()), texts).value, texts);
  const input = JSON.parse('[{"a":"x","b":1},{"a":"y"}]') as unknown[];
  const { value } = check(array(object({ a: string() })), input);
  assert.deepEqual(value, [{ a: "x" }, { a: "y" }]);
  assert.equal(JSON.stringify(input), '[{"a":"x","b":1},{"a":"y"}]');
});
