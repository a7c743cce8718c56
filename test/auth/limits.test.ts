import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { createKey, type Key, type KeyOptions, type KeySet } from "../../src/auth/keys.ts";
import { KeyLimits } from "../../src/auth/limits.ts";

type NameLimits = NonNullable<ReturnType<KeyLimits["of"]>>;

const perSecond = (count: number): KeyOptions => ({ rate: { count, periodMs: 1000 } });
const perMinute = (count: number): KeyOptions => ({ rate: { count, periodMs: 60_000 } });

let count = 0;

function keyOf(name: string, options: KeyOptions = {}): Key {
  count += 1;
  return createKey(name, String(count).padStart(64, "0"), options);
}

/** The limits of one name with one key. */
function limitsOf(options: KeyOptions): NameLimits {
  const limits = new KeyLimits().of([keyOf("ci", options)], "ci");
  assert.ok(limits);
  return limits;
}

/** How many requests at one instant are let through, before one meets a limit. */
function burst(limits: NameLimits, now: number, most = 2_000_000): number {
  for (let taken = 0; taken < most; taken += 1) {
    if (limits.take(now) !== undefined) return taken;
  }
  return most;
}

describe("a rate", () => {
  for (const start of [0, 0.1, 123_456.789, 1e12]) {
    test(`lets a burst through, then one request at a time, from ${start} on`, () => {
      const limits = limitsOf(perSecond(10));
      assert.equal(burst(limits, start), 10);
      assert.equal(burst(limits, start + 99), 0);
      assert.equal(burst(limits, start + 101), 1);
      assert.equal(burst(limits, start + 350), 2);
      assert.equal(burst(limits, start + 100_000), 10, "no more than one second's worth");
    });
  }

  test("of a minute holds a minute's worth", () => {
    const limits = limitsOf(perMinute(30));
    assert.equal(burst(limits, 1000), 30);
    assert.equal(burst(limits, 2900), 0);
    assert.equal(burst(limits, 3100), 1);
    assert.equal(burst(limits, 1000 + 3_600_000), 30);
  });

  test("may be as large and as small as the file allows", () => {
    assert.equal(burst(limitsOf(perSecond(999_999)), 5), 999_999);
    const slow = limitsOf(perMinute(1));
    assert.equal(burst(slow, 5), 1);
    assert.equal(burst(slow, 60_004), 0);
    assert.equal(burst(slow, 60_006), 1);
  });

  test("is kept to over a long time, however the requests come", () => {
    const limits = limitsOf(perSecond(7));
    let taken = 0;
    for (let now = 0; now <= 60_000; now += 13) if (limits.take(now) === undefined) taken += 1;
    assert.ok(taken >= 7 * 60 && taken <= 7 * 61, `${taken}`);
  });

  test("counts only requests that are let through", () => {
    const limits = limitsOf(perSecond(1));
    assert.equal(limits.take(0), undefined);
    for (let now = 0; now < 1000; now += 1) assert.equal(limits.take(now), "rate");
    assert.equal(limits.take(1000), undefined);
  });
});

describe("a limit of requests in progress", () => {
  test("counts those that have not ended", () => {
    const limits = limitsOf({ inFlight: 2 });
    assert.equal(burst(limits, 0), 2);
    assert.equal(limits.take(1e9), "in_flight");
    limits.release();
    assert.equal(burst(limits, 0), 1);
    limits.release();
    limits.release();
    assert.equal(burst(limits, 0), 2);
  });

  test("does not use up the rate of requests that it rejects", () => {
    const limits = limitsOf({ ...perSecond(3), inFlight: 1 });
    assert.equal(limits.take(0), undefined);
    for (let i = 0; i < 10; i += 1) assert.equal(limits.take(0), "in_flight");
    limits.release();
    assert.equal(limits.take(0), undefined);
    limits.release();
    assert.equal(limits.take(0), undefined);
    limits.release();
    assert.equal(limits.take(0), "rate");
  });

  test("does not count requests that the rate rejects", () => {
    const limits = limitsOf({ ...perSecond(1), inFlight: 2 });
    assert.equal(limits.take(0), undefined);
    for (let i = 0; i < 10; i += 1) assert.equal(limits.take(0), "rate");
    assert.equal(limits.take(1000), undefined);
    assert.equal(limits.take(2000), "in_flight");
  });
});

