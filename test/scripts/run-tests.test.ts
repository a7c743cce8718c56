import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { type Clone, cloneRepository, needsCompiler, run, start } from "../support/clone.ts";

const IMPORT = 'import { test } from "node:test";\n';
const PASSING = 'test("one of them", () => {});\n';
const FAILING = 'test("another", () => { throw new Error(); });\n';

describe("npm run test:file", { skip: needsCompiler }, () => {
  let clone: Clone;
  before(() => {
    clone = cloneRepository();
    mkdirSync(join(clone.directory, "test/http"));
    writeFileSync(join(clone.directory, "test/http/one.test.ts"), IMPORT + PASSING);
    writeFileSync(join(clone.directory, "test/other.test.ts"), IMPORT + FAILING);
  });
  after(() => clone.remove());

  test("builds, and runs the files that it is given", () => {
    const command = ["npm", "run", "--silent", "test:file", "--", "test/http/one.test.ts"];
    const { status, stdout } = run(clone, command);
    assert.equal(status, 0, stdout);
    assert.match(stdout, /one of them/);
    assert.doesNotMatch(stdout, /another/);
  });

  test("fails if one of them fails", () => {
    const { status, stdout } = runFiles(clone, "./test/http/one.test.ts", "test/other.test.ts");
    assert.equal(status, 1, stdout);
    assert.match(stdout, /one of them/);
    assert.match(stdout, /another/);
  });

  test("passes options on to node --test", () => {
    const { status, stdout } = runFiles(clone, "--test-name-pattern=nothing", "test/other.test.ts");
    assert.equal(status, 0, stdout);
  });

  for (const [name, files] of [
    ["no file", []],
    ["a file that is not there", ["test/http/two.test.ts"]],
    ["a compiled file", ["dist/test/http/one.test.js"]],
  ] as const) {
    test(`shows how it is called if it is given ${name}`, () => {
      const { status, stderr } = runFiles(clone, ...files);
      assert.equal(status, 64);
      assert.match(stderr, /^usage: npm run test:file -- /m);
    });
  }

  test("as npm run test:watch, runs them again after a change", async (t) => {
    const command = ["npm", "run", "test:watch", "--", "test/http/one.test.ts"];
    const watch = start(t, clone, command);
    await watch.until(/pass 1\n/);
    const { length } = watch.output();
    writeFileSync(join(clone.directory, "test/http/one.test.ts"), IMPORT + PASSING + PASSING);
    await watch.until(/pass 2\n/, length);
  });
});

/** npm run test:file, without the time that npm takes. */
function runFiles(clone: Clone, ...args: readonly string[]): ReturnType<typeof run> {
  return run(clone, ["node", "src/scripts/run-tests.js", ...args]);
}
