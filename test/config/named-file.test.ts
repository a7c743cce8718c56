import assert from "node:assert/strict";
import { chmodSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";

import { readNamedFile } from "../../src/config/named-file.ts";
import type { SettingsReader } from "../../src/config/reader.ts";
import { tempDirectory } from "../support/temp.ts";

/** What reading the file that NAME names gives, and what it has added to its reader. */
interface Outcome {
  /** The file's content; undefined if it can't be read. */
  readonly content: string | undefined;
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

const SECRET_MESSAGE = "looks like a key";

/** Reads the file at `path`, which starts from `directory`. */
function read(path: string, directory = "/none", isPublic = false): Outcome {
  const reader: SettingsReader = {
    lookup: () => undefined,
    directory,
    now: 0,
    problems: [],
    warnings: [],
  };
  const variable = { name: "NAME", value: path, source: ".env", line: 7 } as const;
  const bytes = readNamedFile(reader, variable, { secretMessage: SECRET_MESSAGE, isPublic });
  for (const { place } of reader.problems) assert.equal(place, "NAME (.env, line 7)");
  return {
    content: bytes?.toString(),
    problems: reader.problems.map(({ message }) => message),
    warnings: reader.warnings,
  };
}

/** Makes a file of this mode; returns its directory. */
function directoryWith(t: TestContext, name: string, mode = 0o600): string {
  const directory = tempDirectory(t, { [name]: "content" });
  chmodSync(join(directory, name), mode);
  return directory;
}

test("a file is read at its path, which may be absolute", (t) => {
  const directory = directoryWith(t, "file");
  const expected = { content: "content", problems: [], warnings: [] };
  assert.deepEqual(read("file", directory), expected);
  assert.deepEqual(read(join(directory, "file")), expected);
});

test("an empty path is a problem that says what to do", () => {
  const problems = ["is empty: set it to the path of a file, or unset it"];
  assert.deepEqual(read(""), { content: undefined, problems, warnings: [] });
});

const KEY = "0123456789abcdef0123456789abcdef";

/** Values that look like a secret. */
const SECRETS: readonly string[] = [
  KEY,
  "A".repeat(32),
  "_".repeat(32),
  "+".repeat(32),
  "=".repeat(32),
  `-${"a".repeat(31)}`,
  "a-".repeat(16),
  `a${"/".repeat(31)}`,
  `${KEY.repeat(2)}=`,
  `SERVICE_API_KEY=${KEY}`,
  `"${KEY}"`,
  `'${KEY}'`,
  `${KEY}\n`,
  `"${KEY}" \r\n`,
  "-----BEGIN PRIVATE KEY-----\nMC4=\n",
  "key: -----BEGIN",
];

for (const secret of SECRETS) {
  test(`${JSON.stringify(secret)} in place of a path is not shown`, () => {
    const problems = [SECRET_MESSAGE];
    assert.deepEqual(read(secret), { content: undefined, problems, warnings: [] });
  });
}

/** Values that look like a path. */
const PATHS: readonly string[] = [
  "key",
  KEY.slice(1),
  `/${KEY}`,
  `./${KEY}`,
  `${KEY}.pem`,
  `${KEY}/service key`,
  "a/directory-with-a-long-name/key.txt",
];

for (const path of PATHS) {
  test(`the path ${path} is shown if it has no file`, () => {
    const shown = path.startsWith("/") ? path : join("/none", path);
    const problems = [`the file ${shown} can't be read (ENOENT)`];
    assert.deepEqual(read(path), { content: undefined, problems, warnings: [] });
  });
}

test("a file with a name like a key is read", (t) => {
  assert.equal(read(KEY, directoryWith(t, KEY)).content, "content");
});

/** Modes, and the warning about a secret and about a public file. */
const MODES: readonly (readonly [mode: number, secret: string, open: string])[] = [
  [0o600, "", ""],
  [0o644, "read", ""],
  [0o622, "written", "written"],
  [0o666, "read and written", "read and written"],
];

for (const [mode, secret, open] of MODES) {
  test(`a file of mode ${mode.toString(8)} is a warning if others can do too much`, (t) => {
    const directory = directoryWith(t, "file", mode);
    for (const [isPublic, verbs] of [
      [false, secret],
      [true, open],
    ] as const) {
      const { content, warnings } = read("file", directory, isPublic);
      const warning =
        `NAME (.env, line 7): the file ${directory}/file ` +
        `can be ${verbs} by group or others: chmod 600 it`;
      assert.deepEqual([content, warnings], ["content", verbs === "" ? [] : [warning]]);
    }
  });
}

test("a warning is one line, whatever the path holds", (t) => {
  const directory = directoryWith(t, "a\nb", 0o644);
  const [warning = ""] = read("a\nb", directory).warnings;
  assert.ok(warning.includes(`${directory}/a?b can be read`), warning);
});
