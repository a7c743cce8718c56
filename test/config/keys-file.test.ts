import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { test } from "node:test";

import { type KeySet, keySetOf } from "../../src/auth/keys.ts";
import { formatDate } from "../../src/config/expiry.ts";
import { KEYGEN } from "../../src/keygen-command.ts";
import { KEY_NAME, type KeysFile, parseKeysFile } from "../../src/config/keys-file.ts";
import { verifyKey } from "../support/verify-key.ts";

const NOW = Date.parse("2027-01-15T12:00:00Z");
const KEY = "svk_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_abcde";
const OTHER = `${KEY}2`;

const sha256 = (key: string): string => `sha256:${hash("sha256", key)}`;

const HASH = sha256(KEY);
const LINE = `ci ${HASH}`;
const DATE = "2027-01-31T00:00:00Z";

const parse = (text: string): KeysFile => parseKeysFile(Buffer.from(text));

/** Reads a keys file without problems. */
function parsed(text: string): KeySet {
  const { keys, problems } = parse(text);
  assert.deepEqual(problems, []);
  return keys;
}

/** The lines of a file's problems. If there are any, it must have no keys. */
function problemLines({ keys, problems }: KeysFile): number[] {
  if (problems.length > 0) assert.deepEqual(keys, []);
  return problems.map(({ line }) => line);
}

for (const [what, end] of [
  ["LF", "\n"],
  ["CRLF", "\r\n"],
  ["CR", "\r"],
] as const) {
  test(`a file with ${what} may have comments, blanks, a BOM, and options in any order`, () => {
    const capitals = `sha256:${hash("sha256", OTHER).toUpperCase()}`;
    const lines = [
      "\ufeff# keys of the service – naïve café",
      "",
      " \t ",
      `${LINE} expires=2027-01-31T00:00:00Z`,
      `\tci \t ${capitals}\tnot_before=2027-01-01T00:00:00Z  `,
      `backup ${sha256("3")} # not_before=x`,
      `x ${sha256("4")}\t#expires`,
      `lone ${sha256("5")} #`,
      "#",
      `  # y ${sha256("6")}`,
      `2_-z ${sha256("7")} expires=2028-02-29T23:59:59Z not_before=0001-01-01T00:00:00Z`,
    ];
    for (const last of ["", end]) {
      const keys = parsed(lines.join(end) + last);
      const dates = keys.map(({ name, notBefore, expires }) => [
        name,
        notBefore === -Infinity ? "" : formatDate(notBefore),
        expires === Infinity ? "" : formatDate(expires),
      ]);
      assert.deepEqual(dates, [
        ["ci", "", "2027-01-31T00:00:00Z"],
        ["ci", "2027-01-01T00:00:00Z", ""],
        ["backup", "", ""],
        ["x", "", ""],
        ["lone", "", ""],
        ["2_-z", "0001-01-01T00:00:00Z", "2028-02-29T23:59:59Z"],
      ]);
      assert.deepEqual(verifyKey(keys, OTHER, NOW), { name: "ci" });
    }
  });
}

test("a file without an entry has no keys and no problems", () => {
  for (const text of ["", "\n", "\ufeff", "#", "# nothing", "\r\n\r\n", ` # ${LINE}`]) {
    assert.deepEqual(parse(text), { keys: [], problems: [] });
  }
});

const SECRET = "Plain-Text_Secret+Key/0123456789";

const BAD_NAMES: readonly string[] = [
  SECRET,
  `SERVICE_API_KEY=${SECRET}`,
  `${SECRET} ${HASH}`,
  `${HASH} ci`,
  `CI ${HASH}`,
  `-ci ${HASH}`,
  `_ci ${HASH}`,
  `c.i ${HASH}`,
  `c#i ${HASH}`,
  `café ${HASH}`,
  `\u00a0ci ${HASH}`,
  `\u200bci ${HASH}`,
  `\ufeffci ${HASH}`,
  `\vci ${HASH}`,
  `ci\0 ${HASH}`,
  `${"a".repeat(33)} ${HASH}`,
  `ci,${HASH}`,
  `ci\u00a0${HASH}`,
  `ci: ${HASH}`,
];

