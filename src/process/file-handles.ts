import { closeSync, openSync } from "node:fs";
import { fileURLToPath } from "node:url";

const INTERVAL_MS = 1000;

/** Ends a watch. */
export type StopWatching = () => void;

/**
 * Calls `report` once a second while no file handle is left: with EMFILE if this process has used
 * up its own, with ENFILE if the system has none. Meanwhile libuv closes each new connection, and
 * no event of the server says so: see uv__emfile_trick in its source.
 */
export function watchFileHandles(report: (code: string) => void): StopWatching {
  const timer = setInterval(() => {
    const code = tryOpening();
    if (code === "EMFILE" || code === "ENFILE") report(code);
  }, INTERVAL_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** A file that the program may read in the sandbox, too. */
const THIS_FILE = fileURLToPath(import.meta.url);

/** Opens and closes a file. Returns the code of the error if it can't. */
function tryOpening(): string | undefined {
  try {
    closeSync(openSync(THIS_FILE, "r"));
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
}
