import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";

import {
  type Configuration,
  readConfiguration,
  type Settings,
  SettingsError,
} from "../../src/config/settings.ts";
import { spawnService } from "../service.ts";
import { exitOf } from "../support/processes.ts";

const NOW = Date.parse("2027-01-15T12:00:00Z");
const STRONG = "svk_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_abcde";

const base = mkdtempSync(join(tmpdir(), "settings-"));
after(() => rmSync(base, { recursive: true }));

/** A directory of its own, with this `.env`. */
function directoryWith(envFile?: string | Buffer): string {
  const directory = mkdtempSync(join(base, "d-"));
  if (envFile !== undefined) writeFileSync(join(directory, ".env"), envFile, { mode: 0o600 });
  return directory;
}

/** The configuration of an environment, besides a good key, and of a `.env`. */
function read(env: NodeJS.ProcessEnv, envFile?: string | Buffer): Configuration {
  return readConfiguration({ SERVICE_API_KEY: STRONG, ...env }, directoryWith(envFile), NOW);
}

/** The faults of an environment as it is and of a `.env`. */
function faultsOf(
  env: NodeJS.ProcessEnv,
  envFile?: string | Buffer,
  directory = directoryWith(envFile),
): readonly string[] {
  try {
    readConfiguration(env, directory, NOW);
    return [];
  } catch (error) {
    assert.ok(error instanceof SettingsError, String(error));
    const faults = error.message.split("\n");
    for (const fault of faults) assert.match(fault, /^[A-Z_.].*: [a-z]/, "one line each");
    return faults;
  }
}

const DEFAULTS: Settings = {
  host: "127.0.0.1",
  port: 8000,
  workers: 1,
  logLevel: "info",
  docs: true,
  processDelayMs: 500,
  maxBodyBytes: 1_048_576,
  maxInFlight: 10_000,
  maxConnections: 15_000,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  keepAliveTimeoutMs: 65_000,
  shutdownDelayMs: 0,
  shutdownTimeoutMs: 10_000,
};

test("without variables the settings are the documented defaults, and a missing .env is no fault", () => {
  assert.deepEqual(read({}).settings, DEFAULTS);
  assert.deepEqual(read({}).warnings, []);
});

const GOOD: readonly (readonly [string, string, Partial<Settings>])[] = [
  ["HOST", "0.0.0.0", { host: "0.0.0.0" }],
  ["HOST", "::", { host: "::" }],
  ["HOST", "localhost", { host: "localhost" }],
  ["PORT", "0", { port: 0 }],
  ["PORT", "65535", { port: 65_535 }],
  ["PORT", "08000", { port: 8000 }],
  ["WORKERS", "1024", { workers: 1024 }],
  ["WORKERS", "auto", { workers: availableParallelism() }],
  ["LOG_LEVEL", "silent", { logLevel: "silent" }],
  ["LOG_LEVEL", "error", { logLevel: "error" }],
  ["LOG_LEVEL", "warn", { logLevel: "warn" }],
  ["DOCS", "off", { docs: false }],
  ["DOCS", "on", { docs: true }],
  ["PROCESS_DELAY_MS", "0", { processDelayMs: 0 }],
  ["PROCESS_DELAY_MS", "2147483647", { processDelayMs: 2_147_483_647 }],
  ["MAX_BODY_BYTES", "1", { maxBodyBytes: 1 }],
  ["MAX_IN_FLIGHT", "1", { maxInFlight: 1 }],
  ["MAX_CONNECTIONS", "1", { maxConnections: 1 }],
  ["HEADERS_TIMEOUT_MS", "1", { headersTimeoutMs: 1 }],
  ["HEADERS_TIMEOUT_MS", "30000", { headersTimeoutMs: 30_000 }],
  ["REQUEST_TIMEOUT_MS", "10000", { requestTimeoutMs: 10_000 }],
  ["KEEP_ALIVE_TIMEOUT_MS", "1", { keepAliveTimeoutMs: 1 }],
  ["SHUTDOWN_DELAY_MS", "1000", { shutdownDelayMs: 1000 }],
  ["SHUTDOWN_TIMEOUT_MS", "0", { shutdownTimeoutMs: 0 }],
];

for (const [name, value, expected] of GOOD) {
  test(`${name}=${value} is taken, from the environment and from .env`, () => {
    assert.deepEqual(read({ [name]: value }).settings, { ...DEFAULTS, ...expected });
    assert.deepEqual(read({}, `${name}=${value}\n`).settings, { ...DEFAULTS, ...expected });
  });
}

