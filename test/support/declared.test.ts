import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { empty, HttpError, json, type Reply, text } from "../../src/http/reply.ts";
import { type Dependency, type Responses, route } from "../../src/http/route.ts";
import { array, integer, object, optional, string } from "../../src/models/model.ts";
import { statusOf } from "./client.ts";
import { undeclared, watchResponses } from "./declared.ts";
import { get } from "./requests.ts";
import { serveFor } from "./server.ts";

const RESPONSES: Responses = {
  200: { description: "a", body: object({ a: integer() }) },
  201: {
    description: "b",
    body: object({}),
    headers: { Location: string(), "X-A": optional(string()), "X-B": optional(integer()) },
  },
  207: { description: "g", body: array(object({ a: integer() })) },
  204: { description: "c" },
  203: { description: "f", type: "text/plain", body: string({ maxLength: 2 }) },
  206: { description: "d", type: "text/csv" },
  404: { description: "e" },
};

describe("a response is as its route declares it:", () => {
  const rows: readonly (readonly [name: string, reply: Reply, problems: string[]])[] = [
    ["JSON of the model", json(200, { a: 1 }), []],
    ["a member too many", json(200, { a: 1, more: 2 }), ["200: body.more is not declared"]],
    [
      "a member too many within a list",
      json(207, [{ a: 1 }, { a: 1, password: "x" }]),
      ["207: body.1.password is not declared"],
    ],
    ["JSON that is not", json(200, { a: "1" }), ["200: body.a: Input should be a valid integer"]],
    [
      "text instead of JSON",
      text(200, "text/plain", "1"),
      ["200: the type is text/plain, not application/json"],
    ],
    ["a header field", json(201, {}, ["location", "/x", "X-B", "1"]), []],
    [
      "a header field of another type",
      json(201, {}, ["Location", "/x", "X-B", "soon"]),
      ["201: X-B: Input should be a valid integer, unable to parse string as an integer"],
    ],
    ["no header field", json(201, {}, ["X-A", "Location"]), ["201: Location is missing"]],
    ["nothing", empty(), []],
    [
      "something instead of nothing",
      json(204, {}),
      ["204: the type is application/json, not undefined"],
    ],
    ["text of the model", text(203, "text/plain", "[a"), []],
    [
      "text that is not",
      text(203, "text/plain", "[a]"),
      ["203: body: String should have at most 2 characters"],
    ],
    ["CSV", text(206, "text/csv; charset=utf-8", "a"), []],
    ["an error", new HttpError(404, "no"), []],
    ["an error of another shape", json(404, { error: "no" }), ["404: body.detail: Field required"]],
    ["another status", json(202, {}), ["202 is not declared"]],
    ["another error", new HttpError(500, "no"), ["500 is not declared"]],
  ];
  for (const [name, reply, problems] of rows) {
    test(name, () => assert.deepEqual(undeclared(RESPONSES, reply), problems));
  }
});

describe("watched routes", () => {
  const responses = { 200: { description: "a", body: string() } };
  const teapot = new HttpError(418, "teapot");

  /** What is noted of one request to a route with these members. */
  async function noted(members: object): Promise<string[]> {
    const made = route({ method: "GET", path: "/a", responses, handler: () => json(200, "a") });
    const { routes, problems } = watchResponses([{ ...made, ...members }]);
    const [watched] = routes;
    const context = {} as never;
    try {
      for (const dependency of watched?.dependencies ?? []) {
        await dependency(context);
        dependency.admit?.(context);
        dependency.recheck?.(context);
      }
      await watched?.handler({}, context);
    } catch (error) {
      assert.equal(error, teapot);
    }
    return problems;
  }

  test("note what a handler returns, resolves to, throws and rejects with", async () => {
    assert.deepEqual(await noted({}), []);
    const throwing = (): never => {
      throw teapot;
    };
    for (const handler of [() => teapot, async () => teapot, throwing, async () => throwing()]) {
      assert.deepEqual(await noted({ handler }), ["GET /a: 418 is not declared"]);
    }
  });

  test("note what a dependency rejects with, unless it declares that", async () => {
    const passing = (): void => {};
    const kinds: readonly Dependency[] = [
      () => teapot,
      async () => teapot,
      Object.assign(() => passing(), { admit: () => teapot }),
      Object.assign(() => passing(), { recheck: () => teapot }),
    ];
    for (const dependency of kinds) {
      const found = await noted({ dependencies: [dependency] });
      assert.deepEqual(found, ["GET /a: 418 is not declared"]);
      const declaring = Object.assign(dependency, { responses: { 418: { description: "b" } } });
      assert.deepEqual(await noted({ dependencies: [declaring] }), []);
    }
  });

  test("that declare nothing may respond as they like", async () => {
    assert.deepEqual(await noted({ responses: {}, handler: () => teapot }), []);
  });
});

test("a header field that is added to whatever the response is counts", async (t) => {
  const responses = {
    200: { description: "a", body: string(), headers: { "X-Total": integer() } },
  };
  const path = "/a";
  const handler = (): Reply => json(200, "a");
  const inDependency: Dependency = (context) => context.addHeader("X-Total", "1");
  const { port } = await serveFor(t, [
    route({ method: "GET", path, responses, dependencies: [inDependency], handler }),
    route({
      method: "PUT",
      path,
      responses,
      handler: (_input, context) => {
        context.addHeader("X-Total", "2");
        return handler();
      },
    }),
  ]);
  assert.equal(await statusOf(port, get(path)), 200);
  assert.equal(await statusOf(port, get(path).replace("GET", "PUT")), 200);
});

test("serving routes that do not respond as they declare is an error at the end", async () => {
  const ends: (() => unknown)[] = [];
  const scope = { after: (action: () => unknown) => void ends.push(action) };
  const broken = route({
    method: "GET",
    path: "/a",
    responses: { 200: { description: "a", body: string() } },
    handler: () => json(200, 1),
  });
  const { port } = await serveFor(scope, [broken]);
  assert.equal(await statusOf(port, get("/a")), 200);
  assert.throws(() => ends.forEach((end) => end()), /GET \/a: 200: body: Input should be a valid/);
});
