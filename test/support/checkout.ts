import { type ChildProcess, spawn } from "node:child_process";
import { cpSync, readdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { root } from "./root.ts";

/** The root of the repository. */
export const repository: string = fileURLToPath(root);

/** What a clone does not have. */
const NOT_CLONED = [".git", ".env", "dist", "node_modules"];

/** Copies what a clone would have into `directory`, with this repository's packages. */
export function copyRepository(directory: string): void {
  for (const name of readdirSync(repository)) {
    if (NOT_CLONED.includes(name)) continue;
    cpSync(join(repository, name), join(directory, name), { recursive: true });
  }
  symlinkSync(join(repository, "node_modules"), join(directory, "node_modules"));
}

/** A shell that has run to its end. */
export interface ShellResult {
  /** What it wrote to stdout and stderr, in turn. */
  readonly output: string;
  /** Its exit code, or the signal that ended it. */
  readonly exit: number | string;
}

/** Runs shell commands in one directory, as a newcomer's terminal would. */
export class Terminal {
  readonly #directory: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #shells = new Set<ChildProcess>();

  constructor(directory: string, variables: Readonly<Record<string, string>> = {}) {
    this.#directory = directory;
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    this.#env = { ...env, ...variables };
    process.once("exit", () => this.close());
  }

  /** Runs a script, up to its first failure. Kills it after `limitMs`: a bound, not a measurement. */
  async run(script: string, limitMs: number): Promise<ShellResult> {
    const shell = this.start(script);
    const timer = setTimeout(() => killGroup(shell), limitMs);
    const exit = await shell.exit;
    clearTimeout(timer);
    return { output: shell.output(), exit };
  }

  /** Starts a script in a process group of its own. */
  start(script: string): RunningShell {
    const child = spawn("sh", ["-e", "-c", `exec 2>&1\n${script}`], {
      cwd: this.#directory,
      env: this.#env,
      stdio: ["ignore", "pipe", "ignore"],
      detached: true,
    });
    this.#shells.add(child);
    let output = "";
    child.stdout?.setEncoding("utf8").on("data", (text: string) => (output += text));
    const exit = new Promise<number | string>((resolve) => {
      child.once("close", (code, signal) => resolve(code ?? signal ?? ""));
    });
    return Object.assign(child, { exit, output: () => output });
  }

  /** Kills whatever the scripts have left running. */
  close(): void {
    for (const shell of this.#shells) killGroup(shell);
    this.#shells.clear();
  }
}

/** A shell that is running, or has ended. */
export interface RunningShell extends ChildProcess {
  /** What it and its children have written so far. */
  readonly output: () => string;
  /** Its exit code, or the signal that ended it, once its output has ended. */
  readonly exit: Promise<number | string>;
}

/** Sends a signal to a shell and to what it has started. */
export function killGroup({ pid }: ChildProcess, signal: NodeJS.Signals = "SIGKILL"): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
