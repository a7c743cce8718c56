import assert from "node:assert/strict";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { readConfiguration, type Settings, SettingsError } from "../../src/config/settings.ts";
import { LOG_LEVELS } from "../../src/log.ts";
import { configurationOf, directoryWith, NOW, problemsOf, STRONG } from "../support/settings.ts";
import { tempDirectory } from "../support/temp.ts";

const DEFAULTS: Settings = {
  host: { kind: "address", address: "127.0.0.1" },
  port: 8000,
  trustedProxies: [],
  workers: 1,
  logLevel: "info",
  docs: true,
  metrics: false,
  processDelayMs: 500,
  maxBodyBytes: 1_048_576,
  maxBodyMemory: 67_108_864,
  maxInFlight: 10_000,
  maxConnections: 2500,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  keepAliveTimeoutMs: 65_000,
  shutdownDelayMs: 0,
  shutdownTimeoutMs: 10_000,
};

test("without variables, the settings are the documented defaults", (t) => {
  const { settings, warnings } = configurationOf(t, {});
  assert.deepEqual(settings, DEFAULTS);
  assert.deepEqual(warnings, []);
});

/** Values that are taken, and what they change. */
const GOOD: readonly (readonly [name: string, value: string, expected: Partial<Settings>])[] = [
  ["HOST", "0.0.0.0", { host: { kind: "address", address: "0.0.0.0" } }],
  ["HOST", "unix:/run/api", { host: { kind: "unix", path: "/run/api" } }],
  ["HOST", "fd:3", { host: { kind: "fd", fd: 3 } }],
  ["PORT", "0", { port: 0 }],
  ["PORT", "65535", { port: 65_535 }],
  ["PORT", "08000", { port: 8000 }],
  ["TRUSTED_PROXIES", "10.0.0.0/8, unix", { trustedProxies: ["10.0.0.0/8", "unix"] }],
  ["WORKERS", "1024", { workers: 1024 }],
  ["WORKERS", "auto", { workers: availableParallelism() }],
  ["LOG_LEVEL", "error", { logLevel: "error" }],
  ["LOG_LEVEL", "warn", { logLevel: "warn" }],
  ["DOCS", "off", { docs: false }],
  ["DOCS", "on", { docs: true }],
  ["METRICS", "on", { metrics: true }],
  ["METRICS", "off", { metrics: false }],
  ["PROCESS_DELAY_MS", "0", { processDelayMs: 0 }],
  ["PROCESS_DELAY_MS", "2147483647", { processDelayMs: 2_147_483_647 }],
  ["MAX_BODY_BYTES", "1", { maxBodyBytes: 1 }],
  ["MAX_BODY_BYTES", "268435456", { maxBodyBytes: 268_435_456 }],
  ["MAX_BODY_MEMORY", "1", { maxBodyMemory: 1 }],
  ["MAX_BODY_MEMORY", "8589934592", { maxBodyMemory: 8_589_934_592 }],
  ["MAX_IN_FLIGHT", "1", { maxInFlight: 1 }],
  ["MAX_IN_FLIGHT", "1000000000", { maxInFlight: 1_000_000_000 }],
  ["MAX_CONNECTIONS", "1", { maxConnections: 1 }],
  ["MAX_CONNECTIONS", "1000000000", { maxConnections: 1_000_000_000 }],
  ["HEADERS_TIMEOUT_MS", "1", { headersTimeoutMs: 1 }],
  ["HEADERS_TIMEOUT_MS", "30000", { headersTimeoutMs: 30_000 }],
  ["REQUEST_TIMEOUT_MS", "10000", { requestTimeoutMs: 10_000 }],
  ["REQUEST_TIMEOUT_MS", "2147483647", { requestTimeoutMs: 2_147_483_647 }],
  ["KEEP_ALIVE_TIMEOUT_MS", "1", { keepAliveTimeoutMs: 1 }],
  ["KEEP_ALIVE_TIMEOUT_MS", "2147483647", { keepAliveTimeoutMs: 2_147_483_647 }],
  ["SHUTDOWN_DELAY_MS", "0", { shutdownDelayMs: 0 }],
  ["SHUTDOWN_DELAY_MS", "2147483647", { shutdownDelayMs: 2_147_483_647 }],
  ["SHUTDOWN_TIMEOUT_MS", "0", { shutdownTimeoutMs: 0 }],
  ["SHUTDOWN_TIMEOUT_MS", "2147483647", { shutdownTimeoutMs: 2_147_483_647 }],
];

for (const [name, value, expected] of GOOD) {
  test(`${name}=${value} is taken from the environment and from .env`, (t) => {
    const settings = { ...DEFAULTS, ...expected };
    assert.deepEqual(configurationOf(t, { [name]: value }).settings, settings);
    assert.deepEqual(configurationOf(t, {}, `${name}=${value}\n`).settings, settings);
  });
}

test("every level of the log is a LOG_LEVEL", (t) => {
  for (const logLevel of LOG_LEVELS) {
    assert.equal(configurationOf(t, { LOG_LEVEL: logLevel }).settings.logLevel, logLevel);
  }
});

