import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";

import { isPrimaryMessage, isWorkerMessage } from "../../src/process/messages.ts";
import { exchange } from "../support/client.ts";
import { isAlive, kill, killAtExit, workersOf } from "../support/processes.ts";
import { PROGRAM, type Program, spawnProgram, type Variables } from "../support/program.ts";
import { KEY, post } from "../support/requests.ts";
import { tempDirectory } from "../support/temp.ts";
import { until } from "../support/wait.ts";

const TASK = '{"status":"SUCCESS"}';
const NEW_KEY = "svk_new-0123456789-abcdefghijklmnopqrstuvwxyz";

/** What neither a primary nor a worker of the service sends. */
const STRANGE: readonly unknown[] = [
  undefined,
  null,
  "ready",
  "stop",
  7,
  [],
  {},
  { type: "other" },
  { type: "secrets_set" },
  { type: "secrets_set", version: "1" },
  { type: "failed" },
  { type: "failed", reason: 1 },
  { type: "samples" },
  { type: "samples", samples: { api_connections: 1 } },
];

test("a message is told from a library's by its shape", () => {
  assert.deepEqual(STRANGE.filter(isWorkerMessage), []);
  assert.deepEqual(STRANGE.filter(isPrimaryMessage), []);
  assert.ok(isWorkerMessage({ type: "ready" }));
  assert.ok(isWorkerMessage({ type: "secrets_set", version: 2 }));
  assert.ok(isWorkerMessage({ type: "failed", reason: "x" }));
  assert.ok(isWorkerMessage({ type: "metrics_wanted" }));
  assert.ok(isWorkerMessage({ type: "samples", samples: new Map([["api_connections", 1]]) }));
  assert.ok(isPrimaryMessage({ type: "stop" }));
  assert.ok(isPrimaryMessage({ type: "serve" }));
  assert.ok(isPrimaryMessage({ type: "report_samples" }));
  assert.ok(isPrimaryMessage({ type: "metrics", text: "" }));
});

describe("messages that are not the service's", () => {
  test("from a worker: one warning, without their content, and the service goes on", async (t) => {
    // Before it is ready, and all the time.
    const send = `
      import cluster from "node:cluster";
      const strange = ${JSON.stringify(STRANGE.slice(1))};
      const sendAll = () => strange.forEach((message) => process.send(message));
      if (cluster.isWorker) {
        sendAll();
        process.send("\\u001b[31mstray");
        setInterval(sendAll, 20).unref();
      }`;
    const service = await startWith(t, send);
    const warnings = (): string[] =>
      service
        .events("warning")
        .map(({ message }) => String(message))
        .filter((message) => message.startsWith("worker"));
    await service.until(() => warnings().length >= 2, "the warnings");
    for (let i = 0; i < 20; i += 1) {
      const { responses } = await exchange(service.port, post(TASK));
      assert.equal(responses[0]?.status, 200);
    }
    assert.equal(warnings().length, 2, "one of each worker");
    for (const warning of warnings()) {
      assert.match(warning, /^worker \d+ sends messages that are not the service's$/);
    }
    assert.ok(!`${service.stdout()}${service.stderr()}`.includes("stray"));
    assert.equal(await service.stop(), 0);
    assert.equal(service.stderr(), "");
  });

  test("from the primary: nothing happens", async (t) => {
    const send = `
      import cluster from "node:cluster";
      const strange = ${JSON.stringify(STRANGE.slice(1))};
      if (cluster.isPrimary) {
        cluster.on("online", (worker) => strange.forEach((message) => worker.send(message)));
      }`;
    const service = await startWith(t, send);
    assert.equal((await exchange(service.port, post(TASK))).responses[0]?.status, 200);
    assert.equal(await service.stop(), 0);
    assert.deepEqual([service.events("error"), service.stderr()], [[], ""]);
  });

  test("that a worker can't serve: one line of the log, escaped, once it listens", async (t) => {
    const send = `
      import cluster from "node:cluster";
      if (cluster.isWorker) process.on("SIGUSR2", () => {
        process.send({ type: "failed", reason: "\\u001b[31m\\nspoofed" });
      });`;
    const service = await startWith(t, send);
    const [pid = 0] = await workersOf(service, 2);
    kill(pid, "SIGUSR2");
    await service.until(() => service.events("error").length > 0, "the event");
    const [error] = service.events("error");
    assert.deepEqual([error?.["pid"], error?.["message"]], [pid, "\u001b[31m\nspoofed"]);
    assert.ok(!service.stdout().includes("\u001b"));
    assert.equal((await exchange(service.port, post(TASK))).responses[0]?.status, 200);
    assert.equal(await service.stop(), 0);
  });
});

describe("keys_reloaded with WORKERS=2", () => {
  test("comes only when every worker has the new keys", async (t) => {
    const { service, directory } = await startWithEnvFile(t);
    const workers = await workersOf(service, 2);
    kill(workers[0] ?? 0, "SIGSTOP");
    setKey(directory, NEW_KEY);
    service.child.kill("SIGHUP");
    // The other worker has them: it alone accepts connections.
    await untilAccepted(service.port, NEW_KEY);
    assert.equal(service.events("keys_reloaded").length, 0);
    kill(workers[0] ?? 0, "SIGCONT");
    await service.until(() => service.events("keys_reloaded").length === 1, "the event");
    for (let i = 0; i < 20; i += 1) assert.equal(await statusWith(service.port, KEY), 401);
    assert.equal(await service.stop(), 0);
  });

  test("does not wait for a worker that dies, and its successor has the new keys", async (t) => {
    const { service, directory } = await startWithEnvFile(t);
    const workers = await workersOf(service, 2);
    kill(workers[0] ?? 0, "SIGSTOP");
    setKey(directory, NEW_KEY);
    service.child.kill("SIGHUP");
    await untilAccepted(service.port, NEW_KEY);
    kill(workers[0] ?? 0, "SIGKILL");
    await service.until(() => service.events("keys_reloaded").length === 1, "the event");
    const [successor] = (await workersOf(service, 2)).filter((pid) => !workers.includes(pid));
    kill(workers[1] ?? 0, "SIGSTOP");
    assert.ok(successor !== undefined);
    await untilAccepted(service.port, NEW_KEY);
    assert.equal(await statusWith(service.port, KEY), 401);
    kill(workers[1] ?? 0, "SIGCONT");
    assert.equal(await service.stop(), 0);
  });
});

test("many reloads that wait for a worker cost nothing that Node warns about", async (t) => {
  const { service, directory } = await startWithEnvFile(t);
  const workers = await workersOf(service, 2);
  kill(workers[0] ?? 0, "SIGSTOP");
  const reloads = 15;
  for (let i = 0; i < reloads; i += 1) {
    const key = `${NEW_KEY}${i}`;
    setKey(directory, key);
    service.child.kill("SIGHUP");
    await untilAccepted(service.port, key);
  }
  assert.equal(service.events("keys_reloaded").length, 0);
  kill(workers[0] ?? 0, "SIGCONT");
  await service.until(() => service.events("keys_reloaded").length === reloads, "the events");
  assert.equal(await service.stop(), 0);
  assert.equal(service.stderr(), "");
});

describe("as a worker of another program's cluster", () => {
  const variables = { SERVICE_API_KEY: KEY, PORT: "0", PROCESS_DELAY_MS: "0" };

  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    test(`it serves, and ${signal} ends it`, async (t) => {
      const foreign = startForeignPrimary(t, variables);
      await until(() => foreign.output().includes('"listening"'), "the service to listen");
      const port = Number(/"port":(\d+)/.exec(foreign.output())?.[1]);
      const pid = Number(/"pid":(\d+)/.exec(foreign.output())?.[1]);
      assert.equal((await exchange(port, post(TASK))).responses[0]?.status, 200);
      kill(pid, signal);
      await until(() => foreign.output().includes("exited with 0"), "the worker to exit");
      assert.equal(await foreign.exit, 0);
    });
  }

  test("it ends with its primary", async (t) => {
    const foreign = startForeignPrimary(t, variables);
    await until(() => foreign.output().includes('"listening"'), "the service to listen");
    const pid = Number(/"pid":(\d+)/.exec(foreign.output())?.[1]);
    foreign.child.kill("SIGKILL");
    await until(() => !isAlive(pid), "the worker to end");
  });

  test("with WORKERS=2 it says in one line why it can't serve, and exits with 78", async (t) => {
    const foreign = startForeignPrimary(t, { ...variables, WORKERS: "2" });
    await foreign.exit;
    assert.equal(
      foreign.output(),
      "WORKERS: must be 1 under another program's cluster\nexited with 78\n",
    );
  });

  test("the argument of a worker is misuse without a cluster", async (t) => {
    const service = spawnProgram(t, variables, { args: ["worker"] });
    assert.equal(await service.exit(), 64);
    assert.match(service.stderr(), /^usage: [^\n]+\n$/);
  });
});

