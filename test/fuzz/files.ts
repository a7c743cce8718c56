import { isUtf8 } from "node:buffer";
import { hash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { parseKeysFile } from "../../src/config/keys-file.ts";
import { DotenvError, readDotenv } from "../../src/config/dotenv.ts";
import { formatProblem } from "../../src/config/reader.ts";
import { readConfiguration, SettingsError } from "../../src/config/settings.ts";
import { mutate, type Random } from "./random.ts";
import { check, checkSecrets, quote, type Target } from "./target.ts";

const NOW = Date.parse("2027-01-15T12:00:00Z");

/** The most characters of a `.env` value. */
const MAX_VALUE_LENGTH = 1_048_576;

/** A `.env` file gives pairs, or problems that are safe to print; what is quoted comes back. */
export function dotenvTarget(read: typeof readDotenv = readDotenv): Target {
  return {
    name: "dotenv",
    work: { base: 1000, perByte: 8, every: 64 },
    run: (random) => {
      const key = random.key();
      const bytes = mutate(random, Buffer.from(someEnvFile(random, key)), ENV_PIECES);
      try {
        for (const [name, { value, line }] of read(bytes, ENVIRONMENT)) {
          const isSound = value.length <= MAX_VALUE_LENGTH && name !== "" && isLine(line, bytes);
          check(isSound, () => `an impossible pair of ${quote(bytes)}`);
        }
      } catch (error) {
        if (!(error instanceof DotenvError)) throw error;
        checkProblems(error, bytes, key);
      }
      return bytes.length + checkQuoted(random, read);
    },
  };
}

const ENVIRONMENT = { HOME: "/root", EMPTY: "" };

const ENV_PIECES = [
  ..."=#'\"\\$ \n",
  "${",
  "${A}",
  "${HOME}",
  "${NONE:-",
  "${EMPTY}",
  ":-",
  "export ",
  "\r",
  "\xc2\x85",
  "\xe2\x80\xa8",
];

const ENV_LINES = [
  "A=1",
  "export B=${A}2 # comment",
  "'C'=\"x\\ny\"",
  "D='a\nb'",
  "E=${A}${A}${A}${A}${A}${A}${A}${A}${A}${A}",
  "F=${E}${E}${E}${E}${E}${E}${E}${E}${E}${E}",
  "G=${NONE:-none}",
  "H=",
  "# comment",
  "",
  "PORT=0",
];

function someEnvFile(random: Random, key: string): string {
  const lines = [...ENV_LINES, `SERVICE_API_KEY=${key}`, `K="${key}`, key, `${key}=1`];
  return random.list(12, () => random.pick(lines)).join(random.pick(["\n", "\r\n", "\r"]));
}

function isLine(line: number, bytes: Buffer): boolean {
  return line >= 1 && line <= bytes.toString("latin1").split(/\r\n?|\n/).length;
}

function checkProblems({ problems }: DotenvError, bytes: Buffer, key: string): void {
  check(problems.length > 0, () => `no problem in ${quote(bytes)}`);
  for (const { line, name = "", message } of problems) {
    check(isLine(line, bytes), () => `line ${line} in ${quote(bytes)}`);
    checkSecrets([message, formatProblem({ place: name, message })], [key]);
  }
}

/** Any text comes back from single quotes. Returns its length. */
function checkQuoted(random: Random, read: typeof readDotenv): number {
  const text = random.text(20, [..."ab=#\"'\\$\n \t", "${:-$}{", "é", "😀"]);
  const expected = text.replaceAll("${:-$}{", "${");
  const escaped = text.replace(/[\\']/g, "\\$&");
  const entry = read(Buffer.from(`X='${escaped}'`)).get("X");
  check(entry?.value === expected, () => `${JSON.stringify(text)} became ${entry?.value}`);
  return text.length;
}

/** A keys file gives the keys that it has, or problems without any of its text. */
export function keysFileTarget(parse: typeof parseKeysFile = parseKeysFile): Target {
  return {
    name: "keys-file",
    work: { base: 300, perByte: 5, every: 64 },
    run: (random) => {
      const key = random.key();
      const digest = hash("sha256", key);
      const bytes = mutate(random, Buffer.from(someKeysFile(random, key)), [key, digest]);
      const { keys, problems } = parse(bytes);
      const isEither = keys.length === 0 || problems.length === 0;
      check(isEither && keys.length <= 64, () => `keys and problems for ${quote(bytes)}`);
      for (const { line, message } of problems) {
        check(isLine(line, bytes), () => `line ${line} in ${quote(bytes)}`);
        checkSecrets([message], [key, digest]);
      }
      for (const entry of keys) {
        const hex = Buffer.from(entry.hash).toString("hex");
        const isThere = isUtf8(bytes) && bytes.toString("latin1").toLowerCase().includes(hex);
        const isUsable = entry.hash.length === 32 && entry.notBefore < entry.expires;
        check(isThere && isUsable, () => `a key that is not in ${quote(bytes)}`);
      }
      return bytes.length;
    },
  };
}

const KEY_OPTIONS = [
  " expires=2027-01-31T00:00:00Z",
  " not_before=2027-01-01T00:00:00Z",
  " expires=2027-02-30T00:00:00Z",
  " expires=0000-01-01T00:00:00Z",
  " rate=100/s",
  " in_flight=50",
  " # comment",
  "\t",
];

function someKeysFile(random: Random, key: string): string {
  const line = (): string => {
    const name = random.pick(["ci", "backup", "a".repeat(32), "A", "-", ""]);
    const digest = hash("sha256", random.oneIn(8) ? "1" : String(random.below(1000)));
    const options = random.text(2, KEY_OPTIONS);
    return random.pick([`${name} sha256:${digest}${options}`, `${name} ${key}`, "# x", ""]);
  };
  const count = random.oneIn(20) ? 80 : random.below(6);
  return Array.from({ length: count }, line).join(random.pick(["\n", "\r\n", "\r"]));
}

/** Settings from any environment and any `.env`: valid ones, or problems that are safe to print. */
export function settingsTarget(read: typeof readConfiguration = readConfiguration): Target {
  const directory = mkdtempSync(join(tmpdir(), "api-fuzz-"));
  return {
    name: "settings",
    work: { base: 4000, perByte: 8, every: 16 },
    run: (random) => {
      const key = random.key();
      const keysFile = mutate(random, Buffer.from(someKeysFile(random, key)));
      const envText = Buffer.from(random.oneIn(2) ? "" : someEnvFile(random, key));
      const envFile = random.oneIn(3) ? mutate(random, envText, ENV_PIECES) : envText;
      writeFileSync(join(directory, "keys.txt"), keysFile, { mode: 0o600 });
      writeFileSync(join(directory, ".env"), envFile, { mode: 0o600 });
      const env = someEnvironment(random, key);
      try {
        checkSecrets(read(env, directory, NOW).warnings, [key]);
      } catch (error) {
        if (!(error instanceof SettingsError)) throw error;
        const lines = error.message.split("\n");
        check(lines.length === error.problems.length, () => `lines for ${JSON.stringify(env)}`);
        checkSecrets(lines, [key]);
        check(!/[\p{Cc}\p{Zl}\p{Zp}]/u.test(lines.join("")), () => `controls: ${error.message}`);
      }
      return envFile.length + keysFile.length + JSON.stringify(env).length;
    },
    stop: async () => rmSync(directory, { recursive: true }),
  };
}

const VARIABLES = [
  "SERVICE_API_KEY SERVICE_API_KEY_FILE SERVICE_API_KEYS_FILE SERVICE_ALLOW_WEAK_KEY HOST PORT",
  "WORKERS LOG_LEVEL DOCS PROCESS_DELAY_MS MAX_BODY_BYTES MAX_BODY_MEMORY MAX_IN_FLIGHT METRICS",
  "MAX_CONNECTIONS HEADERS_TIMEOUT_MS REQUEST_TIMEOUT_MS KEEP_ALIVE_TIMEOUT_MS TRUSTED_PROXIES",
  "SHUTDOWN_DELAY_MS SHUTDOWN_TIMEOUT_MS TLS_CERT_FILE TLS_KEY_FILE",
].flatMap((line) => line.split(" "));

function someEnvironment(random: Random, key: string): Record<string, string> {
  const values = [key, "keys.txt", ".env", ".", "/dev/zero", "0", "1", "on", "off", "auto", "info"];
  const hosts = ["::", "[::1]", "127.0.0.1", "a.b", "unix:/x/y", "fd:3", "10.0.0.0/8, ::1", "\n"];
  const env: Record<string, string> = random.oneIn(2) ? { SERVICE_API_KEY: key } : {};
  for (let count = random.below(8); count > 0; count -= 1) {
    const value = random.pick([...values, ...hosts]);
    const isSpoiled = random.oneIn(3);
    const text = isSpoiled ? mutate(random, Buffer.from(value)).toString() : value;
    env[random.pick(VARIABLES)] = text;
  }
  return env;
}
