import { fileURLToPath } from "node:url";

/** Absolute paths of files to read, be they links that lead to others, and whether processes may be started. */
export interface Grants {
  readonly files?: readonly string[];
  readonly processes?: boolean;
}

/**
 * The NODE_OPTIONS that start the program under Node's permission model: it may read itself, listen, and what is
 * granted. `known`: the options that this Node has.
 */
export function sandboxOptions(
  known: ReadonlySet<string>,
  { files = [], processes = false }: Grants = {},
): string {
  const program = fileURLToPath(new URL("../", import.meta.url));
  const options = [
    known.has("--permission") ? "--permission" : "--experimental-permission",
    // Before Node 25 every process may use the network.
    ...(known.has("--allow-net") ? ["--allow-net"] : []),
    ...(processes ? ["--allow-child-process"] : []),
    ...[program, ...files].map((path) => `--allow-fs-read=${path}`),
  ];
  // Node splits NODE_OPTIONS at blanks that aren't in double quotes; in those \ makes the next character literal.
  return options.map((option) => `"${option.replace(/[\\"]/g, "\\$&")}"`).join(" ");
}
