import type { Command, Result } from "./load.ts";
import type { Scenario, ServerName } from "./scenarios.ts";
import { cpuTimeOf, memoryOf, resetPeak, type Server } from "./server.ts";
import { lowerQuartile, quantile } from "./statistics.ts";

/** Sends a command to the client's process. */
export type Ask = (command: Command) => Promise<Result>;

/**
 * One server under one load. Lower quartiles over the rounds; for `perSecond` the upper one.
 */
export interface Figures {
  readonly server: ServerName;
  readonly cpuMicroseconds: number;
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly peakBytes: number;
}

/**
 * How much more CPU time per request the first server takes: round by round, and by lower
 * quartiles.
 */
export interface Ratio {
  readonly min: number;
  readonly median: number;
  readonly max: number;
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
 * Drives two servers in turn, in an order that is reversed each time. The first burst of each does
 * not count.
 */
export async function measure(
  scenario: Scenario,
  servers: ReadonlyMap<ServerName, readonly Server[]>,
  ask: Ask,
): Promise<Outcome> {
  const side = (name: ServerName): Side => {
    return { name, processes: servers.get(name)!.slice(0, scenario.processes), samples: [] };
  };
  const of = side(scenario.of);
  const beside = side(scenario.beside);
  const pair = [of, beside];
  const { connections, idle } = scenario;
  for (let index = 0; index < scenario.processes; index += 1) {
    for (const { processes } of pair) {
      const { pid, port } = processes[index]!;
      await ask({ do: "open", pool: String(pid), port, count: connections });
      await ask({ ...scenario, do: "burst", pool: String(pid) });
      resetPeak(pid);
    }
  }
  await ask({ do: "open", pool: "idle", port: of.processes[0]!.port, count: idle });
  for (let round = 0; round < scenario.rounds; round += 1) {
    for (const { processes, samples } of round % 2 === 0 ? pair : pair.toReversed()) {
      const { pid } = processes[round % processes.length]!;
      const before = cpuTimeOf(pid);
      const result = await ask({ ...scenario, do: "burst", pool: String(pid) });
      samples.push({ ...result, cpuMicroseconds: (cpuTimeOf(pid) - before) / result.requests });
    }
  }
  const figures = { of: figuresOf(of), beside: figuresOf(beside) };
  for (const { pid } of pair.flatMap(({ processes }) => processes)) {
    await ask({ do: "close", pool: String(pid) });
  }
  await ask({ do: "close", pool: "idle" });
  return { name: scenario.name, ...figures, ratio: ratioOf(of.samples, beside.samples) };
}

function figuresOf({ name, processes, samples }: Side): Figures {
  return {
    server: name,
    cpuMicroseconds: lowerQuartile(samples.map((sample) => sample.cpuMicroseconds)),
    perSecond: quantile(
      samples.map((sample) => sample.perSecond),
      0.75,
    ),
    p50: lowerQuartile(samples.map((sample) => sample.p50)),
    p99: lowerQuartile(samples.map((sample) => sample.p99)),
    peakBytes: Math.max(...processes.map(({ pid }) => memoryOf(pid, "VmHWM"))),
  };
}

function ratioOf(of: readonly Sample[], beside: readonly Sample[]): Ratio {
  const [dividends, divisors] = [of, beside].map((samples) =>
    samples.map((sample) => sample.cpuMicroseconds),
  );
  const ratios = dividends!.map((dividend, round) => dividend / divisors![round]!);
  return {
    min: Math.min(...ratios),
    median: quantile(ratios, 0.5),
    max: Math.max(...ratios),
    ofQuartiles: lowerQuartile(dividends!) / lowerQuartile(divisors!),
  };
}
