import {
  type DotenvEntry,
  DotenvError,
  type DotenvProblem,
  type Environment,
  readDotenv,
} from "./dotenv.ts";
import { canBeWrittenByOthers, modeWarning, readRegularFile } from "./file.ts";
import { placeOf, type SettingsProblem, type SettingsReader } from "./reader.ts";

/** Where to add what is wrong with the file. */
type Findings = Pick<SettingsReader, "problems" | "warnings">;

/** The pairs of a `.env` file, by name. */
type Entries = ReadonlyMap<string, DotenvEntry>;

/** The variables that hold a key, or name a file that holds some. */
const KEY_VARIABLES = ["SERVICE_API_KEY", "SERVICE_API_KEY_FILE", "SERVICE_API_KEYS_FILE"];

/** How much of a name is shown, in characters. */
const MAX_NAME_LENGTH = 64;

/**
 * Reads the pairs of the `.env` file at `path`. A file that does not exist has none; one that can't
 * be read or parsed has none, either, and is a problem. Warns if others can read its keys, or write
 * to it at all.
 */
export function readEnvFile(path: string, env: Environment, findings: Findings): Entries {
  const file = readRegularFile(path);
  if (file.kind === "problem") {
    if (!file.isMissing) findings.problems.push({ place: ".env", message: file.message });
    return new Map();
  }
  const entries = parse(file.bytes, env, findings.problems);
  const hasKeys = KEY_VARIABLES.some((name) => entries.has(name));
  const warning = modeWarning(file.mode);
  if (warning !== undefined && (hasKeys || canBeWrittenByOthers(file.mode))) {
    findings.warnings.push(`.env: ${warning}`);
  }
  return entries;
}

function parse(bytes: Buffer, env: Environment, problems: SettingsProblem[]): Entries {
  try {
    return readDotenv(bytes, env);
  } catch (error) {
    if (!(error instanceof DotenvError)) throw error;
    for (const problem of error.problems) problems.push(settingsProblemOf(problem));
    return new Map();
  }
}

function settingsProblemOf({ line, name, message }: DotenvProblem): SettingsProblem {
  if (name === undefined) return { place: `.env, line ${line}`, message };
  const shownName = name.length > MAX_NAME_LENGTH ? `${name.slice(0, MAX_NAME_LENGTH)}…` : name;
  return { place: placeOf({ name: shownName, source: ".env", line }), message };
}
