import { HttpError } from "../http/reply.ts";
import type { KeySet, Rate } from "./keys.ts";

/** Which limit a request has met. */
type MetLimit = "rate" | "in_flight";

/**
 * The limits of the keys file, by the names of keys. Each process counts for itself. A name keeps
 * its counts when the keys are read again, even if its limits are others then.
 */
export class KeyLimits {
  #keys: KeySet = [];
  #byName: ReadonlyMap<string, NameLimits> = new Map();

  /** Returns the limits of a name in a set; undefined if it has none. */
  of(keys: KeySet, name: string): NameLimits | undefined {
    if (keys !== this.#keys) this.#setKeys(keys);
    return this.#byName.get(name);
  }

  #setKeys(keys: KeySet): void {
    const byName = new Map<string, NameLimits>();
    for (const { name } of keys) {
      const lines = keys.filter((key) => key.name === name);
      // Lines that have a limit have the same.
      const rate = lines.find((key) => key.rate !== undefined)?.rate;
      const inFlight = lines.find((key) => key.inFlight !== undefined)?.inFlight;
      if (rate === undefined && inFlight === undefined) continue;
      const limits = this.#byName.get(name) ?? new NameLimits();
      limits.set(rate, inFlight);
      byName.set(name, limits);
    }
    this.#keys = keys;
    this.#byName = byName;
  }
}

/** What the requests with one name have used up. */
class NameLimits {
  #rate: Rate | undefined = undefined;
  #maxInFlight = Infinity;
  #inFlight = 0;
  /** How many requests may come at once: a bucket that fills up evenly during the rate's period. */
  #tokens = 0;
  /** When the tokens were counted, as performance.now() has it. */
  #countedAt = 0;

  /** Sets other limits, or none. A rate that is new begins with a full bucket. */
  set(rate: Rate | undefined, maxInFlight = Infinity): void {
    if (this.#rate === undefined) this.#tokens = Infinity;
    this.#rate = rate;
    this.#maxInFlight = maxInFlight;
  }

  /**
   * Counts a request at `now`, as performance.now() has it, or returns the limit that it meets.
   * Whoever counts one calls `release` when it has ended.
   */
  take(now: number): MetLimit | undefined {
    if (this.#inFlight >= this.#maxInFlight) return "in_flight";
    if (this.#rate !== undefined) {
      this.#refill(this.#rate, now);
      if (this.#tokens < 1) return "rate";
      this.#tokens -= 1;
    }
    this.#inFlight += 1;
    return undefined;
  }

  /** A request has ended. */
  release(): void {
    this.#inFlight -= 1;
  }

  /** The response to a request that has met a limit just now. */
  rejection(limit: MetLimit): HttpError {
    if (limit === "in_flight" || this.#rate === undefined) return TOO_MANY_AT_ONCE;
    const { count, periodMs } = this.#rate;
    const waitMs = ((1 - this.#tokens) * periodMs) / count;
    return new HttpError(429, TOO_FAST, ["Retry-After", String(Math.ceil(waitMs / 1000))]);
  }

  #refill({ count, periodMs }: Rate, now: number): void {
    const refilled = this.#tokens + ((now - this.#countedAt) * count) / periodMs;
    this.#tokens = Math.min(count, refilled);
    this.#countedAt = now;
  }
}

const TOO_MANY_AT_ONCE = new HttpError(
  429,
  "Too Many Requests: too many requests with this key are in flight",
  ["Retry-After", "1"],
);

const TOO_FAST = "Too Many Requests: this key makes requests too fast";
