import assert from "node:assert/strict";
import { test } from "node:test";

import { json, type Reply } from "../../src/http/reply.ts";
import { route } from "../../src/http/route.ts";
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
} from "../../src/models/model.ts";
import type { PathNames } from "../../src/models/paths.ts";

// `npm run check` compiles these assertions: each array of `true` has the type of its elements.

/** true if the types are the same; a type that only can be assigned to the other is not. */
type Same<A, B> =
  (<T>() => T extends Flat<A> ? 1 : 2) extends <T>() => T extends Flat<B> ? 1 : 2 ? true : false;

type Flat<T> = { [K in keyof T]: T[K] };

const OK: Reply = json(200, null);

test("the names of a path's parameters are read from its text", () => {
  const same: [
    Same<PathNames<"/jobs">, never>,
    Same<PathNames<"/jobs/{id}">, "id">,
    Same<PathNames<"/{a}/b/{c}">, "a" | "c">,
  ] = [true, true, true];
  assert.ok(same);
});

test("a handler has the types of models that are written in its declaration", () => {
  const made = route({
    method: "PUT",
    path: "/jobs/{id}",
    parameters: {
      id: string({ format: "uuid" }),
      limit: optional(integer(), 10),
      notify: optional(array(string()), []),
      mode: optional(literal("fast", "safe")),
    },
    body: object({
      name: string(),
      mode: literal("fast", "safe"),
      tags: optional(array(string()), []),
      at: optional(nullable(number())),
    }),
    handler: (input, { signal }) => {
      const same: [
        Same<
          typeof input,
          {
            id: string;
            limit: number;
            notify: string[];
            mode?: "fast" | "safe";
            body: { name: string; mode: "fast" | "safe"; tags: string[]; at?: number | null };
          }
        >,
        Same<typeof signal, AbortSignal>,
      ] = [true, true];
      return json(200, same);
    },
  });
  assert.equal(made.path, "/jobs/{id}");
});

test("a handler may destructure a refined body, a union, and several parameters", () => {
  const routes = [
    route({
      method: "POST",
      path: "/ranges",
      body: refine(
        object({ from: integer(), to: integer() }),
        ({ from, to }) => from <= to,
        "empty",
      ),
      handler: ({ body: { from, to } }) =>
        json(200, (from satisfies number) + (to satisfies number)),
    }),
    route({
      method: "POST",
      path: "/things",
      body: union(object({ a: string() }, { title: "A" }), array(integer())),
      handler: ({ body }) => json(200, Array.isArray(body) ? body.length : body.a.length),
    }),
    route({
      method: "GET",
      path: "/users/{user}/jobs/{id}",
      parameters: { user: string(), id: integer(), all: optional(boolean(), false) },
      handler: async ({ user, id, all }) =>
        json(200, [user satisfies string, id satisfies number, all satisfies boolean]),
    }),
    route({
      method: "GET",
      path: "/jobs",
      parameters: { since: optional(string({ format: "date" })) },
      handler: ({ since }) => json(200, (since satisfies string | undefined) ?? null),
    }),
  ];
  assert.equal(routes.length, 4);
});

test("a handler without models gets an empty object, and may leave its arguments out", () => {
  const routes = [
    route({ method: "GET", path: "/a", handler: () => OK }),
    route({ method: "GET", path: "/b", handler: (_input, { requestId }) => json(200, requestId) }),
    route({
      method: "GET",
      path: "/c",
      handler: (input) => {
        const same: [Same<typeof input, {}>] = [true];
        return json(200, same);
      },
    }),
  ];
  assert.equal(routes.length, 3);
});

test("the compiler refuses what does not fit", () => {
  // @ts-expect-error: the parameter of the path has no model
  route({ method: "GET", path: "/jobs/{id}", handler: () => OK });
  // @ts-expect-error: the parameter of the path has no model, another one has
  route({ method: "GET", path: "/jobs/{id}", parameters: { di: string() }, handler: () => OK });
  // @ts-expect-error: a parameter is a model
  route({ method: "GET", path: "/jobs", parameters: { id: "string" }, handler: () => OK });
  route({
    method: "GET",
    path: "/jobs/{id}",
    parameters: { id: string() },
    // @ts-expect-error: there is no such parameter
    handler: ({ di }) => json(200, di),
  });
  route({
    method: "GET",
    path: "/jobs/{id}",
    parameters: { id: string() },
    // @ts-expect-error: there is no body
    handler: ({ body }) => json(200, body),
  });
  route({
    method: "POST",
    path: "/jobs",
    body: object({ name: string() }),
    // @ts-expect-error: the body has no such member
    handler: ({ body }) => json(200, body.mane),
  });
  // @ts-expect-error: a handler returns a reply
  route({ method: "GET", path: "/jobs", handler: () => "text" });
  // @ts-expect-error: a response has a description
  route({ method: "GET", path: "/jobs", responses: { 200: {} }, handler: () => OK });
  // @ts-expect-error: there is no such member
  route({ method: "GET", path: "/jobs", guard: () => {}, handler: () => OK });
  assert.ok(route);
});
