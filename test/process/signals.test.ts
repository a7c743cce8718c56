import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";

import { handleStopSignals, STOP_SIGNALS } from "../../src/process/signals.ts";
import { type Client, exchange, open, outcomes, untilClosed } from "../support/client.ts";
import { freePorts, kill, killAtExit, workersOf } from "../support/processes.ts";
import { PROGRAM, startProgram } from "../support/program.ts";
import { get, KEY, post } from "../support/requests.ts";
import { root } from "../support/root.ts";
import { until } from "../support/wait.ts";

const TASK = post('{"status":"SUCCESS"}');

describe("Ctrl-C in a terminal", () => {
  const node = `"${process.execPath}" --no-warnings`;
  const scripts = {
    // It passes signals on, too.
    start: `exec ${node} "${fileURLToPath(new URL("src/scripts/start.js", root))}"`,
    sandboxed:
      `NODE_OPTIONS=$(${node} "${PROGRAM}" sandbox) && export NODE_OPTIONS && ` +
      `exec ${node} "${PROGRAM}"`,
  };
  for (const name of Object.keys(scripts)) {
    for (const WORKERS of ["1", "2"]) {
      test(`loses nothing under npm run ${name} with WORKERS=${WORKERS}`, async (t) => {
        const terminal = startInTerminal(t, scripts, name, WORKERS);
        await until(() => terminal.output().includes('"listening"'), "the service to listen");
        const port = Number(/"port":(\d+)/.exec(terminal.output())?.[1]);
        const busy = await startRequests(port, 10);
        terminal.child.stdin?.write("\x03");
        await untilClosed(busy);
        assert.deepEqual(outcomes(busy), { 200: 10 });
        await terminal.exit;
        assert.match(terminal.output(), /"event":"stopped","pid":\d+,"exit_code":0/);
        assert.doesNotMatch(terminal.output(), /"exit_code":1/);
      });
    }
  }
});

describe("the signals after the first", () => {
  const cases: readonly (readonly [what: string, signals: readonly string[], second: number])[] = [
    ["none", ["SIGTERM 0"], 0],
    ["the same one, soon", ["SIGTERM 0", "SIGTERM 499"], 0],
    ["the same one, soon, many times", ["SIGINT 0", "SIGINT 1", "SIGINT 2", "SIGINT 499"], 0],
    ["the same one, later", ["SIGTERM 0", "SIGTERM 500"], 1],
    ["the same one, soon and later", ["SIGINT 0", "SIGINT 400", "SIGINT 800"], 1],
    ["another one, at once", ["SIGTERM 0", "SIGINT 0"], 1],
    ["another one, later", ["SIGINT 0", "SIGTERM 5000"], 1],
  ];
  for (const [what, signals, expected] of cases) {
    test(`${what}: ${expected === 0 ? "repeats" : "a second signal"}`, (t) => {
      let now = 0;
      t.mock.method(performance, "now", () => now);
      const calls = { first: 0, second: 0 };
      const send = listenForStop(t, calls);
      for (const signal of signals) {
        const [name = "", time] = signal.split(" ");
        now = 12_345 + Number(time);
        send(name);
      }
      assert.deepEqual(calls, { first: 1, second: expected });
    });
  }
});

/** Counts the calls of the handlers. Returns a function that calls them as a signal would. */
function listenForStop(
  t: TestContext,
  calls: { first: number; second: number },
): (signal: string) => void {
  handleStopSignals(
    () => (calls.first += 1),
    () => (calls.second += 1),
  );
  const listeners = new Map<string, (signal: string) => void>();
  for (const signal of STOP_SIGNALS) {
    const listener = process.listeners(signal).at(-1) as (signal: string) => void;
    listeners.set(signal, listener);
    t.after(() => process.off(signal, listener));
  }
  return (signal) => listeners.get(signal)?.(signal);
}

