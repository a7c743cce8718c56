import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";

import type { Reply } from "../../src/http/reply.ts";
import type { Context } from "../../src/http/route.ts";
import { Problems } from "../../src/models/problems.ts";
import { processRoute } from "../../src/routes/process.ts";

const guard = (): void => {};
const UUID4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** The reply of the handler to a status. */
async function processed(
  status: string,
  delayMs = 0,
  context: Partial<Context> = {},
): Promise<Reply> {
  return processRoute(guard, delayMs).handler({ body: { status } }, context as Context);
}

test("the route is POST /process, with the guard as its dependency and a model", () => {
  const { method, path, dependencies, body, limited, includeInSchema } = processRoute(guard, 0);
  assert.deepEqual([method, path, limited, includeInSchema], ["POST", "/process", true, true]);
  assert.deepEqual(dependencies, [guard]);
  assert.equal(body?.schema["type"], "object");
});

test("SUCCESS is 200 with a fresh UUID of version 4 each time", async () => {
  const ids = new Set<string>();
  for (let i = 0; i < 20; i++) {
    const reply = await processed("SUCCESS");
    const { status, id, ...others } = JSON.parse(String(reply.body)) as Record<string, string>;
    assert.deepEqual([reply.status, status, others], [200, "SUCCESS", {}]);
    assert.match(id ?? "", UUID4);
    assert.equal(reply.body, `{"status":"SUCCESS","id":"${id}"}`);
    ids.add(id ?? "");
  }
  assert.equal(ids.size, 20);
});

const FAILING = [
  "",
  "success",
  "Success",
  "SUCCESS ",
  " SUCCESS",
  "SUCCESS\n",
  "SUCCES",
  "SUCCESSS",
  "FAILURE",
  "\0SUCCESS",
  "ＳＵＣＣＥＳＳ",
  "\ud800",
];
for (const status of FAILING) {
  test(`${JSON.stringify(status)} is the original's 500`, async () => {
    for (const delayMs of [0, 1]) {
      const reply = await processed(status, delayMs);
      assert.deepEqual([reply.status, reply.body], [500, '{"detail":"Task processing failed"}']);
    }
  });
}

test("a reply without a delay is there at once, which costs less than a promise", () => {
  const replyAfter = (delayMs: number): Reply | Promise<Reply> =>
    processRoute(guard, delayMs).handler({ body: { status: "x" } }, {} as Context);
  assert.ok(!(replyAfter(0) instanceof Promise));
  assert.ok(replyAfter(1) instanceof Promise);
});

test("a reply takes the delay", async () => {
  const start = performance.now();
  await processed("SUCCESS", 100);
  assert.ok(performance.now() - start >= 95);
});

test("a client that leaves ends the delay at once", async (t) => {
  const { mock } = t;
  mock.timers.enable({ apis: ["setTimeout"] });
  const context: Partial<Context> = {};
  let isDone = false;
  void processed("SUCCESS", 1000, context).then(() => (isDone = true));
  context.onGone?.();
  mock.timers.runAll();
  await nextTurn();
  assert.equal(isDone, false);
});

test("the handler does not read the signal, which would cost much", async () => {
  const context = {
    get signal(): AbortSignal {
      throw new Error("asked for");
    },
  };
  for (const delayMs of [0, 1]) {
    assert.equal((await processed("SUCCESS", delayMs, context)).status, 200);
  }
});

test("the model takes a status that is a string, and nothing else", () => {
  const rows: readonly (readonly [unknown, readonly string[]])[] = [
    [{ status: "a" }, []],
    [{ status: 1 }, ["string_type"]],
    [{ status: null }, ["string_type"]],
    [{}, ["missing"]],
    [[], ["model_attributes_type"]],
    ["status", ["model_attributes_type"]],
  ];
  for (const [input, types] of rows) {
    const problems = new Problems();
    processRoute(guard, 0).body?.check(input, ["body"], problems);
    assert.deepEqual(
      problems.list.map(({ type }) => type),
      types,
    );
  }
});
