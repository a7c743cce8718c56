import assert from "node:assert/strict";
import { before, describe, test } from "node:test";

import { HttpError, json } from "../../src/http/reply.ts";
import { type Dependency, route } from "../../src/http/route.ts";
import { array, integer, object, optional, string } from "../../src/models/model.ts";
import { exchange, open, request, statusOf } from "../support/client.ts";
import { get, head, lines, post, postHead } from "../support/requests.ts";
import { suiteScope } from "../support/scope.ts";
import { serveFor, type TestService } from "../support/server.ts";
import { until } from "../support/wait.ts";

const job = route({
  method: "GET",
  path: "/jobs/{id}",
  parameters: { id: integer(), tag: optional(array(string()), []) },
  handler: ({ id, tag }) => json(200, [id, tag]),
});
const part = route({
  method: "POST",
  path: "/jobs/{id}/parts",
  parameters: { id: integer(), n: integer() },
  body: object({ a: integer() }),
  handler: ({ id, n, body }) => json(200, [id, n, body.a]),
});

/** The places of the problems in a 422. */
function placesIn(body: string): string[] {
  const { detail } = JSON.parse(body) as { detail: { loc: (string | number)[] }[] };
  return detail.map(({ loc }) => loc.join("."));
}

describe("a route with parameters", () => {
  const suite = suiteScope();
  let service: TestService;
  before(async () => {
    service = await serveFor(suite, [job, part]);
  });

  test("takes GET and HEAD, with the same header fields", async () => {
    const got = await request(service.port, get("/jobs/5?tag=a&tag=b%20c"));
    assert.deepEqual([got.status, got.body], [200, '[5,["a","b c"]]']);
    const bytes = head("/jobs/5?tag=a&tag=b%20c");
    const toHead = await request(service.port, bytes, { isHead: true });
    assert.deepEqual([toHead.status, toHead.body], [200, ""]);
    assert.equal(toHead.headers["content-length"], got.headers["content-length"]);
    const wrong = await request(service.port, head("/jobs/x"), { isHead: true });
    assert.equal(wrong.status, 422);
  });

  test("is 405 with Allow for other methods, and 307 with a slash too many", async () => {
    const wrong = await request(service.port, lines("PUT /jobs/x HTTP/1.1", "Host: x"));
    assert.deepEqual([wrong.status, wrong.headers["allow"]], [405, "GET, HEAD"]);
    const slash = await request(service.port, get("/jobs/a%20b/?tag=x"));
    assert.deepEqual([slash.status, slash.headers["location"]], [307, "../a%20b?tag=x"]);
  });

  test("takes a target in absolute form", async () => {
    assert.equal(await statusOf(service.port, get("http://a/jobs/5?tag=x")), 200);
    assert.equal(await statusOf(service.port, get("http://a/jobs/%2F")), 404);
  });

  test("is in the log by its path, not by the caller's", async () => {
    const id = "X-Request-Id: logged";
    await request(service.port, get("/jobs/svk_secret?tag=x", [id]));
    await request(service.port, get("/nope/svk_secret", ["X-Request-Id: unknown"]));
    const pathOf = (requestId: string): string | undefined =>
      service.records.find((record) => record.requestId === requestId)?.path;
    assert.equal(pathOf("logged"), "/jobs/{id}");
    assert.equal(pathOf("unknown"), "/nope/svk_secret");
  });

  test("lists the problems of path, query and body at once, in this order", async () => {
    const all = await request(service.port, post('{"a":"x"}', [], { path: "/jobs/x/parts?n=y" }));
    assert.deepEqual([all.status, placesIn(all.body)], [422, ["path.id", "query.n", "body.a"]]);
    const some = await request(service.port, post("[]", [], { path: "/jobs/1/parts" }));
    assert.deepEqual([some.status, placesIn(some.body)], [422, ["query.n", "body"]]);
    const good = await request(service.port, post('{"a":3}', [], { path: "/jobs/1/parts?n=2" }));
    assert.deepEqual([good.status, good.body], [200, "[1,2,3]"]);
  });

  test("lists malformed JSON, and a body that is missing, alone", async () => {
    const malformed = await request(service.port, post("{", [], { path: "/jobs/x/parts?n=y" }));
    assert.deepEqual([malformed.status, placesIn(malformed.body)], [422, ["body.1"]]);
    const missing = await request(service.port, post("", [], { path: "/jobs/x/parts?n=y" }));
    assert.deepEqual([missing.status, placesIn(missing.body)], [422, ["body"]]);
  });

  test("has 100 problems at most, of all kinds together", async () => {
    const lists = route({
      method: "POST",
      path: "/lists",
      parameters: { v: array(integer()) },
      body: array(integer()),
      handler: () => json(200, null),
    });
    const { port } = await serveFor(suite, [lists]);
    const query = `?v=1${"&v=x".repeat(60)}`;
    const bytes = post(JSON.stringify(Array(80).fill("x")), [], { path: `/lists${query}` });
    const places = placesIn((await request(port, bytes)).body);
    assert.equal(places.length, 100);
    assert.deepEqual([places[59], places[60], places[99]], ["query.v.60", "body.0", "body.39"]);
  });

  test("is asked for in any order on one connection", async () => {
    const bytes = get("/jobs/1") + get("/jobs/x") + get("/jobs/%") + get("/jobs/2?tag=%zz");
    const { responses } = await exchange(service.port, bytes, { count: 4 });
    assert.deepEqual(
      responses.map(({ status }) => status),
      [200, 422, 404, 200],
    );
  });
});

