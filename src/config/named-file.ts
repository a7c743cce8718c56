import { resolve } from "node:path";

import { canBeWrittenByOthers, modeWarning, readRegularFile } from "./file.ts";
import { placeOf, printable, type SettingsReader, type Variable } from "./reader.ts";

/** How to read a file that a variable names. */
export interface NamedFileOptions {
  /** What to say if the variable seems to hold the secret itself, which must not be shown. */
  readonly secretMessage: string;
  /** Whether anyone may read the file. */
  readonly isPublic: boolean;
}

/**
 * Reads the file that a variable names. If that fails, it is a problem, and the result is
 * undefined. Warns if others can read it, unless it is public, or write to it.
 */
export function readNamedFile(
  reader: SettingsReader,
  variable: Variable,
  { secretMessage, isPublic }: NamedFileOptions,
): Buffer | undefined {
  const place = placeOf(variable);
  if (variable.value === "") {
    reader.problems.push({ place, message: "is empty: set it to the path of a file, or unset it" });
    return undefined;
  }
  const path = resolve(reader.directory, variable.value);
  const file = readRegularFile(path);
  if (file.kind === "problem") {
    const message = SECRET_LIKE.test(variable.value) ? secretMessage : file.message;
    reader.problems.push({ place, message });
    return undefined;
  }
  const warning = modeWarning(file.mode);
  if (warning !== undefined && (!isPublic || canBeWrittenByOthers(file.mode))) {
    reader.warnings.push(printable(`${place}: the file ${path} ${warning}`));
  }
  return file.bytes;
}

/**
 * What a key looks like, and a path hardly ever: 32 or more characters of hex, Base64 or base64url
 * that don't begin with "/", perhaps in quotes or with a line end, or anything in PEM.
 */
const SECRET_LIKE = /^["']?[\w+=-][\w+/=-]{31,}["']?\s*$|-----/;
