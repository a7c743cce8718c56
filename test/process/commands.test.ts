import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";

import { runCommandLine } from "../../src/process/commands.ts";
import { sandboxOptions } from "../../src/process/sandbox.ts";
import { makeCertificate } from "../support/certificates.ts";
import { exitOf } from "../support/this-process.ts";
import { startProgram } from "../support/program.ts";
import { KEY } from "../support/requests.ts";
import { root } from "../support/root.ts";
import { tempDirectory } from "../support/temp.ts";

/** Runs a command in an empty directory, with these variables and no others. */
async function run(
  t: TestContext,
  args: readonly string[],
  variables: Readonly<Record<string, string>> = { SERVICE_API_KEY: KEY },
  directory = tempDirectory(t),
): Promise<readonly unknown[]> {
  const { env } = process;
  process.env = { ...variables };
  t.mock.method(process, "cwd", () => directory);
  try {
    return await exitOf(t, () => runCommandLine(args));
  } finally {
    process.env = env;
  }
}

describe("a command line", () => {
  const USAGE = "usage: main.js [--hints] | keygen [NAME [--days N]] | keys | openapi | sandbox";

  for (const args of [["other"], [""], ["--hint"], ["keys", "x"], ["--hints", "--hints"]]) {
    test(`${JSON.stringify(args)} is misuse`, async (t) => {
      assert.deepEqual(await run(t, args), [`stderr: ${USAGE}\n`, 64]);
    });
  }

  test("keygen prints a line for .env, or for the keys file if it has a name", async (t) => {
    const [line, code, ...rest] = await run(t, ["keygen"], {});
    assert.match(String(line), /^stdout: \n?SERVICE_API_KEY=svk_[\w-]{43}\n$/);
    assert.deepEqual([code, rest], [0, []]);
    const [shown, named] = await run(t, ["keygen", "ci"], {});
    assert.match(String(shown), /^stderr: The key, shown only now/);
    assert.match(String(named), /^stdout: \n?ci sha256:[0-9a-f]{64}\n$/);
  });

  test("keys prints the table of keys", async (t) => {
    const [table, code] = await run(t, ["keys"]);
    assert.match(String(table), /^stdout: NAME +[^\n]+\ndefault +[^\n]+\n$/);
    assert.equal(code, 0);
  });

  test("keys says after a blank line when the certificate expires", async (t) => {
    const { cert, key } = makeCertificate({ days: 100 });
    const directory = tempDirectory(t, { "cert.pem": cert, "key.pem": key });
    const [table, code] = await run(t, ["keys"], {
      SERVICE_API_KEY: KEY,
      TLS_CERT_FILE: join(directory, "cert.pem"),
      TLS_KEY_FILE: join(directory, "key.pem"),
    });
    assert.match(String(table), /^stdout: [^]+\n\ncertificate: expires at [^\n]+\n$/);
    assert.equal(code, 0);
  });

  test("openapi prints the document", async (t) => {
    const document = readFileSync(new URL("src/docs/openapi.json", root), "utf8");
    assert.deepEqual(await run(t, ["openapi"], {}), [`stdout: ${document}`, 0]);
  });

  test("sandbox prints the options for the settings and this program", async (t) => {
    const directory = tempDirectory(t);
    const grants = { files: [join(directory, ".env")] };
    const options = sandboxOptions(process.allowedNodeEnvironmentFlags, grants, process.argv[1]);
    const outcome = await run(t, ["sandbox"], { SERVICE_API_KEY: KEY }, directory);
    assert.deepEqual(outcome, [`stdout: ${options}\n`, 0]);
  });

  test("that needs settings ends with 78 if they are wrong", async (t) => {
    const [problem, code, ...rest] = await run(t, ["keys"], { SERVICE_API_KEY: KEY, PORT: "x" });
    assert.match(String(problem), /^stderr: PORT \(environment\): [^\n]+\n$/);
    assert.deepEqual([code, rest], [78, []]);
  });

  test("ends with 1 and the stack for a mistake in the program", async (t) => {
    const mistake = t.mock.method(Date, "now", () => {
      throw new TypeError("mistake");
    });
    const [stack, code] = await run(t, ["keys"]);
    mistake.mock.restore();
    assert.match(String(stack), /^stderr: TypeError: mistake\n +at /);
    assert.equal(code, 1);
  });
});

test("the service prints a hint only if it is asked to", async (t) => {
  const quiet = await startProgram(t);
  assert.equal(await quiet.stop(), 0);
  assert.equal(quiet.stderr(), "");
  const program = await startProgram(t, {}, { args: ["--hints"] });
  await program.until(() => program.stderr().includes("Listening on"), "the hint");
  assert.equal(await program.stop(), 0);
});
