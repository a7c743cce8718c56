// Counts the instructions that a server's main thread runs for a request, with valgrind's
// callgrind. The counts vary by 0.1 to 0.5 % from run to run, but by more on a busy machine, where
// V8 may compile other functions. They leave out the kernel and the cost of memory: a ratio is
// farther from 1 than one of CPU times.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { Ask } from "./client.ts";
import type { Server } from "./server.ts";

/** Starts a server below another program, whose command is given. */
export type StartUnder = (wrapper: readonly string[]) => Promise<Server>;

const CONNECTIONS = 50;

/** Requests before the count, so that V8 has compiled what they run. */
const WARM_UP = 24_000;

const COUNTED = 3000;

/** Whether callgrind is there. */
export function hasCallgrind(): boolean {
  try {
    execFileSync("valgrind", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/**
 * The instructions of user space for one request, once the code is compiled. `request` is sent over
 * 50 connections, and any other status than `status` is an error.
 */
export async function countInstructions(
  start: StartUnder,
  { request, status }: { readonly request: string; readonly status: number },
  ask: Ask,
): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), "callgrind-"));
  try {
    const server = await start([...CALLGRIND, `--callgrind-out-file=${join(directory, "out")}`]);
    const pool = { pool: String(server.pid), request, status } as const;
    await ask({ do: "open", pool: pool.pool, port: server.port, count: CONNECTIONS });
    await ask({ do: "drive", ...pool, count: WARM_UP });
    control(server, "on");
    await ask({ do: "drive", ...pool, count: COUNTED });
    control(server, "off");
    await ask({ do: "close", pool: pool.pool });
    await server.stop();
    return totalIn(join(directory, MAIN_THREAD)) / COUNTED;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const CALLGRIND = [
  "valgrind",
  "--tool=callgrind",
  "--instr-atstart=no",
  "--separate-threads=yes",
  // V8 writes code while it runs.
  "--smc-check=all-non-file",
  // Of valgrind itself nothing is wanted on stderr, where the server says that it listens.
  "--log-file=/dev/null",
];

/** What callgrind calls the file of the first thread. */
const MAIN_THREAD = "out-01";

function control({ pid }: Server, state: "on" | "off"): void {
  execFileSync("callgrind_control", ["-i", state, String(pid)], { stdio: "ignore" });
}

function totalIn(path: string): number {
  const total = /^totals: (\d+)$/m.exec(readFileSync(path, "utf8"))?.[1];
  if (total === undefined) throw new Error(`callgrind wrote no total into ${path}`);
  return Number(total);
}
