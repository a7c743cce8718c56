import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";

import { readConfiguration } from "../../src/config/settings.ts";
import {
  asOtherUser,
  configurationOf,
  directoryWith,
  NOW,
  problemsIn,
  problemsOf,
  STRONG,
} from "../support/settings.ts";

/** A value that shows wherever it is printed. */
const MARK = "MaRkEr";

const KEY_IN_ENVIRONMENT = { SERVICE_API_KEY: STRONG };

/** Files that can't be parsed, and the place of the first problem. */
const BROKEN: readonly (readonly [what: string, envFile: string | Buffer, place: RegExp])[] = [
  [
    "UTF-16 with a byte order mark",
    Buffer.from(`\ufeffSERVICE_API_KEY=${MARK}\n`, "utf16le"),
    /^\.env, line 1: /,
  ],
  ["UTF-16 without one", Buffer.from(`SERVICE_API_KEY=${MARK}\n`, "utf16le"), /^\.env, line 1: /],
  [
    "a Latin-1 letter",
    Buffer.from(`X=1\nSERVICE_API_KEY=${MARK}\xe9\n`, "latin1"),
    /^\.env, line 2: /,
  ],
  ["a NUL", `X=1\nY=2\nSERVICE_API_KEY=${MARK}\0b\n`, /^SERVICE_API_KEY \(\.env, line 3\): /],
  ["a line without =", `${MARK}\nSERVICE_API_KEY=${STRONG}\n`, /^\.env, line 1: /],
  [
    "a quote that is never closed",
    `SERVICE_API_KEY="${MARK}\nX=1\n`,
    /^SERVICE_API_KEY \(\.env, line 1\): /,
  ],
  [
    "an earlier quote that is never closed",
    `A="${MARK}\nSERVICE_API_KEY=${STRONG}\n`,
    /^A \(\.env, line 1\): /,
  ],
  [
    "text after a quote",
    `X=1\nSERVICE_API_KEY="${MARK}"def\n`,
    /^SERVICE_API_KEY \(\.env, line 2\): /,
  ],
  [
    "a reference to nothing",
    `SERVICE_API_KEY=\${NOPE_${MARK}}\n`,
    /^SERVICE_API_KEY \(\.env, line 1\): /,
  ],
];

for (const [what, envFile, place] of BROKEN) {
  test(`a .env with ${what} is a problem with its line, and shows none of the text`, (t) => {
    const problems = problemsOf(t, {}, envFile);
    assert.match(problems[0] ?? "", place);
    assert.ok(!problems.join("\n").includes(MARK));
  });

  test(`a .env with ${what} is a problem even if the environment has a key`, (t) => {
    const [problem = ""] = problemsOf(t, { SERVICE_API_KEY: STRONG }, envFile);
    assert.match(problem, place);
  });
}

test("a problem shows at most 64 characters of a name, and none that a terminal acts on", (t) => {
  const names = ["'\x1b[2J'", "svk_abc", "a".repeat(64), "a".repeat(65)];
  const envFile = names.map((name) => `${name}=\${NO}\n`).join("");
  const places = problemsOf(t, KEY_IN_ENVIRONMENT, envFile).map((line) => line.split(":")[0]);
  assert.deepEqual(places, [
    "?[2J (.env, line 1)",
    "svk_… (.env, line 2)",
    `${"a".repeat(64)} (.env, line 3)`,
    `${"a".repeat(64)}… (.env, line 4)`,
  ]);
});

test("300,000 bad lines are 10,001 problems, and a line that says so", (t) => {
  const problems = problemsOf(t, KEY_IN_ENVIRONMENT, "x\n".repeat(300_000));
  assert.equal(problems.length, 10_001);
  assert.match(problems.at(-1) ?? "", /^\.env, line 10001: there are more than 10000 problems/);
});

/** Files with the key STRONG and the port 1. */
const READABLE: readonly (readonly [what: string, envFile: string])[] = [
  ["a byte order mark", `\ufeffSERVICE_API_KEY=${STRONG}\nPORT=1\n`],
  ["CRLF", `SERVICE_API_KEY=${STRONG}\r\nPORT=1\r\n`],
  ["CR", `A=1\rSERVICE_API_KEY=${STRONG}\rPORT=1\r`],
  ["blanks at line ends", `SERVICE_API_KEY=${STRONG}   \nexport PORT=1\t\n`],
  ["blanks, quotes and a comment", `SERVICE_API_KEY = "${STRONG}" # c\nexport\tPORT='1'`],
];

