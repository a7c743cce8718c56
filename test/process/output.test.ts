import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync, type StdioOptions } from "node:child_process";
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";

import { exchange } from "../support/client.ts";
import { killAtExit } from "../support/processes.ts";
import { PROGRAM, type Variables } from "../support/program.ts";
import { get } from "../support/requests.ts";
import { until } from "../support/wait.ts";

const KEY = "svk_output-0123456789-abcdefghijklmnopqrstuvwxyz";

const base = mkdtempSync(join(tmpdir(), "output-"));
after(() => rmSync(base, { recursive: true }));

/** What can't be written to, and what the program says of a stdout of that kind. */
const BROKEN: Record<string, { open: () => number | undefined; message: string }> = {
  "a pipe that no one reads": { open: () => undefined, message: "" },
  "open for reading only": {
    open: () => openSync(PROGRAM, "r"),
    message: "can't write to stdout (EBADF)\n",
  },
};
if (existsSync("/dev/full")) {
  BROKEN["on a full disk"] = {
    open: () => openSync("/dev/full", "w"),
    message: "can't write to stdout (ENOSPC)\n",
  };
}

interface Run {
  readonly child: ChildProcess;
  /** What it has written so far to the stream that works. */
  output(): string;
  /** The exit code, or the signal that ended it. */
  readonly exit: Promise<number | string>;
}

/** Starts the program with a stdout or stderr that can't be written to. */
function start(
  args: readonly string[],
  stream: "stdout" | "stderr",
  broken: string,
  variables: Variables = {},
): Run {
  const descriptor = BROKEN[broken]?.open();
  const stdio: StdioOptions = ["ignore", "pipe", "pipe"];
  if (descriptor !== undefined) stdio[stream === "stdout" ? 1 : 2] = descriptor;
  const child = spawn(process.execPath, ["--no-warnings", PROGRAM, ...args], {
    cwd: base,
    env: { PATH: process.env["PATH"], SERVICE_API_KEY: KEY, PORT: "0", ...variables },
    stdio,
  });
  killAtExit(child);
  if (descriptor !== undefined) closeSync(descriptor);
  // The program has yet to start: it never sees the pipe open.
  else child[stream]?.destroy();
  let output = "";
  child[stream === "stdout" ? "stderr" : "stdout"]?.on("data", (chunk: Buffer) => {
    output += chunk.toString();
  });
  const exit = new Promise<number | string>((resolve) => {
    child.once("close", (code, signal) => resolve(code ?? signal ?? ""));
  });
  return { child, output: () => output, exit };
}

