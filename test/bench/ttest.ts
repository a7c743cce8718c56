// Does the guard's time tell how much of a guessed key is right? Welch's t-test in the manner of
// dudect (Reparaz, Balasch, Verbauwhede, 2017): two classes of wrong keys, one wrong in its first
// byte and one in its last, measured in random order. |t| of 4.5 or more is a leak. `===` goes
// through the same harness, which must see it leak.
//
//   npm run build && node dist/test/bench/ttest.js
import { randomBytes } from "node:crypto";
import { keySetOf, verifyKey } from "../../src/auth/keys.ts";

/** Of each class. */
const SAMPLES = 300_000;
/** Calls that are timed together, as one sample. */
const CALLS = 20;
/** The first samples of each class, which do not count. */
const WARM_UP = 1_000;
/** The |t| from which on there is a leak. */
const LEAK = 4.5;

const key = `svk_${randomBytes(32).toString("base64url")}`;

/**
 * Prints |t| of `verifyKey` and of `===`. Returns whether the first is below 4.5 and the second is
 * not.
 */
export function main(): boolean {
  const set = keySetOf({ first: "another-key", default: key, last: "one-more-key" });
  const now = Date.now();
  const guard = measure((presented) => "name" in verifyKey(set, presented, now));
  const naive = measure((presented) => presented === key);
  console.log(`node ${process.versions.node}, ${SAMPLES} samples in each class`);
  console.log(`verifyKey |t| = ${guard.toFixed(2)} (must be below ${LEAK})`);
  console.log(`===       |t| = ${naive.toFixed(2)} (must not be)`);
  return guard < LEAK && naive >= LEAK;
}

/** Tells whether a check accepts a presented key. */
type Check = (presented: string) => boolean;

/** A wrong key, and how long checks of it took. */
interface Class {
  readonly bytes: Buffer;
  /** In nanoseconds, for CALLS checks each. */
  readonly times: Float64Array;
  /** How many of the times are filled in. */
  count: number;
}

function measure(check: Check): number {
  const classes = [createClass(`!${key.slice(1)}`), createClass(`${key.slice(0, -1)}!`)];
  while (classes.some(({ count, times }) => count < times.length)) {
    // A class that is full goes on being measured, so that both are measured alike to the end.
    for (const random of randomBytes(4_096)) sample(classes[random & 1] as Class, check);
  }
  const [first, last] = classes.map(({ times }) => times.subarray(WARM_UP));
  return worstT(first as Float64Array, last as Float64Array);
}

function createClass(text: string): Class {
  return { bytes: Buffer.from(text), times: new Float64Array(SAMPLES + WARM_UP), count: 0 };
}

/** Times CALLS checks of a wrong key. Throws if one accepts it. */
function sample(one: Class, check: Check): void {
  // A fresh string each time, as from the parser of HTTP.
  const presented = one.bytes.toString("latin1");
  let accepted = 0;
  const start = process.hrtime.bigint();
  for (let call = 0; call < CALLS; call += 1) if (check(presented)) accepted += 1;
  const time = Number(process.hrtime.bigint() - start);
  if (accepted > 0) throw new Error("a wrong key was accepted");
  if (one.count === one.times.length) return;
  one.times[one.count] = time;
  one.count += 1;
}

/**
 * The largest |t| after cutting the tail at several places. The tail is noise: other processes,
 * garbage collection.
 */
function worstT(first: Float64Array, last: Float64Array): number {
  const sorted = Float64Array.from([...first, ...last]).sort();
  const parts = [0.5, 0.75, 0.9, 0.95, 0.99, 1];
  const cuts = parts.map((part) => sorted[Math.ceil(part * sorted.length) - 1] ?? 0);
  return Math.max(
    ...cuts.map((cut) => {
      const isKept = (time: number): boolean => time <= cut;
      return Math.abs(welchT(moments(first.filter(isKept)), moments(last.filter(isKept))));
    }),
  );
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
