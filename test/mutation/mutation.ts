import { spawn } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

import { Random } from "../fuzz/random.ts";
import { kill } from "../support/processes.ts";
import { type Mutant, mutantsOf, type TypeScript } from "./mutants.ts";
import { testsFor } from "./tests.ts";

/** How long a test file may take that has not been timed yet, in ms. */
const UNTIMED_MS = 120_000;

/** How many checkouts are tested at once. */
const LANES = 2;

/** How much longer a test file may take with a mutant than without. It may wait for ever. */
const SLOWER = 3;

/** What a test file may take beyond that, in ms. */
const GRACE_MS = 5_000;

/** How long each test file takes without a mutant, in ms. */
type TestTimes = Map<string, number>;

/** What a mutant came to. */
type Verdict = "killed" | "survived" | "equivalent";

const { values, positionals } = parseArgs({
  options: {
    scratch: { type: "string", default: "" },
    sample: { type: "string", default: "0" },
    folder: { type: "boolean", default: false },
    own: { type: "boolean", default: false },
    seed: { type: "string", default: "1" },
  },
  allowPositionals: true,
});

const EQUIVALENT: ReadonlySet<string> = new Set(
  readdirSync("test/mutation/equivalent").flatMap((name) =>
    readFileSync(`test/mutation/equivalent/${name}`, "utf8").split("\n"),
  ),
);

// Whoever stops it must not leave a test behind that runs for ever.
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));

// Not under `node --test`, which runs whatever stands in test/.
if (process.env["NODE_TEST_CONTEXT"] === undefined) await main();

async function main(): Promise<void> {
  const ts = await loadTypeScript();
  const files = positionals.length > 0 ? positionals : sourceFiles();
  const lanes = Array.from({ length: LANES }, (_, index) => makeCheckout(index));
  const times: TestTimes = new Map();
  for (const file of files) {
    const groups = testsOf(lanes[0] as string, file);
    await timeTests(lanes, groups.flat(), times);
    const tests = groups.flatMap((group) => quickestFirst(group, times));
    const text = readFileSync(join(lanes[0] as string, file), "utf8");
    const all = mutantsOf(ts, file, text);
    const mutants = sampleOf(all, file);
    const verdicts = new Map<Mutant, Verdict>();
    const waiting = [...mutants];
    await Promise.all(lanes.map((lane) => work(lane, file, text, waiting, verdicts, tests)));
    report(file, all.length, verdicts, text);
  }
}

async function loadTypeScript(): Promise<TypeScript> {
  const path = join(values.scratch, "node_modules/typescript/lib/typescript.js");
  const module = (await import(pathToFileURL(path).href)) as { readonly default: TypeScript };
  return module.default;
}

