import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";

import { type Configuration, readConfiguration } from "../../src/config/settings.ts";
import { NOW, problemsIn, STRONG } from "../support/settings.ts";
import { tempDirectory } from "../support/temp.ts";

const LINE = `ci sha256:${"1".repeat(64)}`;

/** Files with which no key is usable at NOW. */
const WITHOUT_KEY: readonly (readonly [what: string, files: Readonly<Record<string, string>>])[] = [
  ["no .env", {}],
  ["a .env without a key", { ".env": "PORT=1\n" }],
  ["an empty keys file", { ".env": "SERVICE_API_KEYS_FILE=keys\n", keys: "" }],
  ["a keys file of comments", { ".env": "SERVICE_API_KEYS_FILE=keys\n", keys: `# ${LINE}\n` }],
  [
    "a keys file whose key has expired",
    {
      ".env": "SERVICE_API_KEYS_FILE=keys\n",
      keys: `${LINE} expires=2027-01-15T12:00:00Z\n`,
    },
  ],
];

const reload = (directory: string, env: NodeJS.ProcessEnv = {}): Configuration =>
  readConfiguration(env, directory, NOW, { reload: true });

const WARNING = "no usable key is set: every request that needs a key is denied";

for (const [what, files] of WITHOUT_KEY) {
  test(`${what} is a problem at the start, and a warning on reload`, (t) => {
    const directory = tempDirectory(t, files);
    const [problem, ...more] = problemsIn(directory, {});
    assert.match(problem ?? "", /^SERVICE_API_KEY: no usable key is set/);
    assert.deepEqual(more, []);
    assert.equal(reload(directory).warnings.filter((warning) => warning === WARNING).length, 1);
  });
}

test("on reload, keys that have expired are still part of the set and of the warnings", (t) => {
  const keys = `${LINE} expires=2027-01-15T12:00:00Z\n`;
  const directory = tempDirectory(t, { keys });
  const configuration = reload(directory, { SERVICE_API_KEYS_FILE: "keys" });
  assert.deepEqual(
    configuration.secrets.keys.map(({ name }) => name),
    ["ci"],
  );
  assert.deepEqual(configuration.warnings, [
    WARNING,
    "key ci expired at 2027-01-15T12:00:00Z: remove its line",
  ]);
});

test("on reload, a usable key is no warning", (t) => {
  assert.deepEqual(reload(tempDirectory(t), { SERVICE_API_KEY: STRONG }).warnings, []);
});

/** What is a problem on reload as at the start. */
const PROBLEMS: readonly (readonly [what: string, env: NodeJS.ProcessEnv])[] = [
  ["a keys file that is gone", { SERVICE_API_KEYS_FILE: "keys" }],
  ["an empty SERVICE_API_KEY", { SERVICE_API_KEY: "" }],
  ["a bad line in the keys file", { SERVICE_API_KEYS_FILE: "bad" }],
  ["a weak key", { SERVICE_API_KEY: "weak", HOST: "0.0.0.0" }],
  ["a bad setting", { SERVICE_API_KEY: STRONG, PORT: "x" }],
];

for (const [what, env] of PROBLEMS) {
  test(`${what} is a problem on reload, too`, (t) => {
    const directory = withBadKeys(t);
    const start = problemsIn(directory, env);
    assert.equal(start.length, 1);
    assert.throws(() => reload(directory, env), { message: start[0] });
  });
}

function withBadKeys(t: TestContext): string {
  return tempDirectory(t, { bad: "x\n" });
}
