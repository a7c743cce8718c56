import { DAY_MS, formatDate, type KeySet, keyState, keyWarnings } from "../auth/keys.ts";
import type { Log } from "../log.ts";

/** How often the dates of the keys are looked at, in ms. */
const CHECK_INTERVAL_MS = 1000;

/**
 * Watches the dates of the keys: logs when a key expires, and once a day which keys will do so
 * soon. All times are in ms since the epoch.
 */
export class KeyWatch {
  readonly #log: Log;
  #keys: KeySet;
  /** A key that expired up to this time has been logged, or is old news. */
  #checkedUntil: number;
  #nextWarning: number;

  /** `now` is when the keys were read. What is to be said of them then has been said. */
  constructor(keys: KeySet, now: number, log: Log) {
    this.#keys = keys;
    this.#log = log;
    this.#checkedUntil = now;
    this.#nextWarning = now + DAY_MS;
  }

  /** Checks once a second from now on. That does not keep the process alive. */
  start(): void {
    setInterval(() => this.check(Date.now()), CHECK_INTERVAL_MS).unref();
  }

  /** Replaces the keys with those that were read at `now`. */
  setKeys(keys: KeySet, now: number): void {
    this.check(now);
    this.#keys = keys;
    this.#nextWarning = now + DAY_MS;
  }

  /** Logs what has become due since the last check. */
  check(now: number): void {
    for (const { name, expires } of this.#keys) {
      const isNew = expires > this.#checkedUntil && expires <= now;
      if (isNew) this.#logExpiry(name, expires, now);
    }
    // If the clock is set back, a key does not expire again.
    this.#checkedUntil = Math.max(this.#checkedUntil, now);
    if (now < this.#nextWarning) return;
    this.#nextWarning = now + DAY_MS;
    this.#log.warn(keyWarnings(this.#keys, now));
  }

  #logExpiry(name: string, expires: number, now: number): void {
    const left = this.#keys.filter((key) => keyState(key, now) !== "expired");
    const fields = { key: name, expired_at: formatDate(expires), keys_left: left.length };
    this.#log.event("warn", "key_expired", fields);
  }
}
