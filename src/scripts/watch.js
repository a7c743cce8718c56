import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const INTERVAL_MS = 200;

/**
 * Calls `onChange` at once, and again when a file has changed since the last call began. It looks
 * at the files five times a second: that works on every file system, and misses nothing that
 * happens during a call.
 *
 * @param {readonly string[]} paths Files and directories. They need not exist.
 * @param {() => void | Promise<void>} onChange
 */
export async function watch(paths, onChange) {
  let seen = "";
  let handled = "";
  for (;;) {
    const now = paths.map(describe).join("\n");
    // A change is complete when nothing has happened for one interval.
    const isSettled = now === seen || handled === "";
    seen = now;
    if (isSettled && now !== handled) {
      handled = now;
      await onChange();
    }
    await sleep(INTERVAL_MS);
  }
}

/**
 * @param {string} path
 * @returns {string} what changes with the file, or with any file in the directory.
 */
function describe(path) {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return "";
  if (!stats.isDirectory()) return `${path} ${stats.ino} ${stats.size} ${stats.mtimeMs}`;
  const names = readdirSync(path).sort();
  return names.map((name) => describe(join(path, name))).join("\n");
}
