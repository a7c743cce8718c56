import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { type Clone, cloneRepository, needsCompiler, run, start, until } from "../support/clone.ts";

const KEY = "test-key-1234567890";
const LISTENING = /"event":"listening".*"pid":(\d+)/;

describe("npm start", { skip: needsCompiler }, () => {
  let clone: Clone;
  before(() => {
    clone = cloneRepository();
  });
  after(() => clone.remove());

  test("makes no .env if the environment has a key, and serves with that one", async (t) => {
    const service = start(t, clone, ["npm", "start"], { SERVICE_API_KEY: KEY });
    const [, port = ""] = /"port":(\d+)/.exec(await service.until(LISTENING)) ?? [];
    const { status } = await fetch(`http://127.0.0.1:${port}/process`, {
      method: "POST",
      headers: { "X-API-Key": KEY, "Content-Type": "application/json" },
      body: '{"status":"SUCCESS"}',
    });
    assert.equal(status, 200);
    assert.equal(existsSync(join(clone.directory, ".env")), false);
  });

  for (const [event, signal] of [
    ["Ctrl-C", "SIGINT"],
    ["the end of the terminal", "SIGHUP"],
  ] as const) {
    test(`${event} ends everything that it started`, async (t) => {
      const service = start(t, clone, ["npm", "start"], { SERVICE_API_KEY: KEY });
      await service.until(LISTENING);
      service.signalGroup(signal);
      await service.exit;
      await until(
        () => service.members().length === 0,
        () => service.members().join("\n"),
      );
      // Its last lines may still be in the pipe.
      await service.until(/"event":"draining"/);
    });
  }

  test("SIGTERM to npm ends everything that it started", async (t) => {
    const service = start(t, clone, ["npm", "start"], { SERVICE_API_KEY: KEY });
    await service.until(LISTENING);
    process.kill(service.pid, "SIGTERM");
    await service.exit;
    await until(
      () => service.members().length === 0,
      () => service.members().join("\n"),
    );
    await service.until(/"event":"stopped"/);
  });

  test("SIGHUP to the service reloads its keys", async (t) => {
    const service = start(t, clone, ["npm", "start"], { SERVICE_API_KEY: KEY });
    const [, pid] = LISTENING.exec(await service.until(LISTENING)) ?? [];
    process.kill(Number(pid), "SIGHUP");
    await service.until(/"event":"keys_reloaded"/);
  });

  test("has the exit code of the service", () => {
    const { status, stderr } = run(clone, ["npm", "--silent", "start"], { PORT: "http" });
    assert.equal(status, 78);
    assert.match(stderr, /^PORT/m);
  });
});

describe("npm run sandboxed", { skip: needsCompiler }, () => {
  let clone: Clone;
  before(() => {
    clone = cloneRepository();
  });
  after(() => clone.remove());

  test("keeps the NODE_OPTIONS of its caller", async (t) => {
    const variables = { SERVICE_API_KEY: KEY, NODE_OPTIONS: "--title=callers-title" };
    const service = start(t, clone, ["npm", "run", "sandboxed"], variables);
    const [, pid = ""] = LISTENING.exec(await service.until(LISTENING)) ?? [];
    const isRenamed = (line: string): boolean => line.includes("callers-title");
    assert.ok(service.members().some(isRenamed), service.members().join("\n"));
    assert.ok(Number(pid) > 0);
  });

  test("does not start if the settings have a problem", () => {
    const { status, stdout, stderr } = run(clone, ["npm", "run", "--silent", "sandboxed"], {
      PORT: "http",
    });
    assert.equal(status, 78);
    assert.equal(stdout, "");
    assert.match(stderr, /^PORT/m);
  });
});