/** What every number refuses; test/config/reader.test.ts has more. */
const NOT_NUMBERS = ["abc", "-1", "1.5", "1e3", " 1", "99999999999"];

/** The settings that are numbers, each with its range and values just out of it. */
const NUMBERS: readonly (readonly [name: string, range: string, values: readonly string[]])[] = [
  ["PORT", "0 to 65535", ["65536", "99999", "8000.5", " 8000", "auto"]],
  ["WORKERS", "1 to 1024", ["0", "1025", "AUTO", "auto ", "max"]],
  ["PROCESS_DELAY_MS", "0 to 2147483647", ["2147483648"]],
  ["MAX_BODY_BYTES", "1 to 268435456", ["0", "268435457"]],
  ["MAX_BODY_MEMORY", "1 to 8589934592", ["0", "8589934593"]],
  ["MAX_IN_FLIGHT", "1 to 1000000000", ["0", "1000000001"]],
  ["MAX_CONNECTIONS", "1 to 1000000000", ["0", "1000000001"]],
  ["HEADERS_TIMEOUT_MS", "1 to 2147483647", ["0", "2147483648"]],
  ["REQUEST_TIMEOUT_MS", "1 to 2147483647", ["0", "2147483648"]],
  ["KEEP_ALIVE_TIMEOUT_MS", "1 to 2147483647", ["0", "2147483648"]],
  ["SHUTDOWN_DELAY_MS", "0 to 2147483647", ["2147483648"]],
  ["SHUTDOWN_TIMEOUT_MS", "0 to 2147483647", ["2147483648"]],
];

for (const [name, range, values] of NUMBERS) {
  test(`${name} must be a whole number from ${range}`, (t) => {
    for (const value of [...NOT_NUMBERS, ...values]) {
      const problems = problemsOf(t, { SERVICE_API_KEY: STRONG, [name]: value });
      const expected = `${name} (environment): must be a whole number from ${range}`;
      assert.deepEqual(problems, [expected], JSON.stringify(value));
    }
  });
}

/** The settings that are words, each with its words and with others. */
const WORDS: readonly (readonly [name: string, words: string, others: readonly string[]])[] = [
  [
    "LOG_LEVEL",
    LOG_LEVELS.join(", "),
    ["INFO", "trace", "0", "info ", "info,warn", "none", "__proto__", "warning"],
  ],
  ["DOCS", "on, off", ["ON", "true", "1", "yes", "0", "On", "on,off"]],
  ["METRICS", "on, off", ["ON", "true", "1", "yes", "0", "Off", " on", "/metrics"]],
  ["SERVICE_ALLOW_WEAK_KEY", "1, 0", ["true", "yes", "on", "2", "01", "10", "-1"]],
];

for (const [name, words, others] of WORDS) {
  test(`${name} must be one of ${words}`, (t) => {
    for (const value of others) {
      const problems = problemsOf(t, { SERVICE_API_KEY: STRONG, [name]: value });
      assert.deepEqual(problems, [`${name} (environment): must be one of ${words}`]);
    }
  });
}

const NAMES = ["HOST", ...NUMBERS.map(([name]) => name), ...WORDS.map(([name]) => name)];

for (const name of [...NAMES, "SERVICE_API_KEY_FILE", "SERVICE_API_KEYS_FILE"]) {
  test(`${name} that is set but empty is a problem: neither default nor .env count`, (t) => {
    const key = name === "SERVICE_API_KEY_FILE" ? {} : { SERVICE_API_KEY: STRONG };
    const [problem = "", ...more] = problemsOf(t, { ...key, [name]: "" }, `${name}=1\n`);
    assert.ok(problem.startsWith(`${name} (environment): `), problem);
    assert.deepEqual(more, []);
    const [inFile = ""] = problemsOf(t, key, `X=1\n${name}=\n`);
    assert.ok(inFile.startsWith(`${name} (.env, line 2): `), inFile);
  });
}

test("an empty SERVICE_API_KEY in the environment is a problem, whatever .env has", (t) => {
  const problems = problemsOf(t, { SERVICE_API_KEY: "" }, `SERVICE_API_KEY=${STRONG}\n`);
  assert.equal(problems.length, 1);
  assert.match(problems[0] ?? "", /^SERVICE_API_KEY \(environment\): is empty: make a key with /);
});

/** Which of two values counts: an environment, a `.env`, and the port that results. */
const PRECEDENCE: readonly (readonly [string, NodeJS.ProcessEnv, string, number])[] = [
  ["the environment before .env", { PORT: "1" }, "PORT=2\n", 1],
  ["the last of two lines in .env", {}, "PORT=2\nPORT=3\n", 3],
  [".env if the environment has undefined", { PORT: undefined }, "PORT=2\n", 2],
  ["the environment even if .env has a bad value", { PORT: "1" }, "PORT=abc\n", 1],
];

for (const [what, env, envFile, port] of PRECEDENCE) {
  test(`PORT is taken from ${what}`, (t) => {
    assert.equal(configurationOf(t, env, envFile).settings.port, port);
  });
}

