import assert from "node:assert/strict";
import fs from "node:fs";
import { describe, test, type TestContext } from "node:test";

import { type StopWatching, watchFileHandles } from "../../src/process/file-handles.ts";
import { useNodeMocks } from "../support/node-mocks.ts";
import { countTimers } from "../support/this-process.ts";

/** A watch of which the test moves the clock. */
interface Watch {
  /** What it has reported. */
  readonly reports: string[];
  readonly stop: StopWatching;
  /** The files that it has yet to close. */
  readonly open: Set<number>;
}

/** Starts a watch. Opening a file fails with the code that `codeOf` returns, if it does. */
function start(t: TestContext, codeOf: () => string | undefined): Watch {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const open = new Set<number>();
  t.mock.method(fs, "openSync", () => {
    const code = codeOf();
    if (code !== undefined) throw Object.assign(new Error(code), { code });
    open.add(77);
    return 77;
  });
  t.mock.method(fs, "closeSync", (fd: number) => open.delete(fd));
  useNodeMocks(t);
  const reports: string[] = [];
  return { reports, stop: watchFileHandles((code) => reports.push(code)), open };
}

describe("a watch on file handles", () => {
  for (const code of ["EMFILE", "ENFILE"]) {
    test(`reports ${code} once a second while it lasts`, (t) => {
      let current: string | undefined = code;
      const { reports } = start(t, () => current);
      t.mock.timers.tick(999);
      assert.deepEqual(reports, []);
      t.mock.timers.tick(1);
      assert.deepEqual(reports, [code]);
      t.mock.timers.tick(2000);
      assert.deepEqual(reports, [code, code, code]);
      current = undefined;
      t.mock.timers.tick(5000);
      assert.equal(reports.length, 3);
    });
  }

  test("reports no other error, such as a file that has gone", (t) => {
    const { reports } = start(t, () => "ENOENT");
    t.mock.timers.tick(5000);
    assert.deepEqual(reports, []);
  });

  test("leaves no file open", (t) => {
    const { reports, open } = start(t, () => undefined);
    t.mock.timers.tick(5000);
    assert.deepEqual([open.size, reports], [0, []]);
  });

  test("ends when it is stopped", (t) => {
    const { reports, stop } = start(t, () => "EMFILE");
    stop();
    t.mock.timers.tick(5000);
    assert.deepEqual(reports, []);
  });
});

test("a watch opens a file that is there, for reading", (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const opened = t.mock.method(fs, "openSync");
  useNodeMocks(t);
  watchFileHandles(() => assert.fail("there are file handles"));
  t.mock.timers.tick(1000);
  assert.deepEqual(opened.mock.calls[0]?.arguments[1], "r");
  assert.equal(opened.mock.calls[0]?.error, undefined);
});

test("a watch does not keep the process alive", () => {
  const before = countTimers();
  const stop = watchFileHandles(() => {});
  assert.equal(countTimers(), before);
  stop();
});
