import { execFileSync, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";

import { KEY, program, type Service, startService, until, type Variables } from "../service.ts";

/** A service that a shell has started. */
export interface Launched {
  readonly pid: number;
  readonly port: number;
  /** Ends it and whatever the shell has started besides; so does the end of this process. */
  end(): void;
}

/** Starts the program as `"$@"` in a shell script, which passes on the `listening` line. */
export async function launch(script: string, variables: Variables = {}): Promise<Launched> {
  const directory = mkdtempSync(join(tmpdir(), "service-"));
  // A process group of its own, so that all of it can be ended.
  const shell = spawn("sh", ["-c", script, "sh", process.execPath, program], {
    cwd: directory,
    detached: true,
    env: {
      PATH: process.env["PATH"],
      SERVICE_API_KEY: KEY,
      PORT: "0",
      PROCESS_DELAY_MS: "0",
      ...variables,
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  shell.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  const read = (name: string): number =>
    Number(new RegExp(`"listening".*"${name}":(\\d+)`).exec(output)?.[1] ?? 0);
  // An attack that fails must neither hold up this process nor outlive it.
  shell.unref();
  (shell.stdout as Socket).unref();
  const end = (): void => {
    process.off("exit", end);
    kill(-(shell.pid ?? 0), "SIGKILL");
    rmSync(directory, { recursive: true, force: true });
  };
  process.on("exit", end);
  await until(() => read("port") !== 0, "the service to listen");
  return { pid: read("pid"), port: read("port"), end };
}

/** Starts a service that ends with the test, however that goes. */
export async function startFor(t: TestContext, variables: Variables = {}): Promise<Service> {
  const service = await startService(variables);
  endWith(t, service);
  return service;
}

/** Ends a service, its workers too, when the test ends. */
export function endWith(t: TestContext, service: Service): void {
  t.after(async () => {
    for (const pid of [...childrenOf(service.pid), service.pid])
      if (isAlive(pid)) kill(pid, "SIGKILL");
    await service.stop();
  });
}

/** The exit code, or the signal that ended the service; it is killed when it has not ended within 20 s. */
export async function exitOf(service: Service): Promise<number | string> {
  const timer = setTimeout(() => {
    for (const pid of [...childrenOf(service.pid), service.pid]) kill(pid, "SIGKILL");
  }, 20_000);
  const code = await service.exit;
  clearTimeout(timer);
  return code;
}

/** Sends a signal to a process; to none where it is gone. */
export function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** The pids of a process's children, zombies not counted. */
export function childrenOf(pid: number): number[] {
  return processes()
    .filter(({ parent, state }) => parent === pid && !state.startsWith("Z"))
    .map((one) => one.pid);
}

/** The pids of the service's workers, when there are `count`. */
export async function workersOf({ pid }: Service, count: number): Promise<number[]> {
  await until(() => childrenOf(pid).length === count, `${count} workers`);
  return childrenOf(pid);
}

/** Whether the process is there; a zombie is not. */
export function isAlive(pid: number): boolean {
  return processes().some((one) => one.pid === pid && !one.state.startsWith("Z"));
}

/** The resident memory of a process in MB. */
export function residentMB(pid: number): number {
  return Number(execFileSync("ps", ["-o", "rss=", "-p", String(pid)], { encoding: "utf8" })) / 1024;
}

/** All processes, by what `ps` says on Linux and macOS alike. */
function processes(): { pid: number; parent: number; state: string }[] {
  const table = execFileSync("ps", ["-A", "-o", "pid=,ppid=,state="], { encoding: "utf8" });
  return table
    .trim()
    .split("\n")
    .map((line) => {
      const [pid, parent, state = ""] = line.trim().split(/\s+/);
      return { pid: Number(pid), parent: Number(parent), state };
    });
}

/** Ports that nobody has, and that nobody is given who asks for any: they lie below those (32,768 and up on Linux). */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    const server = createServer();
    const port = randomInt(20_000, 32_000);
    const isFree = await new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(false)).listen(port, "127.0.0.1", () => resolve(true));
    });
    server.close();
    if (isFree && !ports.includes(port)) ports.push(port);
  }
  return ports;
}
