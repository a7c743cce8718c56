import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { test } from "node:test";
import { deserialize, serialize } from "node:v8";
import { formatDate, keySetOf, keyState, keyWarnings, parseKeysFile } from "../../src/auth/keys.ts";
import {
  KEY_NAME,
  PLACEHOLDER_KEY,
  plainKeyFault,
  verifyKey,
  weaknessOf,
} from "../../src/auth/keys.ts";
import type { Key, KeySet } from "../../src/auth/keys.ts";

const NOW = Date.parse("2027-01-15T12:00:00Z");
const DAY = 86_400_000;
const KEY = "svk_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_abcde";
const OTHER = `${KEY}2`;
const sha256 = (key: string): string => `sha256:${hash("sha256", key)}`;
const parse = (text: string): ReturnType<typeof parseKeysFile> => parseKeysFile(Buffer.from(text));
const line = `ci ${sha256(KEY)}`;

function parsed(text: string): KeySet {
  const { keys, faults } = parse(text);
  assert.deepEqual(faults, []);
  return keys;
}

function first(set: KeySet): Key {
  assert.ok(set[0]);
  return set[0];
}

test("a key is known by its name, wherever it stands in the set", () => {
  const plain = { first: KEY, second: OTHER, third: "k" };
  for (const names of [
    ["first", "second", "third"],
    ["third", "second", "first"],
    ["second", "third", "first"],
  ]) {
    const set = names.flatMap((name) => keySetOf({ [name]: plain[name as keyof typeof plain] }));
    for (const [name, key] of Object.entries(plain))
      assert.deepEqual(verifyKey(set, key, NOW), { name });
  }
});

test("a key with commas, quotes and other punctuation is a key like any other", () => {
  const key = String.raw`a,b;"c"\'${"`"}!~#=`;
  assert.deepEqual(verifyKey(keySetOf({ default: key }), key, NOW), { name: "default" });
});

const denials: [string, string, string][] = [
  ["nothing", "", "missing"],
  ["a blank", " ", "malformed"],
  ["the key with a blank before it", ` ${KEY}`, "malformed"],
  ["the key with a blank after it", `${KEY} `, "malformed"],
  ["the key with a tab after it", `${KEY}\t`, "malformed"],
  ["the key with a line feed after it", `${KEY}\n`, "malformed"],
  ["the key with a NUL after it", `${KEY}\0`, "malformed"],
  ["the key with a DEL after it", `${KEY}\x7f`, "malformed"],
  ["two keys in one field", `${KEY}, ${KEY}`, "malformed"],
  ["a Latin-1 letter", "caf\xe9", "malformed"],
  ["the key in UTF-8 quotes", `\xe2\x80\x9c${KEY}\xe2\x80\x9d`, "malformed"],
  ["more than 256 bytes", "k".repeat(257), "malformed"],
  ["16 KiB", "k".repeat(16_384), "malformed"],
  ["one character", "s", "unknown"],
  ["256 bytes", "k".repeat(256), "unknown"],
  ["the key without its first character", KEY.slice(1), "unknown"],
  ["the key without its last character", KEY.slice(0, -1), "unknown"],
  ["the key with another first character", `x${KEY.slice(1)}`, "unknown"],
  ["the key with another last character", `${KEY.slice(0, -1)}x`, "unknown"],
  ["the key and one character more", `${KEY}x`, "unknown"],
  ["the key twice", KEY + KEY, "unknown"],
  ["the key in capitals", KEY.toUpperCase(), "unknown"],
  ["two keys without a blank", `${KEY},${KEY}`, "unknown"],
  ["the name of a key", "ci", "unknown"],
  ["the hash of a key", sha256(KEY), "unknown"],
  ["the hex digits of the hash", hash("sha256", KEY), "unknown"],
  ["a property every object has", "__proto__", "unknown"],
  ["the word undefined", "undefined", "unknown"],
  ["a key past its last instant", "expired-key", "expired"],
  ["a key before its first instant", "future-key", "not_yet_valid"],
];

