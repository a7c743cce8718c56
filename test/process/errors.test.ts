import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";

import {
  type Client,
  exchange,
  open,
  outcomes,
  statusOf,
  untilAnswered,
  untilClosed,
} from "../support/client.ts";
import { childrenOf, kill, workersOf } from "../support/processes.ts";
import { type Program, spawnProgram, startProgram, type Variables } from "../support/program.ts";
import { get, KEY, post } from "../support/requests.ts";

const TASK = post('{"status":"SUCCESS"}');

/** The NODE_OPTIONS with which each process of the service runs code first. */
function running(code: string): string {
  return `--import=data:text/javascript,${encodeURIComponent(code)}`;
}

function startWith(t: TestContext, code: string, variables: Variables): Promise<Program> {
  return startProgram(t, { NODE_OPTIONS: running(code), ...variables });
}

/** Sends a request, and waits until the service has it. */
async function startRequest(port: number): Promise<Client> {
  const peer = await open(port, TASK);
  // Each worker reads what came first before it responds to what comes later.
  for (let i = 0; i < 10; i += 1) await exchange(port, get("/health"));
  return peer;
}

describe("an exception that nothing catches", () => {
  const THROW = 'process.on("SIGUSR2", () => { throw new Error("thrown by the test"); });';

  test("is logged, and ends the service with 1 after the responses in progress", async (t) => {
    const service = await startWith(t, THROW, { PROCESS_DELAY_MS: "1000" });
    const busy = await startRequest(service.port);
    service.child.kill("SIGUSR2");
    await untilClosed([busy]);
    assert.deepEqual(outcomes([busy]), { 200: 1 });
    assert.equal(await service.exit(), 1);
    assertLogsError(service);
    assert.equal(service.events("stopped")[0]?.["exit_code"], 1);
    assert.equal(service.stderr(), "");
  });

  test("ends a worker like that, and another takes its place", async (t) => {
    const service = await startWith(t, THROW, { WORKERS: "2", PROCESS_DELAY_MS: "1000" });
    const [pid = 0] = await workersOf(service, 2);
    const busy = await Promise.all(Array.from({ length: 8 }, () => startRequest(service.port)));
    kill(pid, "SIGUSR2");
    await service.until(() => service.events("worker_exited").length > 0, "the exit");
    const [exit] = service.events("worker_exited");
    assert.deepEqual([exit?.["pid"], exit?.["code"]], [pid, 1]);
    await untilAnswered(busy);
    assert.deepEqual(outcomes(busy), { 200: 8 });
    await service.until(() => childrenOf(service.pid).length === 2, "the new worker");
    assertLogsError(service);
    assert.equal(await service.stop(), 0);
  });

  test("while the service drains makes the exit code 1, and cuts nothing", async (t) => {
    const service = await startWith(t, THROW, { PROCESS_DELAY_MS: "1000" });
    const busy = await startRequest(service.port);
    service.child.kill("SIGTERM");
    await service.until(() => service.events("draining").length > 0, "the service to drain");
    service.child.kill("SIGUSR2");
    await untilClosed([busy]);
    assert.deepEqual(outcomes([busy]), { 200: 1 });
    assert.equal(await service.exit(), 1);
    assertLogsError(service);
  });
});

describe("a rejection that nothing handles", () => {
  for (const WORKERS of ["1", "2"]) {
    test(`is logged, and the service goes on, with WORKERS=${WORKERS}`, async (t) => {
      const code = `process.on("SIGUSR2", () => Promise.reject(new Error("thrown by the test")));`;
      const service = await startWith(t, code, { WORKERS, PROCESS_DELAY_MS: "0" });
      const [pid = 0] = WORKERS === "1" ? [service.pid] : await workersOf(service, 2);
      kill(pid, "SIGUSR2");
      await service.until(() => service.events("error").length > 0, "the event");
      assertLogsError(service);
      assert.equal(await statusOf(service.port, TASK), 200);
      assert.equal(await service.stop(), 0);
      assert.equal(service.events("worker_exited").length, 0);
      assert.equal(service.stderr(), "");
    });
  }
});

function assertLogsError(service: Program): void {
  const errors = service.events("error");
  assert.equal(errors.length, 1);
  assert.equal(errors[0]?.["level"], "error");
  assert.match(String(errors[0]?.["stack"]), /^Error: thrown by the test\n +at /);
}

