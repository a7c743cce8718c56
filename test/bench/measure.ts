import type { Ask } from "./client.ts";
import type { Result } from "./load.ts";
import type { Scenario, ServerName } from "./scenarios.ts";
import { cpuTimeOf, memoryOf, resetPeak, type Server } from "./server.ts";
import { lowerQuartile, quantile, upperQuartile } from "./statistics.ts";

/** One server under one load. Lower quartiles over the rounds; for `perSecond` the upper one. */
export interface Figures {
  readonly server: ServerName;
  readonly cpuMicroseconds: number;
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly peakBytes: number;
}

/** How much more CPU time per request the first server takes. */
export interface Ratio {
  /** Over the rounds, like the next two. */
  readonly min: number;
  readonly median: number;
  readonly max: number;
  /** The ratio of the lower quartiles. */
  readonly ofQuartiles: number;
}

/** The result of a scenario. */
export interface Outcome {
  readonly name: string;
  readonly of: Figures;
  readonly beside: Figures;
  readonly ratio: Ratio;
}

interface Sample extends Result {
  readonly cpuMicroseconds: number;
}

/** One of the two servers of a scenario. */
interface Side {
  readonly name: ServerName;
  readonly processes: readonly Server[];
  readonly samples: Sample[];
}

/**
 * Drives two servers in turn, in an order that changes each time. The first burst on each process
 * does not count.
 */
export async function measure(
  scenario: Scenario,
  servers: ReadonlyMap<ServerName, readonly Server[]>,
  ask: Ask,
): Promise<Outcome> {
  const createSide = (name: ServerName): Side => {
    return { name, processes: servers.get(name)!.slice(0, scenario.processes), samples: [] };
  };
  const of = createSide(scenario.of);
  const beside = createSide(scenario.beside);
  await warmUp(scenario, [of, beside], ask);
  await ask({ do: "open", pool: "idle", port: of.processes[0]!.port, count: scenario.idle });
  for (let round = 0; round < scenario.rounds; round += 1) {
    const order = round % 2 === 0 ? [of, beside] : [beside, of];
    for (const { processes, samples } of order) {
      samples.push(await sample(scenario, processes[round % processes.length]!, ask));
    }
  }
  const figures = { of: figuresOf(of), beside: figuresOf(beside) };
  for (const { pid } of [...of.processes, ...beside.processes]) {
    await ask({ do: "close", pool: String(pid) });
  }
  await ask({ do: "close", pool: "idle" });
  return { name: scenario.name, ...figures, ratio: ratioOf(of.samples, beside.samples) };
}

/** Opens the connections to all processes, and drives each once, in turn. */
async function warmUp(scenario: Scenario, sides: readonly Side[], ask: Ask): Promise<void> {
  for (let index = 0; index < scenario.processes; index += 1) {
    for (const { processes } of sides) {
      const { pid, port } = processes[index]!;
      await ask({ do: "open", pool: String(pid), port, count: scenario.connections });
      await ask({ ...scenario, do: "burst", pool: String(pid) });
      resetPeak(pid);
    }
  }
}

async function sample(scenario: Scenario, { pid }: Server, ask: Ask): Promise<Sample> {
  const before = cpuTimeOf(pid);
  const result = await ask({ ...scenario, do: "burst", pool: String(pid) });
  return { ...result, cpuMicroseconds: (cpuTimeOf(pid) - before) / result.requests };
}

function figuresOf({ name, processes, samples }: Side): Figures {
  return {
    server: name,
    cpuMicroseconds: lowerQuartile(samples.map((sample) => sample.cpuMicroseconds)),
    perSecond: upperQuartile(samples.map((sample) => sample.perSecond)),
    p50: lowerQuartile(samples.map((sample) => sample.p50)),
    p99: lowerQuartile(samples.map((sample) => sample.p99)),
    peakBytes: Math.max(...processes.map(({ pid }) => memoryOf(pid, "VmHWM"))),
  };
}

function ratioOf(of: readonly Sample[], beside: readonly Sample[]): Ratio {
  const times = of.map(({ cpuMicroseconds }) => cpuMicroseconds);
  const timesBeside = beside.map(({ cpuMicroseconds }) => cpuMicroseconds);
  const ratios = times.map((time, round) => time / timesBeside[round]!);
  return {
    min: Math.min(...ratios),
    median: quantile(ratios, 0.5),
    max: Math.max(...ratios),
    ofQuartiles: lowerQuartile(times) / lowerQuartile(timesBeside),
  };
}
