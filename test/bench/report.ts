import type { Outcome } from "./measure.ts";
import type { Part } from "./parts.ts";
import type { Holdings, StartTime } from "./resources.ts";
import type { ServerName } from "./scenarios.ts";
import type { Cores } from "./server.ts";

/** The results of a run of the benchmark. */
export interface Report {
  readonly machine: string;
  /** Undefined if nothing is bound to a core. */
  readonly cores: Cores | undefined;
  readonly starts: readonly StartTime[];
  readonly memory: readonly Holdings[];
  readonly outcomes: readonly Outcome[];
  readonly parts: readonly Part[];
}

/** The instructions per request of two servers. */
export interface Count {
  /** The scenario's. */
  readonly name: string;
  readonly of: ServerName;
  readonly beside: ServerName;
  /** Of the two servers, in this order. */
  readonly counts: readonly [number, number];
}

/** The report of --instructions as Markdown. */
export function renderCounts(report: {
  readonly machine: string;
  readonly counts: readonly Count[];
}): string {
  const rows = report.counts.map(({ name, of, beside, counts: [count, countBeside] }) => [
    `${name}: ${of} / ${beside}`,
    count.toFixed(0),
    countBeside.toFixed(0),
    (count / countBeside).toFixed(3),
  ]);
  return `${report.machine}.\n\n${table(COUNTS, rows)}\n`;
}

/** The report as Markdown. */
export function render({ machine, cores, starts, memory, outcomes, parts }: Report): string {
  const where = cores && `servers on core ${cores.servers}, client on core ${cores.client}`;
  const resources = starts.map(({ server, ms }, index) => {
    const { atStart, perIdleConnection, perRequestInFlight } = memory[index]!;
    return [
      server,
      ms.toFixed(0),
      mebibytes(atStart),
      kibibytes(perIdleConnection),
      kibibytes(perRequestInFlight),
    ];
  });
  return (
    [
      `${machine}; ${where ?? "no core is set aside for the servers"}.`,
      table(FIGURES, outcomes.flatMap(figureRows)),
      table(RATIOS, outcomes.map(ratioRow)),
      table(RESOURCES, resources),
      table(PARTS, parts.map(partRow)),
    ].join("\n\n") + "\n"
  );
}

const COUNTS = ["instructions per request", "of the first", "of the second", "ratio"];
const FIGURES = ["scenario", "server", "CPU µs", "requests/s", "p50 ms", "p99 ms", "peak MiB"];
const RATIOS = ["CPU per request", "of lower quartiles", "min", "median", "max", "peak memory"];
const RESOURCES = [
  "server",
  "first response ms",
  "MiB at start",
  "KiB per idle connection",
  "KiB per request in flight",
];

const PARTS = ["part of a request", "µs"];

function partRow({ name, microseconds }: Part): string[] {
  return [name, microseconds.toFixed(2)];
}

function figureRows({ name, of, beside }: Outcome): string[][] {
  return [of, beside].map(({ server, cpuMicroseconds, perSecond, p50, p99, peakBytes }) => [
    ...[name, server, cpuMicroseconds.toFixed(1), perSecond.toFixed(0)],
    ...[p50.toFixed(2), p99.toFixed(2), mebibytes(peakBytes)],
  ]);
}

function ratioRow({ name, of, beside, ratio }: Outcome): string[] {
  const ratios = [
    ratio.ofQuartiles,
    ratio.min,
    ratio.median,
    ratio.max,
    of.peakBytes / beside.peakBytes,
  ];
  return [`${name}: ${of.server} / ${beside.server}`, ...ratios.map((value) => value.toFixed(2))];
}

function mebibytes(bytes: number): string {
  return (bytes / 1_048_576).toFixed(0);
}

function kibibytes(bytes: number): string {
  return (bytes / 1024).toFixed(1);
}

/** A Markdown table with aligned columns, numbers to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]!.length)),
  );
  const isText = head.map((_, column) => rows.some((row) => Number.isNaN(Number(row[column]))));
  const line = (cells: readonly string[]): string => {
    const padded = cells.map((cell, i) =>
      isText[i] ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!),
    );
    return `| ${padded.join(" | ")} |`;
  };
  const rule = widths.map((width, i) =>
    isText[i] ? "-".repeat(width) : `${"-".repeat(width - 1)}:`,
  );
  return [line(head), line(rule), ...rows.map(line)].join("\n");
}
