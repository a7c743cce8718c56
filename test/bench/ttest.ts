// Does the guard's time tell how much of a guessed key is right? Welch's t-test in the manner of dudect
// (Reparaz, Balasch, Verbauwhede, 2017): two classes of wrong keys, one wrong in its first byte and one in its last,
// measured in random order. |t| of 4.5 or more is a leak. `===` goes through the same harness, which must see it leak.
//
//   npm run build && node dist/test/bench/ttest.js
import { randomBytes } from "node:crypto";
import { keySetOf, verifyKey } from "../../src/auth/keys.ts";

const SAMPLES = 300_000; // in each class
const CALLS = 20; // in each sample
const WARM_UP = 1_000; // samples that are thrown away
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

function measure(check: (presented: string) => boolean): number {
  const wrong = [`!${key.slice(1)}`, `${key.slice(0, -1)}!`].map((text) => Buffer.from(text));
  const times = wrong.map(() => new Float64Array(SAMPLES + WARM_UP));
  const counts = [0, 0];
  let accepted = 0;
  while (counts.some((count) => count < SAMPLES + WARM_UP)) {
    for (const random of randomBytes(4_096)) {
      const kind = random & 1;
      const count = counts[kind] ?? 0;
      const presented = wrong[kind]?.toString("latin1") ?? ""; // fresh, as from the HTTP parser
      const start = process.hrtime.bigint();
      for (let call = 0; call < CALLS; call += 1) if (check(presented)) accepted += 1;
      const time = Number(process.hrtime.bigint() - start);
      if (count < SAMPLES + WARM_UP) times[kind]![count] = time;
      counts[kind] = count + 1;
    }
  }
  if (accepted > 0) throw new Error("a wrong key was accepted");
  return worstT(times.map((all) => all.subarray(WARM_UP)));
}

// The tail is noise (other processes, garbage collection): the largest |t| after cutting it at several places.
function worstT(times: Float64Array[]): number {
  const sorted = Float64Array.from(times.flatMap((all) => [...all])).sort();
  const cuts = [0.5, 0.75, 0.9, 0.95, 0.99, 1].map(
    (part) => sorted[Math.ceil(part * sorted.length) - 1] ?? 0,
  );
  return Math.max(
    ...cuts.map((cut) => {
      const [a, b] = times.map((all) => moments(all.filter((time) => time <= cut)));
      return (
        Math.abs(a!.mean - b!.mean) / Math.sqrt(a!.variance / a!.count + b!.variance / b!.count)
      );
    }),
  );
}

function moments(values: Float64Array): { mean: number; variance: number; count: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, variance: squares / (values.length - 1), count: values.length };
}

// The test runner loads every file below test/: there this one does nothing.
if (process.env["NODE_TEST_CONTEXT"] === undefined) process.exitCode = main() ? 0 : 1;
