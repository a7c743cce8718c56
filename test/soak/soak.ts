import { pathToFileURL } from "node:url";

import * as attacks from "../support/attacks.ts";
import type { Measurement } from "../support/attacks.ts";
import * as logs from "../support/log-attacks.ts";
import * as memory from "../support/memory-attacks.ts";
import * as processes from "../support/process-attacks.ts";
import { type Scope, withScope } from "../support/scope.ts";
import { USES_TLS } from "../support/transport.ts";

/** From Node 24 on, 10,000 idle connections take 178 MB before the program does anything. */
const IDLE_LIMIT_IN_CLEAR = Number(process.versions.node.split(".")[0]) < 24 ? 150 : 200;

/** OpenSSL keeps some 45 KiB for an encrypted connection. */
const IDLE_LIMIT_MB = IDLE_LIMIT_IN_CLEAR + (USES_TLS ? 600 : 0);

/** The defaults. */
const TIMEOUTS = { headersMs: 10_000, requestMs: 30_000, slackMs: 0 };

/** The bounds of a process with the default settings: of callers without a key, and with one. */
const WITHOUT_KEY_MIB = 256;
const WITH_KEY_MIB = 512;

function unread(responses: memory.NeverRead["responses"]): memory.NeverRead {
  return { connections: 500, responses, timeoutMs: 10_000, slackMs: 1000 };
}

type Attack = (scope: Scope) => Promise<Measurement[]>;

/** Each attack at full size, on a quiet machine. */
const ATTACKS: Readonly<Record<string, Attack>> = {
  "10,000 idle connections": (scope) =>
    attacks.idleConnections(scope, 10_000, { limitMiB: IDLE_LIMIT_MB, holdMs: 5000, slackMs: 0 }),
  "1,000 slow headers": (scope) => attacks.slowRequests(scope, "header", 1000, TIMEOUTS),
  "1,000 slow bodies": (scope) => attacks.slowRequests(scope, "body", 1000, TIMEOUTS),
  "200 slow readers of 200 responses": (scope) => attacks.slowReaders(scope, 200, 200, 10_000),
  "2 slow readers of 2,000 responses": (scope) => attacks.slowReaders(scope, 2, 2000, 10_000),
  "hostile bodies": (scope) => attacks.bodyBombs(scope),
  "64 file handles, 200 connections": (scope) => attacks.fileHandles(scope, 64, 200, 0),
  "1,000 connections past MAX_CONNECTIONS": (scope) => attacks.excessConnections(scope, 1000, 2000),
  "1,000 requests past MAX_IN_FLIGHT": (scope) => attacks.excessRequests(scope, 1000, 2000),
  "the log's reader is gone": (scope) => attacks.brokenLog(scope, "closed", 30_000),
  "the log's reader never reads": (scope) => attacks.brokenLog(scope, "stuck", 30_000),
  "15,000 header sections without an end": (scope) =>
    memory.unfinishedHeaders(scope, {
      connections: 15_000,
      timeoutMs: 10_000,
      limitMiB: WITHOUT_KEY_MIB,
    }),
  "200 pipelines whose responses are not read": (scope) =>
    memory.unreadResponses(scope, { connections: 200, limitMiB: WITHOUT_KEY_MIB }),
  "2,000 pipelines whose responses are not read": (scope) =>
    memory.unreadResponses(scope, { connections: 2000, limitMiB: WITHOUT_KEY_MIB }),
  "200 pipelines whose responses are read": (scope) =>
    memory.readResponses(scope, { connections: 200, limitMiB: WITHOUT_KEY_MIB }, 10_000),
  "600 bodies of 1 MiB without the last byte": (scope) =>
    memory.unfinishedBodies(scope, { connections: 600, allowed: 64, limitMiB: WITH_KEY_MIB }),
  "10,000 requests on one connection": (scope) => memory.longPipeline(scope, 10_000, WITH_KEY_MIB),
  "500 clients that never read": (scope) => memory.clientsThatNeverRead(scope, unread("unsent")),
  "500 clients that never read, and whose responses the kernel takes": (scope) =>
    memory.clientsThatNeverRead(scope, unread("in the kernel")),
  "a flood of lines into a file": (scope) =>
    logs.logFlood(scope, { sink: "file", connections: 24, calls: 25 }),
  "a flood of lines into a slow pipe": (scope) =>
    logs.logFlood(scope, { sink: "slow pipe", connections: 24, calls: 25 }),
  "a disk that is full of the log": (scope) => logs.fullDisk(scope, 10_000),
  "10,000 refusals past MAX_CONNECTIONS": (scope) => logs.refusalLines(scope, 100, 10_000),
  "FIFOs and /dev/zero in place of files": (scope) => processes.endlessFiles(scope),
  "SIGTERM with 4,096 connections to accept": (scope) =>
    processes.fullListenQueue(scope, 4096, 10_000),
};

const LIMIT_MS = 1_200_000;

// Not when it is imported, nor by `node --test`, which runs whatever stands in test/.
const isStarted = import.meta.url === pathToFileURL(process.argv[1] ?? "").href;
if (isStarted && process.env["NODE_TEST_CONTEXT"] === undefined) await soak();

/** Runs the attacks whose name contains the text of the command line; without one, all. */
async function soak(): Promise<void> {
  setTimeout(() => {
    console.error(`not done after ${LIMIT_MS / 60_000} minutes`);
    process.exit(1);
  }, LIMIT_MS).unref();
  const chosen = process.argv[2] ?? "";
  const names = Object.keys(ATTACKS).filter((name) => name.includes(chosen));
  if (names.length === 0) fail(`${chosen}: no attack has such a name`);
  for (const name of names) await run(name);
}

/** Runs one attack, and prints a line for each measurement. */
async function run(name: string): Promise<void> {
  try {
    const measurements = await withScope(ATTACKS[name] as Attack);
    for (const measurement of measurements) print(name, measurement);
  } catch (error) {
    fail(`${name}: ${(error as Error).message}`);
  }
}

function print(name: string, { what, value, limit }: Measurement): void {
  const line = `${name}: ${what}: ${round(value)} (at most ${round(limit)})`;
  if (value <= limit) console.log(`holds  ${line}`);
  else fail(line);
}

function fail(line: string): void {
  console.log(`FAILS  ${line}`);
  process.exitCode = 1;
}

function round(value: number): string {
  return value.toLocaleString("en", { maximumFractionDigits: 1 });
}
