import { spawn } from "node:child_process";

import { kill } from "./processes.ts";
import { PROGRAM, transportVariables, type Variables } from "./program.ts";
import { KEY } from "./requests.ts";
import type { Scope } from "./scope.ts";
import { tempDirectory } from "./temp.ts";
import { until } from "./wait.ts";

/** A run of the program that a shell has started. */
export interface ShellProgram {
  readonly pid: number;
  readonly port: number;
}

/** The script that starts the program, and nothing else. */
export const EXEC = 'exec "$@"';

/**
 * Starts the program as `"$@"` in a shell script, which has to pass on the log's first lines. The
 * end of the test ends it, and whatever else the shell has started.
 */
export async function startInShell(
  scope: Scope,
  script: string,
  variables: Variables = {},
): Promise<ShellProgram> {
  const { PATH } = process.env;
  const defaults = { PATH, SERVICE_API_KEY: KEY, PORT: "0", PROCESS_DELAY_MS: "0" };
  // A process group of its own, so that all of it can be ended.
  const shell = spawn("sh", ["-c", script, "sh", process.execPath, PROGRAM], {
    cwd: tempDirectory(scope),
    detached: true,
    env: { ...defaults, ...transportVariables(scope), ...variables },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const end = (): void => {
    process.off("exit", end);
    kill(-(shell.pid ?? 0), "SIGKILL");
  };
  process.on("exit", end);
  scope.after(end);
  let output = "";
  shell.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  const read = (name: string): number =>
    Number(new RegExp(`"listening".*"${name}":(\\d+)`).exec(output)?.[1] ?? 0);
  await until(() => read("port") !== 0, "the program to listen");
  return { pid: read("pid"), port: read("port") };
}
