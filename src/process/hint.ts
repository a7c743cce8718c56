import { parseEnv } from "node:util";

import { shellWord } from "../keygen-command.ts";
import { type KeySet, matchKey } from "../auth/keys.ts";
import { readRegularFile } from "../config/file.ts";
import { printable } from "../config/reader.ts";
import type { Configuration } from "../config/settings.ts";
import type { ListenAddress } from "./listen.ts";
import { formatAddress, formatHost } from "./listen-error.ts";

/**
 * What the operator can try once the service listens. It has a command line only if that works in
 * another terminal: the key has to be in a file, in a form that a simple command can read. The key
 * itself is not shown. `now` is in ms since the epoch.
 */
export function startupHint(
  listenAddress: ListenAddress,
  { settings, secrets, sandboxGrants }: Configuration,
  now: number,
): string {
  if (listenAddress.kind !== "address") {
    return `\n  Listening on ${formatHost(listenAddress)}.\n\n`;
  }
  const { address, port } = listenAddress;
  const scheme = secrets.tls === undefined ? "http" : "https";
  const origin = `${scheme}://${formatAddress(LOCAL_ADDRESSES[address] ?? address, port)}`;
  const documentation = settings.docs ? `, with its documentation at ${origin}/docs` : "";
  const place = `Listening on ${origin}${documentation}.`;
  const keyCommand = findKeyCommand(sandboxGrants.files, secrets.keys, now);
  if (keyCommand === undefined) {
    const remedy = `To try it, call ${origin}/process with a key in the header field X-API-Key.`;
    return `\n  ${place}\n  ${remedy}\n\n`;
  }
  return `\n  ${place} Try it:\n\n  ${keyCommand} | ${CURL} ${origin}/process\n\n`;
}

/** Where clients on this machine reach a service that listens on all addresses. */
const LOCAL_ADDRESSES: Readonly<Record<string, string>> = {
  "0.0.0.0": "127.0.0.1",
  "::": "127.0.0.1",
};

// From stdin, the key gets into neither the list of processes nor the history of the shell. Before
// version 7.82, curl has no --json.
const CURL = `curl -H @- -H 'Content-Type: application/json' -d '{"status":"SUCCESS"}'`;

/** A command that prints `X-API-Key: ` and a key, and what it takes for the key. */
interface KeyCommand {
  readonly command: string;
  readonly key: string;
}

/** Finds a command that prints a valid key from one of the files that settings are read from. */
function findKeyCommand(files: readonly string[], keys: KeySet, now: number): string | undefined {
  const candidates = files.flatMap((path) => keyCommands(path));
  const found = candidates.find(({ key }) => matchKey(keys, key, () => now).denied === undefined);
  return found?.command;
}

/** The commands to consider for a file: it may be `.env`, or it may hold a key and nothing else. */
function keyCommands(path: string): KeyCommand[] {
  const file = readRegularFile(path);
  const isPrintable = path === printable(path);
  if (file.kind === "problem" || !isPrintable) return [];
  const text = file.bytes.toString();
  const name = shellWord(path);
  return [
    {
      command: `sed -n 's/^SERVICE_API_KEY=/X-API-Key: /p' ${name}`,
      key: findPlainLine(text),
    },
    {
      command: `node --env-file=${name} -p '"X-API-Key: " + process.env.SERVICE_API_KEY'`,
      key: parseEnv(text)["SERVICE_API_KEY"] ?? "",
    },
    {
      command: `sed 's/^/X-API-Key: /' ${name}`,
      key: text.replace(/\n$/, ""),
    },
  ];
}

/** What follows `SERVICE_API_KEY=` at the start of a line; empty unless there is one such line. */
function findPlainLine(text: string): string {
  const prefix = "SERVICE_API_KEY=";
  const lines = text.split("\n").filter((line) => line.startsWith(prefix));
  return lines.length === 1 ? String(lines[0]).slice(prefix.length) : "";
}
