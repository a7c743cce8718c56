import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";

import { createRoutes } from "../src/app.ts";
import { keySetOf } from "../src/auth/keys.ts";
import { request, statusOf } from "./support/client.ts";
import { get, KEY, post } from "./support/requests.ts";
import { root } from "./support/root.ts";
import { serveFor } from "./support/server.ts";

const keyring = { current: keySetOf({ default: KEY }) };
const options = { keyring, isDraining: () => false, processDelayMs: 0, docs: true };

describe("the route table", () => {
  function namesWith(docs: boolean): string[] {
    const routes = createRoutes({ ...options, docs });
    return routes.map(
      ({ method, path, includeInSchema }) => `${method} ${path} ${includeInSchema}`,
    );
  }

  for (const name of ["POST /process true", "GET /health true"]) {
    test(`has ${name} in the schema, also without the docs`, () => {
      assert.ok(namesWith(true).includes(name));
      assert.ok(namesWith(false).includes(name));
    });
  }

  test("declares the responses of every route in the schema, and a summary", () => {
    for (const { method, path, summary, responses, includeInSchema } of createRoutes(options)) {
      if (!includeInSchema) continue;
      assert.notEqual(summary, undefined, `${method} ${path} has no summary`);
      assert.notDeepEqual(responses, {}, `${method} ${path} declares no responses`);
    }
  });

  for (const path of [
    "/docs",
    "/docs/docs.css",
    "/docs/docs.js",
    "/docs/icon.svg",
    "/openapi.json",
  ]) {
    test(`has GET ${path} outside the schema, unless the docs are off`, () => {
      assert.ok(namesWith(true).includes(`GET ${path} false`));
      assert.ok(!namesWith(false).includes(`GET ${path} false`));
    });
  }

  test("has GET /metrics outside the schema if it can be read, also without the docs", () => {
    const readMetrics = (): string => "";
    for (const docs of [true, false]) {
      assert.ok(!namesWith(docs).includes("GET /metrics false"));
      const routes = createRoutes({ ...options, docs, readMetrics });
      const metrics = routes.find(({ path }) => path === "/metrics");
      assert.deepEqual([metrics?.method, metrics?.includeInSchema], ["GET", false]);
      assert.equal(metrics?.dependencies.length, 1);
    }
  });

  for (const path of [
    "/redoc",
    "/docs/oauth2-redirect",
    "/",
    "/favicon.ico",
    "/docs/openapi.json",
  ]) {
    test(`has no ${path}`, async (t) => {
      const service = await serveFor(t, createRoutes(options));
      assert.equal(await statusOf(service.port, get(path)), 404);
    });
  }

  test("guards POST /process with the keys that the keyring has at the moment", async (t) => {
    const own = { current: keySetOf({ default: "first" }) };
    const { port } = await serveFor(t, createRoutes({ ...options, keyring: own }));
    const statuses = async (): Promise<number[]> => {
      const withKey = (key: string): Buffer => post('{"status":"SUCCESS"}', [], { key });
      return [await statusOf(port, withKey("first")), await statusOf(port, withKey("second"))];
    };
    assert.deepEqual(await statuses(), [200, 401]);
    own.current = keySetOf({ default: "second" });
    assert.deepEqual(await statuses(), [401, 200]);
  });

  test("serves the document byte for byte, with FastAPI's title and version", async (t) => {
    const text = readFileSync(new URL("src/docs/openapi.json", root), "utf8");
    const service = await serveFor(t, createRoutes(options));
    const { body } = await request(service.port, get("/openapi.json"));
    assert.equal(body, text);
    const { info } = JSON.parse(body) as { info: { title: string; version: string } };
    assert.deepEqual([info.title, info.version], ["API", "0.1.0"]);
  });
});