const NOT_NUMBERS = [
  "abc",
  "-1",
  "+1",
  "1.5",
  "1e3",
  "0x10",
  " 1",
  "1 ",
  "1\n",
  "1,000",
  "1_000",
  "NaN",
  "Infinity",
  "١",
  "1ms",
  "99999999999",
  "1;",
  "true",
  "auto ",
  "\t1",
  "1\0",
];
/** The numbers' names with what is just out of their range. */
const NUMBERS: readonly (readonly [string, readonly string[]])[] = [
  ["PORT", ["65536", "99999", "8000.5", " 8000", "auto"]],
  ["WORKERS", ["0", "1025", "AUTO", "max"]],
  ["PROCESS_DELAY_MS", ["2147483648"]],
  ["MAX_BODY_BYTES", ["0", "268435457"]],
  ["MAX_IN_FLIGHT", ["0", "1000000001"]],
  ["MAX_CONNECTIONS", ["0", "1000000001"]],
  ["HEADERS_TIMEOUT_MS", ["0", "2147483648"]],
  ["REQUEST_TIMEOUT_MS", ["0", "2147483648"]],
  ["KEEP_ALIVE_TIMEOUT_MS", ["0", "2147483648"]],
  ["SHUTDOWN_DELAY_MS", ["2147483648"]],
  ["SHUTDOWN_TIMEOUT_MS", ["2147483648"]],
];

for (const [name, others] of NUMBERS) {
  test(`${name} that is no whole number in its range is one fault, which names its place and the range`, () => {
    for (const value of [...NOT_NUMBERS, ...others]) {
      const pattern = new RegExp(
        `^${name} \\(environment\\): must be a whole number from \\d+ to \\d+`,
      );
      const faults = faultsOf({ SERVICE_API_KEY: STRONG, [name]: value });
      assert.ok(
        faults.some((fault) => pattern.test(fault)),
        `${JSON.stringify(value)}: ${faults.join()}`,
      );
    }
  });
}

const BAD_WORDS: readonly (readonly [string, readonly string[]])[] = [
  [
    "LOG_LEVEL",
    ["INFO", "debug", "trace", "0", "info ", "info,warn", "none", "__proto__", "warning"],
  ],
  ["DOCS", ["ON", "true", "1", "yes", "0", "On", "on,off"]],
  ["SERVICE_ALLOW_WEAK_KEY", ["true", "yes", "on", "2", "01", "10", "-1"]],
];
for (const [name, values] of BAD_WORDS) {
  test(`${name} with another word than its own is one fault, which names them`, () => {
    for (const value of values) {
      const [fault = "", ...more] = faultsOf({ SERVICE_API_KEY: STRONG, [name]: value });
      assert.match(
        fault,
        new RegExp(`^${name} \\(environment\\): must be one of \\w+(?:, \\w+)+$`),
      );
      assert.equal(more.length, 0);
    }
  });
}

test("HOST with blanks, line ends or letters beyond ASCII is a fault", () => {
  for (const value of [" ", "127.0.0.1 ", " ::1", "a b", "a\n", "a\0", "höst", "a\tb"]) {
    const faults = faultsOf({ SERVICE_API_KEY: STRONG, HOST: value });
    assert.deepEqual(faults, ["HOST (environment): must be visible ASCII without blanks"]);
  }
});

const NAMES = [
  "HOST",
  "PORT",
  "WORKERS",
  "LOG_LEVEL",
  "DOCS",
  "PROCESS_DELAY_MS",
  "MAX_BODY_BYTES",
  "MAX_IN_FLIGHT",
  "MAX_CONNECTIONS",
  "HEADERS_TIMEOUT_MS",
  "REQUEST_TIMEOUT_MS",
  "KEEP_ALIVE_TIMEOUT_MS",
  "SHUTDOWN_DELAY_MS",
  "SHUTDOWN_TIMEOUT_MS",
  "SERVICE_ALLOW_WEAK_KEY",
];

for (const name of [...NAMES, "SERVICE_API_KEY_FILE", "SERVICE_API_KEYS_FILE"]) {
  test(`${name} that is set but empty is a fault, not the default nor the value in .env`, () => {
    const direct = name === "SERVICE_API_KEY_FILE" ? {} : { SERVICE_API_KEY: STRONG };
    const [fault = "", ...more] = faultsOf({ ...direct, [name]: "" }, `${name}=1\n`);
    assert.ok(fault.startsWith(`${name} (environment): `), fault);
    assert.equal(more.length, 0);
    const [inFile = ""] = faultsOf(direct, `X=1\n${name}=\n`);
    assert.ok(inFile.startsWith(`${name} (.env, line 2): `), inFile);
  });
}

