import type { KeySet } from "../auth/keys.ts";
import { KEYGEN } from "../keygen-command.ts";

/** A day, in ms. */
export const DAY_MS = 86_400_000;

/** How long before its end a key's warnings start, in ms. */
export const EXPIRY_WARNING_MS = 14 * DAY_MS;

/** Warns of each key that has expired, or will within 14 days of `now`, in ms since the epoch. */
export function keyWarnings(set: KeySet, now: number): string[] {
  const warnings: string[] = [];
  for (const { name, expires } of set) {
    const isNear = expires - now <= EXPIRY_WARNING_MS;
    if (expires <= now) {
      warnings.push(`key ${name} expired at ${formatDate(expires)}: remove its line`);
    } else if (isNear) {
      const remedy = `add its successor with ${KEYGEN} ${name}`;
      warnings.push(`key ${name} expires at ${formatDate(expires)}: ${remedy}`);
    }
  }
  return warnings;
}

/** The whole days until `expires`, rounded up: a key made with `--days 90` has 90 left at first. */
export function daysLeft(expires: number, now: number): number {
  return Math.max(0, Math.ceil((expires - now) / DAY_MS));
}

/**
 * Formats an instant, in ms since the epoch, as the keys file writes it: UTC, cut to whole seconds.
 * Years 0 to 9999 only.
 *
 * @example
 * formatDate(0) // "1970-01-01T00:00:00Z"
 */
export function formatDate(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
