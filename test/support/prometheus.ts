import assert from "node:assert/strict";

/** One metric of a text in Prometheus' format 0.0.4. */
export interface Family {
  readonly type: string;
  readonly help: string;
  /** Values by their series, as they are written. */
  readonly samples: ReadonlyMap<string, number>;
}

// metric = name [ "{" label *( "," label ) "}" ] " " value
const NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*";
const LABEL = `[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\[\\\\"n])*"`;
const SAMPLE = new RegExp(`^((${NAME})(?:\\{${LABEL}(?:,${LABEL})*\\})?) (\\S+)$`);
const HELP = new RegExp(`^# HELP (${NAME}) (.*)$`);
const TYPE = new RegExp(`^# TYPE (${NAME}) (counter|gauge|histogram)$`);
const VALUE = /^(?:[+-]Inf|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/;

/**
 * Parses a text in Prometheus' format 0.0.4, and checks what the format and its conventions demand:
 * each metric once, with its help and type before all of its series; no series twice; names of
 * counters; the series of a histogram.
 */
export function parseMetrics(text: string): Map<string, Family> {
  assert.ok(text.endsWith("\n"), "the last line has an end");
  const families = new Map<string, Family>();
  for (const block of text.slice(0, -1).split(/\n(?=# HELP )/)) {
    const [first = "", second = "", ...lines] = block.split("\n");
    const [name, help] = groupsOf(HELP, first);
    const [typed, type] = groupsOf(TYPE, second);
    assert.equal(typed, name, "the type is of the same metric");
    assert.ok(!families.has(name), `${name} stands once`);
    const family = { type, help, samples: parseSamples(name, type, lines) };
    checkFamily(name, family);
    families.set(name, family);
  }
  return families;
}

function parseSamples(name: string, type: string, lines: readonly string[]): Map<string, number> {
  const suffix = type === "histogram" ? HISTOGRAM_SERIES : /^$/;
  const samples = new Map<string, number>();
  for (const line of lines) {
    const [series, base, value] = groupsOf(SAMPLE, line) as [string, string, string];
    assert.ok(base.startsWith(name), `${series} is one of ${name}`);
    assert.match(base.slice(name.length), suffix);
    assert.match(value, VALUE);
    assert.ok(!samples.has(series), `${series} stands once`);
    samples.set(series, Number(value.replace("Inf", "Infinity")));
  }
  return samples;
}

function groupsOf(pattern: RegExp, line: string): [string, string, ...string[]] {
  const match = pattern.exec(line);
  assert.ok(match, `not as the format demands: ${line}`);
  return match.slice(1) as [string, string, ...string[]];
}

const HISTOGRAM_SERIES = /^_(?:bucket|sum|count)$/;

function checkFamily(name: string, { type, help, samples }: Family): void {
  assert.notEqual(help, "", `${name} has a help`);
  assert.notEqual(samples.size, 0, `${name} has series`);
  assert.equal(name.endsWith("_total"), type === "counter", `the name of ${name}`);
  if (type !== "gauge") {
    for (const [series, value] of samples) assert.ok(value >= 0, `${series} is not negative`);
  }
  if (type === "histogram") checkHistogram(name, samples);
}

/** Each set of labels has buckets that grow up to +Inf, which is the count, and a sum. */
function checkHistogram(name: string, samples: ReadonlyMap<string, number>): void {
  const counts = [...samples].filter(([series]) => series.startsWith(`${name}_count`));
  assert.notEqual(counts.length, 0, `${name} has a count`);
  let seen = 0;
  for (const [series, count] of counts) {
    const labels = series.slice(`${name}_count`.length);
    const inner = labels.slice(1, -1);
    const prefix = `${name}_bucket{${inner === "" ? "" : `${inner},`}le="`;
    const buckets = [...samples].filter(([each]) => each.startsWith(prefix));
    const bounds = buckets.map(([each]) => each.slice(prefix.length, -'"}'.length));
    const ends = bounds.map((bound) => Number(bound.replace("+Inf", "Infinity")));
    assert.deepEqual(
      ends,
      ends.toSorted((a, b) => a - b),
      `the bounds of ${series}`,
    );
    assert.equal(ends.at(-1), Infinity);
    const values = buckets.map(([, value]) => value);
    assert.deepEqual(
      values,
      values.toSorted((a, b) => a - b),
      `the buckets of ${series}`,
    );
    assert.equal(values.at(-1), count);
    assert.ok(samples.has(`${name}_sum${labels}`), `the sum of ${series}`);
    seen += buckets.length + 2;
  }
  assert.equal(seen, samples.size, `${name} has no other series`);
}

/** The value of a series, or undefined. */
export function valueOf(families: ReadonlyMap<string, Family>, series: string): number | undefined {
  for (const { samples } of families.values()) {
    const value = samples.get(series);
    if (value !== undefined) return value;
  }
  return undefined;
}

/** The sum of all series of a metric whose text has all of these parts. */
export function sumOf(
  families: ReadonlyMap<string, Family>,
  name: string,
  ...parts: readonly string[]
): number {
  const samples = families.get(name)?.samples ?? new Map<string, number>();
  return [...samples]
    .filter(([series]) => parts.every((part) => series.includes(part)))
    .reduce((sum, [, value]) => sum + value, 0);
}
