import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { createKey, type Key } from "../../src/auth/keys.ts";
import { DAY_MS } from "../../src/config/expiry.ts";
import type { Secrets } from "../../src/config/settings.ts";
import type { Log } from "../../src/log.ts";
import { ExpiryWatch } from "../../src/process/expiry-watch.ts";

const START = Date.parse("2027-01-01T00:00:00Z");

/** What a watch has logged: `key_expired NAME LEFT`, or a warning. */
function createRecorder(): { log: Log; lines: string[] } {
  const lines: string[] = [];
  const log = {
    event: (level: string, event: string, fields: Record<string, unknown>) => {
      lines.push(`${level} ${event} ${fields["key"]} ${fields["keys_left"]}`);
    },
    warn: (messages: readonly string[]) => lines.push(...messages),
  } as unknown as Log;
  return { log, lines };
}

/** A key that expires so many milliseconds after the start. */
function keyOf(name: string, afterMs: number): Key {
  return createKey(name, name.repeat(64).slice(0, 64), { expires: START + afterMs });
}

describe("a watch on keys", () => {
  test("logs each key that expires, once, and how many are left", () => {
    const { log, lines } = createRecorder();
    const watch = new ExpiryWatch(
      { keys: [keyOf("a", 1000), keyOf("b", 3000), keyOf("c", 3000)], tls: undefined },
      START,
      log,
    );
    watch.check(START + 999);
    assert.deepEqual(lines, []);
    watch.check(START + 1000);
    assert.deepEqual(lines, ["warn key_expired a 2"]);
    watch.check(START + 2000);
    watch.check(START + 5000);
    assert.deepEqual(lines.slice(1), ["warn key_expired b 0", "warn key_expired c 0"]);
    watch.check(START + 6000);
    assert.equal(lines.length, 3);
  });

  test("does not log a key that had expired when it was read", () => {
    const { log, lines } = createRecorder();
    const watch = new ExpiryWatch({ keys: [keyOf("a", 0)], tls: undefined }, START, log);
    watch.check(START + 1000);
    watch.setSecrets({ keys: [keyOf("b", 1500)], tls: undefined }, START + 1500);
    watch.check(START + 2000);
    assert.deepEqual(lines, []);
  });

  test("logs a key that expires just before it is replaced, and then its successor", () => {
    const { log, lines } = createRecorder();
    const watch = new ExpiryWatch({ keys: [keyOf("a", 1000)], tls: undefined }, START, log);
    watch.setSecrets({ keys: [keyOf("b", 3000)], tls: undefined }, START + 2000);
    watch.check(START + 3000);
    assert.deepEqual(lines, ["warn key_expired a 0", "warn key_expired b 0"]);
  });

  test("logs a key once, although the clock is set back", () => {
    const { log, lines } = createRecorder();
    const watch = new ExpiryWatch({ keys: [keyOf("a", 1000)], tls: undefined }, START, log);
    for (const time of [2000, 500, 2000]) watch.check(START + time);
    assert.equal(lines.length, 1);
  });

  test("warns once a day of keys that expire within 14 days", () => {
    const { log, lines } = createRecorder();
    const watch = new ExpiryWatch(
      { keys: [keyOf("a", 15.5 * DAY_MS), keyOf("b", 100 * DAY_MS)], tls: undefined },
      START,
      log,
    );
    watch.check(START + DAY_MS);
    assert.deepEqual(lines, [], "15 days left");
    watch.check(START + 2 * DAY_MS - 1);
    assert.deepEqual(lines, [], "not a day later yet");
    watch.check(START + 2 * DAY_MS);
    watch.check(START + 2 * DAY_MS + 1000);
    watch.check(START + 3 * DAY_MS);
    assert.equal(lines.length, 2);
    for (const line of lines) assert.match(line, /^key a expires at 2027-01-16T12:00:00Z: /);
  });

  test("counts the day from the last reload, which warns itself", () => {
    const { log, lines } = createRecorder();
    const keys = [keyOf("a", 10 * DAY_MS)];
    const watch = new ExpiryWatch({ keys: keys, tls: undefined }, START, log);
    watch.setSecrets({ keys: keys, tls: undefined }, START + DAY_MS - 1);
    watch.check(START + DAY_MS);
    assert.deepEqual(lines, []);
    watch.check(START + 2 * DAY_MS);
    assert.equal(lines.length, 1);
  });
});

describe("a watch on a certificate", () => {
  /** A pair that expires so many milliseconds after the start. */
  function secretsOf(afterMs: number): Secrets {
    const tls = { certificates: "", privateKey: "", expires: START + afterMs };
    return { keys: [], tls };
  }

  test("logs once that it has expired, as an error with the time", () => {
    const events: unknown[] = [];
    const log = { event: (...event: unknown[]) => events.push(event) } as unknown as Log;
    const watch = new ExpiryWatch(secretsOf(1000), START, log);
    watch.check(START + 999);
    assert.deepEqual(events, []);
    watch.check(START + 1000);
    watch.check(START + 2000);
    const fields = { expired_at: "2027-01-01T00:00:01Z" };
    assert.deepEqual(events, [["error", "certificate_expired", fields]]);
  });

  test("warns once a day of one that expires within 14 days", () => {
    const { log, lines } = createRecorder();
    const watch = new ExpiryWatch(secretsOf(10 * DAY_MS), START, log);
    watch.check(START + DAY_MS);
    watch.check(START + DAY_MS + 1000);
    assert.equal(lines.length, 1);
    assert.match(lines[0] ?? "", /^the certificate expires at 2027-01-11T00:00:00Z: /);
  });
});

test("an event names the key, when it expired, and how many are left", () => {
  const events: unknown[] = [];
  const log = { event: (...event: unknown[]) => events.push(event) } as unknown as Log;
  const keys = [keyOf("a", 1000), keyOf("b", 2000)];
  new ExpiryWatch({ keys, tls: undefined }, START, log).check(START + 1000);
  const fields = { key: "a", expired_at: "2027-01-01T00:00:01Z", keys_left: 1 };
  assert.deepEqual(events, [["warn", "key_expired", fields]]);
});

test("a watch has the latest secrets", () => {
  const { log } = createRecorder();
  const secrets: Secrets = { keys: [keyOf("a", 1000)], tls: undefined };
  const watch = new ExpiryWatch(secrets, START, log);
  assert.equal(watch.secrets, secrets);
  const latest: Secrets = { keys: [keyOf("b", 1000)], tls: undefined };
  watch.setSecrets(latest, START);
  assert.equal(watch.secrets, latest);
});

test("a watch that is started looks at the clock once a second", (t) => {
  t.mock.timers.enable({ apis: ["setInterval", "Date"], now: START });
  const { log, lines } = createRecorder();
  const watch = new ExpiryWatch({ keys: [keyOf("a", 500)], tls: undefined }, START, log);
  watch.start();
  t.mock.timers.tick(999);
  assert.deepEqual(lines, []);
  t.mock.timers.tick(1);
  assert.deepEqual(lines, ["warn key_expired a 0"]);
});
