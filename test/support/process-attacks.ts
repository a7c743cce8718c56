import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";

import { countOf, isOver, type Measurement } from "./attacks.ts";
import { openMany, statusOf } from "./client.ts";
import { residentMiB } from "./processes.ts";
import { spawnProgram, startProgram, type Variables } from "./program.ts";
import { KEY, post } from "./requests.ts";
import type { Scope } from "./scope.ts";
import { tempDirectory } from "./temp.ts";
import { until } from "./wait.ts";

const TASK = post('{"status":"SUCCESS"}');

/** A file that a setting names, or `.env` itself. */
interface KeyFile {
  readonly name: string;
  readonly content: string;
  /** The variable that names it. */
  readonly variable?: string;
}

const HASH = createHash("sha256").update(KEY).digest("hex");

const KEY_FILES: readonly KeyFile[] = [
  { name: ".env", content: `SERVICE_API_KEY=${KEY}\n` },
  { name: "key", content: KEY, variable: "SERVICE_API_KEY_FILE" },
  { name: "keys", content: `ci sha256:${HASH}\n`, variable: "SERVICE_API_KEYS_FILE" },
];

/** Make a file that has no end, or none until someone writes to it. */
const ENDLESS: readonly ((path: string) => void)[] = [
  (path) => execFileSync("mkfifo", [path]),
  (path) => symlinkSync("/dev/zero", path),
];

/**
 * FIFOs and /dev/zero in place of files. The start fails with 78. A reload keeps the keys, and the
 * service goes on and stops as usual.
 */
export async function endlessFiles(scope: Scope): Promise<Measurement[]> {
  const results: EndlessResult[] = [];
  for (const file of KEY_FILES) {
    for (const make of ENDLESS) results.push(await replaceFile(scope, file, make));
  }
  return [
    countOf("starts without exit code 78", results, ({ startCode }) => startCode !== 78),
    countOf("reloads that lost the key", results, ({ status }) => status !== 200),
    countOf("stops without exit code 0", results, ({ stopCode }) => stopCode !== 0),
    { what: "MiB at most", value: Math.max(...results.map(({ mib }) => mib)), limit: 128 },
  ];
}

interface EndlessResult {
  readonly startCode: number | string;
  /** Of a request after the reload. */
  readonly status: number;
  readonly stopCode: number | string;
  /** The resident memory after the reload. */
  readonly mib: number;
}

async function replaceFile(
  scope: Scope,
  { name, content, variable }: KeyFile,
  make: (path: string) => void,
): Promise<EndlessResult> {
  const directory = tempDirectory(scope, { [name]: content });
  const path = join(directory, name);
  const variables: Variables = {
    SERVICE_API_KEY: undefined,
    PORT: "0",
    ...(variable === undefined ? {} : { [variable]: path }),
  };
  const program = await startProgram(scope, variables, { directory });
  rmSync(path);
  make(path);
  program.child.kill("SIGHUP");
  await program.untilEvent("keys_reload_failed");
  const status = await statusOf(program.port, TASK);
  const mib = residentMiB(program.pid);
  const stopCode = await program.stop();
  const startCode = await spawnProgram(scope, variables, { directory }).exit();
  return { startCode, status, stopCode, mib };
}

/**
 * SIGTERM while the listen queue is full of connections with a request. All of them are accepted
 * and served, and the exit code is 0.
 */
export async function fullListenQueue(
  scope: Scope,
  connections: number,
  shutdownTimeoutMs: number,
): Promise<Measurement[]> {
  const program = await startProgram(scope, {
    MAX_CONNECTIONS: String(2 * connections),
    SHUTDOWN_TIMEOUT_MS: String(shutdownTimeoutMs),
  });
  // While it is stopped, the kernel fills its queue.
  program.child.kill("SIGSTOP");
  const clients = await openMany(program.port, Math.min(connections, maxQueueLength()), TASK);
  program.child.kill("SIGTERM");
  program.child.kill("SIGCONT");
  await until(() => clients.every(isOver), "the connections to be closed", 120_000);
  const code = await program.exit();
  return [
    countOf("requests without 200", clients, ({ responses }) => responses[0]?.status !== 200),
    { what: "exit code", value: Number(code), limit: 0 },
  ];
}

/** How many connections the kernel lets wait: 4,096 or fewer on Linux, 128 elsewhere. */
function maxQueueLength(): number {
  const path = "/proc/sys/net/core/somaxconn";
  return existsSync(path) ? Number(readFileSync(path, "utf8")) : 128;
}
