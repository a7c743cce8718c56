import type { Writable } from "node:stream";

import type { Output } from "../config/keygen.ts";
import { printable } from "../config/reader.ts";

/** The command line is wrong. The exit codes are those of sysexits.h; this one is EX_USAGE. */
export const EXIT_USAGE = 64;

/** The settings are wrong: EX_CONFIG. */
export const EXIT_CONFIG = 78;

/** The output can't be written: EX_IOERR. */
const EXIT_IO = 74;

/** Why this process can't go on. The message has one or more lines for the operator. */
export class Failure extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

/**
 * What to print about an error that ends a process. A Failure has a message for the operator. Any
 * other error is a mistake in the program, such as two equal routes: its stack says where.
 */
export function textForOperator(error: unknown): string {
  if (error instanceof Failure) return error.message;
  return error instanceof Error ? String(error.stack) : String(error);
}

/**
 * Prints the output of a command, however slow its reader is, and ends this process. If stderr
 * can't be written, stdout isn't either. If one of them can't, the exit code is not 0.
 */
export async function exitWithOutput({ stdout, stderr, exitCode }: Output): Promise<never> {
  const failureCode = exitCode === 0 ? EXIT_IO : exitCode;
  const stderrError = await write(process.stderr, stderr);
  if (stderrError !== undefined) process.exit(failureCode);
  const stdoutError = await write(process.stdout, stdout);
  if (stdoutError === undefined) process.exit(exitCode);
  // A reader that has gone, such as `head`, has read enough: it needs no message.
  if (stdoutError.code !== "EPIPE") {
    await write(process.stderr, `can't write to stdout (${stdoutError.code})\n`);
  }
  process.exit(failureCode);
}

/**
 * Prints a message on stderr, however slow its reader is, and ends this process. Its lines are made
 * safe to print: a worker, or a path, may hold anything.
 */
export function exitWithMessage(message: string, exitCode = 1): Promise<never> {
  const lines = message.split("\n").map(printable);
  return exitWithOutput({ stdout: "", stderr: `${lines.join("\n")}\n`, exitCode });
}

/** Resolves when the text has been written, or to the error if it can't be. */
function write(stream: Writable, text: string): Promise<NodeJS.ErrnoException | undefined> {
  if (text === "") return Promise.resolve(undefined);
  // The error goes to the callback and to the listeners. Without a listener, Node throws it.
  stream.on("error", () => {});
  return new Promise((resolve) => {
    stream.write(text, (error) => resolve(error ?? undefined));
  });
}
