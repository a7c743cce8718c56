// What does the service cost beside an inline node:http handler that does the same work by hand
// (floor.ts)?
//
//   npm run bench [-- --json] [-- --quick] [-- --only SCENARIO] [-- --floor FILE]
//
// All servers run at once, on one core if possible, and the client on another. Two servers are
// driven in turn, in bursts of a second, so that other work on the machine affects both alike. Each
// is several processes, because JIT compilation makes runs differ by up to 10 %. It takes about
// four minutes. --floor replaces the handler by another program, which gets the variables of
// floor.ts and has to print the same line.
import { type ChildProcess, fork } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import type { Result } from "./load.ts";
import { type Ask, measure, type Outcome } from "./measure.ts";
import { render } from "./report.ts";
import { measureMemory, measureStarts } from "./resources.ts";
import { KEY, type Scenario, scenarios, SERVERS, type ServerName } from "./scenarios.ts";
import { pinToCores, type Server, type Start, startServer } from "./server.ts";

/** After that, the run is given up. */
const LIMIT_MS = 290_000;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      json: { type: "boolean", default: false },
      quick: { type: "boolean", default: false },
      only: { type: "string", default: "" },
      floor: { type: "string", default: siblingPath("./floor") },
    },
  });
  setTimeout(() => process.exit(1), LIMIT_MS).unref();
  const cores = pinToCores();
  const directory = makeDirectory();
  const files = { floor: resolve(values.floor), service: siblingPath("../../src/main") };
  const start = await starter(files, directory, cores?.servers);
  const client = fork(siblingPath("./load"));
  const ask = asker(client);
  const chosen = scenarios(values.quick).filter(({ name }) => name.includes(values.only));
  if (chosen.length === 0) throw new Error(`--only ${values.only}: no such scenario`);
  const report = {
    machine: describeMachine(),
    cores,
    starts: await measureStarts(start, values.quick ? 3 : 10),
    memory: await measureMemory(start, ask, values.quick ? 2000 : 8000),
    outcomes: await measureAll(chosen, start, ask),
  };
  client.disconnect();
  process.stdout.write(values.json ? `${JSON.stringify(report, null, 2)}\n` : render(report));
}

function describeMachine(): string {
  const { platform, arch, versions } = process;
  return `${cpus()[0]?.model.trim()}, ${platform} ${arch}, Node ${versions.node}`;
}

/** A program beside this one: compiled if this one is, else the source. */
function siblingPath(path: string): string {
  return fileURLToPath(
    new URL(`${path}${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url),
  );
}

/** The servers' working directory, with a file of 63 keys: the requests' own is the 64th. */
function makeDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "bench-"));
  process.once("exit", () => rmSync(directory, { recursive: true, force: true }));
  const lines = Array.from({ length: 63 }, (_, index) => {
    return `key-${index} sha256:${createHash("sha256").update(`${KEY}${index}`).digest("hex")}\n`;
  });
  writeFileSync(join(directory, "63-keys"), lines.join(""), { mode: 0o600 });
  return directory;
}

/** What starts the servers. The floor serves a page as long as that of the service. */
async function starter(
  files: Readonly<Record<"floor" | "service", string>>,
  directory: string,
  core: number | undefined,
): Promise<Start> {
  const common = { SERVICE_API_KEY: KEY, PROCESS_DELAY_MS: "0", LOG_LEVEL: "silent" };
  let pageBytes = 0;
  const start: Start = (name, flags = []) => {
    const { program, variables } = SERVERS[name];
    const all = { ...common, PAGE_BYTES: String(pageBytes), ...variables };
    return startServer([...flags, files[program], "--hints"], all, directory, core);
  };
  const service = await start("service");
  const page = await fetch(`http://127.0.0.1:${service.port}/docs`);
  pageBytes = (await page.arrayBuffer()).byteLength;
  await service.stop();
  return start;
}

/** Sends commands to the client's process, one at a time. */
function asker(client: ChildProcess): Ask {
  return async (command) => {
    client.send(command);
    const [result] = (await once(client, "message")) as [Result | string];
    if (typeof result === "string") throw new Error(`${command.do} ${command.pool}: ${result}`);
    return result;
  };
}

async function measureAll(chosen: readonly Scenario[], start: Start, ask: Ask): Promise<Outcome[]> {
  const servers = new Map<ServerName, Server[]>();
  for (const { of, beside, processes } of chosen) {
    for (const name of [of, beside]) {
      const started = servers.get(name) ?? [];
      while (started.length < processes) started.push(await start(name));
      servers.set(name, started);
    }
  }
  const outcomes: Outcome[] = [];
  for (const scenario of chosen) outcomes.push(await measure(scenario, servers, ask));
  for (const server of [...servers.values()].flat()) await server.stop();
  return outcomes;
}

// The test runner loads every file below test/. There, this one does nothing.
if (process.env["NODE_TEST_CONTEXT"] === undefined) await main();
