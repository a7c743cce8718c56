import assert from "node:assert/strict";
import { describe, test } from "node:test";

import {
  EXIT_CONFIG,
  EXIT_USAGE,
  exitWithMessage,
  exitWithOutput,
  Failure,
  textForOperator,
} from "../../src/process/exit.ts";
import { type BrokenStreams, exitOf } from "../support/this-process.ts";

describe("the output of a command", () => {
  const OUTPUT = { stdout: "result", stderr: "warning", exitCode: 0 };
  const rows: readonly (readonly [
    what: string,
    output: typeof OUTPUT,
    broken: BrokenStreams,
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
      assert.deepEqual(await exitOf(t, () => exitWithOutput(output), broken), expected);
    });
  }
});

describe("the last message of a process", () => {
  test("is on stderr, each line safe to print, with the exit code 1", async (t) => {
    const end = (): Promise<never> => exitWithMessage("first\nsecond \u001b[31m");
    assert.deepEqual(await exitOf(t, end), ["stderr: first\nsecond ?[31m\n", 1]);
  });

  test("has the exit code that it comes with", async (t) => {
    const end = (): Promise<never> => exitWithMessage("usage", EXIT_USAGE);
    assert.deepEqual(await exitOf(t, end), ["stderr: usage\n", 64]);
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