for (const [broken, { message }] of Object.entries(BROKEN)) {
  describe(`stdout is ${broken}`, { concurrency: 4 }, () => {
    for (const command of ["keygen", "keys", "sandbox"]) {
      test(`${command} exits with 74`, async () => {
        const { exit, output } = start([command], "stdout", broken);
        assert.equal(await exit, 74);
        assert.equal(output(), message);
      });
    }

    test("keygen NAME exits with 74, after it has shown the key", async () => {
      const { exit, output } = start(["keygen", "ci"], "stdout", broken);
      assert.equal(await exit, 74);
      assert.match(output(), /^The key[^]*\nsvk_[\w-]{43}\n[^\n]*:\n/);
      assert.ok(output().endsWith(`:\n${message}`), output());
    });

    test("the service serves", async () => {
      const { child, exit, output } = start(["--hints"], "stdout", broken, { LOG_LEVEL: "warn" });
      await until(() => /:(\d+)\/process/.test(output()), "the hint");
      const port = Number(/:(\d+)\/process/.exec(output())?.[1]);
      assert.equal((await exchange(port, get("/health"))).responses[0]?.status, 200);
      child.kill("SIGTERM");
      assert.equal(await exit, 0);
    });
  });

  describe(`stderr is ${broken}`, { concurrency: 4 }, () => {
    for (const command of ["keygen", "keys", "sandbox"]) {
      test(`${command}, which does not need it, succeeds`, async () => {
        const { exit, output } = start([command], "stderr", broken);
        assert.equal(await exit, 0);
        assert.match(output(), /\n$/);
      });
    }

    test("keygen NAME prints no line for a key that is lost", async () => {
      const { exit, output } = start(["keygen", "ci"], "stderr", broken);
      assert.equal(await exit, 74);
      assert.equal(output(), "");
    });

    const failures: readonly (readonly [string, string[], Variables, number])[] = [
      ["a usage error", ["nonsense"], {}, 64],
      ["a usage error of keygen", ["keygen", "--days"], {}, 64],
      ["a failing start", [], { PORT: "x" }, 78],
      ["a failing command", ["keys"], { PORT: "x" }, 78],
      ["an unknown HOST", [], { HOST: "name.invalid", LOG_LEVEL: "error" }, 1],
    ];
    for (const [what, args, variables, code] of failures) {
      test(`${what} exits with ${code}`, async () => {
        const { exit, output } = start(args, "stderr", broken, variables);
        assert.equal(await exit, code);
        assert.equal(output(), "");
      });
    }

    for (const WORKERS of ["1", "2"]) {
      test(`the service serves without its hints, with WORKERS=${WORKERS}`, async () => {
        const { child, exit, output } = start(["--hints"], "stderr", broken, { WORKERS });
        await until(() => output().includes('"listening"'), "the service to listen");
        const port = Number(/"port":(\d+)/.exec(output())?.[1]);
        assert.equal((await exchange(port, get("/health"))).responses[0]?.status, 200);
        child.kill("SIGTERM");
        assert.equal(await exit, 0);
        assert.doesNotMatch(output(), /"event":"error"/);
      });
    }
  });
}

test("keygen >> to a file whose last line lacks its end begins a line of its own", () => {
  const path = join(base, "appended");
  writeFileSync(path, "PORT=0");
  for (const args of [[], ["ci"]]) {
    const stdout = openSync(path, "a");
    const command = ["--no-warnings", PROGRAM, "keygen", ...args];
    spawnSync(process.execPath, command, { stdio: ["ignore", stdout, "ignore"] });
    closeSync(stdout);
  }
  const lines = readFileSync(path, "utf8").split("\n");
  assert.deepEqual(
    lines.map((line) => line.replace(/(svk_|sha256:).*/, "")),
    ["PORT=0", "SERVICE_API_KEY=", "", "ci ", ""],
  );
});

describe("a slow reader", () => {
  test("gets every one of 5,000 problems, and the exit code is 78", async () => {
    const directory = mkdtempSync(join(base, "slow-"));
    const lines = Array.from({ length: 5000 }, (_, index) => `${index} junk\n`);
    writeFileSync(join(directory, ".env"), lines.join(""), { mode: 0o600 });
    const { problems, exitCode } = await runIntoSlowPipe(directory, '"$@" 2>&1');
    assert.equal(problems.length, 5000);
    assert.match(problems.at(-1) ?? "", /^\.env, line 5000: /);
    assert.equal(exitCode, 78);
  });

  test("gets the whole table of keys", async () => {
    const directory = mkdtempSync(join(base, "slow-"));
    const { problems, exitCode } = await runIntoSlowPipe(directory, '"$@" keys');
    assert.equal(problems.length, 2);
    assert.equal(exitCode, 0);
  });
});

/** What a reader gets that starts to read when the program has filled the pipe, or is done. */
async function runIntoSlowPipe(
  cwd: string,
  command: string,
): Promise<{ problems: string[]; exitCode: number }> {
  const script = `{ ${command}; echo $? > code; } | { sleep 1; cat; }`;
  const child = spawn("sh", ["-c", script, "sh", process.execPath, PROGRAM], {
    cwd,
    env: { PATH: process.env["PATH"], SERVICE_API_KEY: KEY },
    stdio: ["ignore", "pipe", "inherit"],
  });
  killAtExit(child);
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  await new Promise((resolve) => child.once("close", resolve));
  const problems = output.split("\n").slice(0, -1);
  return { problems, exitCode: Number(readFileSync(join(cwd, "code"), "utf8")) };
}
