import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";

import type { Samples } from "../../src/metrics-text.ts";
import { PoolMetrics } from "../../src/process/metrics-pool.ts";
import { parseMetrics, valueOf } from "../support/prometheus.ts";
import { isSettled } from "../support/wait.ts";

const REQUESTS = "api_log_lines_dropped_total";
const MEMORY = "process_resident_memory_bytes";

/** What a worker reports that has counted so much. */
function samplesOf(count: number): Samples {
  return new Map([
    [REQUESTS, count],
    [MEMORY, count],
  ]);
}

const NOTHING = (): Samples => new Map();

/** What a text has: the count, and the workers whose memory it shows. */
function summaryOf(text: string): readonly unknown[] {
  const families = parseMetrics(text);
  return [valueOf(families, REQUESTS), [...(families.get(MEMORY)?.samples.keys() ?? [])]];
}

function memoryOf(...ids: readonly number[]): string[] {
  return ids.map((id) => `${MEMORY}{worker="${id}"}`);
}

/** Metrics of a pool in which the test moves the clock. */
function start(t: TestContext): PoolMetrics {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  return new PoolMetrics();
}

describe("the metrics of a pool", () => {
  test("are complete when all workers that were asked have reported", async (t) => {
    const pool = start(t);
    const reading = pool.read(() => [1, 2], NOTHING);
    pool.report(1, samplesOf(10));
    assert.equal(await isSettled(reading), false);
    pool.report(2, samplesOf(5));
    assert.deepEqual(summaryOf(await reading), [15, memoryOf(1, 2)]);
  });

  test("hold what is no worker's own", async (t) => {
    const text = await start(t).read(
      () => [],
      () => new Map([["api_info", 1]]),
    );
    assert.equal(valueOf(parseMetrics(text), "api_info"), 1);
  });

  test("have the latest report of a worker that is stuck, after a second", async (t) => {
    const pool = start(t);
    pool.report(1, samplesOf(7));
    const reading = pool.read(() => [1, 2], NOTHING);
    pool.report(2, samplesOf(1));
    t.mock.timers.tick(999);
    assert.equal(await isSettled(reading), false);
    t.mock.timers.tick(1);
    assert.equal(await isSettled(reading), true);
    assert.deepEqual(summaryOf(await reading), [8, memoryOf(1, 2)]);
  });

  test("await a stuck worker no longer once they are read", async (t) => {
    const pool = start(t);
    const first = pool.read(() => [1], NOTHING);
    t.mock.timers.tick(1000);
    await first;
    const second = pool.read(() => [2], NOTHING);
    pool.report(2, samplesOf(3));
    assert.equal(await isSettled(second), true);
  });

  test("keep the counts of workers that have died, and nothing else of them", async (t) => {
    const pool = start(t);
    pool.report(1, samplesOf(10));
    pool.report(2, samplesOf(5));
    pool.end(1);
    pool.end(3);
    const reading = pool.read(() => [2], NOTHING);
    pool.report(2, samplesOf(6));
    assert.deepEqual(summaryOf(await reading), [16, memoryOf(2)]);
  });

  test("do not await a worker that dies meanwhile", async (t) => {
    const pool = start(t);
    const reading = pool.read(() => [1], NOTHING);
    pool.end(1);
    assert.equal(await isSettled(reading), true);
  });

  test("are read once for all who ask meanwhile, and anew after that", async (t) => {
    const pool = start(t);
    let asked = 0;
    const ask = (): readonly number[] => {
      asked += 1;
      return [1];
    };
    const readings = [pool.read(ask, NOTHING), pool.read(ask, NOTHING)];
    pool.report(1, samplesOf(1));
    const [first, second] = await Promise.all(readings);
    assert.deepEqual([first, asked], [second, 1]);
    const third = pool.read(ask, NOTHING);
    assert.equal(asked, 2);
    pool.report(1, samplesOf(2));
    assert.deepEqual(summaryOf(await third), [2, memoryOf(1)]);
  });

  test("leave no timer behind", async (t) => {
    const cleared = t.mock.method(globalThis, "clearTimeout");
    const pool = new PoolMetrics();
    const reading = pool.read(() => [1], NOTHING);
    pool.report(1, samplesOf(1));
    await reading;
    assert.ok(cleared.mock.callCount() > 0);
  });
});
