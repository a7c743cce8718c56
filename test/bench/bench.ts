// What does the service cost beside a handler on bare node:http that does the same work by hand
// (floor.ts)?
//
//   npm run bench [-- --json] [-- --quick] [-- --only SCENARIO] [-- --floor FILE]
//   npm run bench -- --instructions
//
// All servers run at once, on one core if possible, and the client on another. Two servers are
// driven in turn, in bursts of a second, so that other load on the machine meets both. There are
// several processes of each, because V8 may compile the same program into code that takes a tenth
// less time. It takes about five minutes. --floor names another program to use in place of
// floor.ts: it gets the same variables and has to print the same line when it listens.
// --instructions counts instead of timing: for a busy machine that has valgrind (callgrind.ts).
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

import { countInstructions, hasCallgrind } from "./callgrind.ts";
import { type Ask, siblingPath, startClient } from "./client.ts";
import { measure, type Outcome } from "./measure.ts";
import { measureParts } from "./parts.ts";
import { type Count, render, renderCounts } from "./report.ts";
import { measureMemory, measureStarts } from "./resources.ts";
import { KEY, type Scenario, scenarios, SERVERS, type ServerName } from "./scenarios.ts";
import { pinToCores, type Server, type Start, startServer } from "./server.ts";

/** The run ends after this time, even if it is not done. */
const LIMIT_MS = 590_000;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      json: { type: "boolean", default: false },
      quick: { type: "boolean", default: false },
      only: { type: "string", default: "" },
      instructions: { type: "boolean", default: false },
      floor: { type: "string", default: siblingPath("./floor") },
    },
  });
  const chosen = scenarios(values.quick).filter(({ name }) => name.includes(values.only));
  if (chosen.length === 0) throw new Error(`--only ${values.only}: no such scenario`);
  const cores = pinToCores();
  const directory = makeDirectory();
  const files = { floor: resolve(values.floor), service: siblingPath("../../src/main") };
  const start = await createStart(files, directory, cores?.servers);
  const { ask, stop } = startClient();
  const machine = describeMachine();
  if (values.instructions) {
    const counts = await countAll(chosen, start, ask);
    print({ machine, counts }, renderCounts, values.json);
  } else {
    setTimeout(() => process.exit(1), LIMIT_MS).unref();
    const report = {
      machine,
      cores,
      starts: await measureStarts(start, values.quick ? 3 : 10),
      memory: await measureMemory(start, ask, values.quick ? 2000 : 8000),
      outcomes: await measureAll(chosen, start, ask),
      parts: measureParts(values.quick ? 10 : 100),
    };
    print(report, render, values.json);
  }
  stop();
}

function print<R>(report: R, asText: (report: R) => string, isJson: boolean): void {
  process.stdout.write(isJson ? `${JSON.stringify(report, null, 2)}\n` : asText(report));
}

function describeMachine(): string {
  const { platform, arch, versions } = process;
  return `${cpus()[0]?.model.trim()}, ${platform} ${arch}, Node ${versions.node}`;
}

/** The servers' working directory, with a file of 63 keys: 64 with that of the requests. */
function makeDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "bench-"));
  process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
  const lines = Array.from({ length: 63 }, (_, index) => {
    const hash = createHash("sha256").update(`${KEY}${index}`).digest("hex");
    return `key-${index} sha256:${hash}\n`;
  });
  writeFileSync(join(directory, "63-keys"), lines.join(""), { mode: 0o600 });
  return directory;
}

/** Returns what starts the servers. The floor's page is as long as the docs page of the service. */
async function createStart(
  files: Readonly<Record<"floor" | "service", string>>,
  directory: string,
  core: number | undefined,
): Promise<Start> {
  const common = {
    SERVICE_API_KEY: KEY,
    PROCESS_DELAY_MS: "0",
    LOG_LEVEL: "silent",
    // The default is less than what some scenarios open.
    MAX_CONNECTIONS: "20000",
  };
  let pageBytes = 0;
  const start: Start = (name, { flags = [], wrapper = [] } = {}) => {
    const { program, variables } = SERVERS[name];
    const all = { ...common, PAGE_BYTES: String(pageBytes), ...variables };
    const command = [...wrapper, process.execPath, ...flags, files[program], "--hints"];
    return startServer(command, all, directory, core);
  };
  const service = await start("service");
  const page = await fetch(`http://127.0.0.1:${service.port}/docs`);
  pageBytes = (await page.arrayBuffer()).byteLength;
  await service.stop();
  return start;
}

/** Counts the instructions of the scenarios that can be counted. */
async function countAll(chosen: readonly Scenario[], start: Start, ask: Ask): Promise<Count[]> {
  if (!hasCallgrind()) throw new Error("--instructions needs valgrind: it is not installed here");
  const counts: Count[] = [];
  for (const scenario of chosen.filter(isCounted)) {
    const count = (name: ServerName): Promise<number> =>
      countInstructions((wrapper) => start(name, { wrapper }), scenario, ask);
    const { name, of, beside } = scenario;
    counts.push({ name, of, beside, counts: [await count(of), await count(beside)] });
  }
  return counts;
}

/** Whether all connections are busy, and a request takes little enough to be counted. */
function isCounted({ idle, spreadMs, request }: Scenario): boolean {
  return idle === 0 && spreadMs === 0 && request.length < 100_000;
}

async function measureAll(chosen: readonly Scenario[], start: Start, ask: Ask): Promise<Outcome[]> {
  const servers = new Map<ServerName, Server[]>();
  for (const [name, count] of countProcesses(chosen)) {
    const processes: Server[] = [];
    servers.set(name, processes);
    while (processes.length < count) processes.push(await start(name));
  }
  const outcomes: Outcome[] = [];
  for (const scenario of chosen) outcomes.push(await measure(scenario, servers, ask));
  for (const server of [...servers.values()].flat()) await server.stop();
  return outcomes;
}

/** How many processes of each server the scenarios need. They share them. */
function countProcesses(chosen: readonly Scenario[]): Map<ServerName, number> {
  const counts = new Map<ServerName, number>();
  for (const { of, beside, processes } of chosen) {
    for (const name of [of, beside]) {
      counts.set(name, Math.max(counts.get(name) ?? 0, processes));
    }
  }
  return counts;
}

// The test runner loads every file below test/: there this one does nothing.
if (process.env["NODE_TEST_CONTEXT"] === undefined) await main();
