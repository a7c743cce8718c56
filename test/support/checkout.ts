import { spawn } from "node:child_process";
import { cpSync, readdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { kill } from "./processes.ts";
import { root } from "./root.ts";
import type { Scope } from "./scope.ts";

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

/** A shell that is running, or has ended. */
export interface RunningShell {
  /** Its exit code, or the signal that ended it, once its output has ended. */
  readonly exit: Promise<number | string>;
  hasEnded(): boolean;
  /** What it and its children have written so far. */
  output(): string;
  /** Sends a signal to it and to its children. */
  kill(signal: NodeJS.Signals): void;
}

/** Runs shell commands in one directory, as a newcomer's terminal would. */
export class Terminal {
  /** What its shells have in their environment. */
  readonly variables: NodeJS.ProcessEnv;
  readonly #directory: string;
  readonly #shells: RunningShell[] = [];

  /** The end of the scope, or of this process, kills whatever the shells have left running. */
  constructor(scope: Scope, directory: string) {
    this.#directory = directory;
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    this.variables = env;
    const close = (): void => {
      process.off("exit", close);
      for (const shell of this.#shells) shell.kill("SIGKILL");
    };
    process.on("exit", close);
    scope.after(close);
  }

  /** Runs a script, up to its first failure. Kills it after `limitMs`, which is a bound only. */
  async run(script: string, limitMs: number): Promise<ShellResult> {
    const shell = this.start(script);
    const timer = setTimeout(() => shell.kill("SIGKILL"), limitMs);
    const exit = await shell.exit;
    clearTimeout(timer);
    return { output: shell.output(), exit };
  }

  /** Starts a script in a process group of its own. */
  start(script: string): RunningShell {
    const child = spawn("sh", ["-e", "-c", `exec 2>&1\n${script}`], {
      cwd: this.#directory,
      env: this.variables,
      stdio: ["ignore", "pipe", "ignore"],
      detached: true,
    });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
    const shell: RunningShell = {
      exit: new Promise((resolve) => {
        child.once("close", (code, signal) => resolve(code ?? signal ?? ""));
      }),
      hasEnded: () => child.exitCode !== null || child.signalCode !== null,
      output: () => output,
      kill: (signal) => kill(-(child.pid ?? 0), signal),
    };
    this.#shells.push(shell);
    return shell;
  }
}
