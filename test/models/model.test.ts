import assert from "node:assert/strict";
import { test } from "node:test";

import { type Model, object, string } from "../../src/models/model.ts";
import { Problems, type ValidationProblem } from "../../src/models/problems.ts";

const status = object({ status: string() });

/** The value of a JSON text by `model`, and its problems. */
function check<T>(
  model: Model<T>,
  text: string,
): { value: T; problems: readonly ValidationProblem[] } {
  const problems = new Problems();
  const value = model.check(JSON.parse(text), ["body"], problems);
  return { value, problems: problems.list };
}

const NO_OBJECT = "Input should be a valid dictionary or object to extract fields from";

const GOOD: readonly (readonly [string, string])[] = [
  ['{"status":"SUCCESS"}', "SUCCESS"],
  ['{"status":""}', ""],
  ['{"status":"\\ud800"}', "\ud800"],
  ['{"status":"\\ud83d\\ude00"}', "😀"],
  ['{"status":"\\u0000"}', "\0"],
  ['{"other":1,"status":"a","id":null}', "a"],
  ['{"status":1,"status":"b"}', "b"],
  ['{"__proto__":{"status":1},"status":"c"}', "c"],
  ['{"__proto__":null,"status":"d"}', "d"],
  ['{"hasOwnProperty":1,"toString":2,"status":"e"}', "e"],
];

for (const [text, expected] of GOOD) {
  test(`${text} passes on its status and nothing else`, () => {
    const { value, problems } = check(status, text);
    assert.deepEqual(problems, []);
    assert.deepEqual(Object.entries(value), [["status", expected]]);
    assert.equal(Object.getPrototypeOf(value), Object.prototype);
  });
}

const NOT_STRINGS = [
  "null",
  "true",
  "false",
  "0",
  "-0",
  "5",
  "1.5",
  "1e400",
  "12345678901234567890",
  "[]",
  '["a"]',
  "{}",
  '{"status":"a"}',
];

for (const text of NOT_STRINGS) {
  test(`a status of ${text} is a problem at its place, and shown`, () => {
    const { problems } = check(status, `{"status":${text}}`);
    const input: unknown = JSON.parse(text);
    const msg = "Input should be a valid string";
    assert.deepEqual(problems, [{ type: "string_type", loc: ["body", "status"], msg, input }]);
  });
}

const MISSING = [
  "{}",
  '{"Status":"a"}',
  '{"status ":"a"}',
  '{"":"a"}',
  '{"__proto__":{"status":"a"}}',
  '{"hasOwnProperty":1}',
  '{"constructor":{"prototype":{"status":"x"}}}',
  '{"body":{"status":"a"}}',
];

for (const text of MISSING) {
  test(`${text} has no status of its own, and is shown`, () => {
    const { problems } = check(status, text);
    assert.equal(problems.length, 1);
    assert.deepEqual(
      [problems[0]?.type, problems[0]?.loc, problems[0]?.msg],
      ["missing", ["body", "status"], "Field required"],
    );
    assert.equal(JSON.stringify(problems[0]?.input), text);
  });
}

test("a member that every object inherits is not one of the input", () => {
  for (const name of ["toString", "constructor", "hasOwnProperty", "valueOf", "isPrototypeOf"]) {
    const { problems } = check(object({ [name]: string() }), '{"status":"a"}');
    assert.deepEqual(
      problems.map(({ type, loc }) => [type, loc]),
      [["missing", ["body", name]]],
    );
  }
});

for (const text of ["null", "true", "5", '"x"', "[]", '[{"status":"a"}]', '["status"]']) {
  test(`${text} is not an object, and nothing in it is looked for`, () => {
    const { problems } = check(status, text);
    const input: unknown = JSON.parse(text);
    assert.deepEqual(problems, [
      { type: "model_attributes_type", loc: ["body"], msg: NO_OBJECT, input },
    ]);
  });
}

const nested = object({ a: string(), b: object({ c: string(), d: object({ e: string() }) }) });

test("objects nest, and members that are not declared are dropped on each level", () => {
  const { value, problems } = check(
    nested,
    '{"x":1,"a":"1","b":{"y":2,"c":"2","d":{"z":3,"e":"3"}}}',
  );
  assert.deepEqual(problems, []);
  assert.deepEqual(value, { a: "1", b: { c: "2", d: { e: "3" } } });
});

test("problems of all levels are listed in the order of the declaration", () => {
  const { problems } = check(nested, '{"b":{"d":{"e":5},"c":null}}');
  assert.deepEqual(
    problems.map(({ type, loc }) => [type, loc.join(".")]),
    [
      ["missing", "body.a"],
      ["string_type", "body.b.c"],
      ["string_type", "body.b.d.e"],
    ],
  );
  const { problems: shallow } = check(nested, '{"a":"1","b":[]}');
  assert.deepEqual(
    shallow.map(({ type, loc }) => [type, loc.join(".")]),
    [["model_attributes_type", "body.b"]],
  );
});

test("a check does not change its input", () => {
  const input: unknown = JSON.parse('{"status":5,"a":{"b":1}}');
  status.check(input, ["body"], new Problems());
  assert.equal(JSON.stringify(input), '{"status":5,"a":{"b":1}}');
});

test("an object without members takes any object", () => {
  assert.deepEqual(check(object({}), '{"a":1}'), { value: {}, problems: [] });
  assert.equal(check(object({}), "[]").problems.length, 1);
});

test("half of a surrogate pair is shown as its escape, and nothing throws", () => {
  const { problems } = check(status, '{"x":"\\ud800"}');
  assert.match(JSON.stringify(problems), /"input":\{"x":"\\ud800"\}/);
});

test("100,000 levels of lists are a problem without their input", () => {
  const deep = "[".repeat(100_000) + "]".repeat(100_000);
  for (const [text, type] of [
    [deep, "model_attributes_type"],
    [`{"status":${deep}}`, "string_type"],
    [`{"x":${deep}}`, "missing"],
  ]) {
    const { problems } = check(status, text ?? "");
    assert.equal(problems[0]?.type, type);
    assert.ok(!("input" in (problems[0] ?? {})));
  }
});

test("5,000 levels of objects are a problem without their input", () => {
  const { problems } = check(status, `${'{"x":'.repeat(5000)}1${"}".repeat(5000)}`);
  assert.deepEqual(Object.keys(problems[0] ?? {}), ["type", "loc", "msg"]);
});
