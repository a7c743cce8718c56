import assert from "node:assert/strict";
import { realpathSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";

import { EXIT_CONFIG, Failure } from "../../src/process/exit.ts";
import { sandboxOptions, withoutGrants } from "../../src/process/sandbox.ts";
import { tempDirectory } from "../support/temp.ts";

const SOURCES = fileURLToPath(new URL("../../src/", import.meta.url));

/** A program at `release/main.js`, and links to it. Returns the directory's real path. */
function makeProgram(t: TestContext): string {
  const base = realpathSync(tempDirectory(t, { "release/main.js": "" }));
  symlinkSync("release", join(base, "current"));
  symlinkSync(join(base, "release/main.js"), join(base, "api.js"));
  symlinkSync("main.js", join(base, "release/other.js"));
  return base;
}

/** The options for a program that is started as `entry`, without --permission. */
function optionsOf(entry: string): readonly string[] {
  const [first, ...rest] = sandboxOptions(new Set(["--permission"]), {}, entry).split(" ");
  assert.equal(first, '"--permission"');
  return rest;
}

/** Checks that something fails as wrong settings do, and says why in one line. */
function assertRefused(run: () => unknown, message: string): void {
  assert.throws(run, (error) => {
    assert.ok(error instanceof Failure);
    assert.deepEqual([error.message, error.exitCode], [message, EXIT_CONFIG]);
    return true;
  });
}

describe("the sandbox of a program", () => {
  test("whose path holds no link grants the sources", (t) => {
    const entry = join(makeProgram(t), "release/main.js");
    assert.deepEqual(optionsOf(entry), [`"--allow-fs-read=${SOURCES}"`]);
  });

  test("that is started through a link grants the link, too", (t) => {
    const entry = join(makeProgram(t), "api.js");
    assert.deepEqual(optionsOf(entry), [
      `"--allow-fs-read=${SOURCES}"`,
      `"--allow-fs-read=${entry}"`,
    ]);
  });

  test("in a directory that is a link is read through the link alone", (t) => {
    const directory = join(makeProgram(t), "current");
    assert.deepEqual(optionsOf(join(directory, "main.js")), [
      '"--preserve-symlinks"',
      '"--preserve-symlinks-main"',
      `"--allow-fs-read=${directory}/"`,
    ]);
  });

  test("is refused with two links in its path", (t) => {
    const base = makeProgram(t);
    const entry = join(base, "current/other.js");
    const remedy = `start ${join(base, "release/main.js")} instead`;
    const message = `${entry}: has too many links for the sandbox: ${remedy}`;
    assertRefused(() => optionsOf(entry), message);
  });
});

describe("the sandbox grants", () => {
  const grants = { files: ["/etc/api/.env"], socket: "/run/api.sock", processes: true };
  const all =
    `"--permission" "--allow-child-process" "--allow-fs-read=${SOURCES}" ` +
    '"--allow-fs-read=/etc/api/.env" "--allow-fs-read=/run/api.sock" ' +
    '"--allow-fs-write=/run/api.sock"';

  test("reading and writing a Unix socket, and what else the settings need", () => {
    assert.equal(sandboxOptions(new Set(["--permission"]), grants), all);
  });

  test("none of it to the workers", () => {
    const rest = withoutGrants(`--title=own ${all}`, grants);
    const options = ["--title=own", '"--permission"', `"--allow-fs-read=${SOURCES}"`];
    assert.deepEqual(rest.trim().split(/ +/), options);
  });

  test("no path with a *, and says which", () => {
    const message =
      "--allow-fs-read=/keys/?* can't be granted: " +
      "Node takes the * for any characters and would allow more files: rename it";
    assertRefused(() => sandboxOptions(new Set(), { files: ["/keys/\u001b*"] }), message);
  });

  test("nothing more for quotes and backslashes in a path", () => {
    const options = sandboxOptions(new Set(), { files: ['/a "b"\\c'] });
    assert.ok(options.endsWith(String.raw`"--allow-fs-read=/a \"b\"\\c"`), options);
  });
});
