import assert from "node:assert/strict";
import { spawn, spawnSync, type SpawnSyncReturns } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { sandboxOptions } from "../../src/process/sandbox.ts";
import { exchange } from "../support/client.ts";
import { PROGRAM } from "../support/program.ts";
import { post } from "../support/requests.ts";
import { until } from "../support/wait.ts";

const ROOT = fileURLToPath(new URL("../../src/", import.meta.url));
const OLD_KEY = "svk_old-0123456789-abcdefghijklmnopqrstuvwxyz";
const NEW_KEY = "svk_new-0123456789-abcdefghijklmnopqrstuvwxyz";

/** What a process tries as soon as it starts, and what came of it: "done", or the error's code. */
interface Probe {
  readonly isWorker: boolean;
  readonly outcomes: Readonly<Record<string, string>>;
}

// Handed to every process, workers too, with --import: the program itself is not changed.
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

  test("reading files and starting processes is granted only where it is asked for", () => {
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
  const directory = makeDirectory();
  after(() => rmSync(directory, { recursive: true }));

  test("prints one line that grants the program, .env and the key files by their absolute paths", () => {
    const { stdout, stderr, status } = runSandboxCommand(directory);
    assert.deepEqual([status, stderr], [0, ""]);
    const files = [join(directory, ".env"), join(directory, "secrets/key")];
    assert.equal(stdout, `${sandboxOptions(process.allowedNodeEnvironmentFlags, { files })}\n`);
  });

  test("grants starting processes when there is more than one worker", () => {
    const { stdout } = runSandboxCommand(directory, { WORKERS: "2" });
    assert.match(stdout, /"--allow-child-process"/);
  });

  test("grants .env even where there is none yet", () => {
    const empty = mkdtempSync(join(tmpdir(), "sandbox-"));
    const { stdout } = runSandboxCommand(empty, { SERVICE_API_KEY: OLD_KEY });
    rmSync(empty, { recursive: true });
    assert.ok(stdout.includes(`"--allow-fs-read=${empty}/.env"`), stdout);
  });

  test("prints the faults of the settings, no options, and fails, so that nothing starts without a sandbox", () => {
    const { stdout, stderr, status } = runSandboxCommand(directory, { PORT: "x" });
    assert.deepEqual([status, stdout], [78, ""]);
    assert.match(stderr, /^PORT /);
  });
});

for (const workers of [1, 2]) {
  describe(`the service in its sandbox with WORKERS=${workers}`, () => {
    const directory = makeDirectory();
    let service: Sandboxed;
    before(async () => {
      service = await startSandboxed(directory, workers);
    });
    after(async () => {
      await service.stop();
      rmSync(directory, { recursive: true });
    });

    test("can do no more than read itself, .env and the key files, and a worker not even those", () => {
      const reading = { ...NOTHING, readEnv: "done", readKeyFile: "done" };
      const primary = {
        isWorker: false,
        outcomes: workers > 1 ? { ...reading, startProcess: "done" } : reading,
      };
      const worker = { isWorker: true, outcomes: NOTHING };
      assert.deepEqual(service.probes(), workers > 1 ? [primary, worker, worker] : [primary]);
      assert.equal(existsSync(join(directory, "written")), false);
    });

    test("responses 200 with the key, 401 without, and serves its docs page", async () => {
      assert.equal(await service.statusWith(OLD_KEY), 200);
      assert.equal(await service.statusWith(NEW_KEY), 401);
      const { responses } = await exchange(service.port(), "GET /docs HTTP/1.1\r\nHost: x\r\n\r\n");
      assert.equal(responses[0]?.status, 200);
    });

    test("reads a key file again on SIGHUP after the link that leads to it has been swapped", async () => {
      swapSecret(directory, NEW_KEY);
      await service.reload("keys_reloaded");
      await settle(service, OLD_KEY, 401);
      await settle(service, NEW_KEY, 200);
    });

    test("keeps its keys when .env has come to name a file that isn't granted", async () => {
      writeFileSync(join(directory, ".env"), "SERVICE_API_KEY_FILE=.env.old\n");
      await service.reload("keys_reload_failed");
      assert.match(
        service.stdout(),
        /"SERVICE_API_KEY_FILE \(\.env, line 1\): (?:[^"\\]|\\.)* \(ERR_ACCESS_DENIED\)/,
      );
      await settle(service, NEW_KEY, 200);
    });

    test("stops on SIGTERM with exit code 0", async () => {
      assert.equal(await service.stop(), 0);
    });
  });
}

