import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/** Where Debian and macOS keep servers: not every user has these in the PATH. */
const SYSTEM_DIRECTORIES = ["/usr/sbin", "/usr/local/sbin", "/sbin", "/opt/homebrew/bin"];

/**
 * The path of a program that a test runs, from the PATH or the directories of system programs.
 *
 * @throws an Error that names the Debian package if it is not installed. A test that passed without
 * it would show nothing.
 */
export function findTool(name: string, debianPackage = name, path = process.env["PATH"]): string {
  const directories = [...(path ?? "").split(delimiter), ...SYSTEM_DIRECTORIES];
  const found = directories
    .filter((directory) => directory !== "")
    .map((directory) => join(directory, name))
    .find((file) => existsSync(file));
  if (found === undefined) {
    throw new Error(`${name} is not installed. Install Debian's package ${debianPackage}.`);
  }
  return found;
}
