import { fileURLToPath } from "node:url";

/** What the process may do besides reading the program. */
export interface Grants {
  /** Absolute paths of files to read. Where one is a symbolic link, what it leads to may be read, too. */
  readonly files?: readonly string[];
  /** Whether it may start processes, as the primary does its workers. */
  readonly processes?: boolean;
}

/**
 * The NODE_OPTIONS that start the program under Node's permission model: it may read itself, listen, and what is
 * granted. `known`: the options that this Node has.
 */
export function sandboxOptions(known: ReadonlySet<string>, { files = [], processes = false }: Grants = {}): string {
  const program = fileURLToPath(new URL("./", import.meta.url));
  return [
    known.has("--permission") ? "--permission" : "--experimental-permission",
    // Before Node 25 every process may use the network.
    ...(known.has("--allow-net") ? ["--allow-net"] : []),
    ...(processes ? ["--allow-child-process"] : []),
    ...[program, ...files].map((path) => `--allow-fs-read=${path}`),
  ].map(quote).join(" ");
}

// Node splits NODE_OPTIONS at blanks that aren't in double quotes; in those \ makes the next character literal.
function quote(option: string): string {
  return `"${option.replace(/[\\"]/g, "\\$&")}"`;
}
