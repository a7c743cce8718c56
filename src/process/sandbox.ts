import { fileURLToPath } from "node:url";

/** What the program may do in the sandbox, besides reading itself and listening. */
export interface SandboxGrants {
  /** Absolute paths of files that it may read, symbolic links included. */
  readonly files?: readonly string[];
  /** Whether it may start processes. */
  readonly processes?: boolean;
}

/**
 * The NODE_OPTIONS that start the program under Node's permission model. `known` holds the options
 * of this Node.
 */
export function sandboxOptions(known: ReadonlySet<string>, grants: SandboxGrants = {}): string {
  const { files = [], processes = false } = grants;
  const program = fileURLToPath(new URL("../", import.meta.url));
  const options = [known.has("--permission") ? "--permission" : "--experimental-permission"];
  // Before Node 25 every process may use the network.
  if (known.has("--allow-net")) options.push("--allow-net");
  if (processes) options.push("--allow-child-process");
  for (const path of [program, ...files]) options.push(`--allow-fs-read=${path}`);
  return options.map(quoteOption).join(" ");
}

/** Node splits NODE_OPTIONS at blanks outside double quotes. Inside them, a backslash escapes. */
function quoteOption(option: string): string {
  return `"${option.replace(/[\\"]/g, "\\$&")}"`;
}