for (const WORKERS of ["1", "2"]) {
  describe(`a second signal with WORKERS=${WORKERS}`, () => {
    const variables = { WORKERS, PROCESS_DELAY_MS: "600000", SHUTDOWN_TIMEOUT_MS: "600000" };

    test("ends the service with 1 if it is another one, however soon", async (t) => {
      const service = await startProgram(t, variables);
      const busy = await startRequests(service.port, 1);
      service.child.kill("SIGTERM");
      service.child.kill("SIGINT");
      assert.equal(await service.exit(), 1);
      await untilClosed(busy);
    });

    test("ends the service with 1 if it is the same one later", async (t) => {
      const service = await startProgram(t, variables);
      const busy = await startRequests(service.port, 1);
      service.child.kill("SIGINT");
      await service.until(() => service.events("draining").length > 0, "the service to drain");
      await sleep(600);
      service.child.kill("SIGINT");
      assert.equal(await service.exit(), 1);
      await untilClosed(busy);
    });
  });
}

describe("SIGUSR1", () => {
  test("does not open the debugger, in the primary or in a worker", async (t) => {
    for (const WORKERS of ["1", "2"]) {
      const [port = 0] = await freePorts(1);
      const service = await startProgram(t, {
        WORKERS,
        NODE_OPTIONS: `--inspect-port=127.0.0.1:${port}`,
      });
      const workers = WORKERS === "1" ? [] : await workersOf(service, 2);
      for (const pid of [service.pid, ...workers]) kill(pid, "SIGUSR1");
      assert.equal((await exchange(service.port, get("/health"))).responses[0]?.status, 200);
      assert.equal((await open(port)).reset, true);
      assert.equal(await service.stop(), 0);
      assert.equal(service.stderr(), "");
    }
  });

  test("opens it in a program that does nothing about it", async () => {
    const code = "process.kill(process.pid, 'SIGUSR1'); setTimeout(() => {}, 100000)";
    const child = spawn(process.execPath, ["--inspect-port=127.0.0.1:0", "-e", code]);
    killAtExit(child);
    let output = "";
    child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
    await until(() => output.includes("Debugger listening"), "the debugger");
    child.kill("SIGKILL");
  });
});

interface Terminal {
  readonly child: ChildProcess;
  /** What it shows. */
  output(): string;
  readonly exit: Promise<unknown>;
}

/** Runs an npm script in a terminal of its own, made by util-linux's or BSD's `script`. */
function startInTerminal(
  t: TestContext,
  scripts: Readonly<Record<string, string>>,
  name: string,
  WORKERS: string,
): Terminal {
  const directory = mkdtempSync(join(tmpdir(), "terminal-"));
  writeFileSync(join(directory, "package.json"), JSON.stringify({ type: "module", scripts }));
  mkdirSync(join(directory, "dist/src"), { recursive: true });
  const main = `import ${JSON.stringify(pathToFileURL(PROGRAM))};`;
  writeFileSync(join(directory, "dist/src/main.js"), main);
  const args =
    process.platform === "linux"
      ? ["-qec", `npm run ${name}`, "/dev/null"]
      : ["-q", "/dev/null", "npm", "run", name];
  const child = spawn("script", args, {
    cwd: directory,
    env: {
      PATH: process.env["PATH"],
      HOME: directory,
      SERVICE_API_KEY: KEY,
      PORT: "0",
      WORKERS,
      PROCESS_DELAY_MS: "2000",
    },
    stdio: ["pipe", "pipe", "inherit"],
  });
  killAtExit(child);
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  const exit = new Promise((resolve) => child.once("close", resolve));
  t.after(async () => {
    // The terminal hangs up, and SIGHUP ends nothing: the service takes it for a reload.
    const pids = [...output.matchAll(/"event":"listening".*"pid":(\d+)/g)];
    for (const [, pid] of pids) kill(Number(pid), "SIGKILL");
    child.kill("SIGKILL");
    await exit;
    rmSync(directory, { recursive: true });
  });
  return { child, output: () => output, exit };
}

/** Sends requests, and waits until the service has them. */
async function startRequests(port: number, count: number): Promise<Client[]> {
  const peers = await Promise.all(Array.from({ length: count }, () => open(port, TASK)));
  // Each worker reads what came first before it responds to what comes later.
  for (let i = 0; i < 10; i += 1) await exchange(port, get("/health"));
  return peers;
}
