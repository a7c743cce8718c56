import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

import { type KeySet, PLACEHOLDER_KEY, verifyKey } from "../../src/auth/keys.ts";
import { modeWarnings, readKeys, type Variable } from "../../src/config/key-sources.ts";

interface KeySources {
  readonly keys: KeySet;
  readonly faults: readonly string[];
  readonly warnings: readonly string[];
}

const NOW = Date.parse("2027-01-15T12:00:00Z");
const STRONG = "svk_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_abcde";
const OTHER = `${STRONG}2`;
const line = (name: string, key: string, ...options: string[]): string =>
  [name, `sha256:${hash("sha256", key)}`, ...options].join(" ");

const directory = mkdtempSync(join(tmpdir(), "sources-"));
after(() => rmSync(directory, { recursive: true }));

let files = 0;

/** A new file in the directory; its name. */
function fileOf(content: string | Buffer, mode = 0o600): string {
  files += 1;
  const name = `file-${files}`;
  writeFileSync(join(directory, name), content);
  chmodSync(join(directory, name), mode);
  return name;
}

/** Reads the sources of these variables. */
function read(variables: Readonly<Record<string, string>>, allowWeak = false): KeySources {
  const lookup = (name: string): Variable | undefined => {
    const value = variables[name];
    return value === undefined ? undefined : { value, label: `${name} (place of ${name})` };
  };
  const faults: string[] = [];
  const warnings: string[] = [];
  const keys = readKeys({ lookup, directory, now: NOW, faults, warnings }, allowWeak);
  return { keys, faults, warnings };
}

/** The only fault, or "". */
function faultOf(variables: Readonly<Record<string, string>>, allowWeak = false): string {
  const { faults } = read(variables, allowWeak);
  assert.ok(faults.length <= 1, faults.join("\n"));
  for (const value of Object.values(variables))
    assert.ok(value.length < 3 || !faults.join().includes(value), "a value is shown");
  return faults[0] ?? "";
}

test("SERVICE_API_KEY is one key named default, without a fault or a warning", () => {
  const { keys, faults, warnings } = read({ SERVICE_API_KEY: STRONG });
  assert.deepEqual([faults, warnings, keys.length], [[], [], 1]);
  assert.deepEqual(verifyKey(keys, STRONG, NOW), { name: "default" });
});

const KEY_FILES: readonly (readonly [string, string])[] = [
  ["no line end", STRONG],
  ["a line feed", `${STRONG}\n`],
  ["CRLF", `${STRONG}\r\n`],
];
for (const [what, content] of KEY_FILES) {
  test(`SERVICE_API_KEY_FILE may name a file with the key and ${what}`, () => {
    for (const path of [fileOf(content), join(directory, fileOf(content))]) {
      const { keys, faults, warnings } = read({ SERVICE_API_KEY_FILE: path });
      assert.deepEqual([faults, warnings], [[], []]);
      assert.deepEqual(verifyKey(keys, STRONG, NOW), { name: "default" });
    }
  });
}

const BAD_KEYS: readonly (readonly [string, string | Buffer])[] = [
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
];
for (const [what, content] of BAD_KEYS) {
  test(`a key file with ${what} is a fault that names the variable and its place, never the text`, () => {
    const fault = faultOf({ SERVICE_API_KEY_FILE: fileOf(content) });
    assert.match(
      fault,
      /^SERVICE_API_KEY_FILE \(place of SERVICE_API_KEY_FILE\): (?:is empty|must be )/,
    );
    assert.ok(!fault.includes(STRONG.slice(4, 12)));
  });
}

const BAD_PLAIN = [
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
];
for (const key of BAD_PLAIN) {
  test(`SERVICE_API_KEY=${JSON.stringify(key).slice(0, 20)} is refused, also where weak keys are allowed`, () => {
    for (const allowWeak of [false, true]) {
      assert.match(
        faultOf({ SERVICE_API_KEY: key }, allowWeak),
        /^SERVICE_API_KEY \(place of SERVICE_API_KEY\): (?:is empty|must be )/,
      );
    }
  });
}

test("a key of 256 bytes is taken", () => {
  assert.equal(faultOf({ SERVICE_API_KEY: "aB3$9kLm+/=_-xYz".repeat(16) }), "");
});

