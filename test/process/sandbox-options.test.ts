import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync, type SpawnSyncReturns } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { after, describe, test, type TestContext } from "node:test";

import { sandboxOptions, withoutGrants } from "../../src/process/sandbox.ts";
import { exchange } from "../support/client.ts";
import { childrenOf, killAtExit } from "../support/processes.ts";
import { PROGRAM, type Variables } from "../support/program.ts";
import { get } from "../support/requests.ts";
import { until } from "../support/wait.ts";

const KEY = "svk_sandbox-0123456789-abcdefghijklmnopqrstuvwxyz";
const VARIABLES = { SERVICE_API_KEY: KEY, PORT: "0" };
const MAIN = basename(PROGRAM);

const base = realpathSync(mkdtempSync(join(tmpdir(), "sandbox-")));
after(() => rmSync(base, { recursive: true }));

/** Runs `main.js sandbox`. */
function runSandboxCommand(
  entry: string,
  env: Variables = {},
  cwd: string = base,
): SpawnSyncReturns<string> {
  const args = ["--no-warnings", entry, "sandbox"];
  return spawnSync(process.execPath, args, {
    cwd,
    env: { ...VARIABLES, ...env },
    encoding: "utf8",
    timeout: 20_000,
  });
}

describe("the caller's own NODE_OPTIONS", () => {
  const own = "--max-old-space-size=96 --title=own";

  for (const sandboxed of [false, true]) {
    test(`are its workers', too, ${sandboxed ? "in" : "without"} the sandbox`, async (t) => {
      const { stdout } = runSandboxCommand(PROGRAM, { WORKERS: "2" });
      const NODE_OPTIONS = sandboxed ? `${own} ${stdout.trim()}` : own;
      const running = await startFrom(t, PROGRAM, { WORKERS: "2", NODE_OPTIONS });
      const workers = childrenOf(running.child.pid ?? 0);
      assert.deepEqual(workers.map(titleOf), ["own", "own"]);
      await assertServes(running);
    });
  }

  test("lose no more than what the primary was granted", () => {
    const grants = { files: ["/a b/.env", "/c"], processes: true };
    const known = new Set(["--permission"]);
    const options = `--title=own ${sandboxOptions(known, grants)} "--allow-fs-read=/own"`;
    const rest = withoutGrants(options, grants).split(/ +/);
    const expected = `--title=own ${sandboxOptions(known)} "--allow-fs-read=/own"`;
    assert.deepEqual(rest, expected.split(" "));
    assert.equal(withoutGrants("--title=own", { files: ["/k*"] }), "--title=own");
  });
});

describe("a program that is started through a symbolic link", () => {
  const real = join(base, "release-1");
  copyProgram(real);
  // As a deployment has it: current -> release-1.
  symlinkSync("release-1", join(base, "current"));
  symlinkSync(join(real, "src", MAIN), join(base, "api.js"));
  symlinkSync(join(real, "src", MAIN), join(real, "api.js"));

  const entries = {
    "to its directory": join(base, "current/src", MAIN),
    "to itself": join(base, "api.js"),
  };
  for (const [what, entry] of Object.entries(entries)) {
    for (const WORKERS of ["1", "2"]) {
      test(`${what} serves in the sandbox with WORKERS=${WORKERS}`, async (t) => {
        const { stdout, stderr } = runSandboxCommand(entry, { WORKERS });
        assert.equal(stderr, "");
        const variables = { WORKERS, NODE_OPTIONS: stdout.trim() };
        await assertServes(await startFrom(t, entry, variables));
      });
    }
  }

  test("is granted no more than the program", () => {
    const { stdout } = runSandboxCommand(entries["to its directory"]);
    const granted = [...stdout.matchAll(/"--allow-fs-read=([^"]*)"/g)].map(([, path]) => path);
    assert.deepEqual(granted, [join(base, "current/src/"), join(base, ".env")]);
  });

  test("to itself through another is refused with one line, which names the real path", () => {
    const { status, stdout, stderr } = runSandboxCommand(join(base, "current/api.js"));
    assert.deepEqual([status, stdout], [78, ""]);
    assert.match(stderr, /^[^\n]+\n$/);
    assert.ok(stderr.includes(`start ${join(real, "src", MAIN)} instead`), stderr);
  });
});

describe("a path with a *, which Node takes for any characters, is refused in one line:", () => {
  test("a key file's", () => {
    writeFileSync(join(base, "k*"), KEY, { mode: 0o600 });
    const result = runSandboxCommand(PROGRAM, {
      SERVICE_API_KEY: undefined,
      SERVICE_API_KEY_FILE: "k*",
    });
    assertRefuses(result, join(base, "k*"));
  });

  test("the working directory's", () => {
    const directory = join(base, "a*b");
    mkdirSync(directory);
    assertRefuses(runSandboxCommand(PROGRAM, {}, directory), join(directory, ".env"));
  });

  test("the program's", () => {
    const copy = join(base, "p*q");
    copyProgram(copy);
    assertRefuses(runSandboxCommand(join(copy, "src", MAIN)), join(copy, "src/"));
  });

  test("but it is no matter without the sandbox", async (t) => {
    writeFileSync(join(base, "j*"), KEY, { mode: 0o600 });
    const variables = { SERVICE_API_KEY: undefined, SERVICE_API_KEY_FILE: "j*", WORKERS: "2" };
    await assertServes(await startFrom(t, PROGRAM, variables));
  });

  function assertRefuses(result: SpawnSyncReturns<string>, path: string): void {
    assert.deepEqual([result.status, result.stdout], [78, ""]);
    assert.match(result.stderr, /^[^\n]+\n$/);
    assert.ok(result.stderr.startsWith(`--allow-fs-read=${path} can't be granted`), result.stderr);
  }
});

/** What `--title` has made of a process's command line. */
function titleOf(pid: number): string {
  const { stdout } = spawnSync("ps", ["-o", "args=", "-p", String(pid)], { encoding: "utf8" });
  return stdout.trim();
}

/** Copies what runs: `src/` and the package.json that says that it is ES modules. */
function copyProgram(directory: string): void {
  cpSync(dirname(PROGRAM), join(directory, "src"), { recursive: true });
  writeFileSync(join(directory, "package.json"), '{"type":"module"}');
}

interface Running {
  readonly child: ChildProcess;
  readonly port: number;
  readonly exit: Promise<number | null>;
}

/** Starts the program under this path, and waits until it listens. */
async function startFrom(t: TestContext, entry: string, variables: Variables): Promise<Running> {
  const child = spawn(process.execPath, ["--no-warnings", entry], {
    cwd: base,
    env: { ...VARIABLES, ...variables },
    stdio: ["ignore", "pipe", "pipe"],
  });
  killAtExit(child);
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
  const exit = new Promise<number | null>((resolve) => child.once("close", resolve));
  t.after(async () => {
    child.kill("SIGKILL");
    await exit;
  });
  const readPort = (): number => Number(/"port":(\d+)/.exec(output)?.[1] ?? 0);
  await until(() => readPort() !== 0 || child.exitCode !== null, "the service to listen");
  assert.notEqual(readPort(), 0, output);
  return { child, port: readPort(), exit };
}

async function assertServes({ child, port, exit }: Running): Promise<void> {
  assert.equal((await exchange(port, get("/docs"))).responses[0]?.status, 200);
  child.kill("SIGTERM");
  assert.equal(await exit, 0);
}