describe("a mistake in the program", () => {
  // As if a file of the docs page were missing.
  const BREAK = `
    import fs from "node:fs";
    import { syncBuiltinESMExports } from "node:module";
    const { readFileSync } = fs;
    fs.readFileSync = (path, ...rest) => {
      if (String(path).endsWith("openapi.json")) throw new Error("thrown by the test");
      return readFileSync(path, ...rest);
    };
    syncBuiltinESMExports();`;

  for (const WORKERS of ["1", "2"]) {
    test(`ends the start with 1 and its stack, once, with WORKERS=${WORKERS}`, async (t) => {
      const NODE_OPTIONS = running(BREAK);
      const service = spawnProgram(t, { SERVICE_API_KEY: KEY, PORT: "0", WORKERS, NODE_OPTIONS });
      assert.equal(await service.exit(), 1);
      assert.match(service.stderr(), /^Error: thrown by the test\n +at [^]*\n$/);
      assert.equal(service.stderr().split("thrown by the test").length, 2);
    });
  }
});

describe("without IPv6", () => {
  const WITHOUT_IPV6 = `
    import { Server } from "node:net";
    const { listen } = Server.prototype;
    Server.prototype.listen = function (options, ...rest) {
      if (!options.host?.includes(":")) return listen.call(this, options, ...rest);
      const error = Object.assign(new Error("no IPv6"), { code: "EAFNOSUPPORT" });
      process.nextTick(() => this.emit("error", error));
      return this;
    };`;

  for (const WORKERS of ["1", "2"]) {
    test(`HOST=:: means every IPv4 address, with WORKERS=${WORKERS}`, async (t) => {
      const variables = { HOST: "::", SERVICE_ALLOW_WEAK_KEY: "1", WORKERS };
      const service = await startWith(t, WITHOUT_IPV6, variables);
      assert.equal(service.events("listening")[0]?.["host"], "0.0.0.0");
      assert.equal(await statusOf(service.port, get("/health")), 200);
      assert.equal(await service.stop(), 0);
    });
  }

  test("HOST=::1 ends the service with one line", async (t) => {
    const NODE_OPTIONS = running(WITHOUT_IPV6);
    const service = spawnProgram(t, { SERVICE_API_KEY: KEY, PORT: "0", HOST: "::1", NODE_OPTIONS });
    assert.equal(await service.exit(), 1);
    assert.match(service.stderr(), /^can't listen on \[::1\]:0 \(EAFNOSUPPORT\): this[^\n]+\n$/);
  });
});

describe("stopping with WORKERS=2", () => {
  test("a worker that has yet to start does not serve, and is not waited for", async (t) => {
    // A worker waits here while the file is there.
    const hold = `
      import cluster from "node:cluster";
      import { existsSync } from "node:fs";
      const pause = new Int32Array(new SharedArrayBuffer(4));
      while (cluster.isWorker && existsSync("hold")) Atomics.wait(pause, 0, 0, 10);`;
    const service = await startWith(t, hold, { WORKERS: "2", SHUTDOWN_TIMEOUT_MS: "600000" });
    const workers = await workersOf(service, 2);
    writeFileSync(join(service.directory, "hold"), "");
    kill(workers[0] ?? 0, "SIGKILL");
    const isReplaced = (): boolean => {
      const children = childrenOf(service.pid);
      return children.length === 2 && children.some((pid) => !workers.includes(pid));
    };
    await service.until(isReplaced, "another worker");
    service.child.kill("SIGTERM");
    await service.until(() => service.events("stopped").length === 1, "the other worker to end");
    rmSync(join(service.directory, "hold"));
    assert.equal(await service.exit(), 0);
    assert.equal(service.events("draining").length, 2);
  });

  test("the longest SHUTDOWN_TIMEOUT_MS is one, and not none", async (t) => {
    const variables = { WORKERS: "2", SHUTDOWN_TIMEOUT_MS: "2147483647", PROCESS_DELAY_MS: "500" };
    const service = await startWith(t, "", variables);
    const busy = await startRequest(service.port);
    service.child.kill("SIGTERM");
    await untilClosed([busy]);
    assert.deepEqual(outcomes([busy]), { 200: 1 });
    assert.equal(await service.exit(), 0);
  });

  test("and starting is logged at the level info", async (t) => {
    const service = spawnProgram(t, { SERVICE_API_KEY: KEY, PORT: "0", LOG_LEVEL: "info" });
    await service.until(() => service.port !== 0, "the service to listen");
    assert.equal(await service.stop(), 0);
    const levels = service.events().map(({ event, level }) => [event, level]);
    assert.deepEqual(
      levels.filter(([event]) => event !== "warning"),
      [
        ["listening", "info"],
        ["draining", "info"],
        ["stopped", "info"],
      ],
    );
  });
});