test("an empty SERVICE_API_KEY in the environment is a fault, whatever .env says", () => {
  const [fault = "", ...more] = faultsOf({ SERVICE_API_KEY: "" }, `SERVICE_API_KEY=${STRONG}\n`);
  assert.match(fault, /^SERVICE_API_KEY \(environment\): is empty: /);
  assert.equal(more.length, 0);
});

test("the environment wins over .env, and the last of two lines wins in .env", () => {
  assert.equal(read({ PORT: "1" }, "PORT=2\n").settings.port, 1);
  assert.equal(read({}, "PORT=2\nPORT=3\n").settings.port, 3);
  assert.equal(read({ PORT: undefined }, "PORT=2\n").settings.port, 2);
  // What the environment overrules isn't looked at.
  assert.equal(read({ PORT: "1" }, "PORT=abc\n").settings.port, 1);
});

test("names of inherited properties are no variables", () => {
  const faults = faultsOf(
    Object.create({ SERVICE_API_KEY: STRONG, PORT: "abc" }) as NodeJS.ProcessEnv,
  );
  assert.equal(faults.length, 1);
  assert.match(faults[0] ?? "", /^SERVICE_API_KEY: no usable key/);
});

test("HEADERS_TIMEOUT_MS past REQUEST_TIMEOUT_MS is a fault that says where the two came from", () => {
  const rows: readonly (readonly [NodeJS.ProcessEnv, string | undefined, RegExp])[] = [
    [{ HEADERS_TIMEOUT_MS: "30001" }, undefined, /environment/],
    [{ REQUEST_TIMEOUT_MS: "9999" }, undefined, /environment/],
    [{ HEADERS_TIMEOUT_MS: "2" }, "\nREQUEST_TIMEOUT_MS=1\n", /environment.*\.env, line 2/],
    [{}, "HEADERS_TIMEOUT_MS=5\nREQUEST_TIMEOUT_MS=4\n", /\.env, line 1.*\.env, line 2/],
  ];
  for (const [env, envFile, places] of rows) {
    const [fault = "", ...more] = faultsOf({ SERVICE_API_KEY: STRONG, ...env }, envFile);
    assert.match(fault, /^HEADERS_TIMEOUT_MS\b.*: must be at most REQUEST_TIMEOUT_MS/);
    assert.match(fault, places);
    assert.equal(more.length, 0);
  }
  assert.equal(
    read({ HEADERS_TIMEOUT_MS: "7", REQUEST_TIMEOUT_MS: "7" }).settings.headersTimeoutMs,
    7,
  );
});

/** A value that shows wherever it is printed. */
const MARK = "MaRkEr";

test("all faults are reported at once, each with its variable and place, and no value is shown", () => {
  const env = Object.fromEntries(NAMES.slice(0, 8).map((name) => [name, ` ${MARK}`]));
  const envFile = NAMES.slice(8)
    .map((name) => `${name}='${MARK}'\n`)
    .join("");
  const faults = faultsOf(
    { ...env, SERVICE_API_KEY: `${MARK} ${MARK}`, SERVICE_API_KEYS_FILE: `/${MARK}` },
    `# c\n${envFile}`,
  );
  assert.equal(faults.length, NAMES.length + 2, faults.join("\n"));
  for (const [index, name] of NAMES.entries()) {
    const place = index < 8 ? "environment" : `.env, line ${index - 6}`;
    assert.ok(
      faults.some((fault) => fault.startsWith(`${name} (${place}): `)),
      name,
    );
  }
  assert.ok(!faults.join("\n").includes(MARK));
});

