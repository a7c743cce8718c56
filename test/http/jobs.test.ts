import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { before, describe, test } from "node:test";

import { keySetOf } from "../../src/auth/keys.ts";
import { createGuard } from "../../src/auth/security.ts";
import { allowOrigin, jobsRoutes } from "../support/jobs-routes.ts";
import { suiteScope } from "../support/scope.ts";
import { serveFor, type TestService } from "../support/server.ts";
import { until } from "../support/wait.ts";

const ADMIN = "admin-key-1234567890";
const USER = "user-key-12345678901";
const ORIGIN = "https://app.example";

const NEW_JOB = {
  name: 'the "first"',
  callback: null,
  mode: "safe",
  options: { dry_run: true, timeout_s: 0.5 },
};
const UNKNOWN = "/jobs/00000000-0000-4000-8000-000000000000";

/** Another service, which does with its requests what `onRun` does. */
class Runner {
  onRun: (respond: (status: number, text: string) => void) => void = () => {};
  /** How many requests have arrived, and how many of them were given up by their client. */
  arrived = 0;
  abandoned = 0;
  readonly server: Server = createServer((request, response) => {
    this.arrived += 1;
    request.resume();
    response.on("close", () => {
      if (!response.writableFinished) this.abandoned += 1;
    });
    this.onRun((status, text) => response.writeHead(status).end(text));
  });
}