/** Starts the service with two workers, and code that all of its processes run first. */
async function startWith(t: TestContext, code: string): Promise<Program> {
  const service = spawnProgram(t, {
    SERVICE_API_KEY: KEY,
    PORT: "0",
    PROCESS_DELAY_MS: "0",
    WORKERS: "2",
    NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(code)}`,
  });
  await service.until(() => service.port !== 0, "the service to listen");
  return service;
}

async function startWithEnvFile(t: TestContext): Promise<{ service: Program; directory: string }> {
  const directory = tempDirectory(t);
  setKey(directory, KEY);
  const service = spawnProgram(
    t,
    { PORT: "0", PROCESS_DELAY_MS: "0", WORKERS: "2" },
    { directory },
  );
  await service.until(() => service.port !== 0, "the service to listen");
  return { service, directory };
}

function setKey(directory: string, key: string): void {
  writeFileSync(join(directory, ".env"), `SERVICE_API_KEY=${key}\n`, { mode: 0o600 });
}

async function statusWith(port: number, key: string): Promise<number | undefined> {
  return (await exchange(port, post(TASK, [], { key }))).responses[0]?.status;
}

async function untilAccepted(port: number, key: string): Promise<void> {
  const end = Date.now() + 20_000;
  while ((await statusWith(port, key)) !== 200) assert.ok(Date.now() < end, "the key is denied");
}

interface ForeignPrimary {
  readonly child: ChildProcess;
  /** What it and its worker have written so far. */
  output(): string;
  readonly exit: Promise<number | null>;
}

/** Starts another program, which starts this one as a worker, and ends with it. */
function startForeignPrimary(t: TestContext, variables: Variables): ForeignPrimary {
  const code = `
    const cluster = require("node:cluster");
    cluster.setupPrimary({ exec: process.argv[1], args: [], execArgv: [] });
    cluster.fork().on("exit", (code) => console.log("exited with " + code));`;
  const directory = mkdtempSync(join(tmpdir(), "service-"));
  const child = spawn(process.execPath, ["--no-warnings", "-e", code, PROGRAM], {
    cwd: directory,
    env: { PATH: process.env["PATH"], ...variables },
    stdio: ["ignore", "pipe", "pipe"],
  });
  killAtExit(child);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
  }
  const exit = new Promise<number | null>((resolve) => child.once("close", resolve));
  t.after(async () => {
    child.kill("SIGKILL");
    await exit;
    rmSync(directory, { recursive: true });
  });
  return { child, output: () => output, exit };
}
