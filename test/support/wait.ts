import { setTimeout as sleep } from "node:timers/promises";

/** Longer than anything should take on a busy machine: a bound, not a measurement. */
const LIMIT_MS = 60_000;

const POLL_MS = 5;

/** Resolves when `condition` holds. Rejects after `limitMs`, and then says what it waited for. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  limitMs = LIMIT_MS,
): Promise<void> {
  const deadline = Date.now() + limitMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`waited too long for ${what}`);
    await sleep(POLL_MS);
  }
}

/** Whether a promise has settled, now that all that is due has run. */
export async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const pending = {};
  await new Promise(setImmediate);
  return (await Promise.race([promise, pending])) !== pending;
}