const BAD_HASHES: readonly string[] = [
  "ci",
  `ci ${SECRET}`,
  `ci ${HASH.slice(0, -1)}`,
  `ci ${HASH}0`,
  `ci ${HASH.slice(0, -1)}g`,
  `ci ${HASH.slice(0, -1)}G`,
  `ci ${HASH.slice(0, -1)}/`,
  `ci ${HASH.slice(0, -1)}:`,
  `ci ${HASH.slice(0, -1)}@`,
  `ci ${HASH.slice(0, -1)}\``,
  `ci x${HASH}`,
  `ci ${HASH}#`,
  `ci ${HASH},`,
  `ci ${HASH}\0`,
  `ci ${HASH}\u2028`,
  `ci ${HASH.slice(7)}`,
  `ci SHA256:${HASH.slice(7)}`,
  `ci sha-256:${HASH.slice(7)}`,
  `ci sha256: ${HASH.slice(7)}`,
  `ci sha256=${HASH.slice(7)}`,
  `ci sha512:${hash("sha512", KEY)}`,
  `ci "${HASH}"`,
  `ci expires=${DATE} ${HASH}`,
  `ci # ${HASH}`,
];

const UNKNOWN_OPTIONS: readonly string[] = [
  HASH,
  SECRET,
  "expires",
  `Expires=${DATE}`,
  `expire=${DATE}`,
  `not-before=${DATE}`,
  `notbefore=${DATE}`,
  `=${DATE}`,
  `__proto__=${DATE}`,
  `xexpires=${DATE}`,
  `expires2027-01-31T00:00:00Z`,
  `expires = ${DATE}`,
  "scope=admin",
  "// comment",
];

const BAD_DATES: readonly string[] = [
  "",
  "never",
  "2027-01-31",
  "2027-01-31T00:00:00",
  "2027-01-31T00:00Z",
  "2027-01-31T00:00:00.000Z",
  "2027-01-31T00:00:00+00:00",
  "2027-01-31T01:00:00+01:00",
  "2027-01-31t00:00:00Z",
  "2027-01-31T00:00:00z",
  "2027-01-31_00:00:00Z",
  "2027-02-29T00:00:00Z",
  "2027-02-30T00:00:00Z",
  "2027-04-31T00:00:00Z",
  "2100-02-29T00:00:00Z",
  "2027-00-01T00:00:00Z",
  "2027-13-01T00:00:00Z",
  "2027-01-00T00:00:00Z",
  "2027-01-32T00:00:00Z",
  "2027-01-31T24:00:00Z",
  "2027-01-31T23:60:00Z",
  "2027-01-31T23:59:60Z",
  "+002027-01-31T00:00:00Z",
  "-000001-01-31T00:00:00Z",
  "27-01-31T00:00:00Z",
  "20270131T000000Z",
  "1801353600",
  "=2027-01-31T00:00:00Z",
  '"2027-01-31T00:00:00Z"',
  "2027-01-31T00:00:00Z,",
  "2027-01-31T00:00:00Z#",
  "+012027-01-31T00:00Z",
  "+012027-01-31T00:00:00Z",
  "2027-01-31T00:00:00Z=",
  "２０２７-01-31T00:00:00Z",
  "31.01.2027",
  "Sun,31Jan2027",
];

