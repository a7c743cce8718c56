// What does a request cost here, and in the frameworks that people use instead?
//
//   node dist/test/bench/peers.js DIRECTORY [--instructions] [--same-fields] [--quick]
//
// DIRECTORY holds the programs of peers/ and what they import: peers.sh makes it. All servers run
// at once, two processes of each, and are driven in turn, in bursts. A ratio is that of one round.
// With --same-fields all but FastAPI send the header fields that the service adds.
import { existsSync, readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

import { countInstructions } from "./callgrind.ts";
import { type Ask, siblingPath, startClient } from "./client.ts";
import { table } from "./report.ts";
import { ACCEPTED, DENIED, KEY, WITHOUT_KEY } from "./scenarios.ts";
import { cpuTimeOf, pinToCores, type Server, startServer } from "./server.ts";
import { quantile } from "./statistics.ts";

/** A program that responds to the same requests. */
interface Peer {
  readonly name: string;
  /** Its command, without what it may run under. */
  readonly command: readonly string[];
}

interface Load {
  readonly name: string;
  readonly request: string;
  readonly status: number;
}

const LOADS: readonly Load[] = [
  { name: "accepted", request: ACCEPTED, status: 200 },
  { name: "wrong key", request: DENIED, status: 401 },
  { name: "no key", request: WITHOUT_KEY, status: 401 },
];

/** What the others are compared with. */
const BARE = "bare node:http";

const CONNECTIONS = 50;
const PROCESSES = 2;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      instructions: { type: "boolean", default: false },
      "same-fields": { type: "boolean", default: false },
      quick: { type: "boolean", default: false },
    },
  });
  const directory = resolve(positionals[0] ?? ".");
  const peers = findPeers(directory);
  const core = pinToCores()?.servers;
  const variables = { ...VARIABLES, SERVICE_FIELDS: values["same-fields"] ? "yes" : "no" };
  const start = (peer: Peer, wrapper: readonly string[] = []): Promise<Server> =>
    startServer([...wrapper, ...peer.command], variables, directory, core);
  const { ask, stop } = startClient();
  const rows = values.instructions
    ? await countAll(peers, start, ask)
    : await measureAll(peers, start, ask, values.quick ? 4 : 16);
  stop();
  const note = values["same-fields"] ? ", all with the service's header fields" : "";
  process.stdout.write(`Node ${process.versions.node}, ${process.arch}${note}.\n\n`);
  process.stdout.write(`${table(HEAD[values.instructions ? "instructions" : "time"], rows)}\n`);
}

const VARIABLES = {
  SERVICE_API_KEY: KEY,
  PROCESS_DELAY_MS: "0",
  LOG_LEVEL: "silent",
  NODE_ENV: "production",
};

const HEAD = {
  time: ["server", ...LOADS.flatMap(({ name }) => [`${name}: CPU µs`, "/ bare", "min to max"])],
  instructions: ["server", ...LOADS.flatMap(({ name }) => [`${name}: instructions`, "/ bare"])],
};

/** The service, bare node:http, and what else the directory has. */
function findPeers(directory: string): Peer[] {
  const node = process.execPath;
  const programs = readdirSync(directory).filter((file) => file.endsWith(".js"));
  const others = programs.filter((file) => file !== "bare.js" && file !== "shared.js");
  const peers = [
    { name: BARE, command: [node, join(directory, "bare.js")] },
    { name: "the service", command: [node, siblingPath("../../src/main"), "--hints"] },
    ...others.map((file) => ({ name: file.slice(0, -3), command: [node, join(directory, file)] })),
  ];
  const python = join(directory, "python/bin/python");
  if (existsSync(python)) {
    peers.push({ name: "FastAPI", command: [python, join(directory, "fastapi_peer.py")] });
  }
  return peers;
}

/** A row of CPU times for each peer. */
async function measureAll(
  peers: readonly Peer[],
  start: (peer: Peer) => Promise<Server>,
  ask: Ask,
  rounds: number,
): Promise<string[][]> {
  const servers: Server[][] = [];
  for (const peer of peers) {
    const processes: Server[] = [];
    servers.push(processes);
    while (processes.length < PROCESSES) processes.push(await start(peer));
  }
  const rows = peers.map(({ name }) => [name]);
  for (const load of LOADS) {
    const times = await measureLoad(load, servers, ask, rounds);
    peers.forEach((_, index) => rows[index]!.push(...timeCells(times[index]!, times[0]!)));
  }
  for (const server of servers.flat()) await server.stop();
  return rows;
}

/** The CPU time of a request in µs, for each server and round. */
async function measureLoad(
  load: Load,
  servers: readonly (readonly Server[])[],
  ask: Ask,
  rounds: number,
): Promise<number[][]> {
  const burst = { ...load, do: "burst", spreadMs: 0 } as const;
  for (const { pid, port } of servers.flat()) {
    await ask({ do: "open", pool: String(pid), port, count: CONNECTIONS });
    await ask({ ...burst, pool: String(pid), ms: 1000 });
  }
  const times = servers.map((): number[] => []);
  for (let round = 0; round < rounds; round += 1) {
    for (const [index, processes] of servers.entries()) {
      const { pid } = processes[round % PROCESSES]!;
      const before = cpuTimeOf(pid);
      const { requests } = await ask({ ...burst, pool: String(pid), ms: 500 });
      times[index]!.push((cpuTimeOf(pid) - before) / requests);
    }
  }
  return times;
}

function timeCells(times: readonly number[], bare: readonly number[]): string[] {
  const ratios = times.map((time, round) => time / bare[round]!);
  return [
    quantile(times, 0.25).toFixed(1),
    quantile(ratios, 0.5).toFixed(2),
    `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`,
  ];
}

/** A row of instruction counts for each peer that runs on Node. */
async function countAll(
  peers: readonly Peer[],
  start: (peer: Peer, wrapper: readonly string[]) => Promise<Server>,
  ask: Ask,
): Promise<string[][]> {
  const rows: string[][] = [];
  const bare: number[] = [];
  for (const peer of peers.filter(({ command }) => command[0] === process.execPath)) {
    const row = [peer.name];
    rows.push(row);
    for (const [index, load] of LOADS.entries()) {
      const count = await countInstructions((wrapper) => start(peer, wrapper), load, ask);
      bare[index] ??= count;
      row.push(count.toFixed(0), (count / bare[index]).toFixed(3));
    }
  }
  return rows;
}

// The test runner loads every file below test/: there this one does nothing.
if (process.env["NODE_TEST_CONTEXT"] === undefined) await main();
