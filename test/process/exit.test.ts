import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { describe, test, type TestContext } from "node:test";

import {
  EXIT_CONFIG,
  EXIT_USAGE,
  exitWithMessage,
  exitWithOutput,
  Failure,
  textForOperator,
} from "../../src/process/exit.ts";

/** The streams that can't be written, with the code of the error. */
interface Broken {
  readonly stdout?: string;
  readonly stderr?: string;
}

/** Stands in for the end of the process. */
class Exit extends Error {
  readonly code: unknown;

  constructor(code: unknown) {
    super("the process has ended");
    this.code = code;
  }
}

/** Runs what ends the process. Returns what it had written by then, in order, and its exit code. */
async function outcomeOf(
  t: TestContext,
  broken: Broken,
  end: () => Promise<never>,
): Promise<readonly unknown[]> {
  const written: string[] = [];
  const streams = {
    stdout: recorder("stdout", broken.stdout, written),
    stderr: recorder("stderr", broken.stderr, written),
  };
  t.mock.getter(process, "stdout", () => streams.stdout);
  t.mock.getter(process, "stderr", () => streams.stderr);
  t.mock.method(process, "exit", (code: unknown) => {
    throw new Exit(code);
  });
  try {
    await end();
  } catch (error) {
    assert.ok(error instanceof Exit);
    return [...written, error.code];
  } finally {
    t.mock.restoreAll();
  }
  return [];
}

/** A stream with a slow reader. */
function recorder(name: string, code: string | undefined, written: string[]): Writable {
  return new Writable({
    decodeStrings: false,
    write: (text: string, _encoding, done) => {
      setImmediate(() => {
        if (code !== undefined) return done(Object.assign(new Error(code), { code }));
        written.push(`${name}: ${text}`);
        done();
      });
    },
  });
}

describe("the output of a command", () => {
  const OUTPUT = { stdout: "result", stderr: "warning", exitCode: 0 };
  const rows: readonly (readonly [
    what: string,
    output: typeof OUTPUT,
    broken: Broken,
    expected: readonly unknown[],
  ])[] = [
    [
      "is written as a whole before the process ends",
      OUTPUT,
      {},
      ["stderr: warning", "stdout: result", 0],
    ],
    [
      "comes with the command's exit code",
      { ...OUTPUT, exitCode: 78 },
      {},
      ["stderr: warning", "stdout: result", 78],
    ],
    [
      "that is empty needs no stream",
      { ...OUTPUT, stdout: "" },
      { stdout: "EPIPE" },
      ["stderr: warning", 0],
    ],
    ["is kept back if the warnings can't be written", OUTPUT, { stderr: "ENOSPC" }, [74]],
    [
      "does not change an exit code that says more",
      { ...OUTPUT, exitCode: 78 },
      { stderr: "ENOSPC" },
      [78],
    ],
    [
      "that can't be written is an error of its own",
      OUTPUT,
      { stdout: "ENOSPC" },
      ["stderr: warning", "stderr: can't write to stdout (ENOSPC)\n", 74],
    ],
    [
      "that can't be written keeps the command's error",
      { ...OUTPUT, exitCode: 1 },
      { stdout: "ENOSPC" },
      ["stderr: warning", "stderr: can't write to stdout (ENOSPC)\n", 1],
    ],
    [
      "whose reader has gone needs no message",
      OUTPUT,
      { stdout: "EPIPE" },
      ["stderr: warning", 74],
    ],
  ];
  for (const [what, output, broken, expected] of rows) {
    test(what, async (t) => {
      assert.deepEqual(await outcomeOf(t, broken, () => exitWithOutput(output)), expected);
    });
  }
});

describe("the last message of a process", () => {
  test("is on stderr, each line safe to print, with the exit code 1", async (t) => {
    const end = (): Promise<never> => exitWithMessage("first\nsecond \u001b[31m");
    assert.deepEqual(await outcomeOf(t, {}, end), ["stderr: first\nsecond ?[31m\n", 1]);
  });

  test("has the exit code that it comes with", async (t) => {
    const end = (): Promise<never> => exitWithMessage("usage", EXIT_USAGE);
    assert.deepEqual(await outcomeOf(t, {}, end), ["stderr: usage\n", 64]);
  });
});

test("an operator gets the message of a failure, and the stack of a mistake", () => {
  assert.equal(textForOperator(new Failure("check HOST")), "check HOST");
  assert.match(textForOperator(new TypeError("mistake")), /^TypeError: mistake\n +at /);
  assert.equal(textForOperator("thrown"), "thrown");
});

test("exit codes are those of sysexits.h; a failure without one has 1", () => {
  assert.deepEqual([EXIT_USAGE, EXIT_CONFIG], [64, 78]);
  assert.equal(new Failure("x").exitCode, 1);
  assert.equal(new Failure("x", EXIT_CONFIG).exitCode, 78);
});
