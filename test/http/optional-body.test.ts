import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";

import { json } from "../../src/http/reply.ts";
import { route } from "../../src/http/route.ts";
import { type Model, integer, object, optional } from "../../src/models/model.ts";
import { exchange, type RawResponse, request } from "../support/client.ts";
import { lines, post } from "../support/requests.ts";
import { serveFor } from "../support/server.ts";

const counted = object({ count: optional(integer(), 1) });

/** A service that responds with the body that its handler gets, or null for none. */
async function serveBody(t: TestContext, body: Model<unknown>): Promise<number> {
  const { port } = await serveFor(t, [
    route({
      method: "POST",
      path: "/process",
      body,
      handler: (input) => json(200, input.body ?? null),
    }),
  ]);
  return port;
}

async function send(port: number, bytes: string | Buffer): Promise<[number, unknown]> {
  const { status, body }: RawResponse = await request(port, bytes);
  return [status, JSON.parse(body)];
}

const ABSENT: Readonly<Record<string, string>> = {
  "without its framing": lines("POST /process HTTP/1.1", "Host: x"),
  "of length 0": lines("POST /process HTTP/1.1", "Host: x", "Content-Length: 0"),
  "of length 0, with another type": lines(
    "POST /process HTTP/1.1",
    "Host: x",
    "Content-Length: 0",
    "Content-Type: text/plain",
  ),
  "of no chunks":
    lines(
      "POST /process HTTP/1.1",
      "Host: x",
      "Transfer-Encoding: chunked",
      "Content-Type: application/json",
    ) + "0\r\n\r\n",
};

describe("a body that is optional", () => {
  for (const [name, bytes] of Object.entries(ABSENT)) {
    test(`${name} is its default, or undefined`, async (t) => {
      const withDefault = await serveBody(t, optional(counted, { count: 5 }));
      assert.deepEqual(await send(withDefault, bytes), [200, { count: 5 }]);
      const without = await serveBody(t, optional(counted));
      assert.deepEqual(await send(without, bytes), [200, null]);
    });

    test(`${name} is missing if it is not optional`, async (t) => {
      const port = await serveBody(t, counted);
      const problem = { type: "missing", loc: ["body"], msg: "Field required", input: null };
      assert.deepEqual(await send(port, bytes), [422, { detail: [problem] }]);
    });
  }

  test("is checked like any other if it is there", async (t) => {
    const port = await serveBody(t, optional(counted, { count: 5 }));
    assert.deepEqual(await send(port, post("{}")), [200, { count: 1 }]);
    assert.deepEqual(await send(port, post('{"count":2}')), [200, { count: 2 }]);
    for (const body of ["null", '{"count":"2"}', "{"]) {
      assert.equal((await send(port, post(body)))[0], 422, body);
    }
    const text = post("{}").toString().replace("application/json", "text/plain");
    assert.equal((await send(port, text))[0], 415);
  });

  test("keeps its connection, whether it is there or not", async (t) => {
    const port = await serveBody(t, optional(counted));
    const bytes = ABSENT["of length 0"] + post("{}").toString() + ABSENT["without its framing"];
    const { responses, closed } = await exchange(port, bytes, { count: 3 });
    assert.deepEqual(
      responses.map(({ status, body }) => [status, body]),
      [
        [200, "null"],
        [200, '{"count":1}'],
        [200, "null"],
      ],
    );
    assert.equal(closed, false);
  });
});
