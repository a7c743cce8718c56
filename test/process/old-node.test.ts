import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { spawnProgram, startProgram } from "../support/program.ts";
import { KEY } from "../support/requests.ts";

/** The NODE_OPTIONS of a process that runs code before the program. */
function running(code: string): string {
  // Node 26 warns of register().
  return `--no-warnings --import=data:text/javascript,${encodeURIComponent(code)}`;
}

function pretend(version: string): string {
  return `Object.defineProperty(process, "versions", {
    value: { ...process.versions, node: "${version}" },
  });`;
}

/** Makes node:crypto export nothing, so that a file that imports something from it can't load. */
const WITHOUT_CRYPTO = `
  import { register } from "node:module";
  register("data:text/javascript," + encodeURIComponent(\`
    export const resolve = (specifier, context, next) =>
      specifier === "node:crypto"
        ? { url: "data:text/javascript,", shortCircuit: true }
        : next(specifier, context);
  \`));`;

describe("a Node that is too old", () => {
  for (const args of [[], ["keys"], ["keygen"], ["nonsense"]]) {
    test(`gets one line for ${JSON.stringify(args)}, and exit code 1`, async (t) => {
      const service = spawnProgram(
        t,
        { SERVICE_API_KEY: KEY, NODE_OPTIONS: running(pretend("18.20.8") + WITHOUT_CRYPTO) },
        { args },
      );
      assert.equal(await service.exit(), 1);
      assert.match(service.stderr(), /^Node 18\.20\.8 is too old [^\n]+\n$/);
      assert.equal(service.stdout(), "");
    });
  }

  test("would have got a stack trace from an import", async (t) => {
    const service = spawnProgram(t, {
      SERVICE_API_KEY: KEY,
      NODE_OPTIONS: running(WITHOUT_CRYPTO),
    });
    assert.equal(await service.exit(), 1);
    assert.match(service.stderr(), /does not provide an export named/);
  });
});

test("a Node that parses some JSON slowly gets one warning, from the service only", async (t) => {
  const NODE_OPTIONS = running(pretend("20.20.1"));
  const service = await startProgram(t, { NODE_OPTIONS, WORKERS: "2" });
  const warnings = service
    .events("warning")
    .map(({ message }) => String(message))
    .filter((message) => message.startsWith("Node "));
  assert.equal(warnings.length, 1);
  assert.match(String(warnings[0]), /^Node 20\.20\.1 parses some JSON bodies very slowly: /);
  const keygen = spawnProgram(t, { NODE_OPTIONS }, { args: ["keygen"] });
  assert.equal(await keygen.exit(), 0);
  assert.equal(keygen.stderr(), "");
});
