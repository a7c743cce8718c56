import assert from "node:assert/strict";
import { test } from "node:test";

import { configurationOf, problemsOf, STRONG } from "../support/settings.ts";

const WEAK = "weak-key";
const WEAKNESS = "SERVICE_API_KEY (environment): is shorter than 32 characters";

for (const host of [undefined, "127.0.0.1", "127.10.0.1", "::1", "[::1]", "localhost"]) {
  test(`with HOST ${host ?? "unset"}, a weak key is a warning`, (t) => {
    const { warnings } = configurationOf(t, { SERVICE_API_KEY: WEAK, HOST: host });
    assert.equal(warnings.length, 1);
    assert.ok(warnings[0]?.startsWith(WEAKNESS));
    assert.ok(!warnings[0]?.includes(WEAK));
  });
}

const OTHER_HOSTS = ["0.0.0.0", "::", "10.0.0.1", "example.com", "::2", "[::2]"];

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
