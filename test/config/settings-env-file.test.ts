import assert from "node:assert/strict";
import { chmodSync, mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { readConfiguration } from "../../src/config/settings.ts";
import {
  configurationOf,
  directoryWith,
  NOW,
  problemsIn,
  problemsOf,
  STRONG,
} from "../support/settings.ts";

/** A value that shows wherever it is printed. */
const MARK = "MaRkEr";

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
    const { settings, keys } = readConfiguration({}, directoryWith(t, envFile), NOW);
    assert.deepEqual([settings.port, keys], [1, configurationOf(t, {}).keys]);
  });
}

const KEY_IN_ENVIRONMENT = { SERVICE_API_KEY: STRONG };

test("a .env that does not exist, is empty, or is a dangling link has no variables", (t) => {
  const dangling = directoryWith(t);
  symlinkSync("nowhere", join(dangling, ".env"));
  for (const directory of [directoryWith(t), directoryWith(t, ""), dangling]) {
    assert.deepEqual(problemsIn(directory, KEY_IN_ENVIRONMENT), []);
  }
});

test("a .env that is a directory or a link to itself is a problem with the reason", (t) => {
  const asDirectory = directoryWith(t);
  mkdirSync(join(asDirectory, ".env"));
  const asLoop = directoryWith(t);
  symlinkSync(".env", join(asLoop, ".env"));
  for (const [directory, code] of [
    [asDirectory, "EISDIR"],
    [asLoop, "ELOOP"],
  ] as const) {
    const expected = [`.env: can't be read (${code})`];
    assert.deepEqual(problemsIn(directory, KEY_IN_ENVIRONMENT), expected);
  }
});

/** Runs `action` as a user who may not read what is closed to others; root reads everything. */
function asOtherUser<T>(action: () => T): T {
  if (process.geteuid?.() !== 0) return action();
  process.seteuid?.(65_534);
  try {
    return action();
  } finally {
    process.seteuid?.(0);
  }
}

test("a .env that the user may not read is a problem with the reason", (t) => {
  const directory = directoryWith(t, `SERVICE_API_KEY=${STRONG}\n`);
  chmodSync(join(directory, ".env"), 0);
  chmodSync(directory, 0o755);
  const problems = asOtherUser(() => problemsIn(directory, KEY_IN_ENVIRONMENT));
  assert.deepEqual(problems, [".env: can't be read (EACCES)"]);
});

/** The warnings about a `.env` of this mode. */
function modeWarnings(directory: string, mode: number): readonly string[] {
  chmodSync(join(directory, ".env"), mode);
  return readConfiguration({ SERVICE_API_KEY: undefined }, directory, NOW).warnings;
}

for (const mode of [0o644, 0o640, 0o604, 0o666, 0o444]) {
  test(`a .env of mode ${mode.toString(8)} with a key is a warning`, (t) => {
    const directory = directoryWith(t, `SERVICE_API_KEY=${STRONG}\n`);
    const warning = ".env: can be read by group or others: chmod 600 it";
    assert.deepEqual(modeWarnings(directory, mode), [warning]);
  });

  test(`a .env of mode ${mode.toString(8)} without a key is no warning`, (t) => {
    const directory = directoryWith(t, "PORT=1\n");
    chmodSync(join(directory, ".env"), mode);
    assert.deepEqual(readConfiguration(KEY_IN_ENVIRONMENT, directory, NOW).warnings, []);
  });
}

for (const mode of [0o600, 0o400, 0o700, 0o620, 0o611]) {
  test(`a .env of mode ${mode.toString(8)} with a key is no warning`, (t) => {
    const directory = directoryWith(t, `SERVICE_API_KEY=${STRONG}\n`);
    assert.deepEqual(modeWarnings(directory, mode), []);
  });
}

const WEAK = "weak-key";
const WEAKNESS = "SERVICE_API_KEY (environment): is shorter than 32 characters";

for (const host of [undefined, "127.0.0.1", "127.1.2.3", "::1", "localhost", "LOCALHOST"]) {
  test(`with HOST ${host ?? "unset"}, a weak key is a warning`, (t) => {
    const { warnings } = configurationOf(t, { SERVICE_API_KEY: WEAK, HOST: host });
    assert.equal(warnings.length, 1);
    assert.ok(warnings[0]?.startsWith(WEAKNESS));
    assert.ok(!warnings[0]?.includes(WEAK));
  });
}

const OTHER_HOSTS = [
  "0.0.0.0",
  "::",
  "10.0.0.1",
  "example.com",
  "127.0.0.1.example.com",
  "localhost.example.com",
  "::2",
  "[::1]",
  "1127.0.0.1",
];

for (const host of OTHER_HOSTS) {
  test(`with HOST ${host}, a weak key is a problem unless SERVICE_ALLOW_WEAK_KEY=1`, (t) => {
    const env = { SERVICE_API_KEY: WEAK, HOST: host };
    for (const choice of [{}, { SERVICE_ALLOW_WEAK_KEY: "0" }]) {
      const [problem = "", ...more] = problemsOf(t, { ...env, ...choice });
      assert.ok(problem.startsWith(WEAKNESS) && problem.endsWith("SERVICE_ALLOW_WEAK_KEY=1"));
      assert.deepEqual(more, []);
    }
    assert.deepEqual(problemsOf(t, { ...env, SERVICE_ALLOW_WEAK_KEY: "1" }), []);
    assert.deepEqual(problemsOf(t, { SERVICE_API_KEY: STRONG, HOST: host }), []);
  });
}
