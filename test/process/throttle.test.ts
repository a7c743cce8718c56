import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";

import { createThrottle } from "../../src/process/throttle.ts";

/** A throttle of which the test moves the clock, and what it has reported. */
function start(t: TestContext): {
  readonly call: (value: string) => void;
  readonly reports: [string, number][];
  readonly tick: (ms: number) => void;
} {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const reports: [string, number][] = [];
  const call = createThrottle((latest: string, count) => reports.push([latest, count]));
  return { call, reports, tick: (ms) => t.mock.timers.tick(ms) };
}

describe("a throttle", () => {
  test("reports the first call at once", (t) => {
    const { call, reports } = start(t);
    call("a");
    assert.deepEqual(reports, [["a", 1]]);
  });

  test("reports nothing without a call", (t) => {
    const { call, reports, tick } = start(t);
    tick(10_000);
    call("a");
    tick(10_000);
    assert.deepEqual(reports, [["a", 1]]);
  });

  test("counts what comes within a second, and reports the latest", (t) => {
    const { call, reports, tick } = start(t);
    for (const value of ["a", "b", "c", "d"]) call(value);
    tick(999);
    assert.deepEqual(reports, [["a", 1]]);
    tick(1);
    assert.deepEqual(reports, [
      ["a", 1],
      ["d", 3],
    ]);
  });

  test("rests after each report", (t) => {
    const { call, reports, tick } = start(t);
    call("a");
    call("b");
    tick(1000);
    call("c");
    assert.equal(reports.length, 2);
    tick(1000);
    assert.deepEqual(reports.at(-1), ["c", 1]);
    tick(1000);
    call("d");
    assert.deepEqual(reports.at(-1), ["d", 1]);
  });

  test("reports at most once a second, and every call once", (t) => {
    const { call, reports, tick } = start(t);
    for (let i = 0; i < 100; i += 1) {
      for (let k = 0; k < i % 7; k += 1) call(String(i));
      tick(100);
    }
    tick(1000);
    assert.ok(reports.length <= 11, `${reports.length} reports in 10 s`);
    const sum = reports.reduce((total, [, count]) => total + count, 0);
    assert.equal(sum, 295);
  });

  test("goes on after a report that fails", (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    let calls = 0;
    const call = createThrottle(() => {
      calls += 1;
      if (calls === 1) throw new Error("failed");
    });
    assert.throws(() => call(undefined), /failed/);
    call(undefined);
    t.mock.timers.tick(1000);
    assert.equal(calls, 2);
  });
});
