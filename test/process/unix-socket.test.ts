import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { request } from "node:http";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { describe, test, type TestContext } from "node:test";

import { kill, workersOf } from "../support/processes.ts";
import { PROGRAM, type Program, spawnProgram, type Variables } from "../support/program.ts";
import { KEY } from "../support/requests.ts";
import { tempDirectory } from "../support/temp.ts";
import { until } from "../support/wait.ts";

for (const WORKERS of ["1", "2"]) {
  describe(`a Unix socket with WORKERS=${WORKERS}`, () => {
    test("serves its owner and group, without an address in the log, and is removed", async (t) => {
      const path = join(tempDirectory(t), "api.sock");
      const program = await start(t, path, { WORKERS });
      assert.equal(statSync(path).mode & 0o777, 0o660);
      assert.equal(await statusOf(path), 200);
      const { host, port, workers } = await program.untilEvent("listening");
      assert.deepEqual([host, port, workers], [`unix:${path}`, undefined, Number(WORKERS)]);
      const line = await program.untilEvent("request");
      assert.deepEqual([line["status"], "remote" in line], [200, false]);
      assert.equal(await program.stop(), 0);
      assert.equal(existsSync(path), false);
    });

    test("of a service that was killed is replaced", async (t) => {
      const path = join(tempDirectory(t), "api.sock");
      const killed = await start(t, path, { WORKERS });
      killed.kill();
      await killed.exit();
      assert.equal(existsSync(path), true);
      const program = await start(t, path, { WORKERS });
      assert.equal(await statusOf(path), 200);
      assert.equal(await program.stop(), 0);
      assert.equal(existsSync(path), false);
    });

    test("of a live service is left alone", async (t) => {
      const path = join(tempDirectory(t), "api.sock");
      await start(t, path, { WORKERS });
      const second = spawn(t, path, { WORKERS });
      assert.equal(await second.exit(), 1);
      assert.equal(
        second.stderr(),
        `can't listen on unix:${path} (EADDRINUSE): ` +
          "another process listens there: stop it, or set HOST to another path\n",
      );
      assert.equal(await statusOf(path), 200);
    });
  });
}

test("a socket that all workers have left is made again, with its mode", async (t) => {
  const path = join(tempDirectory(t), "api.sock");
  const program = await start(t, path, { WORKERS: "2" });
  for (const pid of await workersOf(program, 2)) kill(pid, "SIGKILL");
  await program.until(() => program.events("worker_exited").length === 2, "their end");
  const isServed = async (): Promise<boolean> => (await statusOf(path).catch(() => 0)) === 200;
  await until(isServed, "a response");
  await until(() => (statSync(path).mode & 0o777) === 0o660, "its mode");
  assert.equal(await program.stop(), 0);
});

/** What may be at the path instead, and the end of the line. */
const OTHERS: readonly (readonly [string, (path: string) => void, RegExp])[] = [
  ["a file", (path) => writeFileSync(path, "keep"), /\(EEXIST\): there is a file that is no /],
  ["a directory", (path) => mkdirSync(path), /\(EEXIST\): there is a file that is no socket/],
  ["a dangling link", (path) => symlinkSync("none", path), /\(EEXIST\): there is a file that is/],
];

for (const [what, make, message] of OTHERS) {
  test(`${what} at the path of a Unix socket is left alone, and is one line`, async (t) => {
    const directory = tempDirectory(t);
    const path = join(directory, "api.sock");
    make(path);
    const program = spawn(t, path);
    assert.equal(await program.exit(), 1);
    assert.match(program.stderr(), message);
    assert.equal(program.stderr().trimEnd().split("\n").length, 1);
    assert.deepEqual(readdirSync(directory), ["api.sock"]);
  });
}

test("a Unix socket in a directory that does not exist is one line", async (t) => {
  const all = { SERVICE_API_KEY: KEY, HOST: `unix:${join(tempDirectory(t), "none", "api.sock")}` };
  const program = spawnProgram(t, all);
  assert.equal(await program.exit(), 1);
  assert.match(program.stderr(), /^can't listen on unix:[^\n]*: [^\n]*\n$/);
});

for (const WORKERS of ["1", "2"]) {
  test(`a Unix socket works in the sandbox with WORKERS=${WORKERS}`, async (t) => {
    const directory = tempDirectory(t);
    const path = join(directory, "api.sock");
    const variables = { HOST: `unix:${path}`, SERVICE_API_KEY: KEY, WORKERS };
    const args = ["--no-warnings", PROGRAM, "sandbox"];
    const env = { PATH: process.env["PATH"], ...variables };
    const sandbox = spawnSync(process.execPath, args, { cwd: directory, env, encoding: "utf8" });
    assert.equal(sandbox.stderr, "");
    // A socket that is left over is replaced there, too.
    const stale = await start(t, path, { WORKERS: "1" });
    stale.kill();
    await stale.exit();
    const program = await start(t, path, { WORKERS, NODE_OPTIONS: sandbox.stdout.trim() });
    assert.equal(await statusOf(path), 200);
    assert.equal(statSync(path).mode & 0o777, 0o660);
    assert.equal(await program.stop(), 0);
    assert.equal(existsSync(path), false);
  });
}

test("a live socket that this user may not connect to is not removed", async (t) => {
  const directory = tempDirectory(t);
  const path = join(directory, "api.sock");
  const server = createServer();
  t.after(() => server.close());
  await new Promise<void>((resolve) => server.listen(path, resolve));
  chmodSync(path, 0);
  const program = spawn(t, path);
  assert.equal(await program.exit(), 1);
  assert.equal(existsSync(path), true);
});

function spawn(t: TestContext, path: string, variables: Variables = {}): Program {
  const defaults = { SERVICE_API_KEY: KEY, PROCESS_DELAY_MS: "0" };
  const all = { ...defaults, ...variables, HOST: `unix:${path}` };
  return spawnProgram(t, all, { directory: dirname(path) });
}

async function start(t: TestContext, path: string, variables: Variables = {}): Promise<Program> {
  const program = spawn(t, path, variables);
  await program.untilEvent("listening");
  return program;
}

/** The status of `POST /process` with the key. */
function statusOf(socketPath: string): Promise<number | undefined> {
  const headers = { "X-API-Key": KEY, "Content-Type": "application/json", Connection: "close" };
  return new Promise((resolve, reject) => {
    const options = { socketPath, method: "POST", path: "/process", headers };
    const sent = request(options, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    sent.on("error", reject);
    sent.end('{"status":"SUCCESS"}');
  });
}