describe("the jobs", () => {
  const suite = suiteScope();
  const runner = new Runner();
  let service: TestService;

  before(async () => {
    await new Promise<void>((resolve) => runner.server.listen(0, "127.0.0.1", resolve));
    suite.after(() => {
      runner.server.close();
      runner.server.closeAllConnections();
    });
    const { port } = runner.server.address() as AddressInfo;
    const keyring = { current: keySetOf({ admin: ADMIN, user: USER }) };
    const routes = jobsRoutes({
      validateAuthentication: createGuard(keyring),
      admins: ["admin"],
      maxRunning: 1,
      runnerUrl: `http://127.0.0.1:${port}/`,
    });
    service = await serveFor(suite, routes, {}, { interceptors: [allowOrigin(ORIGIN)] });
  });

  /** Calls the service. A body is sent as JSON. */
  function call(
    method: string,
    path: string,
    { key = USER, body, ...init }: RequestInit & { key?: string } = {},
  ): Promise<Response> {
    const type = { "Content-Type": "application/json" };
    return fetch(`http://127.0.0.1:${service.port}${path}`, {
      method,
      ...init,
      ...(body !== undefined && { body }),
      headers: { "X-API-Key": key, ...(body !== undefined && type), ...init.headers },
    });
  }

  async function create(more: object = {}): Promise<{ id: string }> {
    const response = await call("POST", "/jobs", { body: JSON.stringify({ ...NEW_JOB, ...more }) });
    assert.equal(response.status, 201);
    return (await response.json()) as { id: string };
  }

  test("are created with defaults, and read at their Location", async () => {
    const response = await call("POST", "/jobs", { body: JSON.stringify(NEW_JOB) });
    const created = (await response.json()) as { id: string };
    assert.equal(response.status, 201);
    assert.deepEqual(created, { id: created.id, ...NEW_JOB, priority: 5, tags: [] });
    const location = new URL(response.headers.get("location") ?? "", response.url);
    assert.equal(location.pathname, `/jobs/${created.id}`);
    const read = await call("GET", location.pathname);
    assert.deepEqual([read.status, await read.json()], [200, created]);
  });

  test("with problems are 422, and each is listed", async () => {
    const body = JSON.stringify({
      name: "",
      priority: 10,
      tags: ["a", 1],
      callback: "no uri",
      mode: "slow",
      options: { dry_run: 1, timeout_s: 0 },
      more: 1,
    });
    const response = await call("POST", "/jobs", { body });
    const { detail } = (await response.json()) as { detail: { type: string; loc: string[] }[] };
    assert.equal(response.status, 422);
    assert.deepEqual(
      detail.map(({ type, loc }) => `${loc.join(".")} ${type}`),
      [
        "body.name string_too_short",
        "body.priority less_than_equal",
        "body.tags.1 string_type",
        "body.callback url_parsing",
        "body.mode literal_error",
        "body.options.dry_run bool_type",
        "body.options.timeout_s greater_than",
        "body.more extra_forbidden",
      ],
    );
  });

  test("are listed by mode and by all tags, up to the limit", async () => {
    const tagged = await create({ mode: "fast", tags: ["x", "y z"] });
    await create({ mode: "fast", tags: ["x"] });
    const list = async (query: string): Promise<{ id: string }[]> =>
      (await (await call("GET", `/jobs?${query}`)).json()) as { id: string }[];
    assert.equal((await list("tag=x")).length, 2);
    assert.deepEqual(
      (await list("tag=x&tag=y+z")).map((one) => one.id),
      [tagged.id],
    );
    assert.equal((await list("mode=safe&tag=x")).length, 0);
    assert.equal((await list("limit=1")).length, 1);
    const wrong = await call("GET", "/jobs?mode=slow&limit=0&limit=x");
    const { detail } = (await wrong.json()) as { detail: { type: string; loc: string[] }[] };
    assert.deepEqual(
      [wrong.status, ...detail.map(({ type, loc }) => `${loc.join(".")} ${type}`)],
      [422, "query.mode literal_error", "query.limit int_parsing"],
    );
  });

  test("are exported as CSV, in a stream", async () => {
    const { id } = await create();
    const response = await call("GET", "/jobs/export");
    assert.equal(response.headers.get("content-type"), "text/csv; charset=utf-8");
    const lines = (await response.text()).split("\r\n");
    assert.equal(lines[0], "id,name,priority,mode");
    assert.equal(lines.at(-2), `${id},"the ""first""",5,safe`);
  });

  test("need a key, and a key that may delete them to be deleted", async () => {
    const { id } = await create();
    for (const [method, path] of [
      ["GET", `/jobs/${id}`],
      ["DELETE", `/jobs/${id}`],
      ["POST", `/jobs/${id}/run`],
    ] as const) {
      assert.equal((await call(method, path, { key: "wrong" })).status, 401);
    }
    assert.equal((await call("DELETE", `/jobs/${id}`)).status, 403);
    assert.equal((await call("DELETE", `/jobs/${id}`, { key: ADMIN })).status, 204);
    assert.equal((await call("DELETE", `/jobs/${id}`, { key: ADMIN })).status, 404);
    assert.equal((await call("GET", `/jobs/${id}`)).status, 404);
  });

  test("that do not exist, or can't, are 404 and 422", async () => {
    assert.equal((await call("GET", UNKNOWN)).status, 404);
    assert.equal((await call("POST", `${UNKNOWN}/run`)).status, 404);
    assert.equal((await call("GET", "/jobs/1")).status, 422);
    assert.equal((await call("GET", "/jobs/%FF")).status, 404);
    assert.equal((await call("PUT", "/jobs/export")).status, 405);
  });

  test("are run by another service", async () => {
    const path = `/jobs/${(await create()).id}/run`;
    for (const [status, text, expected] of [
      [200, "done", '200 {"state":"done"}'],
      [200, "?", '200 {"state":"failed"}'],
      [500, "done", '502 {"detail":"The runner did not respond as it should"}'],
    ] as const) {
      runner.onRun = (respond) => respond(status, text);
      const response = await call("POST", path);
      assert.equal(`${response.status} ${await response.text()}`, expected);
    }
  });

  test("run one at a time for each key, and a client that leaves ends its run", async () => {
    const path = `/jobs/${(await create()).id}/run`;
    const { arrived, abandoned } = runner;
    let finish = (): void => {};
    runner.onRun = (respond) => (finish = () => respond(200, "done"));
    const client = new AbortController();
    const first = call("POST", path, { signal: client.signal }).catch(() => undefined);
    await until(() => runner.arrived === arrived + 1, "the first run");
    const second = await call("POST", path);
    assert.deepEqual([second.status, second.headers.get("retry-after")], [429, "1"]);
    client.abort();
    await first;
    await until(() => runner.abandoned === abandoned + 1, "the end of the first run");
    await until(() => service.connections.inFlight === 0, "the end of the request");
    const third = call("POST", path).catch(() => undefined);
    await until(() => runner.arrived === arrived + 2, "the third run");
    const others = call("POST", path, { key: ADMIN });
    await until(() => runner.arrived === arrived + 3, "a run of another key");
    runner.onRun = (respond) => respond(200, "done");
    finish();
    assert.equal((await others).status, 200);
    runner.server.closeAllConnections();
    assert.equal((await third)?.status, 502);
  });

  test("can be called by the pages of one origin", async () => {
    const preflight = {
      Origin: ORIGIN,
      "Access-Control-Request-Method": "POST",
      "Access-Control-Request-Headers": "x-api-key",
    };
    const response = await call("OPTIONS", "/jobs", { key: "", headers: preflight });
    assert.equal(response.status, 204);
    assert.equal(response.headers.get("access-control-allow-origin"), ORIGIN);
    assert.match(response.headers.get("access-control-allow-headers") ?? "", /X-API-Key/);
    const denied = await call("GET", "/jobs", { key: "wrong", headers: { Origin: ORIGIN } });
    assert.equal(denied.status, 401);
    assert.equal(denied.headers.get("access-control-allow-origin"), ORIGIN);
    const foreign = await call("GET", "/jobs", { headers: { Origin: "https://b.example" } });
    assert.equal(foreign.headers.get("access-control-allow-origin"), null);
    assert.equal(foreign.headers.get("vary"), "Origin");
    const plain = await call("OPTIONS", "/jobs", { key: "", headers: { Origin: ORIGIN } });
    assert.equal(plain.status, 405);
  });
});