function sourceFiles(): string[] {
  return readdirSync("src", { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts"))
    .map((path) => `src/${path}`)
    .sort();
}

/** Copies what the tests need, so that a mutant is in no file that someone edits. */
function makeCheckout(index: number): string {
  const lane = join(values.scratch, `lane-${index}`);
  mkdirSync(lane);
  for (const name of readdirSync(".")) {
    if (!["node_modules", ".git", "dist"].includes(name))
      cpSync(name, join(lane, name), { recursive: true });
  }
  return lane;
}

function sampleOf(mutants: readonly Mutant[], file: string): readonly Mutant[] {
  const size = Number(values.sample);
  if (size === 0 || mutants.length <= size) return mutants;
  const random = new Random(`${values.seed} ${file}`);
  const left = [...mutants];
  return Array.from({ length: size }, () => left.splice(random.below(left.length), 1)[0] as Mutant);
}

/** The tests that run for a file, in groups: a later group runs if the earlier ones pass. */
function testsOf(lane: string, file: string): readonly (readonly string[])[] {
  const { own, folder, others } = testsFor(lane, file);
  if (values.own) return [own];
  return values.folder ? [own, folder] : [own, folder, others];
}

/**
 * Runs those tests without a mutant that have not been timed yet.
 *
 * @throws Error if one fails: it would fail with each mutant, too, and all would count as killed
 */
async function timeTests(
  lanes: readonly string[],
  tests: readonly string[],
  times: TestTimes,
): Promise<void> {
  const waiting = tests.filter((test) => !times.has(test));
  const timeNext = async (lane: string): Promise<void> => {
    for (let test = waiting.shift(); test !== undefined; test = waiting.shift()) {
      const started = Date.now();
      if (!(await passes(lane, test, UNTIMED_MS))) {
        throw new Error(`${test} fails without a mutant`);
      }
      times.set(test, Date.now() - started);
    }
  };
  await Promise.all(lanes.map(timeNext));
}

/** A test file with the time that it takes without a mutant, in ms. */
interface TimedTest {
  readonly path: string;
  readonly ms: number;
}

function quickestFirst(tests: readonly string[], times: TestTimes): readonly TimedTest[] {
  const timed = tests.map((path) => ({ path, ms: times.get(path) as number }));
  return timed.sort((one, other) => one.ms - other.ms);
}

/** Takes mutants until none is waiting. */
async function work(
  lane: string,
  file: string,
  text: string,
  waiting: Mutant[],
  verdicts: Map<Mutant, Verdict>,
  tests: readonly TimedTest[],
): Promise<void> {
  for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
    if (isEquivalent(file, text, mutant)) {
      verdicts.set(mutant, "equivalent");
      continue;
    }
    writeFileSync(join(lane, file), applyTo(text, mutant));
    verdicts.set(mutant, (await isKilled(lane, tests)) ? "killed" : "survived");
  }
  writeFileSync(join(lane, file), text);
}

function applyTo(text: string, { start, end, text: replacement }: Mutant): string {
  return text.slice(0, start) + replacement + text.slice(end);
}

async function isKilled(lane: string, tests: readonly TimedTest[]): Promise<boolean> {
  for (const { path, ms } of tests) {
    if (!(await passes(lane, path, SLOWER * ms + GRACE_MS))) return true;
  }
  return false;
}

/** Runs one test file. It and what it has started end at the first failure, or with the time. */
function passes(lane: string, test: string, limitMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ["--test-reporter=tap", test], {
      cwd: lane,
      stdio: ["ignore", "pipe", "ignore"],
      detached: true,
    });
    const end = (): void => kill(-Number(child.pid), "SIGKILL");
    const timer = setTimeout(end, limitMs);
    process.on("exit", end);
    child.stdout.setEncoding("utf8").on("data", (output: string) => {
      if (/^ *not ok /m.test(output)) end();
    });
    child.on("exit", (code) => {
      clearTimeout(timer);
      process.off("exit", end);
      end();
      resolve(code === 0);
    });
  });
}

/** The mutant as `equivalent/` has it: the line before and after. */
function describe(text: string, mutant: Mutant): string {
  const lineOf = (source: string): string => source.split("\n")[mutant.line - 1]?.trim() ?? "";
  return `${lineOf(text)}  =>  ${lineOf(applyTo(text, mutant))}`;
}

/**
 * Whether no test can notice the mutant. `equivalent/` has a file for each folder of `src/`, with
 * two lines for each such mutant: `src/file.ts: line  =>  mutated line`, and the reason.
 */
function isEquivalent(file: string, text: string, mutant: Mutant): boolean {
  return EQUIVALENT.has(`${file}: ${describe(text, mutant)}`);
}

function report(
  file: string,
  total: number,
  verdicts: ReadonlyMap<Mutant, Verdict>,
  text: string,
): void {
  const count = (verdict: Verdict): number =>
    [...verdicts.values()].filter((one) => one === verdict).length;
  const [killed, survived] = [count("killed"), count("survived")];
  const score = killed + survived === 0 ? 100 : (100 * killed) / (killed + survived);
  const size = verdicts.size < total ? `${verdicts.size} of ${total}` : `all ${total}`;
  console.log(`${score.toFixed(1)} %  ${file}: ${size}, ${count("equivalent")} equivalent`);
  for (const [mutant, verdict] of verdicts) {
    if (verdict === "survived") console.log(`  survives  ${file}: ${describe(text, mutant)}`);
  }
}
