import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { hash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, describe, test, type TestContext } from "node:test";
import { promisify } from "node:util";

import { spawnProgram, type Variables } from "../support/program.ts";
import { OTHER_KEY } from "../support/requests.ts";

const KEY = "svk_hint-0123456789-abcdefghijklmnopqrstuvwxyz";

const base = mkdtempSync(join(tmpdir(), "hint-"));
after(() => rmSync(base, { recursive: true }));

/** The files of a directory that the service is started in. */
type Files = Readonly<Record<string, string>>;

describe("the printed command line works in another terminal", { concurrency: 4 }, () => {
  const envFiles: Readonly<Record<string, string>> = {
    "as npm start writes it": `SERVICE_API_KEY=${KEY}\n`,
    "without a last newline": `SERVICE_API_KEY=${KEY}`,
    "in double quotes": `SERVICE_API_KEY="${KEY}"\n`,
    "in single quotes": `SERVICE_API_KEY='${KEY}'\n`,
    "with export": `export SERVICE_API_KEY=${KEY}\n`,
    "with blanks": `  SERVICE_API_KEY = ${KEY}  \n`,
    "with comments": `# SERVICE_API_KEY=${OTHER_KEY}\nSERVICE_API_KEY=${KEY} # the key\n`,
    "with CRLF": `LOG_LEVEL=info\r\nSERVICE_API_KEY=${KEY}\r\n`,
    "written twice": `SERVICE_API_KEY=${OTHER_KEY}\nSERVICE_API_KEY=${KEY}\n`,
  };
  for (const [what, text] of Object.entries(envFiles)) {
    test(`with a key in .env ${what}`, async (t) => {
      const hint = await startAndReadHint(t, { ".env": text });
      assert.ok(!hint.includes(KEY));
      assert.equal(await statusOf(commandIn(hint)), "200");
    });
  }

  for (const text of [`${KEY}\n`, KEY]) {
    test(`with a key file that holds ${JSON.stringify(text)}`, async (t) => {
      const hint = await startAndReadHint(t, { key: text }, { SERVICE_API_KEY_FILE: "key" });
      assert.ok(!hint.includes(KEY));
      assert.equal(await statusOf(commandIn(hint)), "200");
    });
  }

  test("with a key file that .env names", async (t) => {
    const files = { "a key": KEY, ".env": "SERVICE_API_KEY_FILE='a key'\n" };
    const hint = await startAndReadHint(t, files);
    assert.equal(await statusOf(commandIn(hint)), "200");
  });

  test("with the key of .env in the environment, too", async (t) => {
    const files = { ".env": `SERVICE_API_KEY=${KEY}\n` };
    const hint = await startAndReadHint(t, files, { SERVICE_API_KEY: KEY });
    assert.equal(await statusOf(commandIn(hint)), "200");
  });

  test("with a directory whose name has to be quoted", async (t) => {
    const directory = mkdtempSync(join(base, 'it\'s "a" $(dir) '));
    const hint = await startAndReadHint(t, { ".env": `SERVICE_API_KEY=${KEY}\n` }, {}, directory);
    assert.equal(await statusOf(commandIn(hint)), "200");
  });
});

describe("no command line is printed, but where to send a key,", { concurrency: 4 }, () => {
  const cases: Readonly<Record<string, readonly [Files, Variables]>> = {
    "for a key in the environment, which another terminal does not have": [
      {},
      { SERVICE_API_KEY: KEY },
    ],
    "for a key in the environment, with another in .env": [
      { ".env": `SERVICE_API_KEY=${OTHER_KEY}\n` },
      { SERVICE_API_KEY: KEY },
    ],
    "for a keys file, which has no keys": [
      { keys: `ci sha256:${hash("sha256", KEY)}\n` },
      { SERVICE_API_KEYS_FILE: "keys" },
    ],
    "for a form of .env that only the service reads": [
      { ".env": `\ufeffSERVICE_API_KEY='${KEY}'\n` },
      {},
    ],
  };
  for (const [what, [files, variables]] of Object.entries(cases)) {
    test(what, async (t) => {
      const hint = await startAndReadHint(t, files, variables);
      assert.ok(!hint.includes("curl"), hint);
      assert.match(
        hint,
        / http:\/\/127\.0\.0\.1:\d+\/process with a key in the header field X-API-Key/,
      );
      assert.ok(!hint.includes(KEY) && !hint.includes(OTHER_KEY));
    });
  }
});

async function startAndReadHint(
  t: TestContext,
  files: Files,
  variables: Variables = {},
  directory: string = mkdtempSync(join(base, "service-")),
): Promise<string> {
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(directory, name), text, { mode: 0o600 });
  }
  const service = spawnProgram(
    t,
    { PORT: "0", PROCESS_DELAY_MS: "0", ...variables },
    { args: ["--hints"], directory },
  );
  await service.until(() => service.stderr().endsWith("\n\n"), "the hint");
  return service.stderr();
}

function commandIn(hint: string): string {
  const [command] = hint.match(/^ .* \| curl .*$/m) ?? [];
  assert.ok(command !== undefined, hint);
  return command;
}

/** The status that a command line of the hint gets, in a shell with another directory. */
async function statusOf(command: string): Promise<string> {
  const script = command.replace("curl", "curl -sS -o /dev/null -w '%{http_code}'");
  const PATH = `${dirname(process.execPath)}:${process.env["PATH"]}`;
  const options = { cwd: "/", env: { PATH }, timeout: 20_000 };
  const { stdout } = await promisify(execFile)("sh", ["-c", script], options);
  return stdout;
}