for (const [what, presented, denied] of denials) {
  test(`${what} is denied as ${denied}`, () => {
    const set = [
      ...keySetOf({ ci: KEY }),
      ...parsed(`old ${sha256("expired-key")} expires=2027-01-15T12:00:00Z`),
      ...parsed(`new ${sha256("future-key")} not_before=2027-01-15T12:00:01Z`),
    ];
    for (const keys of [set, set.toReversed()])
      assert.deepEqual(verifyKey(keys, presented, NOW), { denied });
  });
}

test("an empty set denies everything", () => {
  assert.deepEqual(verifyKey([], "", NOW), { denied: "missing" });
  assert.deepEqual(verifyKey([], KEY, NOW), { denied: "unknown" });
});

test("a value that isn't visible ASCII is malformed even if the set has its hash", () => {
  for (const key of ["", " ", "caf\xe9", "k".repeat(257), `${KEY}\n`]) {
    const denied = key === "" ? "missing" : "malformed";
    assert.deepEqual(verifyKey(keySetOf({ default: key }), key, NOW), { denied });
    assert.deepEqual(verifyKey(parsed(`ci ${sha256(key)}`), key, NOW), { denied });
  }
});

test("every key of a set is compared, the last of 64 like the first", () => {
  const plain = Object.fromEntries(
    Array.from({ length: 64 }, (_, index) => [`k${index}`, `${KEY}${index}`]),
  );
  const set = keySetOf(plain);
  for (const [name, key] of Object.entries(plain))
    assert.deepEqual(verifyKey(set, key, NOW), { name });
  let reads = 0;
  const counted = set.map((key) => ({
    ...key,
    get hash() {
      reads += 1;
      return key.hash;
    },
  }));
  for (const presented of ["", " ", "caf\xe9", "unknown", `${KEY}0`, `${KEY}31`, `${KEY}63`]) {
    reads = 0;
    verifyKey(counted, presented, NOW);
    assert.equal(reads, 64);
  }
});

test("a key is valid from not_before on, until just before expires", () => {
  const set = parsed(
    `ci ${sha256(KEY)} expires=2027-02-01T00:00:00Z not_before=2027-01-01T00:00:00Z`,
  );
  const from = Date.parse("2027-01-01T00:00:00Z");
  const until = Date.parse("2027-02-01T00:00:00Z");
  const rows: [number, string, object][] = [
    [-Infinity, "not_yet_valid", { denied: "not_yet_valid" }],
    [from - 1, "not_yet_valid", { denied: "not_yet_valid" }],
    [from, "active", { name: "ci" }],
    [until - 1, "active", { name: "ci" }],
    [until, "expired", { denied: "expired" }],
    [Infinity, "expired", { denied: "expired" }],
  ];
  for (const [now, state, result] of rows) {
    assert.equal(keyState(first(set), now), state);
    assert.deepEqual(verifyKey(set, KEY, now), result);
  }
});

test("a key without dates is always active and never expires", () => {
  const key = first(keySetOf({ default: KEY }));
  for (const now of [-8.64e15, 0, NOW, 8.64e15]) assert.equal(keyState(key, now), "active");
  assert.deepEqual(keyWarnings([key], NOW), []);
});

test("a set holds hashes only, and means the same after a structured clone and the IPC of node:cluster", () => {
  const set = [
    ...keySetOf({ default: KEY }),
    ...parsed(`ci ${sha256(OTHER)} expires=2027-01-31T00:00:00Z`),
  ];
  for (const key of set) {
    assert.deepEqual(Object.keys(key).sort(), ["expires", "hash", "name", "notBefore"]);
    assert.equal(key.hash.length, 32);
    assert.equal(key.hash.buffer.byteLength, 32, "the hash shares no memory with anything else");
  }
  for (const copy of [structuredClone(set), deserialize(serialize(set)) as KeySet]) {
    assert.deepEqual(verifyKey(copy, KEY, NOW), { name: "default" });
    assert.deepEqual(verifyKey(copy, OTHER, NOW), { name: "ci" });
    assert.deepEqual(verifyKey(copy, OTHER, NOW + 30 * DAY), { denied: "expired" });
    assert.deepEqual(verifyKey(copy, "x", NOW), { denied: "unknown" });
  }
  assert.ok(!serialize(set).includes(KEY.slice(4)));
});

