import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { killAtExit } from "./support/processes.ts";

/** What the service promises of connections, requests and responses: as much with TLS. */
const FILES = [
  "contract",
  "http/body-memory",
  "http/body-reading",
  "http/broken-body",
  "http/connections",
  "http/draining",
  "http/exchange",
  "http/flow",
  "http/handlers",
  "http/parse-error",
  "http/pipelining",
  "http/pipelining-order",
  "http/reset",
  "http/send",
  "http/server",
  "http/sweep",
  "http/timeouts",
  "http/unread",
];

const EXTENSION = import.meta.url.endsWith(".ts") ? "ts" : "js";

describe("over TLS", () => {
  for (const name of FILES) {
    test(`all tests of ${name} pass`, async () => {
      const path = fileURLToPath(new URL(`${name}.test.${EXTENSION}`, import.meta.url));
      const { code, output } = await runTests(path);
      assert.equal(code, 0, output.slice(-10_000));
      assert.match(output, /^# fail 0$/m);
      assert.doesNotMatch(output, /^# pass 0$/m);
    });
  }
});

/** Runs a test file in which services and clients use TLS. */
function runTests(path: string): Promise<{ code: number | null; output: string }> {
  const { NODE_TEST_CONTEXT: _context, ...env } = process.env;
  const args = ["--no-warnings", "--test", "--test-reporter=tap", path];
  const child = spawn(process.execPath, args, {
    env: { ...env, TEST_TRANSPORT: "tls" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  killAtExit(child);
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, output })));
}
