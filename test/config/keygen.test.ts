import assert from "node:assert/strict";
import { test } from "node:test";

import { formatKeyTable, keygen } from "../../src/config/keygen.ts";
import { type KeySet, keySetOf, keyState } from "../../src/auth/keys.ts";
import { weaknessOf } from "../../src/config/plaintext-key.ts";
import { parseKeysFile } from "../../src/config/keys-file.ts";
import { parseDotenv } from "../../src/config/dotenv.ts";
import { verifyKey } from "../support/verify-key.ts";

const NOW = Date.parse("2027-01-15T12:00:00.999Z");
const DAY = 86_400_000;
const ENV_LINE = /^SERVICE_API_KEY=(svk_[A-Za-z0-9_-]{43})\n$/;

/** The set of a keys file without problems. */
function parsed(text: string): KeySet {
  const { keys, problems } = parseKeysFile(Buffer.from(text));
  assert.deepEqual(problems, []);
  return keys;
}

test("keygen without arguments prints one line for .env with a fresh, strong key", () => {
  const seen = new Set<string>();
  for (let round = 0; round < 100; round += 1) {
    const { stdout, stderr, exitCode } = keygen([], NOW);
    const key = ENV_LINE.exec(stdout)?.[1] ?? "";
    assert.deepEqual([stderr, exitCode, weaknessOf(key)], ["", 0, undefined]);
    seen.add(key);
  }
  assert.equal(seen.size, 100);
});

test("keygen with a name has the line for the keys file on stdout, and the key on stderr", () => {
  for (const name of ["ci", "0", "a-b_c", "a".repeat(32)]) {
    const { stdout, stderr, exitCode } = keygen([name], NOW);
    const keys = stderr.match(/\bsvk_[A-Za-z0-9_-]{43}(?=\n)/g) ?? [];
    assert.deepEqual([keys.length, exitCode], [1, 0]);
    assert.match(stdout, /^[a-z0-9_-]+ sha256:[0-9a-f]{64}\n$/);
    const file = parseKeysFile(Buffer.from(`# keys\n${stdout}`));
    assert.deepEqual(file.problems, []);
    assert.deepEqual(verifyKey(file.keys, keys[0] ?? "", NOW), { name });
    assert.ok(!stdout.includes("svk_"));
  }
});

test("--days sets the expiry, counted from now and cut to whole seconds", () => {
  const rows: readonly (readonly [args: string[], date: string])[] = [
    [["ci", "--days", "1"], "2027-01-16T12:00:00Z"],
    [["ci", "--days=90"], "2027-04-15T12:00:00Z"],
    [["--days", "3650", "ci"], "2037-01-12T12:00:00Z"],
    [["--days=1", "--", "ci"], "2027-01-16T12:00:00Z"],
  ];
  for (const [args, date] of rows) {
    const { stdout, exitCode } = keygen(args, NOW);
    assert.equal(exitCode, 0);
    assert.match(stdout, new RegExp(`^ci sha256:[0-9a-f]{64} expires=${date}\n$`));
    const [key] = parseKeysFile(Buffer.from(stdout)).keys;
    assert.ok(
      key && keyState(key, NOW) === "active" && keyState(key, Date.parse(date)) === "expired",
    );
  }
});

test("a key made for 90 days has 90 days left at first, and still a second later", () => {
  const { stdout } = keygen(["ci", "--days", "90"], NOW);
  for (const now of [NOW, NOW + 1000]) {
    assert.match(formatKeyTable(parsed(stdout), now), /^ci .* 90$/m);
  }
});

/** What a file may hold before a line is appended, and how many lines it has. */
const APPENDED_TO: readonly (readonly [what: string, content: string])[] = [
  ["no line end", "A=1"],
  ["a line end", "A=1\n"],
  ["a comment without a line end", "A=1\n# comment"],
];

for (const [what, content] of APPENDED_TO) {
  test(`a key appended to a .env that ends in ${what} is a pair of its own`, () => {
    const { stdout } = keygen([], NOW, true);
    const pairs = [...parseDotenv(Buffer.from(content + stdout)).keys()];
    assert.deepEqual(pairs, ["A", "SERVICE_API_KEY"]);
  });
}

test("a line appended to a keys file without a last line end is a line of its own", () => {
  const first = keygen(["ci"], NOW).stdout.trimEnd();
  const { stdout } = keygen(["backup", "--days", "9"], NOW, true);
  const names = parsed(first + stdout).map(({ name }) => name);
  assert.deepEqual(names, ["ci", "backup"]);
});

