import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";

import { spawnProgram } from "../support/program.ts";
import { directoryWith, STRONG } from "../support/settings.ts";

/** A value that shows wherever it is printed. */
const MARK = "MaRkEr";

interface Result {
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the program with these variables and a `.env`, to its end. */
async function run(t: TestContext, env: NodeJS.ProcessEnv, envFile?: string): Promise<Result> {
  const service = spawnProgram(t, env, { directory: directoryWith(t, envFile) });
  const code = await service.exit();
  return { code, stdout: service.stdout(), stderr: service.stderr() };
}

describe("the program", { concurrency: 4 }, () => {
  test("ends with 78 and one line for each bad setting on stderr, without a value", async (t) => {
    const env = {
      SERVICE_API_KEY: `${MARK}\u00e9`,
      PORT: MARK,
      LOG_LEVEL: MARK,
      HOST: `${MARK} x`,
      MAX_BODY_BYTES: `-${MARK}`,
      TRUSTED_PROXIES: `10.0.0.1,${MARK}`,
      METRICS: MARK,
    };
    const { code, stdout, stderr } = await run(t, env, `WORKERS=${MARK}\nDOCS=${MARK}\n`);
    assert.deepEqual([code, stdout], [78, ""]);
    const names = stderr
      .trimEnd()
      .split("\n")
      .map((line) => line.replace(/ \(.*/, ""));
    assert.deepEqual(names.sort(), [
      "DOCS",
      "HOST",
      "LOG_LEVEL",
      "MAX_BODY_BYTES",
      "METRICS",
      "PORT",
      "SERVICE_API_KEY",
      "TRUSTED_PROXIES",
      "WORKERS",
    ]);
    assert.ok(!stderr.includes(MARK));
  });

  const withoutKey: readonly (readonly [what: string, envFile: string | undefined])[] = [
    ["no .env", undefined],
    ["an empty .env", ""],
    ["a .env without the line", "PORT=0\n"],
    ["SERVICE_API_KEY=", "SERVICE_API_KEY=\n"],
    ["SERVICE_API_KEY=   ", "SERVICE_API_KEY=   \n"],
    ['SERVICE_API_KEY=""', 'SERVICE_API_KEY=""\n'],
    ["SERVICE_API_KEY= # comment", "SERVICE_API_KEY= # comment\n"],
    ["the name of the variable alone", "SERVICE_API_KEY\n"],
  ];
  for (const [what, envFile] of withoutKey) {
    test(`refuses to start with ${what}, in a line that names SERVICE_API_KEY`, async (t) => {
      const { code, stdout, stderr } = await run(t, { PORT: "0" }, envFile);
      assert.deepEqual([code, stdout], [78, ""]);
      assert.ok(stderr.includes("SERVICE_API_KEY"));
      assert.ok(stderr.trimEnd().split("\n").length <= 2, stderr);
    });
  }

  test("ends before it starts a worker if a setting is bad", async (t) => {
    const { code, stdout, stderr } = await run(t, { WORKERS: "2", PORT: "x" });
    assert.deepEqual([code, stdout], [78, ""]);
    assert.equal(stderr.trimEnd().split("\n").length, 2);
  });

  test("ends at once if files are a FIFO, a device, or too large", async (t) => {
    const directory = directoryWith(t, "SERVICE_API_KEY_FILE=large\n");
    execFileSync("mkfifo", [join(directory, "fifo")]);
    writeFileSync(join(directory, "large"), "");
    truncateSync(join(directory, "large"), 600 * 1_048_576);
    for (const [path, message] of [
      ["fifo", "fifo is not a regular file"],
      ["/dev/zero", "the file /dev/zero is not a regular file"],
    ] as const) {
      const service = spawnProgram(t, { SERVICE_API_KEYS_FILE: path }, { directory });
      assert.equal(await service.exit(), 78);
      const [single = "", keys = "", ...more] = service.stderr().trimEnd().split("\n");
      assert.match(
        single,
        /^SERVICE_API_KEY_FILE \(\.env, line 1\): .*large is larger than 1 MiB$/,
      );
      assert.ok(keys.endsWith(message), keys);
      assert.deepEqual(more, []);
    }
  });

  test("ends at once if .env is a FIFO", async (t) => {
    const directory = directoryWith(t);
    execFileSync("mkfifo", [join(directory, ".env")]);
    const service = spawnProgram(t, { SERVICE_API_KEY: STRONG }, { directory });
    assert.equal(await service.exit(), 78);
    assert.match(service.stderr(), /^\.env: [^\n]*\.env is not a regular file\n$/);
  });
});