test("keys that have expired or will within 14 days are warned about, by name and date", () => {
  const set = parsed(
    [
      `old ${sha256("1")} expires=2027-01-15T12:00:00Z`,
      `soon ${sha256("2")} expires=2027-01-29T12:00:00Z`,
      `later ${sha256("3")} expires=2027-01-29T12:00:01Z`,
      `new ${sha256("4")} not_before=2027-01-16T00:00:00Z`,
      `always ${sha256("5")}`,
    ].join("\n"),
  );
  assert.deepEqual(keyWarnings(set, NOW), [
    "key old expired at 2027-01-15T12:00:00Z: remove its line",
    "key soon expires at 2027-01-29T12:00:00Z: add its successor with npm run keygen -- soon",
  ]);
});

test("a plaintext key is 1 to 256 visible ASCII characters", () => {
  for (const key of ["k", KEY, "!~", "k".repeat(256)]) assert.equal(plainKeyFault(key), undefined);
  const bad = [
    "",
    " ",
    "a b",
    " k",
    "k ",
    "k\n",
    "k\r\n",
    "\tk",
    "k\0",
    "k\x7f",
    "caf\xe9",
    "“k”",
    "k\u200b",
    "\ufeffk",
    "\u{1f511}",
    "k".repeat(257),
    "k".repeat(1 << 20),
  ];
  for (const key of bad) assert.match(plainKeyFault(key) ?? "", /^(is|must be) /);
});

test("a key is weak if it is short, has few different characters, or is the placeholder", () => {
  const strong = [KEY, "0123456789".repeat(4), `${"a".repeat(23)}bcdefghij`];
  for (const key of strong) assert.equal(weaknessOf(key), undefined);
  const weak = [
    "",
    "k",
    "secret",
    "test-key-1234567890",
    KEY.slice(0, 31),
    "a".repeat(64),
    "012345678".repeat(8),
    PLACEHOLDER_KEY,
  ];
  for (const key of weak) assert.match(weaknessOf(key) ?? "", /: make a key with npm run keygen$/);
  assert.match(weaknessOf(PLACEHOLDER_KEY) ?? "", /^is the placeholder of \.env\.example/);
});

test("no message about a plaintext key quotes it", () => {
  for (const key of ["Zq", "Zq Zq", "Zq".repeat(20), "Zq".repeat(200), PLACEHOLDER_KEY]) {
    const messages = [plainKeyFault(key), weaknessOf(key)].join();
    assert.ok(messages !== "," && !messages.includes("Zq") && !messages.includes(PLACEHOLDER_KEY));
  }
});

test("a keys file may have comments, blank lines, blanks, a BOM, any line ends and dates in any order", () => {
  const text = [
    "\ufeff# keys of the service – naïve café",
    "",
    " \t ",
    `${line} expires=2027-01-31T00:00:00Z`,
    `\tci \t ${sha256(OTHER).replace(/[0-9a-f]{64}/, (hex) => hex.toUpperCase())}\tnot_before=2027-01-01T00:00:00Z  `,
    `backup ${sha256("3")} # not_before=x`,
    `x ${sha256("4")}\t#expires`,
    `  # y ${sha256("5")}`,
    `2_-z ${sha256("6")} expires=2028-02-29T23:59:59Z not_before=0001-01-01T00:00:00Z`,
  ];
  for (const end of ["\n", "\r\n", "\r"]) {
    for (const last of ["", end]) {
      const keys = parsed(text.join(end) + last);
      assert.deepEqual(
        keys.map((key) => key.name),
        ["ci", "ci", "backup", "x", "2_-z"],
      );
      assert.deepEqual(
        keys.map((key) => (key.expires === Infinity ? "" : formatDate(key.expires))),
        ["2027-01-31T00:00:00Z", "", "", "", "2028-02-29T23:59:59Z"],
      );
      assert.deepEqual(
        keys.map((key) => (key.notBefore === -Infinity ? "" : formatDate(key.notBefore))),
        ["", "2027-01-01T00:00:00Z", "", "", "0001-01-01T00:00:00Z"],
      );
      assert.deepEqual(verifyKey(keys, OTHER, NOW), { name: "ci" });
    }
  }
});

