import assert from "node:assert/strict";
import { Writable } from "node:stream";
import type { TestContext } from "node:test";

/** The streams that can't be written, with the code of the error. */
export interface BrokenStreams {
  readonly stdout?: string;
  readonly stderr?: string;
}

/**
 * Keeps the handlers that the program attaches to its process. Returns what calls the latest
 * handler of an event, such as a signal. There must be one: a signal without a handler would end
 * the process.
 */
export function keepHandlers(t: TestContext): (event: string, value?: unknown) => void {
  const handlers = new Map<string, (value: unknown) => void>();
  t.mock.method(process, "on", (event: string, handler: (value: unknown) => void) => {
    handlers.set(event, handler);
  });
  return (event, value) => {
    const handler = handlers.get(event);
    assert.ok(handler, `there is a handler of ${event}`);
    handler(value);
  };
}

/** Has each end of the process throw. `onExit` gets the exit code. */
export function throwOnExit(t: TestContext, onExit: (code: unknown) => void): void {
  t.mock.method(process, "exit", (code: unknown) => {
    onExit(code);
    throw new Error("nothing runs after the end of the process");
  });
}

/** How many timers keep the process alive. */
export function countTimers(): number {
  return process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
}

/**
 * Runs what ends the process, which goes on instead. Returns what has been written by then, in
 * order, as `stdout: text`, and the exit code. The readers of both streams are slow.
 */
export async function exitOf(
  t: TestContext,
  end: () => Promise<unknown>,
  broken: BrokenStreams = {},
): Promise<readonly unknown[]> {
  const written: string[] = [];
  let outcome: readonly unknown[] | undefined;
  const stdout = recorder("stdout", broken.stdout, written);
  const stderr = recorder("stderr", broken.stderr, written);
  t.mock.getter(process, "stdout", () => stdout);
  t.mock.getter(process, "stderr", () => stderr);
  throwOnExit(t, (code) => {
    outcome ??= [...written, code];
  });
  try {
    await end();
  } catch (error) {
    if (outcome === undefined) throw error;
  } finally {
    t.mock.restoreAll();
  }
  return outcome ?? written;
}

function recorder(name: string, code: string | undefined, written: string[]): Writable {
  return new Writable({
    decodeStrings: false,
    write: (text: string, _encoding, done) => {
      setImmediate(() => {
        if (code === undefined) written.push(`${name}: ${text}`);
        done(code === undefined ? null : Object.assign(new Error(code), { code }));
      });
    },
  });
}
