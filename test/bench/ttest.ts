// Does the guard's time tell how much of a guessed key is right? Welch's t-test in the manner of
// dudect (Reparaz, Balasch, Verbauwhede, 2017): two classes of wrong keys, one wrong in its first
// byte and one in its last, measured in random order. |t| of 4.5 or more is a leak. `===` goes
// through the same harness, which must find its leak.
//
//   npm run build && node dist/test/bench/ttest.js
import { randomBytes } from "node:crypto";
import { keySetOf, verifyKey } from "../../src/auth/keys.ts";

/** Samples of each class. */
const SAMPLES = 300_000;
/** Calls in each sample. */
const CALLS = 20;
/** Samples of each class that are thrown away. */
const WARM_UP = 1_000;
const LEAK = 4.5;

const key = `svk_${randomBytes(32).toString("base64url")}`;

/** Prints |t| of `verifyKey` and of `===`; whether the first is below 4.5 and the second is not. */
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

/** |t| of the times of a check of two classes of wrong keys. */
function measure(check: (presented: string) => boolean): number {
  const wrong = [`!${key.slice(1)}`, `${key.slice(0, -1)}!`].map((text) => Buffer.from(text));
  const classes = wrong.map((bytes) => ({ bytes, times: [] as number[] }));
  while (classes.some(({ times }) => times.length < SAMPLES + WARM_UP)) {
    for (const random of randomBytes(4_096)) {
      const { bytes, times } = classes[random & 1]!;
      times.push(timeOf(check, bytes));
    }
  }
  const [a, b] = classes.map(({ times }) =>
    Float64Array.from(times.slice(WARM_UP, WARM_UP + SAMPLES)),
  );
  return worstT(a!, b!);
}

/** The time of one sample, in ns. */
function timeOf(check: (presented: string) => boolean, bytes: Buffer): number {
  // A fresh string, as from the HTTP parser.
  const presented = bytes.toString("latin1");
  let accepted = 0;
  const start = process.hrtime.bigint();
  for (let call = 0; call < CALLS; call += 1) {
    if (check(presented)) accepted += 1;
  }
  const time = Number(process.hrtime.bigint() - start);
  if (accepted > 0) throw new Error("a wrong key was accepted");
  return time;
}

/**
 * The largest |t| after cutting off the tail of the times at several places: it is noise, from
 * other processes and garbage collection.
 */
function worstT(a: Float64Array, b: Float64Array): number {
  const sorted = Float64Array.from([...a, ...b]).sort();
  const parts = [0.5, 0.75, 0.9, 0.95, 0.99, 1];
  const cuts = parts.map((part) => sorted[Math.ceil(part * sorted.length) - 1] ?? 0);
  const values = cuts.map((cut) => {
    return welchT(
      a.filter((time) => time <= cut),
      b.filter((time) => time <= cut),
    );
  });
  return Math.max(...values);
}

/** |t| of Welch's test. */
function welchT(a: Float64Array, b: Float64Array): number {
  const first = moments(a);
  const second = moments(b);
  const error = Math.sqrt(first.variance / a.length + second.variance / b.length);
  return Math.abs(first.mean - second.mean) / error;
}

function moments(values: Float64Array): { mean: number; variance: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, variance: squares / (values.length - 1) };
}

// The test runner loads every file below test/. There, this one does nothing.
if (process.env["NODE_TEST_CONTEXT"] === undefined) process.exitCode = main() ? 0 : 1;
