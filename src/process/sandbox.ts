import { realpathSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { printable } from "../config/reader.ts";
import type { SandboxGrants } from "../config/settings.ts";
import { EXIT_CONFIG, Failure } from "./exit.ts";

/**
 * The NODE_OPTIONS that start the program under Node's permission model. `known` holds the options
 * of this Node. `entry` is the absolute path of the program as Node was given it, which may lead
 * through symbolic links. Throws a Failure if a path can't be granted without granting more.
 */
export function sandboxOptions(
  known: ReadonlySet<string>,
  grants: Partial<SandboxGrants> = {},
  entry?: string,
): string {
  const options = [known.has("--permission") ? "--permission" : "--experimental-permission"];
  // Before Node 25 every process may use the network.
  if (known.has("--allow-net")) options.push("--allow-net");
  options.push(...processOptions(grants), ...programOptions(entry), ...fileOptions(grants));
  const wildcard = options.find((option) => option.includes("*"));
  if (wildcard !== undefined) {
    const reason = "Node takes the * for any characters and would allow more files: rename it";
    throw new Failure(printable(`${wildcard} can't be granted: ${reason}`), EXIT_CONFIG);
  }
  return options.map(quoteOption).join(" ");
}

/** `nodeOptions` without what sandboxOptions() has added to them because of `grants`. */
export function withoutGrants(nodeOptions: string, grants: Partial<SandboxGrants>): string {
  let rest = nodeOptions;
  for (const option of [...processOptions(grants), ...fileOptions(grants)]) {
    rest = rest.replaceAll(quoteOption(option), "");
  }
  return rest;
}

function processOptions({ processes = false }: Partial<SandboxGrants>): string[] {
  return processes ? ["--allow-child-process"] : [];
}

function fileOptions({ files = [], socket }: Partial<SandboxGrants>): string[] {
  const options = files.map((path) => readOption(path));
  if (socket !== undefined) options.push(readOption(socket), `--allow-fs-write=${socket}`);
  return options;
}

/** What Node needs in order to load the program. */
function programOptions(entry: string | undefined): string[] {
  const program = readOption(fileURLToPath(new URL("../", import.meta.url)));
  if (entry === undefined || realpathSync(entry) === entry) return [program];
  const directory = dirname(entry);
  const realDirectory = realpathSync(directory);
  // Only the last name of the path is a link.
  if (realDirectory === directory) return [program, readOption(entry)];
  const isFileLinked = realpathSync(entry) !== join(realDirectory, basename(entry));
  if (isFileLinked) throw new Failure(describeLinks(entry), EXIT_CONFIG);
  // To resolve a link to a directory, Node would have to be granted all that the directory holds.
  return ["--preserve-symlinks", "--preserve-symlinks-main", readOption(`${directory}/`)];
}

function describeLinks(entry: string): string {
  const remedy = `start ${realpathSync(entry)} instead`;
  return printable(`${entry}: has too many links for the sandbox: ${remedy}`);
}

function readOption(path: string): string {
  return `--allow-fs-read=${path}`;
}

/** Node splits NODE_OPTIONS at blanks outside double quotes. Inside them, a backslash escapes. */
function quoteOption(option: string): string {
  return `"${option.replace(/[\\"]/g, "\\$&")}"`;
}