test("inherited properties of the environment are no variables", (t) => {
  const env = Object.create({ SERVICE_API_KEY: STRONG, PORT: "abc" }) as NodeJS.ProcessEnv;
  const problems = problemsOf(t, env);
  assert.equal(problems.length, 1);
  assert.match(problems[0] ?? "", /^SERVICE_API_KEY: no usable key/);
});

/** Timeouts that contradict each other, with the problem. */
const BAD_TIMEOUTS: readonly (readonly [NodeJS.ProcessEnv, string, string])[] = [
  [
    { HEADERS_TIMEOUT_MS: "30001" },
    "",
    "HEADERS_TIMEOUT_MS (environment): must be at most REQUEST_TIMEOUT_MS (default)",
  ],
  [
    { REQUEST_TIMEOUT_MS: "9999" },
    "",
    "HEADERS_TIMEOUT_MS (default): must be at most REQUEST_TIMEOUT_MS (environment)",
  ],
  [
    { HEADERS_TIMEOUT_MS: "2" },
    "\nREQUEST_TIMEOUT_MS=1\n",
    "HEADERS_TIMEOUT_MS (environment): must be at most REQUEST_TIMEOUT_MS (.env, line 2)",
  ],
  [
    {},
    "HEADERS_TIMEOUT_MS=5\nREQUEST_TIMEOUT_MS=4\n",
    "HEADERS_TIMEOUT_MS (.env, line 1): must be at most REQUEST_TIMEOUT_MS (.env, line 2)",
  ],
];

for (const [env, envFile, problem] of BAD_TIMEOUTS) {
  test(`a problem of two timeouts names both places: ${problem}`, (t) => {
    assert.deepEqual(problemsOf(t, { SERVICE_API_KEY: STRONG, ...env }, envFile), [problem]);
  });
}

test("HEADERS_TIMEOUT_MS may be as long as REQUEST_TIMEOUT_MS", (t) => {
  const env = { HEADERS_TIMEOUT_MS: "7", REQUEST_TIMEOUT_MS: "7" };
  assert.equal(configurationOf(t, env).settings.headersTimeoutMs, 7);
});

test("MAX_BODY_BYTES over MAX_BODY_MEMORY is a warning that names both places", (t) => {
  const { warnings } = configurationOf(t, { MAX_BODY_BYTES: "67108865" });
  assert.deepEqual(warnings, [
    "MAX_BODY_BYTES (environment): is more than MAX_BODY_MEMORY (default): " +
      "larger bodies than that get 503",
  ]);
  const equal = { MAX_BODY_BYTES: "5", MAX_BODY_MEMORY: "5" };
  assert.deepEqual(configurationOf(t, equal).warnings, []);
});

/** A value that shows wherever it is printed. */
const MARK = "MaRkEr";

test("all problems are reported at once with variable and place, and no value is shown", (t) => {
  const inEnvironment = NAMES.slice(0, 8);
  const inFile = NAMES.slice(8);
  const env = Object.fromEntries(inEnvironment.map((name) => [name, ` ${MARK}`]));
  const lines = inFile.map((name) => `${name}='${MARK}'\n`);
  const keys = { SERVICE_API_KEY: `${MARK} ${MARK}`, SERVICE_API_KEYS_FILE: "" };
  const problems = problemsOf(t, { ...env, ...keys }, `# c\n${lines.join("")}`);
  const places = problems.map((problem) => problem.split(": ")[0]);
  assert.deepEqual(
    places.sort(),
    [
      ...inEnvironment.map((name) => `${name} (environment)`),
      ...inFile.map((name, index) => `${name} (.env, line ${index + 2})`),
      "SERVICE_API_KEY (environment)",
      "SERVICE_API_KEYS_FILE (environment)",
    ].sort(),
  );
  assert.ok(!problems.join("\n").includes(MARK));
});

test("SettingsError has every problem with place and message", () => {
  const problems = [
    { place: "PORT (environment)", message: "must be 1" },
    { place: ".env", message: "can't be read" },
  ];
  const error = new SettingsError(problems);
  assert.deepEqual(error.problems, problems);
  assert.equal(error.message, "PORT (environment): must be 1\n.env: can't be read");
});

test("the sandbox is granted .env, even if it does not exist, and nothing else", (t) => {
  const directory = directoryWith(t);
  const env = { SERVICE_API_KEY: STRONG };
  const { sandboxGrants } = readConfiguration(env, directory, NOW);
  assert.deepEqual(sandboxGrants, {
    files: [join(directory, ".env")],
    socket: undefined,
    processes: false,
  });
});

test("the sandbox is granted key files by absolute paths, and starting workers", (t) => {
  const directory = tempDirectory(t, {
    ".env": "SERVICE_API_KEYS_FILE=./keys\n",
    key: STRONG,
    keys: `ci sha256:${"1".repeat(64)}\n`,
  });
  const env = { SERVICE_API_KEY_FILE: "key", WORKERS: "2" };
  const { sandboxGrants } = readConfiguration(env, directory, NOW);
  const files = [".env", "key", "keys"].map((name) => join(directory, name));
  assert.deepEqual(sandboxGrants, { files, socket: undefined, processes: true });
});
