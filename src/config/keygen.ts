import { hash, randomBytes } from "node:crypto";
import { parseArgs } from "node:util";

import { KEYGEN } from "../keygen-command.ts";
import { hashPrefix, type Key, type KeySet, keyState } from "../auth/keys.ts";
import { DAY_MS, daysLeft, formatDate } from "./expiry.ts";
import { KEY_NAME } from "./keys-file.ts";

/** What a command prints and exits with. */
export interface Output {
  readonly stdout: string;
  /** Print it first: it explains what `stdout` holds. */
  readonly stderr: string;
  readonly exitCode: number;
}

/** The arguments of `keygen`, checked. */
interface KeyRequest {
  readonly name: string;
  /** For how many days the key is valid; undefined for ever. */
  readonly days: number | undefined;
}

const USAGE =
  `usage: ${KEYGEN} [NAME [--days N]], ` + "NAME: [a-z0-9][a-z0-9_-]{0,31}, N: 1 to 3650\n";

/** EX_USAGE of sysexits.h. */
const EXIT_USAGE = 64;

const MAX_DAYS = 3650;

/** The width of the column of names, which is that of the longest name. */
const NAME_WIDTH = 32;

/**
 * Makes a key. Without arguments, stdout is its line for `.env`. With `NAME [--days N]`, the key
 * itself goes to stderr and its line for the keys file to stdout, so that `>>` appends just that;
 * with N it expires N days after `now`, in ms since the epoch. Other arguments give a usage line
 * and exit code 64.
 *
 * If `isAppended`, a blank line comes first: the file's last line may lack its end.
 */
export function keygen(args: string[], now: number, isAppended = false): Output {
  const key = `svk_${randomBytes(32).toString("base64url")}`;
  const separator = isAppended ? "\n" : "";
  if (args.length === 0) {
    return { stdout: `${separator}SERVICE_API_KEY=${key}\n`, stderr: "", exitCode: 0 };
  }
  const request = parseRequest(args);
  if (request === undefined) return { stdout: "", stderr: USAGE, exitCode: EXIT_USAGE };
  const { name, days } = request;
  const expires = days === undefined ? "" : ` expires=${formatDate(now + days * DAY_MS)}`;
  return {
    stdout: `${separator}${name} sha256:${hash("sha256", key)}${expires}\n`,
    stderr: `The key, shown only now, for the client:\n${key}\nIts line for the keys file:\n`,
    exitCode: 0,
  };
}

/** Parses `NAME [--days N]`; undefined if the arguments are anything else. */
function parseRequest(args: string[]): KeyRequest | undefined {
  // Not strict: that would throw. An unknown option is then among `unknown`, another argument among
  // `others`, and the value of a `--days` without one is `true`.
  const { values, positionals } = parseArgs({
    args,
    options: { days: { type: "string" } },
    allowPositionals: true,
    strict: false,
  });
  const [name = "", ...others] = positionals;
  const { days, ...unknown } = values;
  if (others.length > 0 || Object.keys(unknown).length > 0) return undefined;
  if (!KEY_NAME.test(name)) return undefined;
  if (days === undefined) return { name, days };
  if (typeof days !== "string" || !isDayCount(days)) return undefined;
  return { name, days: Number(days) };
}

function isDayCount(text: string): boolean {
  return /^[1-9]\d*$/.test(text) && Number(text) <= MAX_DAYS;
}

/** Formats the keys of a set as a table, as they are at `now`, in ms since the epoch. */
export function formatKeyTable(set: KeySet, now: number): string {
  const header = `${"NAME".padEnd(NAME_WIDTH)}  HASH      STATE          DAYS LEFT\n`;
  return header + set.map((key) => formatRow(key, now)).join("");
}

function formatRow(key: Key, now: number): string {
  const name = key.name.padEnd(NAME_WIDTH);
  const state = keyState(key, now).replaceAll("_", " ").padEnd(13);
  return `${name}  ${hashPrefix(key)}  ${state}  ${formatDaysLeft(key, now)}\n`;
}

function formatDaysLeft({ expires }: Key, now: number): string {
  return expires === Infinity ? "never expires" : String(daysLeft(expires, now));
}
