import type { Command, Result } from "./load.ts";
import type { Scenario, ServerName } from "./scenarios.ts";
import { cpuTimeOf, memoryOf, resetPeak, type Server } from "./server.ts";
import { lowerQuartile, quantile } from "./statistics.ts";

/** Asks the client's process for one thing. */
export type Ask = (command: Command) => Promise<Result>;

/** One server under one load. Lower quartiles over the rounds; for `perSecond` the upper one. */
export interface Figures {
  readonly server: ServerName;
  readonly cpuMicroseconds: number;
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly peakBytes: number;
}

/** How much more CPU time per request the first server takes: round by round, and by lower quartiles. */
export interface Ratio {
  readonly min: number;
  readonly median: number;
  readonly max: number;
  readonly ofQuartiles: number;
}

/** What a scenario brought. */
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
  readonly server: Server;
  readonly samples: Sample[];
}

/** Drives two servers in turn, in an order that turns around each time, after one burst each that doesn't count. */
export async function measure(
  scenario: Scenario,
  servers: ReadonlyMap<ServerName, Server>,
  ask: Ask,
): Promise<Outcome> {
  const side = (name: ServerName): Side => ({ name, server: servers.get(name)!, samples: [] });
  const of = side(scenario.of);
  const beside = side(scenario.beside);
  const pair = [of, beside];
  for (const { name, server } of pair) {
    await ask({ do: "open", pool: name, port: server.port, count: scenario.connections });
    await ask({ ...scenario, do: "burst", pool: name });
    resetPeak(server.pid);
  }
  await ask({ do: "open", pool: "idle", port: of.server.port, count: scenario.idle });
  for (let round = 0; round < scenario.rounds; round += 1) {
    for (const { name, server, samples } of round % 2 === 0 ? pair : pair.toReversed()) {
      const before = cpuTimeOf(server.pid);
      const result = await ask({ ...scenario, do: "burst", pool: name });
      samples.push({ ...result, cpuMicroseconds: (cpuTimeOf(server.pid) - before) / result.requests });
    }
  }
  const figures = { of: figuresOf(of), beside: figuresOf(beside) };
  for (const pool of [of.name, beside.name, "idle"]) await ask({ do: "close", pool });
  return { name: scenario.name, ...figures, ratio: ratioOf(of.samples, beside.samples) };
}

function figuresOf({ name, server, samples }: Side): Figures {
  return {
    server: name,
    cpuMicroseconds: lowerQuartile(samples.map((sample) => sample.cpuMicroseconds)),
    perSecond: quantile(samples.map((sample) => sample.perSecond), 0.75),
    p50: lowerQuartile(samples.map((sample) => sample.p50)),
    p99: lowerQuartile(samples.map((sample) => sample.p99)),
    peakBytes: memoryOf(server.pid, "VmHWM"),
  };
}

function ratioOf(of: readonly Sample[], beside: readonly Sample[]): Ratio {
  const [dividends, divisors] = [of, beside].map((samples) => samples.map((sample) => sample.cpuMicroseconds));
  const ratios = dividends!.map((dividend, round) => dividend / divisors![round]!);
  return {
    min: Math.min(...ratios),
    median: quantile(ratios, 0.5),
    max: Math.max(...ratios),
    ofQuartiles: lowerQuartile(dividends!) / lowerQuartile(divisors!),
  };
}
