import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, closeSync, mkdirSync, openSync, symlinkSync, truncateSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { test, type TestContext } from "node:test";

import { isAppendedTo, modeWarning, readRegularFile } from "../../src/config/file.ts";
import { asOtherUser } from "../support/settings.ts";
import { tempDirectory } from "../support/temp.ts";

const MIB = 1_048_576;

/** Returns the message of the problem with a path where there is something. */
function problemOf(path: string): string {
  const file = readRegularFile(path);
  assert.ok(file.kind === "problem", file.kind);
  assert.equal(file.isMissing, false);
  return file.message;
}

for (const size of [0, 1, 65_536, MIB - 1, MIB]) {
  test(`a file of ${size} bytes is read whole, with its mode`, (t) => {
    const content = Buffer.alloc(size, "abc\n");
    const path = join(tempDirectory(t, { file: content }), "file");
    const file = readRegularFile(path);
    assert.ok(file.kind === "content");
    assert.ok(content.equals(file.bytes));
    assert.equal(file.mode & 0o777, 0o600);
  });
}

test("a link is followed to its file, and the file's mode counts", (t) => {
  const directory = tempDirectory(t, { file: "content" });
  chmodSync(join(directory, "file"), 0o640);
  symlinkSync("file", join(directory, "link"));
  const file = readRegularFile(join(directory, "link"));
  assert.ok(file.kind === "content");
  assert.deepEqual([String(file.bytes), file.mode & 0o777], ["content", 0o640]);
});

if (process.platform === "linux") {
  test("a file that claims to have 0 bytes, as in /proc, is read whole", () => {
    const file = readRegularFile("/proc/self/status");
    assert.ok(file.kind === "content");
    assert.match(String(file.bytes), /^Name:/);
  });
}

test("a path without a file is missing, and so is a dangling link", (t) => {
  const directory = tempDirectory(t);
  symlinkSync("nowhere", join(directory, "link"));
  for (const name of ["file", "folder/file", "link"]) {
    const path = join(directory, name);
    const message = `the file ${path} can't be read (ENOENT)`;
    assert.deepEqual(readRegularFile(path), { kind: "problem", isMissing: true, message });
  }
});

/** Makes things that are no regular files at a path. */
const OTHER_KINDS: readonly (readonly [what: string, make: (path: string) => void])[] = [
  ["a directory", (path) => mkdirSync(path)],
  ["a FIFO", (path) => execFileSync("mkfifo", [path])],
  [
    "a link to a FIFO",
    (path) => {
      execFileSync("mkfifo", [`${path}.fifo`]);
      symlinkSync(`${path}.fifo`, path);
    },
  ],
  ["a link to /dev/zero", (path) => symlinkSync("/dev/zero", path)],
  ["a link to /dev/null", (path) => symlinkSync("/dev/null", path)],
];

for (const [what, make] of OTHER_KINDS) {
  test(`${what} is a problem at once`, (t) => {
    const path = join(tempDirectory(t), "x");
    make(path);
    assert.equal(problemOf(path), `the file ${path} is not a regular file`);
  });
}

test("a socket is a problem at once", async (t) => {
  const path = join(tempDirectory(t), "x");
  const server = createServer();
  t.after(() => server.close());
  await new Promise<void>((resolve) => server.listen(path, resolve));
  assert.equal(problemOf(path), `the file ${path} is not a regular file`);
});

for (const size of [MIB + 1, 600 * MIB]) {
  test(`a file of ${size} bytes is a problem at once`, (t) => {
    const path = join(tempDirectory(t, { file: "" }), "file");
    truncateSync(path, size);
    assert.equal(problemOf(path), `the file ${path} is larger than 1 MiB`);
  });
}

/** Makes a path that can't be read. */
const UNREADABLE: readonly (readonly [code: string, make: (t: TestContext) => string])[] = [
  ["ENOTDIR", (t) => join(tempDirectory(t, { file: "" }), "file", "below")],
  ["ENAMETOOLONG", (t) => join(tempDirectory(t), "x".repeat(300))],
  ["ERR_INVALID_ARG_VALUE", (t) => join(tempDirectory(t), "a\0b")],
  [
    "ELOOP",
    (t) => {
      const path = join(tempDirectory(t), "loop");
      symlinkSync("loop", path);
      return path;
    },
  ],
];

for (const [code, make] of UNREADABLE) {
  test(`a path that fails with ${code} is a problem with that code`, (t) => {
    const path = make(t);
    assert.equal(problemOf(path), `the file ${path} can't be read (${code})`);
  });
}

test("a file that the user may not read is a problem with EACCES", (t) => {
  const directory = tempDirectory(t, { file: "" });
  const path = join(directory, "file");
  chmodSync(path, 0);
  chmodSync(directory, 0o755);
  asOtherUser(() => assert.equal(problemOf(path), `the file ${path} can't be read (EACCES)`));
});

const MODES: readonly (readonly [mode: number, warning: string | undefined])[] = [
  [0o600, undefined],
  [0o400, undefined],
  [0o700, undefined],
  [0o611, undefined],
  [0o100600, undefined],
  [0o640, "can be read by group or others: chmod 600 it"],
  [0o604, "can be read by group or others: chmod 600 it"],
  [0o444, "can be read by group or others: chmod 600 it"],
  [0o100644, "can be read by group or others: chmod 600 it"],
  [0o620, "can be written by group or others: chmod 600 it"],
  [0o602, "can be written by group or others: chmod 600 it"],
  [0o622, "can be written by group or others: chmod 600 it"],
  [0o660, "can be read and written by group or others: chmod 600 it"],
  [0o642, "can be read and written by group or others: chmod 600 it"],
  [0o666, "can be read and written by group or others: chmod 600 it"],
];

for (const [mode, warning] of MODES) {
  const outcome = warning === undefined ? "no warning" : "a warning";
  test(`mode ${mode.toString(8)} gives ${outcome}`, () => {
    assert.equal(modeWarning(mode), warning);
  });
}

test("isAppendedTo tells a file with content from an empty one and from what is no file", (t) => {
  const directory = tempDirectory(t, { full: "x", empty: "" });
  const cases = [
    [join(directory, "full"), "a", true],
    [join(directory, "full"), "w", false],
    [join(directory, "empty"), "a", false],
    [join(directory, "new"), "a", false],
    ["/dev/null", "a", false],
  ] as const;
  for (const [path, flags, expected] of cases) {
    const descriptor = openSync(path, flags);
    t.after(() => closeSync(descriptor));
    assert.equal(isAppendedTo(descriptor), expected, `${path} ${flags}`);
  }
});
