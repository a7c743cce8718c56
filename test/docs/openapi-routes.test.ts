import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { asObject, type JsonObject, operationsOf } from "../../src/docs/document.ts";
import { openApiDocument } from "../../src/docs/openapi.ts";
import { json, type Reply } from "../../src/http/reply.ts";
import {
  type Dependency,
  type ResponseDeclaration,
  type Route,
  route,
} from "../../src/http/route.ts";
import {
  array,
  integer,
  literal,
  nullable,
  object,
  optional,
  string,
} from "../../src/models/model.ts";

/** The operation of a route with these members, as it is written. */
function operationOf(members: Partial<Route>): JsonObject {
  const one = route({ method: "GET", path: "/process", handler: () => json(200, null) });
  const document = JSON.stringify(openApiDocument([{ ...one, ...members }]));
  return operationsOf(JSON.parse(document) as JsonObject)[0] ?? {};
}

/** The content of a response, by media type. */
function contentOf(status: number, response: Partial<ResponseDeclaration>): unknown {
  const responses = { [status]: { description: "Some.", ...response } };
  return asObject(asObject(operationOf({ responses })["responses"])[status])["content"];
}

describe("the operation of a route", () => {
  // HEAD is missing: every route for GET responds to it.
  for (const method of ["GET", "PUT", "POST", "DELETE", "OPTIONS", "PATCH", "TRACE"]) {
    test(`may have the method ${method}`, () => {
      const operation = operationOf({ method });
      assert.equal(operation["method"], method);
      assert.equal(operation["operationId"], `process_process_${method.toLowerCase()}`);
    });
  }

  test("belongs to the first segment that is no parameter, else to root", () => {
    const parameters = { a: string() };
    const { operationId, tags } = operationOf({ path: "/{a}/process/health", parameters });
    assert.deepEqual(tags, ["process"]);
    assert.equal(operationId, "process__a__process_health_get");
    assert.throws(() => operationOf({ path: "/{a}", parameters }), /add root to TAGS/);
    assert.throws(() => operationOf({ path: "/" }), /add root to TAGS/);
  });

  test("has an operationId of its own", () => {
    const handler = (): Reply => json(200, null);
    const routes = ["/process/a_b", "/process/a-b"].map((path) => {
      return route({ method: "GET", path, handler });
    });
    assert.throws(() => openApiDocument(routes), {
      message:
        "GET /process/a-b: another route has its operationId, " +
        "process_process_a_b_get: rename a segment",
    });
  });

  test("lists the statuses that its kind of route can have", () => {
    const always = ["200", "400", "408", "417", "431", "501", "505"];
    const rows: readonly (readonly [members: Partial<Route>, further: readonly string[]])[] = [
      [{ limited: false }, []],
      [{}, ["503"]],
      [{ path: "/process/{a}", parameters: { a: string() }, limited: false }, ["404", "422"]],
      [{ parameters: { a: string() }, limited: false }, ["422"]],
      // Its body takes memory, whether or not it counts as in flight.
      [{ method: "POST", body: string(), limited: false }, ["413", "415", "422", "503"]],
    ];
    for (const [members, further] of rows) {
      const responses = { 200: { description: "Fine." } };
      const statuses = Object.keys(asObject(operationOf({ ...members, responses })["responses"]));
      assert.deepEqual(statuses, [...always, ...further].sort());
    }
  });

  test("says what its body may be, whether it may be absent, and what is ignored in it", () => {
    const ignored = " Members that are not listed are ignored.";
    const closed = { additionalProperties: false } as const;
    const rows: readonly (readonly [
      body: Route["body"],
      description: string,
      required: boolean,
    ])[] = [
      [object({ a: string() }), `One JSON object in UTF-8.${ignored}`, true],
      [object({ a: string() }, closed), "One JSON object in UTF-8.", true],
      [optional(object({}, closed)), "One JSON object in UTF-8.", false],
      [object({ a: object({ b: string() }) }, closed), `One JSON object in UTF-8.${ignored}`, true],
      [array(object({ a: string() })), `One JSON value in UTF-8.${ignored}`, true],
      [nullable(object({ a: string() })), `One JSON value in UTF-8.${ignored}`, true],
      [array(object({ a: string() }, closed)), "One JSON value in UTF-8.", true],
      [string(), "One JSON value in UTF-8.", true],
    ];
    for (const [body, description, required] of rows) {
      const shown = asObject(operationOf({ method: "POST", body })["requestBody"]);
      assert.deepEqual([shown["description"], shown["required"]], [description, required]);
    }
  });
});

describe("a response of a route", () => {
  test("of a status without a reason phrase is shared by its number", () => {
    const responses = { 499: { description: "It is gone." } };
    const guard: Dependency = Object.assign(() => undefined, { responses });
    const shown = asObject(operationOf({ dependencies: [guard] })["responses"])[499];
    assert.deepEqual(shown, { $ref: "#/components/responses/499" });
  });

  test("has the content of an error from 400 on, if it declares none", () => {
    const error = { schema: { $ref: "#/components/schemas/HTTPError" } };
    for (const status of [200, 307, 399]) assert.equal(contentOf(status, {}), undefined);
    for (const status of [400, 404, 599]) {
      assert.deepEqual(contentOf(status, {}), { "application/json": error });
    }
  });

  test("has its own type, with an example only if one is declared", () => {
    const type = "text/csv";
    const schema = { type: "string" };
    const text = { type, body: string() };
    assert.deepEqual(contentOf(200, text), { [type]: { schema } });
    assert.deepEqual(contentOf(200, { ...text, example: "a,b" }), {
      [type]: { schema, example: "a,b" },
    });
    assert.throws(() => contentOf(200, { ...text, example: 1 }), /not valid at body: /);
  });

  test("of JSON has the declared example, else a sample", () => {
    const body = literal("a", "b");
    const schema = { enum: ["a", "b"] };
    const json = "application/json";
    assert.deepEqual(contentOf(200, { body }), { [json]: { schema, example: "a" } });
    assert.deepEqual(contentOf(200, { body, example: "b" }), { [json]: { schema, example: "b" } });
  });

  test("whose example is not valid is an error that says where", () => {
    const body = object({ list: array(integer()) });
    assert.throws(
      () => contentOf(200, { body, example: { list: [1, "x"] } }),
      /^Error: GET \/process: the example is not valid at body\.list\.1: Input should be /,
    );
  });
});

describe("the title of a model", () => {
  const schemaOf = (title: string): unknown => {
    const content = contentOf(200, { body: object({ a: string() }, { title }) });
    return asObject(asObject(content)["application/json"])["schema"];
  };

  test("may have letters, digits and . _ -", () => {
    for (const title of ["Job", "job-2.0_a", "7", "-", "."]) {
      assert.deepEqual(schemaOf(title), { $ref: `#/components/schemas/${title}` });
    }
  });

  test("may have nothing else, anywhere", () => {
    for (const title of ["", " a", "a ", "a/b", "~", "é", "a\n"]) {
      assert.throws(() => schemaOf(title), /must be of letters, digits and/);
    }
  });
});