/** A directory with a path that may trip up a shell or an option parser, and a secret as Kubernetes mounts it. */
function makeDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'sandbox "a" \\ b,c $(d) '));
  mkdirSync(join(directory, "secrets"));
  swapSecret(directory, OLD_KEY);
  symlinkSync("..data/key", join(directory, "secrets/key"));
  writeFileSync(join(directory, ".env"), "SERVICE_API_KEY_FILE=secrets/key\n", { mode: 0o600 });
  writeFileSync(join(directory, ".env.old"), OLD_KEY, { mode: 0o600 });
  return directory;
}

/** Puts a key into a new directory, and makes `..data` lead there at once. */
function swapSecret(directory: string, key: string): void {
  const version = mkdtempSync(join(directory, "secrets/..version-"));
  writeFileSync(join(version, "key"), `${key}\n`, { mode: 0o600 });
  symlinkSync(version, join(directory, "secrets/..next"));
  renameSync(join(directory, "secrets/..next"), join(directory, "secrets/..data"));
}

function runSandboxCommand(
  cwd: string,
  env: Readonly<Record<string, string>> = {},
): SpawnSyncReturns<string> {
  const args = ["--no-warnings", PROGRAM, "sandbox"];
  return spawnSync(process.execPath, args, { cwd, env, encoding: "utf8", timeout: 20_000 });
}

/** Waits for the answer: the primary has the new keys first, and each worker a moment later. */
async function settle(service: Sandboxed, key: string, status: number): Promise<void> {
  const end = Date.now() + 20_000;
  let last: number | undefined;
  while ((last = await service.statusWith(key)) !== status)
    assert.ok(Date.now() < end, `still ${last}, not ${status}`);
}

interface Sandboxed {
  port(): number;
  stdout(): string;
  probes(): Probe[];
  statusWith(key: string): Promise<number | undefined>;
  reload(event: string): Promise<void>;
  stop(): Promise<number | string>;
}

/** Starts the service as `npm run sandboxed` does, with the probe in every process. */
async function startSandboxed(cwd: string, workers: number): Promise<Sandboxed> {
  const variables = { WORKERS: String(workers), PORT: "0", PROCESS_DELAY_MS: "0" };
  const NODE_OPTIONS = runSandboxCommand(cwd, variables).stdout.trim();
  const probe = `data:text/javascript,${encodeURIComponent(PROBE)}`;
  const child = spawn(process.execPath, ["--no-warnings", "--import", probe, PROGRAM], {
    cwd,
    env: { ...variables, NODE_OPTIONS },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const exit = new Promise<number | string>((resolve) => {
    child.once("close", (code, signal) => resolve(code ?? signal ?? ""));
  });
  const port = (): number => Number(/"event":"listening".*?"port":(\d+)/.exec(stdout)?.[1] ?? 0);
  await until(() => port() !== 0 || child.exitCode !== null, `the service to listen\n${stderr}`);
  assert.notEqual(port(), 0, `the service ended: ${stderr}`);
  return {
    port,
    stdout: () => stdout,
    probes: () =>
      [...stderr.matchAll(/^probe (.*)$/gm)].map(([, text = ""]) => JSON.parse(text) as Probe),
    async statusWith(key: string): Promise<number | undefined> {
      return (await exchange(port(), post('{"status":"SUCCESS"}', [], { key }))).responses[0]
        ?.status;
    },
    async reload(event: string): Promise<void> {
      child.kill("SIGHUP");
      await until(() => stdout.includes(`"event":"${event}"`), event);
    },
    async stop(): Promise<number | string> {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), 15_000);
      const code = await exit;
      clearTimeout(timer);
      return code;
    },
  };
}
