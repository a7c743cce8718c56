// Does the guard's time tell anything about a key? Welch's t-test in the manner of dudect (Reparaz,
// Balasch, Verbauwhede, 2017): two classes of presented values, measured in random order. With |t|
// of 4.5 or more their times differ. So many samples show differences that nobody could use, since
// a hit takes a different path from the comparison on: a difference counts from a tolerance on.
// Each pair of classes also goes through a check that leaks, and the harness must see that.
//
//   npm run build && node dist/test/bench/ttest.js
import { hash, randomBytes, timingSafeEqual } from "node:crypto";
import { keySetOf } from "../../src/auth/keys.ts";
import { verifyKey } from "../support/verify-key.ts";

/** Of each class. */
const SAMPLES = 100_000;
/** Calls that are timed together, as one sample. */
const CALLS = 20;
/** The first samples of each class, which do not count. */
const WARM_UP = 1_000;
/** The |t| from which on two classes differ. */
const LEAK = 4.5;
/** As many as a keys file may have. */
const KEYS = 64;

/** Tells whether a check accepts a presented key. */
type Check = (presented: string) => boolean;

/** Two classes of values whose times must not differ, and a check whose times do. */
interface Comparison {
  readonly title: string;
  readonly first: readonly string[];
  readonly second: readonly string[];
  /** The difference that is allowed, in ns. */
  readonly tolerance: number;
  readonly leaky: Check;
}

const keys = Array.from({ length: KEYS }, () => `svk_${randomBytes(32).toString("base64url")}`);
const hashes = keys.map((key) => hash("sha256", key, "buffer"));
const keysByHash = new Map(hashes.map((each) => [each.toString("hex"), each]));
const firstKey = keys[0] as string;
const lastKey = keys.at(-1) as string;

const COMPARISONS: readonly Comparison[] = [
  {
    title: "wrong first byte, wrong last byte",
    first: [`!${firstKey.slice(1)}`],
    second: [`${firstKey.slice(0, -1)}!`],
    tolerance: 1,
    leaky: isEqualByteByByte,
  },
  {
    title: "first key of the file, last key",
    first: [firstKey],
    second: [lastKey],
    tolerance: 1,
    leaky: (presented) => {
      const digest = hash("sha256", presented, "buffer");
      return hashes.some((each) => timingSafeEqual(each, digest));
    },
  },
  {
    title: "hits, misses",
    first: keys,
    second: keys.map((key) => `${key.slice(0, -1)}!`),
    tolerance: 5,
    leaky: (presented) => {
      const digest = hash("sha256", presented);
      const known = keysByHash.get(digest);
      return known !== undefined && timingSafeEqual(known, Buffer.from(digest, "hex"));
    },
  },
];

/**
 * Prints the difference and |t| of `verifyKey` and of a leaky check for each pair of classes.
 * Returns whether all is as it must be.
 */
export function main(): boolean {
  const set = keySetOf(Object.fromEntries(keys.map((key, index) => [`k${index}`, key])));
  const now = Date.now();
  const guard: Check = (presented) => "name" in verifyKey(set, presented, now);
  console.log(`node ${process.versions.node}, ${SAMPLES} samples in each class, ${KEYS} keys`);
  const results = COMPARISONS.flatMap((comparison) => {
    console.log(`${comparison.title} (they may differ by ${comparison.tolerance} ns):`);
    return [
      isLeak("verifyKey", guard, comparison) === false,
      isLeak("leaky variant", comparison.leaky, comparison),
    ];
  });
  const isAsExpected = results.every((result) => result);
  console.log(isAsExpected ? "only the leaky variants leak" : "NOT AS EXPECTED");
  return isAsExpected;
}

/** A comparison that stops at the first difference. */
function isEqualByteByByte(presented: string): boolean {
  for (let i = 0; i < firstKey.length; i += 1) {
    if (presented.charCodeAt(i) !== firstKey.charCodeAt(i)) return false;
  }
  return presented.length === firstKey.length;
}

/** Measures and prints one line. */
function isLeak(name: string, check: Check, { first, second, tolerance }: Comparison): boolean {
  const { t, difference } = measure(check, first, second);
  const leaks = t >= LEAK && difference >= tolerance;
  const figures = `${difference.toFixed(2)} ns, |t| = ${t.toFixed(1)}`;
  console.log(`  ${name}: ${figures}: ${leaks ? "leaks" : "does not leak"}`);
  return leaks;
}

/** Presented values of one class, and how long checks of them took. */
interface Class {
  readonly values: readonly Buffer[];
  /** In nanoseconds, for CALLS checks each. */
  readonly times: Float64Array;
  /** How many of the times are filled in. */
  count: number;
}

/** How much two classes differ. */
interface Difference {
  /** The largest |t| after cutting the tail at several places. */
  readonly t: number;
  /** Of one check, in ns, with the slower half cut off. */
  readonly difference: number;
}

function measure(check: Check, first: readonly string[], second: readonly string[]): Difference {
  const classes = [createClass(first), createClass(second)];
  while (classes.some(({ count, times }) => count < times.length)) {
    // A class that is full goes on being measured, so that both are measured alike to the end.
    for (const random of randomBytes(4_096)) {
      sample(classes[random & 1] as Class, random >> 1, check);
    }
  }
  const [a, b] = classes.map(({ times }) => times.subarray(WARM_UP));
  return compare(a as Float64Array, b as Float64Array);
}

function createClass(values: readonly string[]): Class {
  return {
    values: values.map((value) => Buffer.from(value)),
    times: new Float64Array(SAMPLES + WARM_UP),
    count: 0,
  };
}

/** Times CALLS checks of a value. Throws unless they all have the same result. */
function sample(one: Class, random: number, check: Check): void {
  // A fresh string each time, as from the parser of HTTP.
  const value = one.values[random % one.values.length] as Buffer;
  const presented = value.toString("latin1");
  let accepted = 0;
  const start = process.hrtime.bigint();
  for (let call = 0; call < CALLS; call += 1) if (check(presented)) accepted += 1;
  const time = Number(process.hrtime.bigint() - start);
  if (accepted !== 0 && accepted !== CALLS) throw new Error("a check is not consistent");
  if (one.count === one.times.length) return;
  one.times[one.count] = time;
  one.count += 1;
}

/** The tail is noise: other processes, garbage collection. */
function compare(first: Float64Array, second: Float64Array): Difference {
  const sorted = Float64Array.from([...first, ...second]).sort();
  const pairs = [0.5, 0.75, 0.9, 0.95, 0.99, 1].map((part) => {
    const cut = sorted[Math.ceil(part * sorted.length) - 1] ?? 0;
    const isKept = (time: number): boolean => time <= cut;
    return { a: moments(first.filter(isKept)), b: moments(second.filter(isKept)) };
  });
  const half = pairs[0];
  const difference = Math.abs((half?.a.mean ?? NaN) - (half?.b.mean ?? NaN)) / CALLS;
  return { t: Math.max(...pairs.map(({ a, b }) => Math.abs(welchT(a, b)))), difference };
}

/** Of a set of values. */
interface Moments {
  readonly mean: number;
  readonly variance: number;
  readonly count: number;
}

function welchT(a: Moments, b: Moments): number {
  return (a.mean - b.mean) / Math.sqrt(a.variance / a.count + b.variance / b.count);
}

function moments(values: Float64Array): Moments {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, variance: squares / (values.length - 1), count: values.length };
}

// The test runner loads every file below test/. There this one does nothing.
if (process.env["NODE_TEST_CONTEXT"] === undefined) process.exitCode = main() ? 0 : 1;
