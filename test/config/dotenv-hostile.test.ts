import assert from "node:assert/strict";
import { test } from "node:test";

import { pairsOf, problemsOf } from "../support/dotenv.ts";

/** Returns the pairs, or the lines of the problems. */
function outcome(input: string | Uint8Array): [string, string][] | number[] {
  const lines = problemsOf(input).map(({ line }) => line);
  return lines.length > 0 ? lines : pairsOf(input);
}

/** Pseudorandom whole numbers under `limit`, the same ones for the same seed (mulberry32). */
function randomFrom(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

// No CR: a file can't hold one, but for the escape.
const PIECES = [
  "a",
  "B",
  "_",
  "7",
  ".",
  "-",
  "é",
  "\u0301",
  "😀",
  "\u200b",
  "\ufeff",
  "\0",
  " ",
  "  ",
  "\t",
  "\u00a0",
  "\u2028",
  "\n",
  "#",
  " #",
  "=",
  "'",
  '"',
  "`",
  "\\",
  "\\n",
  "$",
  "${",
  "}",
  ":",
  ":-",
  "${A}",
  "${NO:-d}",
  "${NO}",
  "A=",
  "\nA=",
  "\nB='",
  "export ",
  "__proto__",
];

function randomText(random: (limit: number) => number, pieces: string[], most: number): string {
  return Array.from({ length: random(most) }, () => pieces[random(pieces.length)]).join("");
}

test("pairs written by the grammar are read back, in every style and with every line end", () => {
  const random = randomFrom(1);
  for (let round = 0; round < 2000; round += 1) {
    const expected = new Map<string, string>();
    let file = random(4) === 0 ? "\ufeff" : "";
    for (let count = random(6); count > 0; count -= 1) {
      const name = ["A", "B.c", "é-1", "__proto__", "it is"][random(5)] ?? "";
      const value = randomText(random, PIECES, 12).replaceAll("\0", "");
      expected.set(name, value);
      file += writePair(random, name, value) + ["", "\n \t", "\n# it's \"${NO}"][random(3)] + "\n";
    }
    const ended = file.replaceAll("\n", ["\n", "\r\n", "\r"][random(3)] ?? "");
    const read = new Map(pairsOf(ended));
    assert.deepEqual(read, expected, JSON.stringify(ended));
  }
});

function writePair(random: (limit: number) => number, name: string, value: string): string {
  const head =
    ["", "export ", "\t"][random(3)] +
    (name === "it is" ? `'${name}'` : name) +
    ["=", " = "][random(2)];
  const literal = value.replaceAll("${", "${:-$}{");
  if (random(3) === 0 && /^[^\s#'"](?:[^\n#]*[^\s\n#])?$/u.test(literal))
    return `${head}${literal} # c "`;
  if (random(2) === 0) return `${head}'${literal.replace(/[\\']/g, "\\$&")}'`;
  const escaped = literal.replace(/[\\"]/g, "\\$&");
  return `${head}"${escaped.replaceAll("\n", () => ["\n", "\\n"][random(2)] ?? "")}" #`;
}

test("any text is read the same with LF, CRLF and CR", () => {
  const random = randomFrom(2);
  for (let round = 0; round < 5000; round += 1) {
    const text = "A=" + randomText(random, PIECES, 20);
    assert.deepEqual(outcome(text.replaceAll("\n", "\r\n")), outcome(text), JSON.stringify(text));
    assert.deepEqual(outcome(text.replaceAll("\n", "\r")), outcome(text), JSON.stringify(text));
  }
});

test("lines before any text move its problems by as many lines and change nothing else", () => {
  const random = randomFrom(3);
  for (let round = 0; round < 5000; round += 1) {
    const text = "B=" + randomText(random, PIECES, 20);
    const moved = problemsOf(`\n# "\nZ="1\n2"\n${text}`).map(({ line, ...rest }) => ({
      line: line - 4,
      ...rest,
    }));
    assert.deepEqual(moved, problemsOf(text), JSON.stringify(text));
    if (moved.length === 0)
      assert.deepEqual(
        pairsOf(`Z=1\n${text}`),
        [["Z", "1"], ...pairsOf(text)],
        JSON.stringify(text),
      );
  }
});

test("any bytes give strings, or problems in the order of lines with 10 fixed texts", () => {
  const random = randomFrom(4);
  const messages = new Set<string>();
  let read = 0;
  for (let round = 0; round < 20_000; round += 1) {
    const bytes = Buffer.from(randomText(random, PIECES, 30));
    if (random(10) === 0) bytes[random(bytes.length + 1)] = 128 + random(128);
    const problems = problemsOf(bytes);
    if (problems.length === 0) read += 1;
    const lines = bytes.toString("latin1").split("\n").length;
    let last = 0;
    for (const { line, message } of problems) {
      assert.ok(
        Number.isInteger(line) && line > last && line <= lines,
        JSON.stringify(bytes.toString()),
      );
      last = line;
      messages.add(message);
    }
  }
  assert.ok(read > 500, `only ${read} without a problem`);
  assert.equal(messages.size, 10);
});

const SMALL = 1 << 12;
const HOSTILE: readonly (readonly [what: string, text: (size: number) => string])[] = [
  ["a long value", (n) => `A=${"x".repeat(n)}`],
  ["a long value in quotes", (n) => `A="${"x\n".repeat(n / 2)}"`],
  ["many lines", (n) => "A=1\n".repeat(n / 4)],
  [
    "many different names and references",
    (n) => Array.from({ length: n / 16 }, (_, i) => `A${i}=\${A${i - 1}:-1}`).join("\n"),
  ],
  ["blanks in a value", (n) => `A=x${" ".repeat(n)}y`],
  ["blanks after a value", (n) => `A=x${" ".repeat(n)}`],
  ["blanks before a comment", (n) => `A=x${" ".repeat(n)}#`],
  ["blanks before each #", (n) => `A=x${" y#".repeat(n / 3)}`],
  ["blanks round a name", (n) => ["", "export", "A", "=", ""].join(" ".repeat(n / 4))],
  ["blanks after a quote", (n) => `A="x"${" ".repeat(n)}y`],
  ["blank lines", (n) => "\n".repeat(n)],
  ["blank lines of CR", (n) => "\r".repeat(n)],
  ["number signs in a value", (n) => `A=x${"#".repeat(n)}`],
  ["an open quote and backslashes", (n) => `A="${"\\".repeat(n)}`],
  ["escapes", (n) => `A="${"\\n".repeat(n / 2)}"`],
  ["backslashes that escape nothing", (n) => `A='${"\\x".repeat(n / 2)}'`],
  ["a quote opened on every line", (n) => 'A="x\n'.repeat(n / 5)],
  ["a name's quote opened on every line", (n) => "'x\n".repeat(n / 3)],
  ["a quoted name that never closes", (n) => `'${"x".repeat(n)}`],
  ["many ${", (n) => `A=${"${".repeat(n / 2)}`],
  ["many ${ before a colon", (n) => `A=${"${".repeat(n / 2)}:x}`],
  ["many ${: before a brace", (n) => `A=${"${:".repeat(n / 3)}}`],
  ["many ${:- without a brace", (n) => `A=${"${:-".repeat(n / 4)}`],
  ["many references and no colon", (n) => `A=1\nB=${"${A}".repeat(n / 4)}`],
  ["a problem on every line", (n) => "a\n".repeat(n / 2)],
  ["a long name", (n) => `${"a".repeat(n)}=1`],
  ["a long bad name", (n) => `${"a".repeat(n)}!=1`],
  ["many =", (n) => "=".repeat(n)],
  ["NUL characters", (n) => "\0".repeat(n)],
];

/** Measures the CPU time of reading `bytes` `times` times, in µs. */
function cpuOf(bytes: Uint8Array, times: number): number {
  const start = process.cpuUsage();
  for (let i = 0; i < times; i++) problemsOf(bytes);
  const { user, system } = process.cpuUsage(start);
  return user + system;
}

/**
 * Compares one large file with the same amount in 16 small ones, in turns. In quadratic time, the
 * large one would take 16 times as long.
 */
function assertLinear(small: Uint8Array, large: Uint8Array): void {
  let least = Infinity;
  let most = Infinity;
  for (let round = 0; round < 12; round++) {
    least = Math.min(least, cpuOf(small, 16));
    most = Math.min(most, cpuOf(large, 1));
    // With a clock of 4 ms a tick, shorter times say little.
    if (most <= 8 * Math.max(least, 4000)) return;
  }
  assert.fail(`one file took ${most} µs, as much in 16 files ${least} µs`);
}

for (const [what, text] of HOSTILE) {
  test(`reading time grows linearly with ${what}`, () => {
    assertLinear(Buffer.from(text(SMALL)), Buffer.from(text(SMALL * 16)));
  });
}

test("reading time grows linearly with the lines before a bad byte", () => {
  const bytes = (size: number): Uint8Array => Buffer.from(`${"\n".repeat(size)}\xff`, "latin1");
  assertLinear(bytes(SMALL * 8), bytes(SMALL * 128));
});

test("a value of a megabyte does not overflow the stack", () => {
  const size = 1 << 20;
  const long = "x".repeat(size);
  assert.deepEqual(pairsOf(`A=${long}\nB='${long}'`), [
    ["A", long],
    ["B", long],
  ]);
  assert.deepEqual(pairsOf(`A="${"\\\\".repeat(size)}"`), [["A", "\\".repeat(size)]]);
  assert.deepEqual(pairsOf(`A=\${${long}:-${long}}`), [["A", long]]);
});

/** A file whose value A<count> has 2 to the power of `count` characters. */
function doubling(count: number): string {
  const pairs = ["A0=x"];
  for (let i = 1; i <= count; i += 1) pairs.push(`A${i}=\${A${i - 1}}\${A${i - 1}}`);
  return pairs.join("\n");
}

const GROWN_VALUE = /^the value grows past 1 MiB by its references/;
const GROWN_FILE = /^the values of this file grow by more than 16 MiB/;

test("a value may grow to 1 MiB by references", () => {
  const values = new Map(pairsOf(doubling(20)));
  assert.equal(values.get("A20"), "x".repeat(1 << 20));
});

test("a value that grows past 1 MiB by references is a problem of its line", () => {
  const [problem, ...more] = problemsOf(doubling(21));
  assert.deepEqual([problem?.line, problem?.name, more], [22, "A21", []]);
  assert.match(problem?.message ?? "", GROWN_VALUE);
  assert.match(problemsOf(`${doubling(20)}\nB=\${A20}x`)[0]?.message ?? "", GROWN_VALUE);
  assert.match(problemsOf("B=${E}${E}", { E: "e".repeat(600_000) })[0]?.message ?? "", GROWN_VALUE);
});

test("the length of a reference itself does not count for the limit", () => {
  const text = `${doubling(20)}\nB=\${A20}\${LONG_NAME_OF_NOTHING:-}\n`;
  assert.equal(new Map(pairsOf(text)).get("B")?.length, 1 << 20);
});

test("a value that does not grow may be longer than 1 MiB", () => {
  const long = "x".repeat(1 << 20);
  const values = new Map(pairsOf(`B=${long}\${:-$}\${LAB_ENV_VAR}`, { LAB_ENV_VAR: "short" }));
  assert.equal(values.get("B"), `${long}$short`);
  // "${E}" has 4 characters.
  assert.equal(new Map(pairsOf(`B=${long}\${E}`, { E: "same" })).get("B"), `${long}same`);
  const [problem] = problemsOf(`B=${long}\${E}`, { E: "grown" });
  assert.match(problem?.message ?? "", GROWN_VALUE);
});

test("values may be 16 MiB longer than their pairs in all, and not a character more", () => {
  const MIB = "x".repeat(1 << 20);
  const pairs = "A=${MIB}\n".repeat(16);
  const left = 16 * "A=${MIB}".length;
  // A pair that is longer than its value is no reason for others to grow more.
  const text = `${pairs}C=1\nB=\${REST}`;
  const own = "B=${REST}".length;
  assert.deepEqual(problemsOf(text, { MIB, REST: "x".repeat(own + left) }), []);
  const [problem, ...more] = problemsOf(text, { MIB, REST: "x".repeat(own + left + 1) });
  assert.deepEqual([problem?.line, problem?.name, more], [18, "B", []]);
  assert.match(problem?.message ?? "", GROWN_FILE);
});

test("many references to a long value take neither memory nor time", () => {
  const before = process.memoryUsage().rss;
  const start = process.cpuUsage();
  const text = `${doubling(20)}\n` + "B=${A20}${A20}${A20}${A20}\nC=${A20}\n".repeat(20_000);
  assert.ok(problemsOf(text).length > 1000);
  const { user, system } = process.cpuUsage(start);
  assert.ok(process.memoryUsage().rss - before < 200 * 1_048_576);
  assert.ok(user + system < 5_000_000, `${user + system} µs`);
});

test("the 10,001st problem says that there are more, and is the last", () => {
  assert.equal(problemsOf("a\n".repeat(10_000)).length, 10_000);
  for (const count of [10_001, 300_000]) {
    const problems = problemsOf("a\n".repeat(count));
    assert.equal(problems.length, 10_001);
    assert.equal(problems.at(-1)?.line, 10_001);
    assert.match(problems.at(-1)?.message ?? "", /^there are more than 10000 problems/);
  }
});
