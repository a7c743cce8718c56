import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { HttpError, json, type Reply } from "../../src/http/reply.ts";
import {
  type Context,
  type Dependency,
  type Interceptor,
  type Route,
  route,
} from "../../src/http/route.ts";
import { exchange, open, request, statusOf } from "../support/client.ts";
import { get, head, postEcho, postHead } from "../support/requests.ts";
import { echo, serveFor } from "../support/server.ts";
import { until } from "../support/wait.ts";

const OK = json(200, {});
const TEAPOT = new HttpError(418, "teapot");

/** `GET /a` with this handler. */
function at(
  handler: (context: Context) => Reply | Promise<Reply>,
  dependencies: readonly Dependency[] = [],
): Route {
  return route({
    method: "GET",
    path: "/a",
    dependencies,
    handler: (_input, context) => handler(context),
  });
}

describe("onEnd", () => {
  const ENDINGS: Readonly<Record<string, () => Reply | Promise<Reply>>> = {
    "a reply": () => OK,
    "a late reply": async () => OK,
    "an HttpError": () => {
      throw TEAPOT;
    },
    "an error": () => {
      throw new Error("secret");
    },
    "a rejected promise": async () => {
      throw new Error("secret");
    },
    "a reply that can't be sent": () => json(200, {}, ["Content-Length", "3"]),
  };
  for (const [name, end] of Object.entries(ENDINGS)) {
    test(`calls back once, after ${name}`, async (t) => {
      const calls: string[] = [];
      const handler = (context: Context): Reply | Promise<Reply> => {
        context.onEnd(() => calls.push("first"));
        context.onEnd(() => calls.push("second"));
        return end();
      };
      const service = await serveFor(t, [at(handler)]);
      await exchange(service.port, get("/a") + get("/b"), { count: 2 });
      assert.deepEqual(calls, ["first", "second"]);
    });
  }

  test("calls back if the client goes away, before the signal aborts", async (t) => {
    const calls: string[] = [];
    const handler = (context: Context): Promise<Reply> => {
      context.signal.addEventListener("abort", () => calls.push("signal"));
      context.onGone = (): unknown => calls.push("gone");
      context.onEnd(() => calls.push("end"));
      return new Promise(() => {});
    };
    const service = await serveFor(t, [at(handler)]);
    const client = await open(service.port, get("/a"));
    await until(() => service.connections.inFlight === 1, "the request");
    client.socket.destroy();
    await until(() => calls.length === 3, "the end");
    assert.deepEqual(calls, ["end", "gone", "signal"]);
  });

  test("calls back for requests that a later check rejects, and in a dependency", async (t) => {
    const calls: string[] = [];
    const dependency = (context: Context): void => {
      context.onEnd(() => calls.push("end"));
    };
    const service = await serveFor(t, [{ ...echo, dependencies: [dependency] }]);
    assert.equal(await statusOf(service.port, postEcho("{")), 422);
    assert.equal(await statusOf(service.port, postEcho("")), 422);
    assert.equal(await statusOf(service.port, postEcho("1")), 200);
    assert.deepEqual(calls, ["end", "end", "end"]);
  });

  test("calls back at once if the request has ended", async (t) => {
    const calls: string[] = [];
    let kept: Context | undefined;
    const service = await serveFor(t, [at((context) => ((kept = context), OK))]);
    assert.equal(await statusOf(service.port, get("/a")), 200);
    kept?.onEnd(() => calls.push("late"));
    assert.deepEqual(calls, ["late"]);
  });

  test("logs what a callback throws, and calls the others", async (t) => {
    const calls: string[] = [];
    const error = new Error("why");
    const handler = (context: Context): Reply => {
      context.onEnd(() => {
        throw error;
      });
      context.onEnd(() => calls.push("other"));
      return OK;
    };
    const service = await serveFor(t, [at(handler)]);
    assert.equal(await statusOf(service.port, get("/a", ["X-Request-Id: mine"])), 200);
    assert.deepEqual(calls, ["other"]);
    assert.deepEqual(service.failures, [{ error, requestId: "mine" }]);
    assert.equal(await statusOf(service.port, get("/a")), 200);
  });
});

