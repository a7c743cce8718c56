// Servers as the benchmark sees them: processes that it starts and binds to a core, with the CPU
// time and the memory that the kernel accounts to them.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";

import { killAtExit } from "../support/processes.ts";
import type { ServerName } from "./scenarios.ts";

/** A server that listens. */
export interface Server {
  readonly pid: number;
  readonly port: number;
  /** Ends it. Resolves when it has ended. */
  stop(): Promise<void>;
}

/** Starts one of SERVERS. Resolves when it listens. */
export type Start = (name: ServerName, options?: StartOptions) => Promise<Server>;

/** How a server is started, if not as usual. */
export interface StartOptions {
  /** Further options of Node. */
  readonly flags?: readonly string[];
  /** The command of a program that Node runs under. */
  readonly wrapper?: readonly string[];
}

/** The numbers of two cores: one for the servers, and one for everything else. */
export interface Cores {
  readonly servers: number;
  readonly client: number;
}

/**
 * Binds this process, and what it starts, to one of two cores. Returns undefined if there is only
 * one, or no taskset.
 */
export function pinToCores(): Cores | undefined {
  try {
    const status = readFileSync("/proc/self/status", "utf8");
    const [, first = "", last = ""] = /^Cpus_allowed_list:\s*(\d+).*?(\d+)$/m.exec(status) ?? [];
    if (last === "") return undefined;
    execFileSync("taskset", ["-acp", first, String(process.pid)]);
    return { client: Number(first), servers: Number(last) };
  } catch {
    return undefined;
  }
}

/**
 * Runs a command. Resolves when a line on stderr says where it listens, and rejects after a
 * minute: under valgrind a program takes that long to start on a slow machine.
 */
export function startServer(
  words: readonly string[],
  variables: Readonly<Record<string, string>>,
  directory: string,
  core: number | undefined,
): Promise<Server> {
  const pin = core === undefined ? [] : ["taskset", "-c", String(core)];
  const [command = "", ...rest] = [...pin, ...words];
  const env = { PATH: process.env["PATH"], PORT: "0", ...variables };
  const child = spawn(command, rest, { cwd: directory, env, stdio: ["ignore", "pipe", "pipe"] });
  killAtExit(child);
  // The log is read and dropped.
  child.stdout.resume();
  return new Promise((resolve, reject) => {
    let output = "";
    const fail = (what: string): void => {
      reject(new Error(`${command} ${rest.join(" ")} ${what}: ${output}`));
    };
    const timer = setTimeout(() => fail("doesn't listen"), START_LIMIT_MS);
    child.once("exit", () => fail("has ended"));
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      const port = Number(/Listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(output)?.[1]);
      if (Number.isNaN(port)) return;
      clearTimeout(timer);
      resolve({ pid: child.pid ?? 0, port, stop: () => stop(child) });
    });
  });
}

const START_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 20_000;

function stop(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_LIMIT_MS);
    child.once("exit", () => {
      clearTimeout(timer);
      resolve();
    });
    child.kill("SIGTERM");
  });
}

/** The CPU time that all threads of a process have used, in microseconds. Exact on Linux. */
export function cpuTimeOf(pid: number): number {
  const tasks = `/proc/${pid}/task`;
  if (!existsSync(`${tasks}/${pid}/schedstat`)) return cpuTimeByPs(pid);
  let nanoseconds = 0;
  for (const thread of readdirSync(tasks)) {
    nanoseconds += Number(readFileSync(`${tasks}/${thread}/schedstat`, "utf8").split(" ")[0]);
  }
  return nanoseconds / 1000;
}

// [[dd-]hh:]mm:ss[.hundredths]
function cpuTimeByPs(pid: number): number {
  const fields = execFileSync("ps", ["-o", "time=", "-p", String(pid)], { encoding: "utf8" })
    .trim()
    .split(/[-:]/);
  const [seconds = 0, minutes = 0, hours = 0, days = 0] = fields.map(Number).reverse();
  return 1e6 * (seconds + 60 * (minutes + 60 * (hours + 24 * days)));
}

/**
 * The memory that a process has now (`VmRSS`) or had at its peak (`VmHWM`), in bytes. Without /proc
 * it is always that of now.
 */
export function memoryOf(pid: number, field: "VmRSS" | "VmHWM"): number {
  if (!existsSync(`/proc/${pid}/status`)) {
    const kilobytes = execFileSync("ps", ["-o", "rss=", "-p", String(pid)], { encoding: "utf8" });
    return 1024 * Number(kilobytes);
  }
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return 1024 * Number(new RegExp(`^${field}:\\s*(\\d+) kB$`, "m").exec(status)?.[1]);
}

/** Makes the peak start anew from what a process has now, if the kernel can do that. */
export function resetPeak(pid: number): void {
  if (existsSync(`/proc/${pid}/clear_refs`)) writeFileSync(`/proc/${pid}/clear_refs`, "5");
}