describe("parameters are looked at", () => {
  test("after the dependencies, and never if one of them rejects", async (t) => {
    const denied: Dependency = () => new HttpError(401, "no");
    const { port } = await serveFor(t, [{ ...part, dependencies: [denied] }]);
    assert.equal(await statusOf(port, post('{"a":"x"}', [], { path: "/jobs/x/parts" })), 401);
    assert.equal(await statusOf(port, post('{"a":"x"}', [], { path: "/jobs/%FF/parts" })), 404);
  });

  test("after the body's fields, the load, what dependencies admit, and the body", async (t) => {
    const admitting: Dependency = Object.assign(() => {}, {
      admit: () => new HttpError(429, "full"),
    });
    const full = await serveFor(t, [{ ...part, dependencies: [admitting] }]);
    const path = "/jobs/x/parts?n=y";
    assert.equal(await statusOf(full.port, post("{}", [], { path, type: "text/plain" })), 415);
    assert.equal(await statusOf(full.port, post("{}", [], { path })), 429);

    const open100 = await serveFor(t, [part]);
    const head100 = postHead(["Expect: 100-continue", "Content-Length: 9"], { path });
    const client = await open(open100.port, head100);
    await client.untilResponses(1);
    assert.deepEqual(
      client.responses.map(({ status }) => status),
      [100],
    );
    client.send('{"a":"x"}');
    await client.untilResponses(2);
    const { status, body } = client.responses[1] ?? { status: 0, body: "" };
    assert.deepEqual([status, placesIn(body)], [422, ["path.id", "query.n", "body.a"]]);
  });

  test("before the handler: it never sees a request with problems", async (t) => {
    const seen: unknown[] = [];
    const counting = route({
      method: "GET",
      path: "/jobs/{id}",
      parameters: { id: integer({ minimum: 1 }) },
      handler: (input) => json(200, seen.push(input)),
    });
    const { port } = await serveFor(t, [counting]);
    for (const id of ["0", "x", "1.5", "%20", "-1", "1e3"]) {
      assert.equal(await statusOf(port, get(`/jobs/${id}`)), 422);
    }
    assert.equal(await statusOf(port, get("/jobs/1?id=2&x=y")), 200);
    assert.deepEqual(seen, [{ id: 1 }]);
  });

  test("also at full load only by the request that is served", async (t) => {
    const waiting = route({
      method: "GET",
      path: "/wait/{id}",
      parameters: { id: integer() },
      handler: () => new Promise(() => {}),
    });
    const service = await serveFor(t, [waiting, job], { maxInFlight: 1 });
    const client = await open(service.port, get("/wait/1"));
    await until(() => service.connections.inFlight === 1, "a request in progress");
    assert.equal(await statusOf(service.port, get("/jobs/x")), 503);
    client.socket.destroy();
    await until(() => service.connections.inFlight === 0, "its end");
    assert.equal(await statusOf(service.port, get("/jobs/x")), 422);
  });
});
