import { type KeySet, keyState } from "../auth/keys.ts";
import { DAY_MS, formatDate, keyWarnings } from "../config/expiry.ts";
import type { Secrets } from "../config/settings.ts";
import { certificateWarnings } from "../config/tls.ts";
import type { Log } from "../log.ts";

/** How often the dates are looked at, in ms. */
const CHECK_INTERVAL_MS = 1000;

/**
 * Watches the dates of the keys and of the certificate: logs when one expires, and once a day which
 * will do so soon. All times are in ms since the epoch.
 */
export class ExpiryWatch {
  readonly #log: Log;
  #secrets: Secrets;
  /** What expired up to this time has been logged, or is old news. */
  #checkedUntil: number;
  #nextWarning: number;

  /** `now` is when the secrets were read. What is to be said of them then has been said. */
  constructor(secrets: Secrets, now: number, log: Log) {
    this.#secrets = secrets;
    this.#log = log;
    this.#checkedUntil = now;
    this.#nextWarning = now + DAY_MS;
  }

  /** The secrets that it watches. */
  get secrets(): Secrets {
    return this.#secrets;
  }

  /** Checks once a second from now on. That does not keep the process alive. */
  start(): void {
    setInterval(() => this.check(Date.now()), CHECK_INTERVAL_MS).unref();
  }

  /** Replaces the secrets with those that were read at `now`. */
  setSecrets(secrets: Secrets, now: number): void {
    this.check(now);
    this.#secrets = secrets;
    this.#nextWarning = now + DAY_MS;
  }

  /** Logs what has become due since the last check. */
  check(now: number): void {
    const { keys, tls } = this.#secrets;
    const isNew = (expires: number): boolean => expires > this.#checkedUntil && expires <= now;
    for (const { name, expires } of keys) {
      if (isNew(expires)) this.#logKey(name, expires, left(keys, now));
    }
    if (tls !== undefined && isNew(tls.expires)) {
      const fields = { expired_at: formatDate(tls.expires) };
      this.#log.event("error", "certificate_expired", fields);
    }
    // If the clock is set back, nothing expires again.
    this.#checkedUntil = Math.max(this.#checkedUntil, now);
    if (now < this.#nextWarning) return;
    this.#nextWarning = now + DAY_MS;
    this.#log.warn([...keyWarnings(keys, now), ...certificateWarnings(tls, now)]);
  }

  #logKey(name: string, expires: number, keysLeft: number): void {
    const fields = { key: name, expired_at: formatDate(expires), keys_left: keysLeft };
    this.#log.event("warn", "key_expired", fields);
  }
}

/** How many keys have not expired. */
function left(keys: KeySet, now: number): number {
  return keys.filter((key) => keyState(key, now) !== "expired").length;
}
