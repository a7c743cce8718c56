import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { type AddressInfo, createServer, type Server } from "node:net";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";

import { statusOf } from "../support/client.ts";
import { isAlive, kill, killAtExit } from "../support/processes.ts";
import { PROGRAM } from "../support/program.ts";
import { KEY, post } from "../support/requests.ts";
import { tempDirectory } from "../support/temp.ts";
import { until } from "../support/wait.ts";

/** Requests one after the other on connections of their own, and what became of them. */
interface Load {
  readonly outcomes: Record<string, number>;
  stop(): Promise<void>;
}

const TASK = post('{"status":"SUCCESS"}', ["Connection: close"]);

/** A shell that holds a socket as fd 3, as systemd does, and runs the program again and again. */
class Supervisor {
  readonly port: number;
  readonly shell: ChildProcess;
  #output = "";

  constructor(port: number, shell: ChildProcess) {
    this.port = port;
    this.shell = shell;
    shell.stdout?.setEncoding("utf8").on("data", (text: string) => (this.#output += text));
  }

  /** The pids of the runs that have begun to listen. */
  get pids(): number[] {
    const lines = this.#output.matchAll(/"event":"listening".*"pid":(\d+)/g);
    return [...lines].map(([, pid]) => Number(pid));
  }

  get output(): string {
    return this.#output;
  }
}

for (const WORKERS of ["1", "2"]) {
  describe(`a socket that was handed over, with WORKERS=${WORKERS}`, () => {
    test("loses no connection while the service restarts under load", async (t) => {
      const supervisor = await supervise(t, { WORKERS });
      await until(() => supervisor.pids.length === 1, "the first run");
      const load = startLoad(supervisor.port);
      for (let run = 1; run <= 3; run += 1) {
        const before = sum(load.outcomes);
        await until(() => sum(load.outcomes) > before + 50, "requests");
        kill(supervisor.pids[run - 1] ?? 0, "SIGTERM");
        await until(() => supervisor.pids.length === run + 1, `run ${run + 1}`);
      }
      const before = sum(load.outcomes);
      await until(() => sum(load.outcomes) > before + 50, "requests");
      await load.stop();
      assert.deepEqual(Object.keys(load.outcomes), ["200"], JSON.stringify(load.outcomes));
      assert.match(supervisor.output, /"event":"listening","host":"fd:3","workers"/);
      t.diagnostic(`lost 0 of ${sum(load.outcomes)} connections in 3 restarts`);
    });

    test("keeps who connects while no service runs waiting", async (t) => {
      const supervisor = await supervise(t, { WORKERS }, "sleep 1");
      await until(() => supervisor.pids.length === 1, "the first run");
      const [pid = 0] = supervisor.pids;
      kill(pid, "SIGTERM");
      await until(() => !isAlive(pid), "its end");
      assert.equal(await statusOf(supervisor.port, TASK), 200);
    });
  });
}

/** Gives what a program has as fd 3, and lets go of it. */
type GiveFd = (t: TestContext) => Promise<{ readonly fd: number | "ignore"; close(): void }>;

const NO_SOCKETS: Readonly<Record<string, GiveFd>> = {
  "a file": async (t) => {
    const fd = openSync(join(tempDirectory(t, { file: "" }), "file"), "r");
    return { fd, close: () => closeSync(fd) };
  },
  "/dev/null": async () => ({ fd: "ignore", close: () => {} }),
};

for (const [what, give] of Object.entries(NO_SOCKETS)) {
  for (const WORKERS of ["1", "2"]) {
    test(`${what} as fd 3 is one line with WORKERS=${WORKERS}`, async (t) => {
      const { fd, close } = await give(t);
      const env = { PATH: process.env["PATH"], SERVICE_API_KEY: KEY, HOST: "fd:3", WORKERS };
      const { code, stderr } = await run(t, { ...env, SERVICE_ALLOW_WEAK_KEY: "1" }, fd);
      close();
      assert.equal(code, 1);
      assert.match(
        stderr,
        /^can't listen on fd:3 \(\w+\): it is no listening socket: HOST=fd: takes [^\n]*\n$/,
      );
    });
  }
}

test("an fd that is not open is one line", async (t) => {
  const env = { PATH: process.env["PATH"], SERVICE_API_KEY: KEY, HOST: "fd:200" };
  const { code, stderr } = await run(t, { ...env, SERVICE_ALLOW_WEAK_KEY: "1" }, "ignore");
  assert.equal(code, 1);
  assert.match(stderr, /^can't listen on fd:200 \(EBADF\): it is no listening socket: [^\n]*\n$/);
});

test("a connection as fd 3 is one line", async (t) => {
  const env = { PATH: process.env["PATH"], SERVICE_API_KEY: KEY, HOST: "fd:3" };
  const { code, stderr } = await run(t, { ...env, SERVICE_ALLOW_WEAK_KEY: "1" }, "pipe");
  assert.equal(code, 1);
  assert.match(stderr, /^can't listen on fd:3 \(EINVAL\): it is no listening socket: [^\n]*\n$/);
});

/** Runs the program to its end with something as fd 3. */
async function run(
  t: TestContext,
  env: NodeJS.ProcessEnv,
  fd: number | "ignore" | "pipe",
): Promise<{ code: number | null; stderr: string }> {
  const child = spawn(process.execPath, ["--no-warnings", PROGRAM], {
    cwd: tempDirectory(t),
    env,
    stdio: ["ignore", "ignore", "pipe", fd],
  });
  killAtExit(child);
  let stderr = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, stderr };
}

/** Has a shell run the program, and `between` before each further run. */
async function supervise(
  t: TestContext,
  variables: NodeJS.ProcessEnv,
  between = ":",
): Promise<Supervisor> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const script = `while "$@"; do ${between}; done`;
  const shell = spawn("sh", ["-c", script, "sh", process.execPath, "--no-warnings", PROGRAM], {
    cwd: tempDirectory(t),
    detached: true,
    env: {
      PATH: process.env["PATH"],
      SERVICE_API_KEY: KEY,
      SERVICE_ALLOW_WEAK_KEY: "1",
      HOST: "fd:3",
      PROCESS_DELAY_MS: "20",
      ...variables,
    },
    stdio: ["ignore", "pipe", "inherit", fdOf(server)],
  });
  const end = (): void => kill(-(shell.pid ?? 0), "SIGKILL");
  process.on("exit", end);
  t.after(() => {
    process.off("exit", end);
    end();
  });
  // From now on only the shell and the program have the socket.
  server.close();
  return new Supervisor(port, shell);
}

/** Nothing documented tells the file descriptor of a server. */
function fdOf(server: Server): number {
  return (server as unknown as { _handle: { fd: number } })._handle.fd;
}

function startLoad(port: number): Load {
  const outcomes: Record<string, number> = {};
  let isStopped = false;
  const client = async (): Promise<void> => {
    while (!isStopped) {
      const outcome = await statusOf(port, TASK).catch((error: Error) => error.message);
      outcomes[String(outcome)] = (outcomes[String(outcome)] ?? 0) + 1;
    }
  };
  const clients = Promise.all(Array.from({ length: 8 }, client));
  return {
    outcomes,
    stop: async () => {
      isStopped = true;
      await clients;
    },
  };
}

function sum(outcomes: Readonly<Record<string, number>>): number {
  return Object.values(outcomes).reduce((total, count) => total + count, 0);
}