test("a keys file without a key has no keys and no faults", () => {
  for (const text of ["", "\n", "\ufeff", "# nothing", "\r\n\r\n", ` # ${line}`]) {
    assert.deepEqual(parse(text), { keys: [], faults: [] });
  }
});

const H = sha256(KEY);
const secret = "Plain-Text_Secret+Key/0123456789";
const badLines: [string, RegExp][] = [
  ["ci", /^no sha256:/],
  [`ci ${secret}`, /^no sha256:/],
  [secret, /^bad name/],
  [`SERVICE_API_KEY=${secret}`, /^bad name/],
  [`${secret} ${H}`, /^bad name/],
  [`${H} ci`, /^bad name/],
  [`CI ${H}`, /^bad name/],
  [`-ci ${H}`, /^bad name/],
  [`_ci ${H}`, /^bad name/],
  [`c.i ${H}`, /^bad name/],
  [`c#i ${H}`, /^bad name/],
  [`café ${H}`, /^bad name/],
  [`\u00a0ci ${H}`, /^bad name/],
  [`\u200bci ${H}`, /^bad name/],
  [`\vci ${H}`, /^bad name/],
  [`ci\0 ${H}`, /^bad name/],
  [`\ufeff\ufeffci ${H}`, /^bad name/],
  [`${"a".repeat(33)} ${H}`, /^bad name/],
  [`ci,${H}`, /^bad name/],
  [`ci\u00a0${H}`, /^bad name/],
  [`ci: ${H}`, /^bad name/],
  [`ci ${H.slice(0, -1)}`, /^no sha256:/],
  [`ci ${H}0`, /^no sha256:/],
  [`ci ${H.slice(0, -1)}g`, /^no sha256:/],
  [`ci ${H}#`, /^no sha256:/],
  [`ci ${H},`, /^no sha256:/],
  [`ci ${H}\0`, /^no sha256:/],
  [`ci ${H}\u2028`, /^no sha256:/],
  [`ci ${H.slice(7)}`, /^no sha256:/],
  [`ci SHA256:${H.slice(7)}`, /^no sha256:/],
  [`ci sha-256:${H.slice(7)}`, /^no sha256:/],
  [`ci sha256: ${H.slice(7)}`, /^no sha256:/],
  [`ci sha256=${H.slice(7)}`, /^no sha256:/],
  [`ci sha512:${hash("sha512", KEY)}`, /^no sha256:/],
  [`ci "${H}"`, /^no sha256:/],
  [`ci expires=2027-01-31T00:00:00Z ${H}`, /^no sha256:/],
  [`ci # ${H}`, /^no sha256:/],
  [`ci ${H} ${H}`, /^unknown option/],
  [`ci ${H} ${secret}`, /^unknown option/],
  [`ci ${H} expires`, /^unknown option/],
  [`ci ${H} Expires=2027-01-31T00:00:00Z`, /^unknown option/],
  [`ci ${H} expire=2027-01-31T00:00:00Z`, /^unknown option/],
  [`ci ${H} not-before=2027-01-31T00:00:00Z`, /^unknown option/],
  [`ci ${H} notbefore=2027-01-31T00:00:00Z`, /^unknown option/],
  [`ci ${H} =2027-01-31T00:00:00Z`, /^unknown option/],
  [`ci ${H} __proto__=2027-01-31T00:00:00Z`, /^unknown option/],
  [`ci ${H} xexpires=2027-01-31T00:00:00Z`, /^unknown option/],
  [`ci ${H} expires2027-01-31T00:00:00Z`, /^unknown option/],
  [`ci ${H} expires = 2027-01-31T00:00:00Z`, /^unknown option/],
  [`ci ${H} scope=admin`, /^unknown option/],
  [`ci ${H} // comment`, /^unknown option/],
  [`ci ${H} expires=2027-01-31T00:00:00Z expires=2027-01-31T00:00:00Z`, /^an option given twice/],
  [
    `ci ${H} not_before=2027-01-01T00:00:00Z not_before=2027-01-02T00:00:00Z`,
    /^an option given twice/,
  ],
  [`ci ${H} expires=2027-01-31T00:00:00Z not_before=2027-01-31T00:00:00Z`, /^never valid/],
  [`ci ${H} not_before=2027-02-01T00:00:00Z expires=2027-01-31T00:00:00Z`, /^never valid/],
];
const badDates = [
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
  "2027-01-31T00:00:00Z=",
  "２０２７-01-31T00:00:00Z",
  "31.01.2027",
  "Sun,31Jan2027",
];

