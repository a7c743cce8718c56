import { parseArgs } from "node:util";

import { runCase, type Target } from "./target.ts";
import { createTargets } from "./targets.ts";
import { WorkCounter } from "./work.ts";

/** What the command line asks for. */
interface Options {
  readonly seconds: number;
  readonly seed: number;
  /** The one target to run, by name, and its one case, by number. */
  readonly target: string | undefined;
  readonly number: number | undefined;
}

const USAGE = "usage: npm run fuzz -- [SECONDS] [--seed N] [--case TARGET[:N]]";

/** How many cases of a target run before the next one's turn. */
const ROUND = 64;

// Not under `node --test`, which runs whatever stands in test/.
if (process.env["NODE_TEST_CONTEXT"] === undefined) await main();

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  const targets = createTargets().filter(({ name }) => [undefined, name].includes(options.target));
  if (targets.length === 0) fail(USAGE, 64);
  console.log(`seed ${options.seed}`);
  const counter = new WorkCounter();
  try {
    await run(targets, options, counter);
  } catch (error) {
    fail((error as Error).message, 1);
  }
  counter.close();
  for (const target of targets) await target.stop?.();
}

/** Runs cases of each target in turn until the time is over. Always runs one round. */
async function run(
  targets: readonly Target[],
  { seconds, seed, number }: Options,
  counter: WorkCounter,
): Promise<void> {
  if (number !== undefined) {
    for (const target of targets) await runCase(target, seed, number, counter);
    console.log("holds");
    return;
  }
  const deadline = performance.now() + 1000 * seconds;
  let next = 0;
  do {
    for (const target of targets) {
      for (let at = next; at < next + ROUND; at += 1) await runCase(target, seed, at, counter);
    }
    next += ROUND;
  } while (performance.now() < deadline);
  for (const { name } of targets) console.log(`holds  ${name}: ${next} cases`);
}

function readOptions(args: readonly string[]): Options {
  const options = { seed: { type: "string" }, case: { type: "string" } } as const;
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
    const [target, number] = values.case?.split(":") ?? [];
    return {
      seconds: readNumber(positionals[0] ?? "60"),
      seed: readNumber(values.seed ?? String(Date.now() % 1_000_000)),
      target,
      number: number === undefined ? undefined : readNumber(number),
    };
  } catch (error) {
    return fail(`${(error as Error).message}\n${USAGE}`, 64);
  }
}

function readNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new Error(`${text} is not a whole number`);
  return Number(text);
}

function fail(message: string, code: number): never {
  console.error(message);
  process.exit(code);
}