/** A rate, how long ago its bucket was emptied in ms, and the Retry-After. */
const WAITS: readonly (readonly [KeyOptions, elapsed: number, seconds: string])[] = [
  [perSecond(1), 0, "1"],
  [perSecond(1), 999.9, "1"],
  [perSecond(100), 0, "1"],
  [perSecond(999_999), 0, "1"],
  [perMinute(1), 0, "60"],
  [perMinute(1), 1, "60"],
  [perMinute(1), 1001, "59"],
  [perMinute(1), 58_999, "2"],
  [perMinute(1), 58_999.5, "2"],
  [perMinute(1), 59_500, "1"],
  [perMinute(2), 0, "30"],
  [perMinute(7), 0, "9"],
  [perMinute(60), 0, "1"],
  [perMinute(999_999), 0, "1"],
];

for (const [options, elapsed, seconds] of WAITS) {
  const { count: most, periodMs } = options.rate ?? { count: 0, periodMs: 0 };
  test(`at ${most} in ${periodMs} ms, after ${elapsed} ms, Retry-After is ${seconds}`, () => {
    const limits = limitsOf(options);
    burst(limits, 0);
    assert.equal(limits.take(elapsed), "rate");
    const { status, headers, body } = limits.rejection("rate");
    assert.equal(status, 429);
    assert.deepEqual(headers.slice(-2), ["Retry-After", seconds]);
    assert.deepEqual(JSON.parse(body), {
      detail: "Too Many Requests: this key makes requests too fast",
    });
    // The promise is kept.
    assert.equal(limits.take(elapsed + 1000 * Number(seconds)), undefined);
  });
}

test("the response to too many requests in progress asks to wait a second", () => {
  for (const options of [{ inFlight: 1 }, { ...perMinute(1), inFlight: 1 }]) {
    const { status, headers, body } = limitsOf(options).rejection("in_flight");
    assert.equal(status, 429);
    assert.deepEqual(headers.slice(-2), ["Retry-After", "1"]);
    assert.deepEqual(JSON.parse(body), {
      detail: "Too Many Requests: too many requests with this key are in flight",
    });
  }
});

describe("the limits of a set", () => {
  test("are those of names, from whichever of their lines", () => {
    const limits = new KeyLimits();
    const set: KeySet = [
      keyOf("a"),
      keyOf("b"),
      keyOf("a", perSecond(2)),
      keyOf("a", { inFlight: 1 }),
      keyOf("c", { inFlight: 3 }),
    ];
    const [a, b, c] = ["a", "b", "c"].map((name) => limits.of(set, name));
    assert.equal(b, undefined);
    assert.equal(limits.of(set, "nobody"), undefined);
    assert.equal(limits.of(set, "__proto__"), undefined);
    assert.equal(burst(a as NameLimits, 0), 1);
    a?.release();
    assert.equal(burst(a as NameLimits, 0), 1);
    a?.release();
    assert.equal(a?.take(0), "rate");
    assert.equal(burst(c as NameLimits, 0), 3);
    assert.equal(limits.of(set, "a"), a);
  });

  test("keep the counts of names that stay when the keys are read again", () => {
    const limits = new KeyLimits();
    const options = { ...perSecond(5), inFlight: 4 };
    const before = limits.of([keyOf("ci", options)], "ci") as NameLimits;
    assert.equal(burst(before, 0), 4);
    const after = limits.of([keyOf("new"), keyOf("ci", options)], "ci") as NameLimits;
    assert.equal(after.take(0), "in_flight");
    before.release();
    assert.equal(after.take(0), undefined);
    before.release();
    assert.equal(after.take(0), "rate");
  });

  test("may be others after a reload, and the counts fit them", () => {
    const limits = new KeyLimits();
    const read = (options: KeyOptions): NameLimits | undefined =>
      limits.of([keyOf("ci", options)], "ci");
    assert.equal(burst(read(perSecond(100)) as NameLimits, 0, 40), 40);
    const slower = read(perSecond(10)) as NameLimits;
    assert.equal(burst(slower, 0), 10, "of 60 that were left");
    const faster = read(perSecond(1000)) as NameLimits;
    assert.equal(burst(faster, 0), 0, "a reload fills no bucket");
    assert.equal(burst(faster, 500), 500);
    const both = read({ ...perSecond(1000), inFlight: 551 }) as NameLimits;
    assert.equal(both.take(1000), undefined, "550 were in progress");
    assert.equal(both.take(1000), "in_flight");
    assert.equal(read({}), undefined);
    assert.equal(burst(read(perSecond(3)) as NameLimits, 1000), 3, "a new limit is a new start");
  });
});