test("the compiler refuses to take methods out of a context", () => {
  const handlers = [
    // @ts-expect-error: `this` would be missing
    ({ onEnd }: Context): void => onEnd(() => {}),
    // @ts-expect-error: `this` would be missing
    ({ addHeader }: Context): void => addHeader("A", "b"),
  ];
  assert.equal(handlers.length, 2);
});

describe("addHeader", () => {
  test("adds a field to whatever response is given", async (t) => {
    const replies = [
      (): Reply => json(200, {}, ["X-B", "c"]),
      (): Reply => {
        throw TEAPOT;
      },
      (): Reply => {
        throw new Error("secret");
      },
    ];
    const dependency: Dependency = (context) => context.addHeader("X-A", "first");
    const handler = (context: Context): Reply => {
      context.addHeader("x-a", "second");
      return (replies.shift() as () => Reply)();
    };
    const { port } = await serveFor(t, [at(handler, [dependency])]);
    const { responses } = await exchange(port, get("/a").repeat(3), { count: 3 });
    assert.deepEqual(
      responses.map(({ status, headers }) => [status, headers["x-a"], headers["x-b"]]),
      [
        [200, "first, second", "c"],
        [418, "first, second", undefined],
        [500, "first, second", undefined],
      ],
    );
  });

  test("adds it to a rejection of a later check", async (t) => {
    const dependency: Dependency = (context) => context.addHeader("X-A", "b");
    const { port } = await serveFor(t, [{ ...echo, dependencies: [dependency] }]);
    for (const body of ["", "{"]) {
      const { status, headers } = await request(port, postEcho(body));
      assert.deepEqual([status, headers["x-a"]], [422, "b"]);
    }
  });

  for (const [name, value] of [
    ["Content-Length", "3"],
    ["content-length", "3"],
    ["TRANSFER-ENCODING", "chunked"],
    ["Connection", "close"],
    ["X A", "b"],
    ["", "b"],
    ["X-A:", "b"],
    ["X-\u00e9", "b"],
    ["X-A", "b\r\nX-B: c"],
    ["X-A", "\u2028"],
    ["X-A", "\0"],
    ["X-A", undefined as unknown as string],
  ] as const) {
    test(`throws at once for ${JSON.stringify([name, value])}`, async (t) => {
      let thrown: unknown;
      const handler = (context: Context): Reply => {
        try {
          context.addHeader(name, value);
        } catch (error) {
          thrown = error;
        }
        return OK;
      };
      const { port } = await serveFor(t, [at(handler)]);
      const { status, headers } = await request(port, get("/a"));
      assert.ok(thrown instanceof TypeError);
      assert.deepEqual([status, headers["content-length"], headers["x-a"]], [200, "2", undefined]);
    });
  }
});

