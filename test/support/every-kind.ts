import { Readable } from "node:stream";

import { empty, HttpError, json, text } from "../../src/http/reply.ts";
import { type Dependency, type Route, route } from "../../src/http/route.ts";
import {
  annotate,
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

// Routes with each kind of model, parameter, reply and dependency, for what is made of them.

const level = annotate(literal("low", "high"), {
  title: "Level",
  description: "How urgent it is.",
});

const range = object(
  { from: integer({ minimum: 0 }), to: optional(integer({ maximum: 9 })) },
  { title: "Range", description: "Whole numbers.", additionalProperties: false },
);

// No keyword says what refine asks. Here it follows from one, so that valid is what looks valid.
const digit = refine(integer({ minimum: 0, maximum: 9 }), (value) => value < 10, "must be a digit");

const item = object(
  {
    name: string({ minLength: 1, maxLength: 20, pattern: "^[a-z]+$", examples: ["abc"] }),
    level,
    fallback: optional(level, "low"),
    count: optional(integer({ exclusiveMaximum: 100, multipleOf: 5 }), 5),
    ratio: number({ exclusiveMinimum: 0, maximum: 1 }),
    isOpen: boolean({ description: "Whether it is open." }),
    due: nullable(string({ format: "date-time" })),
    day: optional(string({ format: "date" })),
    link: optional(nullable(string({ format: "uri" })), null),
    ranges: array(range, { minItems: 1, maxItems: 3 }),
    size: union(integer({ minimum: 1 }), literal("small", "large"), range),
    digit,
    nested: object(
      { on: literal(true), code: literal(1, 2) },
      { examples: [{ on: true, code: 1 }] },
    ),
  },
  { title: "Item", description: "Each kind of member." },
);

const id = string({ format: "uuid", description: "Which item." });

const parameters = {
  id,
  level: optional(level),
  limit: optional(integer({ minimum: 1, maximum: 100 }), 20),
  ratio: optional(number({ exclusiveMinimum: 0, exclusiveMaximum: 1 })),
  all: optional(boolean(), false),
  exact: boolean(),
  day: optional(string({ format: "date" })),
  word: optional(string({ maxLength: 8, examples: ["abc"] })),
  tag: optional(array(string({ minLength: 1 }), { maxItems: 3 }), []),
  code: optional(array(literal(1, 2))),
};

/** A route for each kind of thing, behind `guard`; deleting needs to pass `second` too. */
export function everyKind(guard: Dependency, second: Dependency): Route[] {
  return [
    putRoute(guard),
    findRoute(guard),
    deleteRoute(guard, second),
    exportRoute(),
    route({ method: "SEARCH", path: "/items", includeInSchema: false, handler: () => empty() }),
  ];
}

function putRoute(guard: Dependency): Route {
  return route({
    method: "PUT",
    path: "/items/{id}/{part}",
    dependencies: [guard],
    tags: ["process", "health"],
    summary: "Put an item",
    description: "Returns what it gets.",
    parameters: { part: integer({ minimum: 0 }), id },
    body: item,
    responses: {
      200: {
        description: "The item.",
        body: object({ id, part: integer(), item }, { title: "Part" }),
        headers: { "X-Part": integer(), "X-Note": optional(string({ description: "A note." })) },
      },
      409: { description: "There is such an item.", example: { detail: "Conflict" } },
    },
    handler: ({ id, part, body }) => json(200, { id, part, item: body }, ["X-Part", String(part)]),
  });
}

function findRoute(guard: Dependency): Route {
  return route({
    method: "GET",
    path: "/items/{id}",
    dependencies: [guard],
    tags: ["process"],
    summary: "Find an item",
    description: "Returns its parameters.",
    parameters,
    responses: {
      200: { description: "The parameters.", body: object(parameters) },
      404: { description: "No such item." },
    },
    handler: (input) => json(200, input),
  });
}

function deleteRoute(guard: Dependency, second: Dependency): Route {
  return route({
    method: "DELETE",
    path: "/items/{id}",
    dependencies: [guard, second],
    tags: ["process"],
    summary: "Delete an item",
    description: "Deletes nothing.",
    parameters: { id },
    responses: { 204: { description: "It is gone." } },
    handler: () => empty(),
  });
}

function exportRoute(): Route {
  return route({
    method: "GET",
    path: "/items/export",
    tags: ["process"],
    summary: "Export items",
    description: "Streams lines.",
    limited: false,
    responses: {
      200: { description: "A line for each.", type: "text/csv", example: "a,b\r\n" },
    },
    handler: () => text(200, "text/csv; charset=utf-8", Readable.from(["a,b\r\n", "c,d\r\n"])),
  });
}

/** A second guard: it rejects everybody but the callers with this key. */
export function onlyKey(name: string): Dependency {
  const forbidden = new HttpError(403, "Another key may do that");
  const guard: Dependency = ({ key }) => (key === name ? undefined : forbidden);
  const responses = { 403: { description: "The key may not do that." } };
  return Object.assign(guard, { responses });
}
