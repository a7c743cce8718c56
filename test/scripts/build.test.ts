import assert from "node:assert/strict";
import { appendFileSync, existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { type Clone, cloneRepository, needsCompiler, run, start } from "../support/clone.ts";

const BUILD = ["npm", "run", "--silent", "build"];

describe("npm run build", { skip: needsCompiler }, () => {
  const clones: Clone[] = [];
  before(() => {
    for (let count = 0; count < 2; count += 1) {
      const clone = cloneRepository();
      clones.push(clone);
      const { status, stdout, stderr } = run(clone, BUILD);
      assert.equal(status, 0, stdout + stderr);
    }
  });
  after(() => {
    for (const clone of clones) clone.remove();
  });

  test("gives the same files with the same bytes, wherever and whenever it runs", () => {
    const [first = new Map<string, Buffer>(), second] = clones.map(builtFiles);
    assert.ok(first.size > 30, `${first.size} files`);
    assert.deepEqual(first, second);
  });

  test("gives a script for each source, the files of the docs page, and no more", () => {
    const expected = namesIn(join(clones[0]?.directory ?? "", "src"))
      .filter((name) => !/^scripts\/|^process\/examples\/|tsconfig\.json$|\.md$/.test(name))
      .map((name) => `src/${name.replace(/\.ts$/, ".js")}`)
      .sort();
    const built = namesIn(join(clones[0]?.directory ?? "", "dist"));
    assert.deepEqual(built, expected);
  });

  test("leaves no name of the place where it ran in any file", () => {
    for (const [name, bytes] of builtFiles(clones[0])) {
      assert.equal(bytes.includes(clones[0]?.directory ?? ""), false, name);
    }
  });

  test("makes files that every user of the machine can read", () => {
    const { mode } = statSync(join(clones[0]?.directory ?? "", "dist"));
    assert.equal(mode & 0o055, 0o055);
  });

  test("builds beside dist/, so that a running service finds its files meanwhile", async (t) => {
    const [clone = cloneRepository()] = clones;
    const main = join(clone.directory, "dist/src/main.js");
    const { ino } = statSync(main);
    const build = start(t, clone, BUILD);
    let isRunning = true;
    const exit = build.exit.finally(() => (isRunning = false));
    // The swap takes two steps, and one look may fall between them.
    for (let missing = 0; isRunning; missing = existsSync(main) ? 0 : missing + 1) {
      assert.ok(missing < 2, build.output());
      await sleep(5);
    }
    assert.equal(await exit, 0);
    assert.notEqual(statSync(main).ino, ino);
  });

  test("can run several times at once", async (t) => {
    const [clone = cloneRepository()] = clones;
    const exits = [1, 2, 3].map(() => start(t, clone, BUILD).exit);
    assert.deepEqual(await Promise.all(exits), [0, 0, 0]);
    assert.ok(existsSync(join(clone.directory, "dist/src/main.js")));
    assert.deepEqual(leftovers(clone), []);
  });

  test("leaves dist/ as it is if a source has a mistake, and shows it", () => {
    const [clone = cloneRepository()] = clones;
    const previous = builtFiles(clone);
    appendFileSync(join(clone.directory, "src/log.ts"), 'const mistake: number = "";\n');
    const { status, stdout } = run(clone, BUILD);
    assert.equal(status, 1);
    assert.match(stdout, /src\/log\.ts.*mistake/s);
    assert.deepEqual(builtFiles(clone), previous);
    assert.deepEqual(leftovers(clone), []);
  });
});

test("without a compiler, npm start says what to run", (t) => {
  const clone = cloneRepository({ hasPackages: false });
  t.after(clone.remove);
  const { status, stderr } = run(clone, ["npm", "--silent", "start"]);
  assert.equal(status, 1);
  assert.match(
    stderr,
    /^The TypeScript compiler is not installed\..*\n\n {2}npm ci --include=dev\n/,
  );
  assert.deepEqual(leftovers(clone), []);
});

/** The files in dist/ by their names. */
function builtFiles(clone: Clone | undefined): Map<string, Buffer> {
  const dist = join(clone?.directory ?? "", "dist");
  return new Map(namesIn(dist).map((name) => [name, readFileSync(join(dist, name))]));
}

/** The files in a directory and below, by their paths from there, in order. */
function namesIn(directory: string): string[] {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name).slice(directory.length + 1))
    .sort();
}

function leftovers({ directory }: Clone): string[] {
  return readdirSync(directory).filter((name) => name.startsWith(".dist"));
}
