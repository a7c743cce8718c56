import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import type { Scope } from "./scope.ts";

/**
 * Makes a directory that is removed when the test, or the suite, ends. `files` has the content of
 * each file by its path in the directory; their mode is 0600. Returns the directory's path.
 */
export function tempDirectory(
  scope: Scope,
  files: Readonly<Record<string, string | Buffer>> = {},
): string {
  const directory = mkdtempSync(join(tmpdir(), "api-test-"));
  removeAfter(scope, directory);
  for (const [name, content] of Object.entries(files)) {
    const path = join(directory, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content, { mode: 0o600 });
  }
  return directory;
}

/** Removes a directory when the test, or the suite, ends. */
export function removeAfter(scope: Scope, directory: string): void {
  scope.after(() => rmSync(directory, { recursive: true, force: true }));
}