const WEAK: readonly (readonly [string, string])[] = [
  [STRONG.slice(0, 31), "is shorter than 32 characters"],
  ["abcabcabc".repeat(10), "has fewer than 10 different characters"],
  ["a".repeat(64), "has fewer than 10 different characters"],
  [PLACEHOLDER_KEY, "is the placeholder of .env.example"],
  ["k", "is shorter than 32 characters"],
];
for (const [key, weakness] of WEAK) {
  test(`a weak key that ${weakness} is a fault, or a warning where it is allowed, from either source`, () => {
    for (const [name, value] of [
      ["SERVICE_API_KEY", key],
      ["SERVICE_API_KEY_FILE", fileOf(`${key}\n`)],
    ] as const) {
      const fault = faultOf({ [name]: value });
      assert.ok(fault.startsWith(`${name} (place of ${name}): ${weakness}`), fault);
      assert.match(fault, /SERVICE_ALLOW_WEAK_KEY=1$/);
      const { keys, faults, warnings } = read({ [name]: value }, true);
      assert.deepEqual([faults, warnings.length, keys.length], [[], 1, 1]);
      assert.ok(warnings[0]?.startsWith(`${name} (place of ${name}): ${weakness}`));
      assert.ok(key.length < 2 || !warnings[0]?.includes(key));
    }
  });
}

test("both SERVICE_API_KEY and SERVICE_API_KEY_FILE are one fault with both places", () => {
  for (const [direct, file] of [
    [STRONG, fileOf(STRONG)],
    [STRONG, "missing"],
    ["", fileOf(OTHER)],
    ["k", ""],
  ] as const) {
    const { faults, keys } = read({ SERVICE_API_KEY: direct, SERVICE_API_KEY_FILE: file });
    assert.deepEqual(faults, [
      "SERVICE_API_KEY (place of SERVICE_API_KEY), SERVICE_API_KEY_FILE (place of SERVICE_API_KEY_FILE): " +
        "both are set: remove one",
    ]);
    assert.equal(keys.length, 0);
  }
});

test("a plaintext key and a keys file go together", () => {
  const keysFile = fileOf(`${line("ci", OTHER)}\n`);
  for (const source of [{ SERVICE_API_KEY: STRONG }, { SERVICE_API_KEY_FILE: fileOf(STRONG) }]) {
    const { keys, faults, warnings } = read({ ...source, SERVICE_API_KEYS_FILE: keysFile });
    assert.deepEqual([faults, warnings], [[], []]);
    assert.deepEqual(verifyKey(keys, STRONG, NOW), { name: "default" });
    assert.deepEqual(verifyKey(keys, OTHER, NOW), { name: "ci" });
  }
});

test("a keys file alone will do, and its keys may be called default, too", () => {
  const { keys, faults } = read({
    SERVICE_API_KEYS_FILE: fileOf(`${line("default", STRONG)}\n${line("default", OTHER)}\n`),
  });
  assert.deepEqual(faults, []);
  for (const key of [STRONG, OTHER])
    assert.deepEqual(verifyKey(keys, key, NOW), { name: "default" });
});

test("the same key in SERVICE_API_KEY and in the keys file is a fault at the file's line", () => {
  const keysFile = fileOf(`# keys\n\n${line("ci", STRONG)}\n`);
  const fault = faultOf({ SERVICE_API_KEY: STRONG, SERVICE_API_KEYS_FILE: keysFile });
  assert.match(
    fault,
    /^SERVICE_API_KEYS_FILE \(place of SERVICE_API_KEYS_FILE\): line 3 of the file: /,
  );
});

test("every faulty line of a keys file is reported, with its number and without its text", () => {
  const content = [
    "MaRkEr",
    line("ci", STRONG),
    "ci sha256:MaRkEr",
    line("ci", OTHER, "MaRkEr=1"),
    line("ci", "x", "expires=MaRkEr"),
  ].join("\n");
  const { faults, keys } = read({
    SERVICE_API_KEY: STRONG,
    SERVICE_API_KEYS_FILE: fileOf(content),
  });
  assert.deepEqual(
    faults.map((fault) => /: line (\d+) of the file: /.exec(fault)?.[1]),
    ["1", "2", "3", "4", "5"],
  );
  assert.ok(!faults.join().includes("MaRkEr"));
  assert.equal(keys.filter(({ name }) => name === "ci").length, 0);
});