describe("functions before routing", () => {
  test("see every request, in order, up to one that replies", async (t) => {
    const seen: string[] = [];
    const interceptors: Interceptor[] = [
      ({ request }) => {
        seen.push(`first ${request.method} ${request.url}`);
      },
      ({ request, addHeader }) => {
        assert.equal(typeof addHeader, "function");
        seen.push(`second ${request.url}`);
        return request.url === "/stop" ? json(202, "stopped") : undefined;
      },
      ({ request }) => {
        seen.push(`third ${request.url}`);
      },
    ];
    const { port } = await serveFor(t, [at(() => OK)], {}, { interceptors });
    const bytes = get("/a") + get("/stop") + get("/nope") + get("/a/");
    const { responses } = await exchange(port, bytes, { count: 4 });
    assert.deepEqual(
      responses.map(({ status }) => status),
      [200, 202, 404, 307],
    );
    assert.deepEqual(seen, [
      "first GET /a",
      "second /a",
      "third /a",
      "first GET /stop",
      "second /stop",
      "first GET /nope",
      "second /nope",
      "third /nope",
      "first GET /a/",
      "second /a/",
      "third /a/",
    ]);
  });

  test("can allow cross-origin requests, also for errors and before the key", async (t) => {
    const cors: Interceptor = (context) => {
      context.addHeader("Access-Control-Allow-Origin", "https://a.example");
      if (context.request.method !== "OPTIONS") return undefined;
      return { status: 204, headers: ["Access-Control-Allow-Methods", "GET"], body: "" };
    };
    const denied = (): HttpError => new HttpError(401, "no");
    const routes = [at(() => OK, [denied])];
    const { port } = await serveFor(t, routes, {}, { interceptors: [cors] });
    const preflight = get("/a").replace("GET", "OPTIONS");
    const bytes = preflight + get("/a") + get("/nope") + get("/a");
    const { responses } = await exchange(port, bytes, { count: 4 });
    assert.deepEqual(
      responses.map(({ status, headers }) => [status, headers["access-control-allow-origin"]]),
      [
        [204, "https://a.example"],
        [401, "https://a.example"],
        [404, "https://a.example"],
        [401, "https://a.example"],
      ],
    );
  });

  test("do not see requests that are not valid", async (t) => {
    let count = 0;
    const interceptors: Interceptor[] = [() => void (count += 1)];
    const { port } = await serveFor(t, [at(() => OK)], {}, { interceptors });
    assert.equal(await statusOf(port, get("/a", ["Host: y"])), 400);
    assert.equal(await statusOf(port, get("/a", ["Expect: x"])), 417);
    assert.equal(count, 0);
  });

  test("that fail are one 500 and one error in the log", async (t) => {
    const error = new Error("secret");
    const interceptors: Interceptor[] = [
      () => {
        throw error;
      },
    ];
    const service = await serveFor(t, [at(() => OK)], {}, { interceptors });
    assert.equal(await statusOf(service.port, get("/a")), 500);
    assert.deepEqual(
      service.failures.map((failure) => failure.error),
      [error],
    );
  });

  test("may reply before a body has arrived, without 100 Continue", async (t) => {
    const interceptors: Interceptor[] = [() => json(202, "early")];
    const { port } = await serveFor(t, [echo], {}, { interceptors });
    const fields = ["Expect: 100-continue", "Content-Length: 100000"];
    const bytes = postHead(fields, { path: "/echo" });
    const { responses, closed } = await exchange(port, bytes, { close: true });
    assert.deepEqual([responses.map(({ status }) => status), closed], [[202], true]);
    assert.equal((await request(port, head("/x"), { isHead: true })).status, 202);
  });
});

describe("admit", () => {
  const full = new HttpError(429, "full");

  test("runs after all dependencies and the body's fields, before 100 Continue", async (t) => {
    const seen: string[] = [];
    const first: Dependency = Object.assign(() => void seen.push("first"), {
      admit: () => void seen.push("admit first"),
    });
    const second: Dependency = Object.assign(() => void seen.push("second"), {
      admit: () => {
        seen.push("admit second");
        return full;
      },
    });
    const third: Dependency = Object.assign(() => {}, { admit: () => void seen.push("third") });
    const routes = [{ ...echo, dependencies: [first, second, third] }];
    const { port } = await serveFor(t, routes);
    const fields = ["Expect: 100-continue", "Content-Length: 3"];
    const { responses } = await exchange(port, postHead(fields, { path: "/echo" }));
    assert.deepEqual(
      responses.map(({ status }) => status),
      [429],
    );
    assert.deepEqual(seen, ["first", "second", "admit first", "admit second"]);
    assert.equal(await statusOf(port, postEcho("")), 422);
    assert.equal(seen.length, 6);
  });

  test("is not asked if a dependency rejects, and runs for routes without a body", async (t) => {
    let count = 0;
    const counting: Dependency = Object.assign(() => {}, { admit: () => void (count += 1) });
    const rejecting: Dependency = async () => TEAPOT;
    const service = await serveFor(t, [
      at(() => OK, [counting]),
      { ...at(() => OK, [counting, rejecting]), path: "/b" },
    ]);
    assert.equal(await statusOf(service.port, get("/a")), 200);
    assert.equal(await statusOf(service.port, get("/b")), 418);
    assert.equal(count, 1);
  });
});