const BROKEN_FILES: readonly (readonly [string, string | Buffer, RegExp])[] = [
  [
    "UTF-16 with a byte order mark",
    Buffer.from(`\ufeffSERVICE_API_KEY=${MARK}\n`, "utf16le"),
    /^\.env/,
  ],
  ["UTF-16 without one", Buffer.from(`SERVICE_API_KEY=${MARK}\n`, "utf16le"), /^\.env/],
  [
    "a Latin-1 letter",
    Buffer.concat([Buffer.from(`X=1\nSERVICE_API_KEY=${MARK}`), Buffer.from([0xe9, 0x0a])]),
    /line 2/,
  ],
  ["a NUL", `X=1\nY=2\nSERVICE_API_KEY=${MARK}\0b\n`, /line 3/],
  ["a line without =", `${MARK}\nSERVICE_API_KEY=${STRONG}\n`, /^\.env, line 1: /],
  ["a quote that is never closed", `SERVICE_API_KEY="${MARK}\nX=1\n`, /line 1/],
  [
    "a quote before the key that is never closed",
    `A="${MARK}\nSERVICE_API_KEY=${STRONG}\n`,
    /line 1/,
  ],
  ["text behind a quote", `X=1\nSERVICE_API_KEY="${MARK}"def\n`, /line 2/],
  ["a reference to nothing", `SERVICE_API_KEY=\${NOPE_${MARK}}\n`, /line 1/],
];
for (const [what, envFile, place] of BROKEN_FILES) {
  test(`a .env with ${what} is a fault with its line, never the text`, () => {
    const faults = faultsOf({}, envFile);
    assert.match(faults[0] ?? "", place);
    assert.ok(!faults.join("\n").includes(MARK));
    // No key is taken from the half that could be read, nor is the environment's enough.
    assert.match(faultsOf({ SERVICE_API_KEY: STRONG }, envFile)[0] ?? "", place);
  });
}

test("a byte order mark, CRLF, CR and blanks in .env are not part of the values", () => {
  for (const text of [
    `\ufeffSERVICE_API_KEY=${STRONG}\nPORT=1\n`,
    `SERVICE_API_KEY=${STRONG}\r\nPORT=1\r\n`,
    `A=1\rSERVICE_API_KEY=${STRONG}\rPORT=1\r`,
    `SERVICE_API_KEY=${STRONG}   \nexport PORT=1\t\n`,
    `SERVICE_API_KEY = "${STRONG}" # comment\nexport\tPORT='1'`,
  ]) {
    const { settings, keys } = readConfiguration({}, directoryWith(text), NOW);
    assert.deepEqual([settings.port, keys], [1, read({}).keys]);
  }
});

/** Runs `action` as a user who may not read what is closed to others; root reads everything. */
function asNobody<T>(action: () => T): T {
  if (process.geteuid?.() !== 0) return action();
  process.seteuid?.(65_534);
  try {
    return action();
  } finally {
    process.seteuid?.(0);
  }
}

test("a .env that can't be read is a fault, with the reason", () => {
  const asDirectory = directoryWith();
  mkdirSync(join(asDirectory, ".env"));
  const asLoop = directoryWith();
  symlinkSync(".env", join(asLoop, ".env"));
  const closed = directoryWith(`SERVICE_API_KEY=${STRONG}\n`);
  chmodSync(join(closed, ".env"), 0);
  chmodSync(base, 0o755);
  chmodSync(closed, 0o755);
  assert.deepEqual(faultsOf({ SERVICE_API_KEY: STRONG }, undefined, asDirectory), [
    ".env: can't be read (EISDIR)",
  ]);
  assert.deepEqual(faultsOf({ SERVICE_API_KEY: STRONG }, undefined, asLoop), [
    ".env: can't be read (ELOOP)",
  ]);
  asNobody(() => {
    assert.deepEqual(faultsOf({ SERVICE_API_KEY: STRONG }, undefined, closed), [
      ".env: can't be read (EACCES)",
    ]);
  });
});

test("a .env that is empty, or a dangling link, has no variables and no fault", () => {
  assert.deepEqual(read({}, "").settings, DEFAULTS);
  const directory = directoryWith();
  symlinkSync("nowhere", join(directory, ".env"));
  assert.deepEqual(faultsOf({ SERVICE_API_KEY: STRONG }, undefined, directory), []);
});

test("a .env with a key that others may read is warned about, one without a key is not", () => {
  const row = (mode: number, text: string): readonly string[] => {
    const directory = directoryWith(text);
    chmodSync(join(directory, ".env"), mode);
    const key = text.includes("KEY") ? {} : { SERVICE_API_KEY: STRONG };
    return readConfiguration(key, directory, NOW).warnings;
  };
  for (const mode of [0o644, 0o640, 0o604, 0o666, 0o444]) {
    assert.deepEqual(row(mode, `SERVICE_API_KEY=${STRONG}\n`), [
      ".env: can be read by group or others: chmod 600 it",
    ]);
    assert.deepEqual(row(mode, "PORT=1\n"), []);
  }
  for (const mode of [0o600, 0o400, 0o700, 0o620, 0o611])
    assert.deepEqual(row(mode, `SERVICE_API_KEY=${STRONG}\n`), []);
});