/** Lines that are problems, by the message that they must get. */
const BAD_LINES: readonly (readonly [message: string, lines: readonly string[]])[] = [
  ["bad name: 1 to 32 of a-z, 0-9, _ and -, the first a letter or a digit", BAD_NAMES],
  [`no sha256: with 64 hex digits after the name: make a line with ${KEYGEN} NAME`, BAD_HASHES],
  [
    "unknown option: only expires=, not_before=, rate=, in_flight= are known",
    UNKNOWN_OPTIONS.map((option) => `${LINE} ${option}`),
  ],
  [
    "an option given twice: keep one",
    [
      `${LINE} expires=${DATE} expires=${DATE}`,
      `${LINE} not_before=2027-01-01T00:00:00Z not_before=2027-01-02T00:00:00Z`,
    ],
  ],
  [
    "bad date: write a real one, in UTC, like 2027-01-31T00:00:00Z",
    BAD_DATES.flatMap((date) => [`${LINE} expires=${date}`, `${LINE} not_before=${date}`]),
  ],
  [
    "never valid: not_before must be earlier than expires",
    [
      `${LINE} expires=${DATE} not_before=${DATE}`,
      `${LINE} not_before=2027-02-01T00:00:00Z expires=${DATE}`,
    ],
  ],
];

for (const [message, lines] of BAD_LINES) {
  test(`a file with a bad line has the problem "${message}" and no keys`, () => {
    for (const bad of lines) {
      const text = `# one\nok ${sha256("ok")}\r\n${bad}\rlast ${sha256("last")}\n`;
      assert.deepEqual(parse(text), { keys: [], problems: [{ line: 3, message }] }, bad);
    }
  });
}

test("the hash of the placeholder of .env.example is a problem, in either case", () => {
  const hex = hash("sha256", "change-me-run-npm-run-keygen");
  for (const digest of [hex, hex.toUpperCase()]) {
    const { keys, problems } = parse(`ok ${sha256("ok")}\nci sha256:${digest}\n`);
    const message = `the hash of the placeholder of .env.example: make a line with ${KEYGEN} NAME`;
    assert.deepEqual([keys, problems], [[], [{ line: 2, message }]]);
  }
});

test("a hash given twice is a problem of the second line, whatever else differs", () => {
  const capitals = `sha256:${hash("sha256", KEY).toUpperCase()}`;
  for (const again of [LINE, `backup ${HASH}`, `ci ${capitals}`, `${LINE} expires=${DATE}`]) {
    const file = parse(`${LINE}\n\n${again}`);
    assert.deepEqual(problemLines(file), [3]);
    assert.match(file.problems[0]?.message ?? "", /^a key given twice/);
  }
});

test("a hash that another source has given is a problem", () => {
  const bytes = Buffer.from(`backup ${sha256(OTHER)}\n${LINE}`);
  assert.equal(parseKeysFile(bytes, keySetOf({ default: "other" })).keys.length, 2);
  assert.deepEqual(problemLines(parseKeysFile(bytes, keySetOf({ default: KEY }))), [2]);
});

test("all bad lines are reported at once, in order", () => {
  const lines = ["CI x", LINE, "ci", LINE, `ci ${sha256("2")} expires=tomorrow`, "# x", "?"];
  const { problems } = parse(lines.join("\n"));
  assert.deepEqual(
    problems.map(({ line, message }) => [line, message.split(":")[0]]),
    [
      [1, "bad name"],
      [3, "no sha256"],
      [4, "a key given twice"],
      [5, "bad date"],
      [7, "bad name"],
    ],
  );
});

test("64 entries are accepted; the 65th is a problem, and the last one reported", () => {
  const entries = Array.from({ length: 200 }, (_, index) => `k${index} ${sha256(String(index))}`);
  assert.equal(parsed(`# comment\n${entries.slice(0, 64).join("\n\n")}\n# comment\n`).length, 64);
  for (const count of [65, 66, 200]) {
    const file = parse(entries.slice(0, count).join("\n"));
    assert.deepEqual(problemLines(file), [65]);
    assert.match(file.problems[0]?.message ?? "", /^more than 64 entries/);
  }
  assert.equal(parse("?\n".repeat(100_000)).problems.length, 65);
});