for (const [what, envFile] of READABLE) {
  test(`a .env with ${what} has the same key and port as without`, (t) => {
    const { settings, secrets } = readConfiguration({}, directoryWith(t, envFile), NOW);
    assert.deepEqual([settings.port, secrets], [1, configurationOf(t, {}).secrets]);
  });
}

test("a .env that does not exist, is empty, or is a dangling link has no variables", (t) => {
  const dangling = directoryWith(t);
  symlinkSync("nowhere", join(dangling, ".env"));
  for (const directory of [directoryWith(t), directoryWith(t, ""), dangling]) {
    assert.deepEqual(problemsIn(directory, KEY_IN_ENVIRONMENT), []);
  }
});

/** Makes something at the path of a `.env` that can't be read. */
const UNREADABLE: readonly (readonly [message: string, make: (path: string) => void])[] = [
  ["is not a regular file", (path) => mkdirSync(path)],
  ["is not a regular file", (path) => execFileSync("mkfifo", [path])],
  ["is not a regular file", (path) => symlinkSync("/dev/zero", path)],
  ["can't be read (ELOOP)", (path) => symlinkSync(".env", path)],
  ["is larger than 1 MiB", (path) => writeFileSync(path, "#".repeat(1_048_577))],
];

for (const [index, [message, make]] of UNREADABLE.entries()) {
  test(`a .env that ${message} is a problem with its path (${index})`, (t) => {
    const directory = directoryWith(t);
    const path = join(directory, ".env");
    make(path);
    assert.deepEqual(problemsIn(directory, KEY_IN_ENVIRONMENT), [
      `.env: the file ${path} ${message}`,
    ]);
  });
}

test("a .env that the user may not read is a problem with the reason", (t) => {
  const directory = directoryWith(t, `SERVICE_API_KEY=${STRONG}\n`);
  chmodSync(join(directory, ".env"), 0);
  chmodSync(directory, 0o755);
  const problems = asOtherUser(() => problemsIn(directory, KEY_IN_ENVIRONMENT));
  assert.deepEqual(problems, [`.env: the file ${directory}/.env can't be read (EACCES)`]);
});

/** Returns the warnings about a `.env` of this mode. */
function modeWarnings(t: TestContext, mode: number, envFile: string): readonly string[] {
  const directory = directoryWith(t, envFile);
  chmodSync(join(directory, ".env"), mode);
  const key = envFile.includes("SERVICE_API_KEY") ? {} : KEY_IN_ENVIRONMENT;
  writeFileSync(join(directory, "key"), STRONG, { mode: 0o600 });
  writeFileSync(join(directory, "keys"), `ci sha256:${"1".repeat(64)}`, { mode: 0o600 });
  return readConfiguration(key, directory, NOW).warnings;
}

/** Files that hold a key or name a file that does. */
const WITH_KEYS: readonly string[] = [
  `SERVICE_API_KEY=${STRONG}\n`,
  "SERVICE_API_KEY_FILE=key\n",
  "SERVICE_API_KEYS_FILE=keys\n",
];

const WITHOUT_KEYS = "PORT=1\n";

/** Modes, and what others can do with a file. */
const OPEN_MODES: readonly (readonly [mode: number, verbs: string])[] = [
  [0o644, "read"],
  [0o640, "read"],
  [0o604, "read"],
  [0o444, "read"],
  [0o620, "written"],
  [0o602, "written"],
  [0o666, "read and written"],
];

for (const [mode, verbs] of OPEN_MODES) {
  const warning = `.env: can be ${verbs} by group or others: chmod 600 it`;

  test(`a .env of mode ${mode.toString(8)} that holds or names keys is a warning`, (t) => {
    for (const envFile of WITH_KEYS) assert.deepEqual(modeWarnings(t, mode, envFile), [warning]);
  });

  test(`a .env of mode ${mode.toString(8)} without keys is a warning if others can write`, (t) => {
    const expected = verbs === "read" ? [] : [warning];
    assert.deepEqual(modeWarnings(t, mode, WITHOUT_KEYS), expected);
  });
}

for (const mode of [0o600, 0o400, 0o700, 0o611]) {
  test(`a .env of mode ${mode.toString(8)} is no warning`, (t) => {
    for (const envFile of [...WITH_KEYS, WITHOUT_KEYS]) {
      assert.deepEqual(modeWarnings(t, mode, envFile), []);
    }
  });
}

test("a key in .env counts for the warning even if the environment has another", (t) => {
  const directory = directoryWith(t, `SERVICE_API_KEY=${STRONG}\n`);
  chmodSync(join(directory, ".env"), 0o644);
  assert.equal(readConfiguration(KEY_IN_ENVIRONMENT, directory, NOW).warnings.length, 1);
});
