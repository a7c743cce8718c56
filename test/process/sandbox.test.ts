import assert from "node:assert/strict";
import { spawnSync, type SpawnSyncReturns } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { sandboxOptions } from "../../src/process/sandbox.ts";
import { statusOf } from "../support/client.ts";
import { type Program, PROGRAM, startProgram, type Variables } from "../support/program.ts";
import { get, post } from "../support/requests.ts";
import { type Scope, suiteScope } from "../support/scope.ts";
import { removeAfter, tempDirectory } from "../support/temp.ts";
import { until } from "../support/wait.ts";

const ROOT = fileURLToPath(new URL("../../src/", import.meta.url));
const OLD_KEY = "svk_old-0123456789-abcdefghijklmnopqrstuvwxyz";
const NEW_KEY = "svk_new-0123456789-abcdefghijklmnopqrstuvwxyz";

/** What came of each attempt of a process when it started: "done", or the code of the error. */
interface Probe {
  readonly isWorker: boolean;
  readonly outcomes: Readonly<Record<string, string>>;
}

// Every process gets it with --import, so the program itself is not changed.
const PROBE = `
import { spawnSync } from "node:child_process";
import cluster from "node:cluster";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { Worker } from "node:worker_threads";
const attempts = {
  readForeignFile: () => readFileSync("/etc/passwd"),
  statForeignFile: () => statSync("/etc/passwd"),
  listDirectory: () => readdirSync("."),
  readNeighbor: () => readFileSync(".env.old"),
  readEnv: () => readFileSync(".env"),
  readKeyFile: () => readFileSync("secrets/key"),
  writeFile: () => writeFileSync("written", ""),
  writeEnv: () => writeFileSync(".env", "", { flag: "a" }),
  startProcess: () => { const { error } = spawnSync("true", { env: {} }); if (error) throw error; },
  startThread: () => new Worker("", { eval: true }).unref(),
  loadAddon: () => process.dlopen({ exports: {} }, "/none.node"),
};
const outcomes = {};
for (const [name, attempt] of Object.entries(attempts)) {
  try { attempt(); outcomes[name] = "done"; } catch (error) { outcomes[name] = error.code; }
}
process.stderr.write("probe " + JSON.stringify({ isWorker: cluster.isWorker, outcomes }) + "\\n");
`;

const NOTHING: Probe["outcomes"] = {
  readForeignFile: "ERR_ACCESS_DENIED",
  statForeignFile: "ERR_ACCESS_DENIED",
  listDirectory: "ERR_ACCESS_DENIED",
  readNeighbor: "ERR_ACCESS_DENIED",
  readEnv: "ERR_ACCESS_DENIED",
  readKeyFile: "ERR_ACCESS_DENIED",
  writeFile: "ERR_ACCESS_DENIED",
  writeEnv: "ERR_ACCESS_DENIED",
  startProcess: "ERR_ACCESS_DENIED",
  startThread: "ERR_ACCESS_DENIED",
  loadAddon: "ERR_DLOPEN_DISABLED",
};

describe("the options of the sandbox", () => {
  test("Node 20 gets --experimental-permission", () => {
    const known = new Set(["--experimental-permission", "--allow-fs-read"]);
    assert.equal(sandboxOptions(known), `"--experimental-permission" "--allow-fs-read=${ROOT}"`);
  });

  test("Node 22, which knows both names, gets --permission", () => {
    const known = new Set(["--experimental-permission", "--permission"]);
    assert.equal(sandboxOptions(known), `"--permission" "--allow-fs-read=${ROOT}"`);
  });

  test("a Node that restricts the network is asked to allow it", () => {
    const known = new Set(["--permission", "--allow-net"]);
    assert.equal(sandboxOptions(known), `"--permission" "--allow-net" "--allow-fs-read=${ROOT}"`);
  });

  test("reading files and starting processes are granted only if asked for", () => {
    const options = sandboxOptions(new Set(["--permission"]), {
      files: ["/a/.env", "/b"],
      processes: true,
    });
    const grants = `"--allow-fs-read=${ROOT}" "--allow-fs-read=/a/.env" "--allow-fs-read=/b"`;
    assert.equal(options, `"--permission" "--allow-child-process" ${grants}`);
  });

  test("nothing in a path ends its quotes", () => {
    const options = sandboxOptions(new Set(["--permission"]), {
      files: ['/a b/"--allow-fs-write=/"\\'],
    });
    assert.ok(options.endsWith(' "--allow-fs-read=/a b/\\"--allow-fs-write=/\\"\\\\"'), options);
  });
});

describe("the sandbox command", () => {
  const suite = suiteScope();
  const directory = makeDirectory(suite);

  test("prints one line that grants the program, .env and the key files", () => {
    const { stdout, stderr, status } = runSandboxCommand(directory);
    assert.deepEqual([status, stderr], [0, ""]);
    const files = [join(directory, ".env"), join(directory, "secrets/key")];
    assert.equal(stdout, `${sandboxOptions(process.allowedNodeEnvironmentFlags, { files })}\n`);
  });

  test("grants starting processes if there is more than one worker", () => {
    const { stdout } = runSandboxCommand(directory, { WORKERS: "2" });
    assert.match(stdout, /"--allow-child-process"/);
  });

  test("grants .env even if there is none yet", (t) => {
    const empty = tempDirectory(t);
    const { stdout } = runSandboxCommand(empty, { SERVICE_API_KEY: OLD_KEY });
    assert.ok(stdout.includes(`"--allow-fs-read=${empty}/.env"`), stdout);
  });

  test("prints the problems of the settings and no options, and fails", () => {
    const { stdout, stderr, status } = runSandboxCommand(directory, { PORT: "x" });
    assert.deepEqual([status, stdout], [78, ""]);
    assert.match(stderr, /^PORT /);
  });
});

