import { fileURLToPath } from "node:url";

/**
 * The shell command that makes a key with this very program, whatever the working directory.
 * Messages name it as the remedy. It needs no npm, which would print a banner into a file, and
 * nothing installed.
 *
 * @example
 * `make a key with ${KEYGEN}` // "make a key with node /srv/api/dist/src/main.js keygen"
 */
export const KEYGEN: string = `node ${shellWord(programPath())} keygen`;

/** The program is compiled if this file is: it ends in .js or .ts, too. */
function programPath(): string {
  const program = `./main${import.meta.url.slice(-3)}`;
  return fileURLToPath(new URL(program, import.meta.url));
}

/** Quotes a text for a POSIX shell, if need be. */
export function shellWord(text: string): string {
  if (/^[\w./+@%:,-]+$/.test(text)) return text;
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