const BAD_BYTES: readonly (readonly number[])[] = [
  [0xff],
  [0x80],
  [0xe9],
  [0x23, 0xe9],
  [0xc3],
  [0xc0, 0x80],
  [0xed, 0xa0, 0x80],
  [0xf4, 0x90, 0x80, 0x80],
];

test("a byte that is not UTF-8 is a problem at its line", () => {
  for (const bytes of BAD_BYTES) {
    const before = Buffer.from(`# one\n${LINE}\n`);
    const file = Buffer.concat([before, Buffer.from(bytes), Buffer.from(`\n${LINE}\n`)]);
    const problems = [{ line: 3, message: "not UTF-8: save it as UTF-8" }];
    assert.deepEqual(parseKeysFile(file), { keys: [], problems });
  }
});

test("a file in UTF-16 has problems and no keys", () => {
  for (const text of [LINE, `\ufeff${LINE}`, `# comment\n${LINE}\n`]) {
    assert.notDeepEqual(problemLines(parseKeysFile(Buffer.from(text, "utf16le"))), []);
  }
});

test("a file of 100,000 lines is read to the last one", () => {
  assert.equal(parsed(`${"# comment\n".repeat(99_999)}${LINE}`).length, 1);
  assert.deepEqual(problemLines(parse(`${"\n".repeat(99_999)}?`)), [100_000]);
});

test("the first character of a name is a to z or 0 to 9, and others may be _ or -, too", () => {
  const first = "abcdefghijklmnopqrstuvwxyz0123456789";
  const others = `${first}_-`;
  for (let code = 0; code <= 0xff; code += 1) {
    const character = String.fromCharCode(code);
    assert.equal(KEY_NAME.test(character), first.includes(character), character);
    assert.equal(KEY_NAME.test(`a${character}`), others.includes(character), character);
  }
});

test("a name has 1 to 32 characters", () => {
  const lengths = [0, 1, 32, 33].map((length) => KEY_NAME.test("a".repeat(length)));
  assert.deepEqual(lengths, [false, true, true, false]);
});

const HOSTILE: readonly (readonly [what: string, make: (size: number) => string])[] = [
  ["a long name", (size) => "a".repeat(size)],
  ["a long hash", (size) => `ci sha256:${"a".repeat(size)}`],
  ["a long date", (size) => `${LINE} expires=${"2".repeat(size)}`],
  ["many options", (size) => `${LINE} ${`expires=${DATE} `.repeat(size / 29)}`],
  ["many words", (size) => "a ".repeat(size / 2)],
  ["many blanks before a name", (size) => `${" ".repeat(size)}${LINE}`],
  ["many blanks after a hash", (size) => `${LINE}${" \t".repeat(size / 2)}x`],
  ["many number signs", (size) => `x${"#".repeat(size)}`],
  ["a long comment", (size) => `# ${"é#".repeat(size / 3)}`],
  ["many comments", (size) => "# a\n".repeat(size / 4)],
  ["many line ends", (size) => "\r\n\r".repeat(size / 3)],
  ["many bad lines", (size) => "?\n".repeat(size / 2)],
  ["many good lines", (size) => `${LINE}\n`.repeat(size / 75)],
];

/** Measures the CPU time of reading a file, in µs: the best of three. */
function cost(text: string): number {
  const bytes = Buffer.from(text);
  const rounds = Array.from({ length: 3 }, () => {
    const start = process.cpuUsage();
    parseKeysFile(bytes);
    const { user, system } = process.cpuUsage(start);
    return user + system;
  });
  return Math.min(...rounds);
}

for (const [what, make] of HOSTILE) {
  // A linear parser takes twice as long for twice the size, a quadratic one four times.
  test(`reading time grows linearly with ${what}`, () => {
    const half = cost(make(1 << 19));
    const whole = cost(make(1 << 20));
    assert.ok(whole <= 6 * half + 5000, `${half} µs for 512 KiB, ${whole} µs for 1 MiB`);
  });
}