for (const WORKERS of ["1", "2"]) {
  describe(`the program in its sandbox with WORKERS=${WORKERS}`, () => {
    const suite = suiteScope();
    const directory = makeDirectory(suite);
    let program: Program;
    before(async () => {
      program = await startSandboxed(suite, directory, WORKERS);
    });

    const statusWith = (key: string): Promise<number> =>
      statusOf(program.port, post('{"status":"SUCCESS"}', [], { key }));

    /** Waits for a status: a worker gets new keys a moment later than the primary. */
    const untilStatus = (key: string, status: number): Promise<void> =>
      until(async () => (await statusWith(key)) === status, `a response of ${status}`);

    test("can only read itself, .env and the key files; a worker not even those", () => {
      const reading = { ...NOTHING, readEnv: "done", readKeyFile: "done" };
      const worker = { isWorker: true, outcomes: NOTHING };
      const expected =
        WORKERS === "1"
          ? [{ isWorker: false, outcomes: reading }]
          : [{ isWorker: false, outcomes: { ...reading, startProcess: "done" } }, worker, worker];
      assert.deepEqual(probesOf(program), expected);
      assert.equal(existsSync(join(directory, "written")), false);
    });

    test("gives 200 with the key and 401 without, and serves its docs page", async () => {
      assert.equal(await statusWith(OLD_KEY), 200);
      assert.equal(await statusWith(NEW_KEY), 401);
      assert.equal(await statusOf(program.port, get("/docs")), 200);
    });

    test("reads a key file again after the link that leads to it was swapped", async () => {
      swapSecret(directory, NEW_KEY);
      program.child.kill("SIGHUP");
      await program.untilEvent("keys_reloaded");
      await untilStatus(OLD_KEY, 401);
      await untilStatus(NEW_KEY, 200);
    });

    test("keeps its keys if .env now names a file that is not granted", async () => {
      writeFileSync(join(directory, ".env"), "SERVICE_API_KEY_FILE=.env.old\n");
      program.child.kill("SIGHUP");
      const { problems } = await program.untilEvent("keys_reload_failed");
      const problem = /^SERVICE_API_KEY_FILE \(\.env, line 1\): .* \(ERR_ACCESS_DENIED\)/;
      assert.match(String(problems), problem);
      await untilStatus(NEW_KEY, 200);
    });

    test("exits with 0 on SIGTERM", async () => {
      assert.equal(await program.stop(), 0);
    });
  });
}

/**
 * A directory with a path that may trip up a shell or a parser of options, and a secret as
 * Kubernetes mounts it.
 */
function makeDirectory(scope: Scope): string {
  const directory = mkdtempSync(join(tmpdir(), 'sandbox "a" \\ b,c $(d) '));
  removeAfter(scope, directory);
  mkdirSync(join(directory, "secrets"));
  swapSecret(directory, OLD_KEY);
  symlinkSync("..data/key", join(directory, "secrets/key"));
  writeFileSync(join(directory, ".env"), "SERVICE_API_KEY_FILE=secrets/key\n", { mode: 0o600 });
  writeFileSync(join(directory, ".env.old"), OLD_KEY, { mode: 0o600 });
  return directory;
}

/** Puts a key into a new directory, and makes `..data` lead there in one step. */
function swapSecret(directory: string, key: string): void {
  const version = mkdtempSync(join(directory, "secrets/..version-"));
  writeFileSync(join(version, "key"), `${key}\n`, { mode: 0o600 });
  symlinkSync(version, join(directory, "secrets/..next"));
  renameSync(join(directory, "secrets/..next"), join(directory, "secrets/..data"));
}

function runSandboxCommand(cwd: string, variables: Variables = {}): SpawnSyncReturns<string> {
  const args = ["--no-warnings", PROGRAM, "sandbox"];
  const options = { cwd, env: { ...variables }, encoding: "utf8", timeout: 20_000 } as const;
  return spawnSync(process.execPath, args, options);
}

/** Starts the program as `npm run sandboxed` does, with the probe in every process. */
function startSandboxed(scope: Scope, directory: string, WORKERS: string): Promise<Program> {
  const NODE_OPTIONS = runSandboxCommand(directory, { WORKERS }).stdout.trim();
  const probe = `data:text/javascript,${encodeURIComponent(PROBE)}`;
  const variables = { SERVICE_API_KEY: undefined, WORKERS, NODE_OPTIONS };
  return startProgram(scope, variables, {
    directory,
    nodeOptions: ["--no-warnings", "--import", probe],
  });
}

function probesOf(program: Program): Probe[] {
  const lines = [...program.stderr().matchAll(/^probe (.*)$/gm)];
  return lines.map(([, text = ""]) => JSON.parse(text) as Probe);
}
