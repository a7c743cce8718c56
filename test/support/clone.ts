import { execFileSync, spawn, type SpawnSyncReturns, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { root } from "./root.ts";

const repository = fileURLToPath(root);
const packages = join(repository, "node_modules");

/**
 * For the `skip` option of a test that compiles: tests that run from source may have no compiler.
 */
export const needsCompiler: string | false = existsSync(join(packages, "typescript"))
  ? false
  : "npm ci has not been run: there is no compiler";

/** Environment variables; undefined leaves one out. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A copy of the repository in a temporary directory, with the packages and without tests. */
export interface Clone {
  readonly directory: string;
  /** Removes it. */
  remove(): void;
}

/** A command that runs in a process group of its own, as if in a terminal. */
export interface Running {
  readonly pid: number;
  /** What it has written so far, stdout and stderr in one. */
  output(): string;
  /**
   * Resolves when the output after `start` matches, with that part of it; rejects after a minute.
   */
  until(pattern: RegExp, start?: number): Promise<string>;
  /** The exit code, or the signal that ended it. */
  readonly exit: Promise<number | string>;
  /** Sends a signal to the whole group, as a terminal does. */
  signalGroup(signal: NodeJS.Signals): void;
  /** The commands of the group that still run. */
  members(): string[];
}

/** Copies what a build needs. With `hasPackages` false nothing is installed in the copy. */
export function cloneRepository({ hasPackages = true } = {}): Clone {
  const directory = mkdtempSync(join(tmpdir(), "clone-"));
  for (const name of ["src", "package.json", "tsconfig.json"]) {
    cpSync(join(repository, name), join(directory, name), { recursive: true });
  }
  mkdirSync(join(directory, "test"));
  if (hasPackages) symlinkSync(packages, join(directory, "node_modules"));
  const remove = (): void => rmSync(directory, { recursive: true, force: true });
  return { directory, remove };
}

/** Runs a command in the copy to its end. */
export function run(
  { directory }: Clone,
  command: readonly string[],
  variables: Environment = {},
): SpawnSyncReturns<string> {
  const [name = "", ...args] = command;
  const env = environment(variables);
  return spawnSync(name, args, { cwd: directory, encoding: "utf8", env, timeout: 120_000 });
}

/**
 * Starts a command in the copy. The end of the test ends it, and everything that it has started.
 */
export function start(
  t: TestContext,
  { directory }: Clone,
  command: readonly string[],
  variables: Environment = {},
): Running {
  const [name = "", ...args] = command;
  const env = environment({ PORT: "0", PROCESS_DELAY_MS: "0", ...variables });
  const child = spawn(name, args, { cwd: directory, detached: true, env });
  const { pid = 0 } = child;
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (output += text));
  t.after(() => signalGroup(pid, "SIGKILL"));
  return {
    pid,
    output: () => output,
    until: async (pattern, from = 0) => {
      await until(
        () => pattern.test(output.slice(from)),
        () => `${pattern} in:\n${output}`,
      );
      return output.slice(from);
    },
    exit: new Promise((resolve) => {
      child.once("exit", (code, signal) => resolve(code ?? signal ?? "unknown"));
    }),
    signalGroup: (signal) => signalGroup(pid, signal),
    members: () => membersOf(pid),
  };
}

/** Resolves when `condition` holds; rejects after a minute. */
export async function until(condition: () => boolean, what: () => string): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what()}`);
    await sleep(20);
  }
}

/** This process's environment without what is about its own tests and settings. */
function environment(variables: Environment): NodeJS.ProcessEnv {
  const { PATH, HOME } = process.env;
  return { PATH, HOME, ...variables };
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

function membersOf(group: number): string[] {
  const table = execFileSync("ps", ["-A", "-o", "pgid=,state=,args="], { encoding: "utf8" });
  return table.split("\n").filter((line) => {
    const [pgid, state = ""] = line.trim().split(/\s+/);
    return Number(pgid) === group && !state.startsWith("Z");
  });
}