test("files that can't be read are a fault with the reason, and neither path nor text", () => {
  mkdirSync(join(directory, "folder"));
  symlinkSync("loop", join(directory, "loop"));
  const rows: readonly (readonly [string, string])[] = [
    ["missing", "ENOENT"],
    ["/missing/at/the/root", "ENOENT"],
    ["folder", "EISDIR"],
    ["loop", "ELOOP"],
    [`${fileOf(STRONG)}/below`, "ENOTDIR"],
    ["x".repeat(300), "ENAMETOOLONG"],
  ];
  for (const [path, code] of rows) {
    for (const name of ["SERVICE_API_KEY_FILE", "SERVICE_API_KEYS_FILE"]) {
      const fault = faultOf({ [name]: path });
      assert.equal(fault, `${name} (place of ${name}): the file can't be read (${code})`);
    }
  }
});

test("a path with a NUL is a fault and no crash", () => {
  for (const name of ["SERVICE_API_KEY_FILE", "SERVICE_API_KEYS_FILE"]) {
    assert.match(
      faultOf({ [name]: "a\0b" }),
      new RegExp(`^${name} .*: the file can't be read \\(ERR_INVALID_ARG_VALUE\\)$`),
    );
  }
});

test("both files at fault are two faults", () => {
  const { faults } = read({ SERVICE_API_KEY_FILE: "missing", SERVICE_API_KEYS_FILE: "missing" });
  assert.equal(faults.length, 2);
});

test("no key from any source is a fault that names all three", () => {
  const noKeys = [
    {},
    { SERVICE_API_KEYS_FILE: fileOf("") },
    { SERVICE_API_KEYS_FILE: fileOf("# none\n\n") },
    { SERVICE_API_KEYS_FILE: fileOf(line("ci", STRONG, "expires=2027-01-15T12:00:00Z")) },
  ];
  for (const variables of noKeys) {
    const { faults } = read(variables);
    assert.equal(faults.length, 1);
    for (const name of ["SERVICE_API_KEY:", "SERVICE_API_KEY_FILE", "SERVICE_API_KEYS_FILE"])
      assert.ok(faults[0]?.includes(name));
  }
});

test("keys that have expired, or will within 14 days, are warned about by name, and no other", () => {
  const content = [
    line("gone", "1", "expires=2027-01-15T11:59:59Z"),
    line("soon", "2", "expires=2027-01-29T12:00:00Z"),
    line("later", "3", "expires=2027-01-29T12:00:01Z"),
    line("ever", "4"),
    line("future", "5", "not_before=2028-01-01T00:00:00Z"),
  ].join("\n");
  const { warnings, faults } = read({ SERVICE_API_KEYS_FILE: fileOf(content) });
  assert.deepEqual(faults, []);
  assert.deepEqual(
    warnings.map((warning) => warning.split(" ").slice(0, 3).join(" ")),
    ["key gone expired", "key soon expires"],
  );
});

test("a key file that others may read is warned about, a plaintext one and a keys file alike", () => {
  for (const mode of [0o644, 0o640, 0o604, 0o666, 0o440]) {
    const { warnings, faults } = read({
      SERVICE_API_KEY_FILE: fileOf(STRONG, mode),
      SERVICE_API_KEYS_FILE: fileOf(line("ci", OTHER), mode),
    });
    assert.deepEqual(faults, []);
    assert.deepEqual(
      warnings,
      ["SERVICE_API_KEY_FILE", "SERVICE_API_KEYS_FILE"].map(
        (name) =>
          `${name} (place of ${name}): the file: can be read by group or others: chmod 600 it`,
      ),
    );
  }
  for (const mode of [0o600, 0o400, 0o611, 0o622]) {
    assert.deepEqual(read({ SERVICE_API_KEY_FILE: fileOf(STRONG, mode) }).warnings, []);
  }
});

test("it is the file behind a link whose mode counts, as in a mounted Kubernetes secret", () => {
  symlinkSync(fileOf(STRONG, 0o600), join(directory, "closed-link"));
  symlinkSync(fileOf(STRONG, 0o644), join(directory, "open-link"));
  assert.equal(read({ SERVICE_API_KEY_FILE: "closed-link" }).warnings.length, 0);
  assert.equal(read({ SERVICE_API_KEY_FILE: "open-link" }).warnings.length, 1);
});

test("a mode that can't be told is no warning", () => {
  assert.deepEqual(modeWarnings(join(directory, "missing"), "x"), []);
});

test("the sources hold no plaintext: neither keys, faults nor warnings have it", () => {
  const { keys, faults, warnings } = read(
    { SERVICE_API_KEY: "short-and-weak", SERVICE_API_KEYS_FILE: "missing" },
    true,
  );
  const text = JSON.stringify([
    keys.map((key) => ({ ...key, hash: Buffer.from(key.hash).toString("latin1") })),
    faults,
    warnings,
  ]);
  assert.ok(!text.includes("short-and-weak"));
});