test("a bad line is a fault with its number and a fixed text, and no keys are given", () => {
  const rows: [string, RegExp][] = [
    ...badLines,
    ...badDates.map((date): [string, RegExp] => [`ci ${H} expires=${date}`, /^bad date/]),
    ...badDates.map((date): [string, RegExp] => [`ci ${H} not_before=${date}`, /^bad date/]),
  ];
  const messages = new Set<string>();
  for (const [bad, message] of rows) {
    const { keys, faults } = parse(`# one\nok ${sha256("ok")}\r\n${bad}\rlast ${sha256("last")}\n`);
    assert.deepEqual(
      faults.map((fault) => fault.line),
      [3],
      JSON.stringify(bad),
    );
    assert.match(faults[0]?.message ?? "", message, JSON.stringify(bad));
    assert.deepEqual(keys, []);
    messages.add(faults[0]?.message ?? "");
  }
  assert.equal(messages.size, 6, "one text for each kind of mistake: nothing of the line is in it");
});

test("a hash given twice is a fault at the second line, whatever its case, name and dates", () => {
  const upper = `sha256:${H.slice(7).toUpperCase()}`;
  for (const again of [
    line,
    `backup ${H}`,
    `ci ${upper}`,
    `ci ${H} expires=2027-01-31T00:00:00Z`,
  ]) {
    const { keys, faults } = parse(`${line}\n\n${again}`);
    assert.deepEqual(
      faults.map((fault) => fault.line),
      [3],
    );
    assert.match(faults[0]?.message ?? "", /^a key given twice/);
    assert.deepEqual(keys, []);
  }
});

test("a hash that another source has given is a fault", () => {
  const bytes = Buffer.from(`backup ${sha256(OTHER)}\n${line}`);
  assert.equal(parseKeysFile(bytes, keySetOf({ default: "other" })).keys.length, 2);
  const { keys, faults } = parseKeysFile(bytes, keySetOf({ default: KEY }));
  assert.deepEqual(
    faults.map((fault) => fault.line),
    [2],
  );
  assert.deepEqual(keys, []);
});

test("all faulty lines are reported at once, in order", () => {
  const lines = ["CI x", line, "ci", `ci ${H}`, `ci ${sha256("2")} expires=tomorrow`, "# x", "?"];
  const { faults } = parse(lines.join("\n"));
  assert.deepEqual(
    faults.map((fault) => [fault.line, fault.message.split(":")[0]]),
    [
      [1, "bad name"],
      [3, "no sha256"],
      [4, "a key given twice"],
      [5, "bad date"],
      [7, "bad name"],
    ],
  );
});

test("64 entries are accepted, the 65th is a fault and the last one reported", () => {
  const entries = Array.from({ length: 200 }, (_, index) => `k${index} ${sha256(String(index))}`);
  assert.equal(parsed(`# comment\n${entries.slice(0, 64).join("\n\n")}\n# comment\n`).length, 64);
  for (const count of [65, 66, 200]) {
    const { keys, faults } = parse(entries.slice(0, count).join("\n"));
    assert.deepEqual(
      faults.map((fault) => fault.line),
      [65],
    );
    assert.match(faults[0]?.message ?? "", /^more than 64 entries/);
    assert.deepEqual(keys, []);
  }
  assert.equal(parse("?\n".repeat(100_000)).faults.length, 65);
});

