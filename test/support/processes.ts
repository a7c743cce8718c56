import { type ChildProcess, execFileSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { createServer } from "node:net";

import { until } from "./wait.ts";

const children = new Set<ChildProcess>();

process.once("exit", () => {
  for (const child of children) child.kill("SIGKILL");
});

/** Kills a child that still runs when this process ends. */
export function killAtExit(child: ChildProcess): void {
  children.add(child);
  child.once("exit", () => children.delete(child));
}

/** Sends a signal to a process, if it is still there. A negative pid is that of a group. */
export function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** The pids of a process's children, without zombies. */
export function childrenOf(pid: number): number[] {
  return processes()
    .filter(({ parent }) => parent === pid)
    .map((one) => one.pid);
}

/** The pids of the program's workers, when there are `count`. */
export async function workersOf({ pid }: { pid: number }, count: number): Promise<number[]> {
  await until(() => childrenOf(pid).length === count, `${count} workers`);
  return childrenOf(pid);
}

/** Whether a process is there and not a zombie. */
export function isAlive(pid: number): boolean {
  return processes().some((one) => one.pid === pid);
}

/** The resident memory of a process in MiB. */
export function residentMiB(pid: number): number {
  return Number(ps(["-o", "rss=", "-p", String(pid)])) / 1024;
}

/** The CPU time that a process has used, in whole seconds. */
export function cpuSeconds(pid: number): number {
  // [[dd-]hh:]mm:ss
  const parts = ps(["-o", "time=", "-p", String(pid)])
    .trim()
    .split(/[:-]/)
    .map(Number);
  return parts.reduce((sum, part) => sum * 60 + part, 0);
}

interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
}

/** All processes but zombies. */
function processes(): ProcessEntry[] {
  const rows = ps(["-A", "-o", "pid=,ppid=,state="]).trim().split("\n");
  return rows.flatMap((row) => {
    const [pid, parent, state = ""] = row.trim().split(/\s+/);
    return state.startsWith("Z") ? [] : [{ pid: Number(pid), parent: Number(parent) }];
  });
}

/** Runs `ps` with options that Linux and macOS share. */
function ps(options: readonly string[]): string {
  return execFileSync("ps", options, { encoding: "utf8" });
}

/**
 * Free ports. They lie below those that the system gives to programs that ask for any (32,768 and
 * up on Linux), so no one else takes them.
 */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = randomInt(20_000, 32_000);
    if (await isFree(port)) ports.add(port);
  }
  return [...ports];
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
