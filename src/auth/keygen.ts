import { hash, randomBytes } from "node:crypto";
import { parseArgs } from "node:util";

import { DAY_MS, formatDate, KEY_NAME, type KeySet, keyState } from "./keys.ts";

/** What a command prints and exits with. Print `stderr` first: it explains what `stdout` holds. */
export interface Output {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

const USAGE =
  "usage: npm run keygen [-- NAME [--days N]], NAME: [a-z0-9][a-z0-9_-]{0,31}, N: 1 to 3650\n";

/**
 * Makes a key. Without arguments stdout is its line for `.env`. With `NAME [--days N]` the key itself goes to stderr,
 * and stdout is its line for the keys file, so that `>>` appends just that; with N it expires N days after `now` (ms
 * since the epoch). Other arguments: exit code 64 (EX_USAGE of sysexits.h) and a usage line.
 */
export function keygen(args: string[], now: number): Output {
  const key = `svk_${randomBytes(32).toString("base64url")}`;
  if (args.length === 0) return { stdout: `SERVICE_API_KEY=${key}\n`, stderr: "", exitCode: 0 };
  const options = { days: { type: "string" } } as const;
  // Not strict: it would throw. What it doesn't know is among `unknown` or `rest`, a missing value is `true`.
  const { values, positionals } = parseArgs({
    args,
    options,
    allowPositionals: true,
    strict: false,
  });
  const { days, ...unknown } = values;
  const [name = "", ...rest] = positionals;
  const isKnown = KEY_NAME.test(name) && rest.length === 0 && Object.keys(unknown).length === 0;
  const isDays =
    days === undefined || (/^[1-9]\d{0,3}$/.test(String(days)) && Number(days) <= 3650);
  if (!isKnown || !isDays) return { stdout: "", stderr: USAGE, exitCode: 64 };
  const expires = days === undefined ? "" : ` expires=${formatDate(now + Number(days) * DAY_MS)}`;
  const stdout = `${name} sha256:${hash("sha256", key)}${expires}\n`;
  const stderr = `The key, shown only now, for the client:\n${key}\nIts line for the keys file:\n`;
  return { stdout, stderr, exitCode: 0 };
}

/** A table of the keys in `set` at `now` (ms since the epoch). Of a hash it has the first 8 hex digits. */
export function listKeys(set: KeySet, now: number): string {
  const rows = set.map((key) => {
    const digits = Buffer.from(key.hash).toString("hex", 0, 4);
    const state = keyState(key, now).replaceAll("_", " ").padEnd(13);
    const days = Math.max(0, Math.floor((key.expires - now) / DAY_MS));
    return `${key.name.padEnd(32)}  ${digits}  ${state}  ${days === Infinity ? "never expires" : days}\n`;
  });
  return `${"NAME".padEnd(32)}  HASH      STATE          DAYS LEFT\n${rows.join("")}`;
}
