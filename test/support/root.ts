import { existsSync } from "node:fs";

/** The repository's root as a `file:` URL with a trailing slash. */
export const root: URL = findRoot(new URL("./", import.meta.url));

function findRoot(directory: URL): URL {
  return existsSync(new URL("package.json", directory))
    ? directory
    : findRoot(new URL("../", directory));
}
