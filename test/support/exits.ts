import { Writable } from "node:stream";
import type { TestContext } from "node:test";

/** The streams that can't be written, with the code of the error. */
export interface BrokenStreams {
  readonly stdout?: string;
  readonly stderr?: string;
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
  t.mock.method(process, "exit", (code: unknown) => {
    outcome ??= [...written, code];
    throw new Error("nothing runs after the end of the process");
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
