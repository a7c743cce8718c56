import { Random } from "./random.ts";
import type { WorkCounter } from "./work.ts";

/** Something that parses what strangers, or operators, write. */
export interface Target {
  /** One word. */
  readonly name: string;
  /**
   * Makes one case of random choices and checks it. Throws an Error if an invariant does not hold.
   * Returns the size of the input.
   */
  readonly run: (random: Random) => number | Promise<number>;
  /**
   * The most blocks of code in `src/` that a case may run: so many whatever the size, and so many
   * for each byte. What regular expressions do inside is not counted.
   */
  readonly work: WorkLimit;
  /** Starts what cases need, unless it has been started. Its work does not count. */
  readonly start?: () => Promise<unknown>;
  /** Ends what `run` has started. */
  readonly stop?: () => Promise<void>;
}

/** How much work a case may be. */
export interface WorkLimit {
  readonly base: number;
  readonly perByte: number;
  /** The work of one in so many cases is counted. Counting takes some milliseconds. */
  readonly every: number;
}

/** A case whose invariant does not hold. */
export class FuzzFailure extends Error {}

/** Runs the case with this number. Rejects with a FuzzFailure that says how to repeat it. */
export async function runCase(
  target: Target,
  seed: number,
  number: number,
  counter: WorkCounter,
): Promise<void> {
  const isCounted = number % target.work.every === 0;
  try {
    await target.start?.();
    if (isCounted) counter.reset();
    const size = await target.run(new Random(`${seed} ${target.name} ${number}`));
    if (isCounted) checkWork(target, size, counter.take());
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const repeat = `npm run fuzz -- --seed ${seed} --case ${target.name}:${number}`;
    throw new FuzzFailure(`${target.name}: ${text}\n  repeat it with: ${repeat}`);
  }
}

function checkWork({ work }: Target, size: number, count: number): void {
  const limit = work.base + work.perByte * size;
  if (count > limit) throw new Error(`${count} blocks ran for ${size} bytes, over ${limit}`);
}

/** Throws an Error with `what` unless `condition` holds. */
export function check(condition: boolean, what: () => string): void {
  if (!condition) throw new Error(what());
}

/** Throws an Error if one of `outputs` has a key in it. */
export function checkSecrets(outputs: readonly string[], keys: readonly string[]): void {
  for (const output of outputs) {
    const leaked = keys.some((key) => output.includes(key));
    check(!leaked, () => `a key is in the output ${JSON.stringify(output)}`);
  }
}

/** Bytes as a literal that can be pasted into a test. */
export function quote(bytes: Buffer): string {
  const text = JSON.stringify(bytes.toString("latin1"));
  return text.length > 4000 ? `${text.slice(0, 4000)}… (${bytes.length} bytes)` : text;
}