test("a usage line has nothing on stdout, even if that is appended to a file", () => {
  assert.equal(keygen(["--help"], NOW, true).stdout, "");
});

const MISUSES: readonly string[][] = [
  [""],
  ["-"],
  ["--"],
  ["CI"],
  ["a b"],
  ["-a"],
  ["_a"],
  ["é"],
  ["a\n"],
  ["a.b"],
  ["a".repeat(33)],
  ["__proto__"],
  [`ci sha256:${"0".repeat(64)}`],
  ["ci", "backup"],
  ["ci", ""],
  ["ci", "90"],
  ["--days"],
  ["--days", "90"],
  ["--days=90"],
  ["ci", "--days"],
  ["ci", "--days="],
  ["ci", "--days", ""],
  ["ci", "--days", "0"],
  ["ci", "--days", "-1"],
  ["ci", "--days=-1"],
  ["ci", "--days", "3651"],
  ["ci", "--days", "99999"],
  ["ci", "--days", "1.5"],
  ["ci", "--days", "1e2"],
  ["ci", "--days", "0x10"],
  ["ci", "--days", "09"],
  ["ci", "--days", " 9"],
  ["ci", "--days", "9\n"],
  ["ci", "--days", "+9"],
  ["ci", "--days", "ten"],
  ["ci", "--days", "Infinity"],
  ["ci", "--days", "NaN"],
  ["ci", "--days", "٩"],
  ["ci", "--day", "9"],
  ["ci", "--Days", "9"],
  ["ci", "-d", "9"],
  ["ci", "--no-days"],
  ["ci", "--force"],
  ["ci", "--help"],
  ["--help"],
  ["-h"],
  ["--version"],
  ["ci", "--days", "9", "x"],
  ["ci", "--", "--days", "9"],
];

for (const args of MISUSES) {
  test(`keygen ${JSON.stringify(args)} prints one usage line, no key, and exits with 64`, () => {
    const { stdout, stderr, exitCode } = keygen(args, NOW);
    assert.deepEqual([stdout, exitCode], ["", 64]);
    assert.match(stderr, /^usage: node \/[^\n]+ keygen \[NAME \[--days N\]\], [^\n]+\n$/);
    assert.ok(!stderr.includes("svk_"));
  });
}

test("the table has name, start of the hash, state and days left of each key", () => {
  const text = [
    `ci sha256:${"0123456789abcdef".repeat(4)} expires=2027-01-31T00:00:00Z`,
    `ci sha256:${"1".repeat(64)} not_before=2027-01-16T00:00:00Z`,
    `${"b".repeat(32)} sha256:${"2".repeat(64)} expires=2027-01-15T12:00:00Z`,
  ].join("\n");
  const set = [...keySetOf({ default: "k" }), ...parsed(text)];
  assert.deepEqual(formatKeyTable(set, NOW).split("\n"), [
    "NAME                              HASH      STATE          DAYS LEFT",
    "default                           8254c329  active         never expires",
    "ci                                01234567  active         16",
    "ci                                11111111  not yet valid  never expires",
    `${"b".repeat(32)}  22222222  expired        0`,
    "",
  ]);
});

test("the table of no keys is its header", () => {
  assert.equal(formatKeyTable([], NOW).split("\n").length, 2);
});

/** The column of days left in the table of a key that expires at EXPIRES. */
function daysLeft(now: number): string | undefined {
  const keys = parsed(`ci sha256:${"1".repeat(64)} expires=2027-01-31T00:00:00Z`);
  return formatKeyTable(keys, now).split("\n")[1]?.slice(59);
}

const EXPIRES = Date.parse("2027-01-31T00:00:00Z");

/** Days left, by the time in ms before the key expires. */
const DAYS_LEFT: readonly (readonly [before: number, days: string])[] = [
  [400.5 * DAY, "401"],
  [2 * DAY, "2"],
  [DAY + 1, "2"],
  [DAY, "1"],
  [DAY - 1, "1"],
  [1, "1"],
  [0, "0"],
  [-1, "0"],
  [-DAY, "0"],
];

for (const [before, days] of DAYS_LEFT) {
  test(`${before} ms before it expires, a key has ${days} days left`, () => {
    assert.equal(daysLeft(EXPIRES - before), days);
  });
}
