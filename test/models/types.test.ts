import assert from "node:assert/strict";
import { test } from "node:test";

import {
  array,
  boolean,
  integer,
  literal,
  nullable,
  number,
  object,
  optional,
  refine,
  string,
  union,
  type ValueOf,
} from "../../src/models/model.ts";

// `npm run check` compiles these assertions: each array of `true` has the type of its elements.

/** true if the types are the same; a type that only can be assigned to the other is not. */
type Same<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

const newJob = object(
  {
    name: string({ minLength: 1, maxLength: 100, description: "Shown in lists." }),
    priority: optional(integer({ minimum: 0, maximum: 9 }), 5),
    tags: optional(array(string(), { maxItems: 10 }), []),
    callback: nullable(string({ format: "uri" })),
    mode: literal("fast", "safe"),
    options: object({ dry_run: boolean(), timeout_s: number({ exclusiveMinimum: 0 }) }),
    note: optional(string()),
  },
  { title: "NewJob" },
);

interface NewJob {
  name: string;
  priority: number;
  tags: string[];
  callback: string | null;
  mode: "fast" | "safe";
  options: { dry_run: boolean; timeout_s: number };
  note?: string;
}

type Flat<T> = { [K in keyof T]: T[K] };

test("a job has the type of its members", () => {
  const same: [Same<ValueOf<typeof newJob>, Flat<NewJob>>] = [true];
  assert.ok(same);
});

test("each model has the exact type of its values", () => {
  const text = string();
  const models = {
    integer: integer(),
    boolean: boolean(),
    one: literal("a"),
    mixed: literal("a", 1, true),
    list: array(array(number())),
    nullable: nullable(boolean()),
    optional: optional(text),
    nullableOptional: optional(nullable(text)),
    withDefault: optional(text, "a"),
    literalWithDefault: optional(literal("a", "b"), "b"),
    nullByDefault: optional(nullable(text), null),
    union: union(text, integer(), object({ a: nullable(text) })),
    refined: refine(object({ a: integer() }), ({ a }) => a > 0, "a must be positive"),
    empty: object({}),
    closed: object({ a: text }, { additionalProperties: false }),
  };
  type Values = { [K in keyof typeof models]: ValueOf<(typeof models)[K]> };
  const same: [
    Same<Values["integer"], number>,
    Same<Values["boolean"], boolean>,
    Same<Values["one"], "a">,
    Same<Values["mixed"], "a" | 1 | true>,
    Same<Values["list"], number[][]>,
    Same<Values["nullable"], boolean | null>,
    Same<Values["optional"], string | undefined>,
    Same<Values["nullableOptional"], string | null | undefined>,
    Same<Values["withDefault"], string>,
    Same<Values["literalWithDefault"], "a" | "b">,
    Same<Values["nullByDefault"], string | null>,
    Same<Values["union"], string | number | { a: string | null }>,
    Same<Values["refined"], { a: number }>,
    Same<Values["empty"], {}>,
    Same<Values["closed"], { a: string }>,
  ] = [true, true, true, true, true, true, true, true, true, true, true, true, true, true, true];
  assert.ok(same);
});

test("what may be absent has a question mark, in nested objects and with null, too", () => {
  const model = object({
    a: optional(object({ b: optional(integer()), c: integer() })),
    d: optional(nullable(string())),
    e: array(object({ f: optional(boolean(), true) })),
  });
  type Expected = {
    e: { f: boolean }[];
    a?: { c: number; b?: number };
    d?: string | null;
  };
  const same: [Same<ValueOf<typeof model>, Flat<Expected>>] = [true];
  assert.ok(same);
});

test("the compiler refuses what does not fit", () => {
  // @ts-expect-error: the default is not one of the literals
  optional(literal("a", "b"), "c");
  // @ts-expect-error: the default has another type
  optional(integer(), "1");
  // @ts-expect-error: a string has no minimum
  string({ minimum: 1 });
  // @ts-expect-error: an integer has no length
  integer({ maxLength: 1 });
  // @ts-expect-error: there is no such format
  string({ format: "email" });
  // @ts-expect-error: only false says something else than nothing
  object({}, { additionalProperties: true });
  // @ts-expect-error: no value would be one of them
  literal();
  // @ts-expect-error: no value would be one of them
  union();
  // @ts-expect-error: a member is a model
  object({ a: "string" });
  // @ts-expect-error: the value has no such member
  refine(object({ a: integer() }), ({ b }) => b > 0, "");
  assert.ok(optional);
});