const WEAK = "weak-key";

test("a weak key is warned about on a loopback HOST", () => {
  for (const host of [undefined, "127.0.0.1", "127.1.2.3", "::1", "localhost", "LOCALHOST"]) {
    const { warnings } = readConfiguration(
      { SERVICE_API_KEY: WEAK, HOST: host },
      directoryWith(),
      NOW,
    );
    assert.equal(warnings.length, 1);
    assert.match(
      warnings[0] ?? "",
      /^SERVICE_API_KEY \(environment\): is shorter than 32 characters/,
    );
    assert.ok(!warnings[0]?.includes(WEAK));
  }
});

test("a weak key is a fault on any other HOST, with the way to allow it", () => {
  for (const host of [
    "0.0.0.0",
    "::",
    "10.0.0.1",
    "example.com",
    "127.0.0.1.example.com",
    "localhost.example.com",
    "::2",
    "[::1]",
    "1127.0.0.1",
  ]) {
    const [fault = "", ...more] = faultsOf({ SERVICE_API_KEY: WEAK, HOST: host });
    assert.match(fault, /^SERVICE_API_KEY \(environment\): is shorter .*SERVICE_ALLOW_WEAK_KEY=1$/);
    assert.equal(more.length, 0);
    assert.deepEqual(
      faultsOf({ SERVICE_API_KEY: WEAK, HOST: host, SERVICE_ALLOW_WEAK_KEY: "1" }),
      [],
    );
    assert.equal(
      faultsOf({ SERVICE_API_KEY: WEAK, HOST: host, SERVICE_ALLOW_WEAK_KEY: "0" }).length,
      1,
    );
    assert.deepEqual(faultsOf({ SERVICE_API_KEY: STRONG, HOST: host }), []);
  }
});

describe("the program", { concurrency: 4 }, () => {
  /** What it writes and ends with. */
  async function run(
    env: NodeJS.ProcessEnv,
    envFile?: string | Buffer,
  ): Promise<{ code: number | string; stdout: string; stderr: string }> {
    const service = spawnService(env, [], directoryWith(envFile));
    const code = await exitOf(service);
    return { code, stdout: service.stdout(), stderr: service.stderr() };
  }

  test("with faulty settings it ends with 78, one line for each on stderr, and no value anywhere", async () => {
    const env = {
      SERVICE_API_KEY: `${MARK}\u00e9`,
      PORT: MARK,
      LOG_LEVEL: MARK,
      HOST: `${MARK} x`,
      MAX_BODY_BYTES: `-${MARK}`,
    };
    const { code, stdout, stderr } = await run(env, `WORKERS=${MARK}\nDOCS=${MARK}\n`);
    assert.deepEqual([code, stdout], [78, ""]);
    const faults = stderr.trimEnd().split("\n");
    assert.deepEqual(faults.map((line) => line.replace(/ \(.*/, "")).sort(), [
      "DOCS",
      "HOST",
      "LOG_LEVEL",
      "MAX_BODY_BYTES",
      "PORT",
      "SERVICE_API_KEY",
      "WORKERS",
    ]);
    assert.ok(!stderr.includes(MARK));
  });

  const missing: readonly (readonly [string, string | undefined])[] = [
    ["no .env", undefined],
    ["an empty one", ""],
    ["a .env without the line", "PORT=0\n"],
    ["SERVICE_API_KEY=", "SERVICE_API_KEY=\n"],
    ["SERVICE_API_KEY=   ", "SERVICE_API_KEY=   \n"],
    ['SERVICE_API_KEY=""', 'SERVICE_API_KEY=""\n'],
    ["SERVICE_API_KEY= # comment", "SERVICE_API_KEY= # comment\n"],
    ["the name alone", "SERVICE_API_KEY\n"],
  ];
  for (const [what, envFile] of missing) {
    test(`with ${what} it refuses to start in one line that names SERVICE_API_KEY`, async () => {
      const { code, stdout, stderr } = await run({ PORT: "0" }, envFile);
      assert.deepEqual([code, stdout], [78, ""]);
      assert.ok(stderr.includes("SERVICE_API_KEY"));
      assert.ok(stderr.trimEnd().split("\n").length <= 2, stderr);
    });
  }

  test("with faulty settings and WORKERS=2 it ends before it starts a worker", async () => {
    const { code, stdout, stderr } = await run({ WORKERS: "2", PORT: "x" });
    assert.deepEqual([code, stdout], [78, ""]);
    assert.equal(stderr.trimEnd().split("\n").length, 2);
  });
});
