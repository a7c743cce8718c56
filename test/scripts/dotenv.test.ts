import assert from "node:assert/strict";
import { existsSync, lstatSync, mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";

import { type Clone, cloneRepository, needsCompiler, run, start } from "../support/clone.ts";

// npm run dotenv, without the time that npm takes.
const DOTENV = ["node", "src/scripts/dotenv.js"];

describe("npm run dotenv", { skip: needsCompiler }, () => {
  let clone: Clone;
  let path = "";
  before(() => {
    clone = cloneRepository();
    path = join(clone.directory, ".env");
    assert.equal(run(clone, ["npm", "run", "--silent", "build"]).status, 0);
  });
  beforeEach(() => rmSync(path, { recursive: true, force: true }));
  after(() => clone.remove());

  test("makes a .env with a fresh key, for its owner only", () => {
    const { status, stdout, stderr } = run(clone, DOTENV);
    assert.equal(status, 0);
    assert.equal(stdout, "");
    assert.equal(stderr, "Made .env, with a fresh SERVICE_API_KEY in it\n");
    assert.match(readFileSync(path, "utf8"), /^SERVICE_API_KEY=svk_[\w-]{43}\n$/);
    assert.equal(statSync(path).mode & 0o777, 0o600);
  });

  test("keeps a .env that is there", () => {
    writeFileSync(path, "HOST=::1\n");
    assert.equal(run(clone, DOTENV).status, 0);
    assert.equal(readFileSync(path, "utf8"), "HOST=::1\n");
  });

  test("writes nothing through a link that leads nowhere", () => {
    const target = join(clone.directory, "elsewhere");
    symlinkSync(target, path);
    assert.equal(run(clone, DOTENV).status, 0);
    assert.ok(lstatSync(path).isSymbolicLink());
    assert.equal(existsSync(target), false);
  });

  test("leaves a directory of that name alone", () => {
    mkdirSync(path);
    assert.equal(run(clone, DOTENV).status, 0);
  });

  for (const name of ["SERVICE_API_KEY", "SERVICE_API_KEY_FILE", "SERVICE_API_KEYS_FILE"]) {
    test(`makes none if the environment has ${name}`, () => {
      const { status, stderr } = run(clone, DOTENV, { [name]: "x" });
      assert.equal(status, 0);
      assert.equal(stderr, "");
      assert.equal(existsSync(path), false);
    });
  }

  test("leaves no half of a .env if it can't write it", () => {
    const command = "ulimit -f 0; exec node src/scripts/dotenv.js";
    const { status, stderr } = run(clone, ["sh", "-c", command]);
    assert.equal(status, 1);
    assert.equal(stderr, ".env can't be made (EFBIG)\n");
    assert.equal(existsSync(path), false);
  });

  test("makes none if the program can't run, which says why", (t) => {
    const main = join(clone.directory, "dist/src/main.js");
    const program = readFileSync(main);
    t.after(() => writeFileSync(main, program));
    writeFileSync(main, 'process.stderr.write("a reason\\n");\nprocess.exitCode = 1;\n');
    const { status, stderr } = run(clone, DOTENV);
    assert.equal(status, 1);
    assert.equal(stderr, "a reason\n");
    assert.equal(existsSync(path), false);
  });

  test("makes one file if it runs several times at once", async (t) => {
    const all = [1, 2, 3, 4].map(() => start(t, clone, DOTENV));
    assert.deepEqual(await Promise.all(all.map(({ exit }) => exit)), [0, 0, 0, 0]);
    assert.match(readFileSync(path, "utf8"), /^SERVICE_API_KEY=svk_[\w-]{43}\n$/);
    assert.equal(all.filter(({ output }) => output().includes("Made .env")).length, 1);
  });
});
