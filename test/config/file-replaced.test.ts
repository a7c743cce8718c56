import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs, { closeSync, constants, openSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";

import { readRegularFile } from "../../src/config/file.ts";
import { useNodeMocks } from "../support/node-mocks.ts";
import { tempDirectory } from "../support/temp.ts";

const MIB = 1_048_576;

/** Lets `after` run each time after node:fs has looked at a path, until the end of the test. */
function afterEachLook(t: TestContext, after: (stats: fs.Stats) => void): void {
  const { statSync } = fs;
  t.mock.method(fs, "statSync", (path: string) => {
    const stats = statSync(path);
    after(stats);
    return stats;
  });
  useNodeMocks(t);
}

test("a FIFO that takes the place of a file is a problem at once", (t) => {
  const path = join(tempDirectory(t, { file: "content" }), "file");
  const { openSync: open } = fs;
  const flags: number[] = [];
  t.mock.method(fs, "openSync", (name: string, flag: number) => {
    flags.push(flag);
    // Whatever the flags are, the test must not wait for a writer.
    return open(name, flag | constants.O_NONBLOCK);
  });
  afterEachLook(t, () => {
    rmSync(path);
    execFileSync("mkfifo", [path]);
  });
  const message = `the file ${path} is not a regular file`;
  assert.deepEqual(readRegularFile(path), { kind: "problem", isMissing: false, message });
  for (const flag of [constants.O_NONBLOCK, constants.O_NOCTTY]) {
    assert.deepEqual([flags.length, flags.map((each) => each & flag)], [1, [flag]]);
  }
});

test("a file that grows past 1 MiB after the look at it is a problem", (t) => {
  const path = join(tempDirectory(t, { file: "" }), "file");
  afterEachLook(t, () => writeFileSync(path, "x".repeat(MIB + 1)));
  const message = `the file ${path} is larger than 1 MiB`;
  assert.deepEqual(readRegularFile(path), { kind: "problem", isMissing: false, message });
});

test("a file that claims to have 0 bytes, and has more than 1 MiB, is a problem", (t) => {
  const path = join(tempDirectory(t, { file: Buffer.alloc(MIB + 1) }), "file");
  const { fstatSync } = fs;
  t.mock.method(fs, "fstatSync", (descriptor: number) => {
    const stats = fstatSync(descriptor);
    stats.size = 0;
    return stats;
  });
  afterEachLook(t, (stats) => (stats.size = 0));
  const message = `the file ${path} is larger than 1 MiB`;
  assert.deepEqual(readRegularFile(path), { kind: "problem", isMissing: false, message });
});

test("a file is closed after it has been read, and after a problem", (t) => {
  const path = join(tempDirectory(t, { file: "content" }), "file");
  const unused = nextDescriptor();
  readRegularFile(path);
  afterEachLook(t, () => writeFileSync(path, "x".repeat(MIB + 1)));
  readRegularFile(path);
  assert.equal(nextDescriptor(), unused);
});

/** The lowest number that is not in use, which the next file gets (POSIX open()). */
function nextDescriptor(): number {
  const descriptor = openSync("/dev/null", "r");
  closeSync(descriptor);
  return descriptor;
}
