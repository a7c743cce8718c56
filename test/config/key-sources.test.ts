import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { hash } from "node:crypto";
import { chmodSync, mkdirSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test, type TestContext } from "node:test";

import { KEYGEN } from "../../src/keygen-command.ts";
import { type KeySet } from "../../src/auth/keys.ts";
import { PLACEHOLDER_KEY } from "../../src/config/plaintext-key.ts";
import { readKeys } from "../../src/config/key-sources.ts";
import {
  formatProblem,
  type SettingsProblem,
  type SettingsReader,
  type Variable,
} from "../../src/config/reader.ts";
import { tempDirectory } from "../support/temp.ts";
import { verifyKey } from "../support/verify-key.ts";

const NOW = Date.parse("2027-01-15T12:00:00Z");
const STRONG = "svk_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_abcde";
const OTHER = `${STRONG}2`;

const lineOf = (name: string, key: string, ...options: string[]): string =>
  [name, `sha256:${hash("sha256", key)}`, ...options].join(" ");

/** What readKeys() returns, and what it has added to its reader. */
interface Outcome {
  readonly keys: KeySet;
  /** Each as one line. */
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

/** The variables of the three sources, those that are set. */
type Variables = Readonly<Record<string, string>>;

interface Options {
  readonly allowWeak?: boolean;
  readonly allowNone?: boolean;
  /** Where relative paths start. */
  readonly directory?: string;
}

/** Reads the keys of an environment with these variables. */
function read(variables: Variables, options: Options = {}): Outcome {
  const { allowWeak = false, allowNone = false, directory = "/" } = options;
  const lookup = (name: string): Variable | undefined => {
    const value = variables[name];
    if (value === undefined) return undefined;
    return { name, value, source: "environment", line: undefined };
  };
  const problems: SettingsProblem[] = [];
  const warnings: string[] = [];
  const reader: SettingsReader = { lookup, directory, now: NOW, problems, warnings };
  const keys = readKeys(reader, { allowWeak, allowNone });
  return { keys, problems: problems.map(formatProblem), warnings };
}

/** Returns the only problem, after checking that it shows no value; "" if there is none. */
function problemOf(variables: Variables, options: Options = {}): string {
  const { problems } = read(variables, options);
  const [problem = "", ...more] = problems;
  assert.deepEqual(more, []);
  for (const value of Object.values(variables)) {
    if (value.length > 2) assert.ok(!problem.includes(value), "the problem shows a value");
  }
  return problem;
}

/** Makes a key file with this content; returns the variable that names it. */
function keyFile(t: TestContext, content: string | Buffer): Variables {
  return { SERVICE_API_KEY_FILE: join(tempDirectory(t, { key: content }), "key") };
}

/** Makes a keys file with these lines; returns the variable that names it. */
function keysFile(t: TestContext, ...lines: string[]): Variables {
  const directory = tempDirectory(t, { keys: lines.join("\n") });
  return { SERVICE_API_KEYS_FILE: join(directory, "keys") };
}

test("SERVICE_API_KEY is one key named default, without a problem or a warning", () => {
  const { keys, problems, warnings } = read({ SERVICE_API_KEY: STRONG });
  assert.deepEqual([problems, warnings, keys.length], [[], [], 1]);
  assert.deepEqual(verifyKey(keys, STRONG, NOW), { name: "default" });
});

const GOOD_FILES: readonly (readonly [what: string, content: string])[] = [
  ["no line end", STRONG],
  ["a line feed", `${STRONG}\n`],
  ["CRLF", `${STRONG}\r\n`],
];

for (const [what, content] of GOOD_FILES) {
  test(`SERVICE_API_KEY_FILE may name a file with the key and ${what}`, (t) => {
    const directory = tempDirectory(t, { key: content });
    for (const path of ["key", join(directory, "key")]) {
      const { keys, problems, warnings } = read({ SERVICE_API_KEY_FILE: path }, { directory });
      assert.deepEqual([problems, warnings], [[], []]);
      assert.deepEqual(verifyKey(keys, STRONG, NOW), { name: "default" });
    }
  });
}

/** Files that hold no key, but for what surrounds it. */
const BAD_FILES: readonly (readonly [what: string, content: string | Buffer])[] = [
  ["nothing", ""],
  ["a line end", "\n"],
  ["two line ends after the key", `${STRONG}\n\n`],
  ["CRLF twice", `${STRONG}\r\n\r\n`],
  ["a lone CR after the key", `${STRONG}\r`],
  ["a blank after the key", `${STRONG} \n`],
  ["a blank before the key", ` ${STRONG}\n`],
  ["a blank within the key", `${STRONG} ${STRONG}\n`],
  ["a tab after the key", `${STRONG}\t`],
  ["a line end before the key", `\n${STRONG}`],
  ["two keys", `${STRONG}\n${OTHER}\n`],
  ["a byte order mark", `\ufeff${STRONG}\n`],
  ["a letter in UTF-8", `${STRONG}é\n`],
  ["a letter in Latin-1", Buffer.from(`${STRONG}\xe9\n`, "latin1")],
  ["UTF-16", Buffer.from(STRONG, "utf16le")],
  ["a NUL", `${STRONG}\0`],
  ["a DEL", `${STRONG}\x7f`],
  ["257 bytes", "aB3$".repeat(64) + "x"],
  ["the key in double quotes", `"${STRONG}"\n`],
  ["the key in single quotes", `'${STRONG}'\n`],
  ["a line of a .env", `SERVICE_API_KEY=${STRONG}\n`],
];

for (const [what, content] of BAD_FILES) {
  test(`a key file with ${what} is a problem that shows none of its text`, (t) => {
    const problem = problemOf(keyFile(t, content));
    assert.match(problem, /^SERVICE_API_KEY_FILE \(environment\): (?:is|must be|begins) /);
    assert.ok(!problem.includes(STRONG.slice(4, 12)));
  });
}

const BAD_KEYS: readonly string[] = [
  "",
  " ",
  STRONG + " ",
  " " + STRONG,
  `${STRONG}\n`,
  `a ${STRONG}`,
  `${STRONG}\t`,
  `cl\u00e9${STRONG}`,
  `${STRONG}\0`,
  "\u{1f511}".repeat(40),
  "aB3$".repeat(64) + "x",
  `"${STRONG}"`,
  `'${STRONG}'`,
  `SERVICE_API_KEY=${STRONG}`,
];

for (const key of BAD_KEYS) {
  const shown = JSON.stringify(key).slice(0, 20);
  test(`SERVICE_API_KEY=${shown} is a problem, even if weak keys are allowed`, () => {
    for (const allowWeak of [false, true]) {
      const problem = problemOf({ SERVICE_API_KEY: key }, { allowWeak });
      assert.match(problem, /^SERVICE_API_KEY \(environment\): (?:is|must be|begins) /);
    }
  });
}

test("SERVICE_API_KEY may have 256 bytes", () => {
  assert.equal(problemOf({ SERVICE_API_KEY: "aB3$9kLm+/=_-xYz".repeat(16) }), "");
});

const WEAK_KEYS: readonly (readonly [key: string, weakness: string])[] = [
  [STRONG.slice(0, 31), "is shorter than 32 characters"],
  ["abcabcabc".repeat(10), "has fewer than 10 different characters"],
  ["a".repeat(64), "has fewer than 10 different characters"],
  [PLACEHOLDER_KEY, "is the placeholder of .env.example"],
  ["k", "is shorter than 32 characters"],
];

for (const [key, weakness] of WEAK_KEYS) {
  test(`the weak key ${key.slice(0, 20)} is a problem, or a warning if allowed`, (t) => {
    for (const variables of [{ SERVICE_API_KEY: key }, keyFile(t, `${key}\n`)]) {
      const [name] = Object.keys(variables);
      const problem = problemOf(variables);
      assert.ok(problem.startsWith(`${name} (environment): ${weakness}`), problem);
      assert.match(problem, /SERVICE_ALLOW_WEAK_KEY=1$/);
      const { keys, problems, warnings } = read(variables, { allowWeak: true });
      assert.deepEqual([problems, warnings.length, keys.length], [[], 1, 1]);
      assert.ok(warnings[0]?.startsWith(`${name} (environment): ${weakness}`));
      if (key.length > 1) assert.ok(!warnings[0]?.includes(key));
    }
  });
}

test("SERVICE_API_KEY beside SERVICE_API_KEY_FILE is one problem, whatever they hold", (t) => {
  const directory = tempDirectory(t, { strong: STRONG, other: OTHER });
  for (const [direct, file] of [
    [STRONG, "strong"],
    [STRONG, "missing"],
    ["", "other"],
    ["k", ""],
  ] as const) {
    const variables = { SERVICE_API_KEY: direct, SERVICE_API_KEY_FILE: file };
    const { problems, keys } = read(variables, { directory });
    const places = "SERVICE_API_KEY (environment), SERVICE_API_KEY_FILE (environment)";
    assert.deepEqual(problems, [`${places}: both are set: remove one`]);
    assert.equal(keys.length, 0);
  }
});

test("a plaintext key and a keys file go together", (t) => {
  const named = keysFile(t, lineOf("ci", OTHER));
  for (const single of [{ SERVICE_API_KEY: STRONG }, keyFile(t, STRONG)]) {
    const { keys, problems, warnings } = read({ ...single, ...named });
    assert.deepEqual([problems, warnings], [[], []]);
    assert.deepEqual(verifyKey(keys, STRONG, NOW), { name: "default" });
    assert.deepEqual(verifyKey(keys, OTHER, NOW), { name: "ci" });
  }
});

test("a keys file alone is enough, and its keys may be named default, too", (t) => {
  const lines = [lineOf("default", STRONG), lineOf("default", OTHER)];
  const { keys, problems } = read(keysFile(t, ...lines));
  assert.deepEqual(problems, []);
  for (const key of [STRONG, OTHER]) {
    assert.deepEqual(verifyKey(keys, key, NOW), { name: "default" });
  }
});

test("a key in both SERVICE_API_KEY and the keys file is a problem of the file's line", (t) => {
  const named = keysFile(t, "# keys", "", lineOf("ci", STRONG));
  const problem = problemOf({ SERVICE_API_KEY: STRONG, ...named });
  assert.match(problem, /^SERVICE_API_KEYS_FILE \(environment\): line 3 of the file: /);
});

test("every bad line of a keys file is a problem with its number and without its text", (t) => {
  const named = keysFile(
    t,
    "MaRkEr",
    lineOf("ci", STRONG),
    "ci sha256:MaRkEr",
    lineOf("ci", OTHER, "MaRkEr=1"),
    lineOf("ci", "x", "expires=MaRkEr"),
  );
  const { problems, keys } = read({ SERVICE_API_KEY: STRONG, ...named });
  const lines = problems.map((problem) => /: line (\d+) of the file: /.exec(problem)?.[1]);
  assert.deepEqual(lines, ["1", "2", "3", "4", "5"]);
  assert.ok(!problems.join().includes("MaRkEr"));
  assert.ok(keys.every(({ name }) => name === "default"));
});

const FILE_VARIABLES = ["SERVICE_API_KEY_FILE", "SERVICE_API_KEYS_FILE"];

/** Paths that can't be read, in the directory that unreadable() makes. */
const UNREADABLE: readonly (readonly [path: string, message: string])[] = [
  ["missing", "can't be read (ENOENT)"],
  ["/missing/at/the/root", "can't be read (ENOENT)"],
  ["folder", "is not a regular file"],
  ["/dev/zero", "is not a regular file"],
  ["fifo", "is not a regular file"],
  ["large", "is larger than 1 MiB"],
  ["loop", "can't be read (ELOOP)"],
  ["key/below", "can't be read (ENOTDIR)"],
  [".".repeat(300), "can't be read (ENAMETOOLONG)"],
];

function unreadable(t: TestContext): string {
  const directory = tempDirectory(t, { key: STRONG, large: "" });
  mkdirSync(join(directory, "folder"));
  symlinkSync("loop", join(directory, "loop"));
  execFileSync("mkfifo", [join(directory, "fifo")]);
  truncateSync(join(directory, "large"), 600 * 1_048_576);
  return directory;
}

for (const [path, message] of UNREADABLE) {
  test(`the key file ${path.slice(0, 20)} ${message}: a problem with its path`, (t) => {
    const directory = unreadable(t);
    for (const name of FILE_VARIABLES) {
      const { problems } = read({ [name]: path }, { directory });
      const shown = resolve(directory, path);
      assert.deepEqual(problems, [`${name} (environment): the file ${shown} ${message}`]);
    }
  });
}

test("a path with a NUL or a line end is a problem of one line", () => {
  for (const name of FILE_VARIABLES) {
    const { problems } = read({ [name]: "/a\0b\nc" });
    const expected = `${name} (environment): the file /a?b?c can't be read (ERR_INVALID_ARG_VALUE)`;
    assert.deepEqual(problems, [expected]);
  }
});

test("an empty path is a problem that says so", () => {
  for (const name of FILE_VARIABLES) {
    assert.match(problemOf({ [name]: "" }), /^\w+ \(environment\): is empty: /);
  }
});

/** Keys that somebody may take for the value of a variable that names a file. */
const KEYS_AS_PATHS: readonly string[] = [
  STRONG,
  "0123456789abcdef0123456789abcdef",
  "q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k=",
  "q83vASNFZ4mrze8/I0VniavN7wEjRWeJq83v+SNFZ4k=",
];

for (const key of KEYS_AS_PATHS) {
  test(`a key like ${key.slice(0, 16)}… in place of a path is not shown`, () => {
    for (const name of FILE_VARIABLES) {
      assert.match(problemOf({ [name]: key }), /looks like a key: set SERVICE_API_KEY/);
    }
  });
}

test("two files that can't be read are two problems", () => {
  const variables = { SERVICE_API_KEY_FILE: "missing", SERVICE_API_KEYS_FILE: "missing" };
  assert.equal(read(variables).problems.length, 2);
});

test("no usable key from any source is one problem, which names all three", (t) => {
  for (const variables of [
    {},
    keysFile(t),
    keysFile(t, "# none", "", ""),
    keysFile(t, lineOf("ci", STRONG, "expires=2027-01-15T12:00:00Z")),
  ]) {
    const problem = problemOf(variables);
    assert.match(problem, /^SERVICE_API_KEY: .*SERVICE_API_KEY_FILE.*SERVICE_API_KEYS_FILE/);
  }
});

test("no usable key is a problem with the path of .env and the command that makes one", () => {
  for (const [directory, envFile] of [
    ["/", "/.env"],
    ["/a b", "'/a b/.env'"],
  ] as const) {
    assert.equal(
      problemOf({}, { directory }),
      "SERVICE_API_KEY: no usable key is set, neither in the environment nor in " +
        `${join(directory, ".env")}: make one with (umask 077; ${KEYGEN} >> ${envFile}), ` +
        "or set SERVICE_API_KEY_FILE or SERVICE_API_KEYS_FILE",
    );
  }
});

test("a key that has expired, or will within 14 days, is a warning with its name", (t) => {
  const named = keysFile(
    t,
    lineOf("gone", "1", "expires=2027-01-15T11:59:59Z"),
    lineOf("soon", "2", "expires=2027-01-29T12:00:00Z"),
    lineOf("later", "3", "expires=2027-01-29T12:00:01Z"),
    lineOf("ever", "4"),
    lineOf("future", "5", "not_before=2028-01-01T00:00:00Z"),
  );
  const { warnings, problems } = read(named);
  assert.deepEqual(problems, []);
  const starts = warnings.map((warning) => warning.split(" ").slice(0, 3).join(" "));
  assert.deepEqual(starts, ["key gone expired", "key soon expires"]);
});

const OPEN_MODES: readonly (readonly [mode: number, verbs: string])[] = [
  [0o644, "read"],
  [0o440, "read"],
  [0o622, "written"],
  [0o666, "read and written"],
];

for (const [mode, verbs] of OPEN_MODES) {
  test(`key files of mode ${mode.toString(8)} are a warning each`, (t) => {
    const directory = tempDirectory(t, { key: STRONG, keys: lineOf("ci", OTHER) });
    for (const name of ["key", "keys"]) chmodSync(join(directory, name), mode);
    const variables = { SERVICE_API_KEY_FILE: "key", SERVICE_API_KEYS_FILE: "keys" };
    const { warnings, problems } = read(variables, { directory });
    const text = `can be ${verbs} by group or others: chmod 600 it`;
    assert.deepEqual(problems, []);
    assert.deepEqual(warnings, [
      `SERVICE_API_KEY_FILE (environment): the file ${directory}/key ${text}`,
      `SERVICE_API_KEYS_FILE (environment): the file ${directory}/keys ${text}`,
    ]);
  });
}

for (const mode of [0o600, 0o400, 0o611]) {
  test(`a key file of mode ${mode.toString(8)} is no warning`, (t) => {
    const variables = keyFile(t, STRONG);
    chmodSync(variables["SERVICE_API_KEY_FILE"] ?? "", mode);
    assert.deepEqual(read(variables).warnings, []);
  });
}

test("of a link, the mode of the file behind it counts, as in a mounted Kubernetes secret", (t) => {
  const directory = tempDirectory(t, { closed: STRONG });
  writeFileSync(join(directory, "open"), STRONG, { mode: 0o644 });
  symlinkSync("closed", join(directory, "closed-link"));
  symlinkSync("open", join(directory, "open-link"));
  const warnings = ["closed-link", "open-link"].map(
    (path) => read({ SERVICE_API_KEY_FILE: path }, { directory }).warnings.length,
  );
  assert.deepEqual(warnings, [0, 1]);
});

test("neither keys, problems nor warnings have the plaintext", () => {
  const variables = { SERVICE_API_KEY: "short-and-weak", SERVICE_API_KEYS_FILE: "missing" };
  const { keys, problems, warnings } = read(variables, { allowWeak: true });
  const hashes = keys.map((key) => Buffer.from(key.hash).toString("latin1"));
  const text = JSON.stringify([keys, hashes, problems, warnings]);
  assert.ok(!text.includes("short-and-weak"));
});
