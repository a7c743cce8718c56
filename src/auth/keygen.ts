import { hash, randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { daysLeft, formatDate, KEY_NAME, keyState } from "./keys.ts";
import type { KeySet } from "./keys.ts";

/** What a command prints and exits with. Print `stderr` first: it explains what `stdout` holds. */
export interface Output {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

const USAGE = "usage: npm run keygen [-- NAME [--days N]], NAME: [a-z0-9][a-z0-9_-]{0,31}, N: 1 to 3650\n";

/**
 * Makes a key. Without arguments stdout is its line for `.env`. With `NAME [--days N]` the key itself goes to stderr,
 * and stdout is its line for the keys file, so that `>>` appends just that; with N it expires N days after `now` (ms
 * since the epoch). Other arguments: exit code 64 (EX_USAGE of sysexits.h) and a usage line.
 */
export function keygen(args: string[], now: number): Output {
  if (args.length === 0) return { stdout: envLine(), stderr: "", exitCode: 0 };
  const request = readArguments(args);
  if (request === undefined) return { stdout: "", stderr: USAGE, exitCode: 64 };
  const key = freshKey();
  const expires = request.days === undefined ? "" : ` expires=${formatDate(now + request.days * 86_400_000)}`;
  return {
    stdout: `${request.name} sha256:${hash("sha256", key)}${expires}\n`,
    stderr: `The key, shown only now, for the client:\n${key}\nIts line for the keys file:\n`,
    exitCode: 0,
  };
}

/** A table of the keys in `set` at `now` (ms since the epoch). Of a hash it has the first 8 hex digits. */
export function listKeys(set: KeySet, now: number): string {
  const rows = set.map((key) => {
    const days = daysLeft(key, now);
    const digits = Buffer.from(key.hash).toString("hex", 0, 4);
    return [key.name, digits, keyState(key, now), days === Infinity ? "never expires" : String(days)];
  });
  const table = [["NAME", "HASH", "STATE", "DAYS LEFT"], ...rows];
  const line = ([name = "", digits = "", state = "", days = ""]: string[]): string =>
    `${name.padEnd(32)}  ${digits.padEnd(8)}  ${state.padEnd(13)}  ${days}\n`;
  return table.map(line).join("");
}

/**
 * Makes a `.env` with a fresh key, readable by its owner only, at `path` if nothing is there, and says so on stderr.
 * Whatever is there, be it a dangling link, stays as it is, without a word. If it can't be made: exit code 1.
 */
export function createEnvFile(path: string): Output {
  try {
    writeFileSync(path, envLine(), { flag: "wx", mode: 0o600 });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "EEXIST") return { stdout: "", stderr: "", exitCode: 0 };
    return { stdout: "", stderr: `${path}: can't be made (${code}): set SERVICE_API_KEY instead\n`, exitCode: 1 };
  }
  return { stdout: "", stderr: `${path}: made, with a fresh SERVICE_API_KEY in it\n`, exitCode: 0 };
}

function readArguments(args: string[]): { name: string; days: number | undefined } | undefined {
  try {
    const { values, positionals } = parseArgs({ args, options: { days: { type: "string" } }, allowPositionals: true });
    const [name = "", ...rest] = positionals;
    if (!KEY_NAME.test(name) || rest.length > 0) return undefined;
    if (values.days === undefined) return { name, days: undefined };
    const days = /^[1-9][0-9]{0,3}$/.test(values.days) ? Number(values.days) : Infinity;
    return days <= 3650 ? { name, days } : undefined;
  } catch {
    return undefined;
  }
}

function envLine(): string {
  return `SERVICE_API_KEY=${freshKey()}\n`;
}

function freshKey(): string {
  return `svk_${randomBytes(32).toString("base64url")}`;
}
