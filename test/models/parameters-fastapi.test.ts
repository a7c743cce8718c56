import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { before, describe, test } from "node:test";

import { json } from "../../src/http/reply.ts";
import { type Route, route } from "../../src/http/route.ts";
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
  string,
} from "../../src/models/model.ts";
import { exchange } from "../support/client.ts";
import { lines } from "../support/requests.ts";
import { root } from "../support/root.ts";
import { suiteScope } from "../support/scope.ts";
import { serveFor, type TestService } from "../support/server.ts";

/** A line of parameter-cases.jsonl; record-parameters.py says what it holds. */
type Case = readonly [method: string, target: string, body: string, status: number, text: string];

const CASES = readFileSync(new URL("test/models/parameter-cases.jsonl", root), "utf8")
  .trimEnd()
  .split("\n")
  .map((line) => JSON.parse(line) as Case);

/** An endpoint whose one parameter is its response. */
function echoOf(path: string, name: string, model: Model<unknown>): Route {
  return {
    ...route({ method: "GET", path: "/", handler: () => json(200, null) }),
    path,
    parameters: { [name]: model },
    handler: (input) => json(200, input[name] ?? null),
  };
}

/** The endpoints of record-parameters.py. */
const ROUTES: readonly Route[] = [
  route({ method: "GET", path: "/texts/special", handler: () => json(200, "special") }),
  echoOf("/texts/{text}", "text", string()),
  echoOf("/short/{text}", "text", string({ minLength: 2, maxLength: 4, pattern: "^[a-z]+$" })),
  echoOf("/integers/{n}", "n", integer()),
  echoOf("/bounded/{n}", "n", integer({ minimum: 1, exclusiveMaximum: 100, multipleOf: 3 })),
  echoOf("/numbers/{x}", "x", number()),
  echoOf("/flags/{on}", "on", boolean()),
  echoOf("/modes/{mode}", "mode", literal("fast", "safe")),
  route({
    method: "GET",
    path: "/users/{user}/posts/{post}",
    parameters: {
      user: string(),
      post: integer(),
      page: optional(integer(), 1),
      q: optional(nullable(string())),
    },
    handler: ({ user, post, page, q }) => json(200, [user, post, page, q ?? null]),
  }),
  echoOf("/text", "v", string()),
  echoOf("/short", "v", optional(string({ minLength: 2, maxLength: 4 }), "abc")),
  echoOf("/integer", "v", integer()),
  echoOf("/bounded", "v", optional(integer({ exclusiveMinimum: 0, maximum: 100 }), 20)),
  echoOf("/number", "v", number({ exclusiveMinimum: -1000 })),
  echoOf("/flag", "v", optional(boolean(), false)),
  echoOf("/mode", "v", optional(literal("fast", "safe"))),
  echoOf("/texts", "v", optional(array(string()), ["x"])),
  echoOf("/integers", "v", array(integer(), { minItems: 1, maxItems: 3 })),
  route({
    method: "GET",
    path: "/many",
    parameters: { b: integer(), a: string(), c: optional(array(boolean()), []) },
    handler: ({ b, a, c }) => json(200, [b, a, c]),
  }),
  route({
    method: "PUT",
    path: "/all/{n}",
    parameters: { n: integer(), v: integer({ minimum: 0 }) },
    body: object({ a: integer() }),
    handler: ({ n, v, body }) => json(200, [n, v, body.a]),
  }),
];

/** Targets that have another response here, by the reason. */
const OTHERS: Readonly<Record<string, readonly string[]>> = {
  "D8: an invalid encoding, a dot segment, a slash or NUL in a path is 404": [
    "/texts/%",
    "/texts/%zz",
    "/texts/%4",
    "/texts/%E0%A4%A",
    "/texts/%FF",
    "/texts/%C0%AF",
    "/texts/%2F",
    "/texts/%00",
    "/texts/.",
    "/texts/..",
    "/texts/%2E",
    "/texts/%2e%2e",
  ],
  "D14: numbers are written as JavaScript writes them, here -1000.0 in `ctx`": ["/number?v=-1000"],
  "D15: an integer is at most 2^53 - 1": [
    "/integers/12345678901234567890",
    "/integers/9007199254740992",
    "/bounded/12345678901234567890",
    "/bounded/9007199254740992",
    "/integer?v=12345678901234567890",
    "/integer?v=9007199254740992",
    "/bounded?v=12345678901234567890",
    "/bounded?v=9007199254740992",
    "/integers?v=12345678901234567890",
    "/integers?v=9007199254740992",
  ],
  "D15: a number is finite, and has no name": [
    "/numbers/1e400",
    "/numbers/nan",
    "/numbers/inf",
    "/numbers/-inf",
    "/numbers/NaN",
    "/numbers/infinity",
    "/number?v=1e400",
    "/number?v=-1e400",
    "/number?v=nan",
    "/number?v=inf",
  ],
  'D15: no "_" stands between digits': [
    "/integers/1_000",
    "/bounded/1_000",
    "/numbers/1_000",
    "/integer?v=1_000",
    "/bounded?v=1_000",
    "/number?v=1_000",
    "/integers?v=1_000",
  ],
};

/** D14: numbers are written as JavaScript writes them. */
function isSameNumber(one: string, other: string): boolean {
  const isNumber = /^-?\d+(?:\.\d+)?(?:e[+-]\d+)?$/.test(other);
  return isNumber && other.includes(".") && Number(one) === Number(other);
}

describe("parameters have the responses that they have in FastAPI", () => {
  const suite = suiteScope();
  let service: TestService;
  before(async () => {
    service = await serveFor(suite, ROUTES);
  });

  /** Those of the cases that have another response here, with that. */
  async function differences(cases: readonly Case[]): Promise<Record<string, string>> {
    const bytes = cases.map(([method, target, body]) => {
      const fields = [
        "Host: a",
        "Content-Type: application/json",
        `Content-Length: ${body.length}`,
      ];
      return lines(`${method} ${target} HTTP/1.1`, ...(body === "" ? ["Host: a"] : fields)) + body;
    });
    const options = { count: cases.length };
    const { responses } = await exchange(service.port, bytes.join(""), options);
    const found: Record<string, string> = {};
    for (const [index, [, target, , status, text]] of cases.entries()) {
      const { status: actual, body } = responses[index] ?? { status: 0, body: "" };
      const isSame = actual === status && (body === text || isSameNumber(body, text));
      if (!isSame) found[target] = `${actual} ${body}`;
    }
    return found;
  }

  for (let first = 0; first < CASES.length; first += 60) {
    const cases = CASES.slice(first, first + 60);
    test(`${cases[0]?.[1]} to ${cases.at(-1)?.[1]}`, async () => {
      const found = await differences(cases);
      const targets = cases.map(([, target]) => target);
      const expected = Object.values(OTHERS).flat();
      assert.deepEqual(
        Object.keys(found).sort(),
        targets.filter((target) => expected.includes(target)).sort(),
      );
    });
  }
});