test("a byte that isn't UTF-8 is a fault at its line", () => {
  const good = Buffer.from(`# one\n${line}\n`);
  const bad = [
    [0xff],
    [0x80],
    [0xe9],
    [0x23, 0xe9],
    [0xc3],
    [0xc0, 0x80],
    [0xed, 0xa0, 0x80],
    [0xf4, 0x90, 0x80, 0x80],
  ];
  for (const bytes of bad) {
    const { keys, faults } = parseKeysFile(
      Buffer.concat([good, Buffer.from(bytes), Buffer.from(`\n${line}\n`)]),
    );
    assert.deepEqual(faults, [{ line: 3, message: "not UTF-8: save it as UTF-8" }]);
    assert.deepEqual(keys, []);
  }
});

test("a keys file in UTF-16 gives a fault and no keys", () => {
  for (const text of [line, `\ufeff${line}`, `# comment\n${line}\n`]) {
    const { keys, faults } = parseKeysFile(Buffer.from(text, "utf16le"));
    assert.ok(faults.length > 0);
    assert.deepEqual(keys, []);
  }
});

// CPU time, best of several: at twice the size a linear parser needs about twice as long, a quadratic one four times.
function cost(text: string): number {
  const bytes = Buffer.from(text);
  const rounds = Array.from({ length: 3 }, () => {
    const start = process.cpuUsage();
    parseKeysFile(bytes);
    const used = process.cpuUsage(start);
    return used.user + used.system;
  });
  return Math.min(...rounds);
}

const hostile: [string, (n: number) => string][] = [
  ["a long name", (n) => "a".repeat(n)],
  ["a long hash", (n) => `ci sha256:${"a".repeat(n)}`],
  ["a long date", (n) => `${line} expires=${"2".repeat(n)}`],
  ["many options", (n) => `${line} ${"expires=2027-01-31T00:00:00Z ".repeat(n / 29)}`],
  ["many words", (n) => "a ".repeat(n / 2)],
  ["many blanks before a name", (n) => `${" ".repeat(n)}${line}`],
  ["many blanks after a hash", (n) => `${line}${" \t".repeat(n / 2)}x`],
  ["many number signs", (n) => `x${"#".repeat(n)}`],
  ["a long comment", (n) => `# ${"é#".repeat(n / 3)}`],
  ["many comments", (n) => "# a\n".repeat(n / 4)],
  ["many line ends", (n) => "\r\n\r".repeat(n / 3)],
  ["many bad lines", (n) => "?\n".repeat(n / 2)],
  ["many good lines", (n) => `${line}\n`.repeat(n / 75)],
];

test("the time for a hostile keys file grows with its length, not with its square", () => {
  for (const [what, make] of hostile) {
    const half = cost(make(1 << 19));
    const whole = cost(make(1 << 20));
    assert.ok(whole <= 6 * half + 5_000, `${what}: ${half} µs for 512 KiB, ${whole} µs for 1 MiB`);
  }
});

test("100,000 lines are read to the last one", () => {
  assert.deepEqual(
    parsed(`${"# comment\n".repeat(99_999)}${line}`).map((key) => key.name),
    ["ci"],
  );
  assert.deepEqual(
    parse(`${"\n".repeat(99_999)}?`).faults.map((fault) => fault.line),
    [100_000],
  );
});

test("a key's name has the same grammar everywhere", () => {
  for (const name of ["a", "0", "ci", "a-b_c", "a".repeat(32)]) assert.ok(KEY_NAME.test(name));
  const bad = ["", "-a", "_a", "A", "a b", "a\n", "é", "a.b", "a/b", "a".repeat(33)];
  for (const name of bad) assert.ok(!KEY_NAME.test(name));
});
