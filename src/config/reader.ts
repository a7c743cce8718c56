/** A variable that is set, and where. */
export interface Variable {
  /** Its name, such as `PORT`. */
  readonly name: string;
  /** Its value as written; it may be empty, and it may be a secret. */
  readonly value: string;
  /** Where it is set. The environment comes before `.env`. */
  readonly source: "environment" | ".env";
  /** The line of `.env` that sets it, counted from 1; undefined for the environment. */
  readonly line: number | undefined;
}

/** Something that is wrong with the settings. Neither member contains a value. */
export interface SettingsProblem {
  /** The variable and where it is set, or the file and the line. */
  readonly place: string;
  /** What is wrong, and the remedy. */
  readonly message: string;
}

/** The variables to read settings from, and what reading them has brought up so far. */
export interface SettingsReader {
  /** Returns the variable of that name; undefined if it is not set. */
  readonly lookup: (name: string) => Variable | undefined;
  /** The directory that relative paths start from. */
  readonly directory: string;
  /** The time, in ms since the epoch. */
  readonly now: number;
  /** Every function that reads a setting adds its problems here. */
  readonly problems: SettingsProblem[];
  /** Warnings for the operator, one line each, without a value. */
  readonly warnings: string[];
}

/** How to read a setting of any kind. */
export interface ValueOptions<Value> {
  readonly name: string;
  /** The value of an unset variable. */
  readonly fallback: Value;
  /** Completes the sentence "must be …". */
  readonly rule: string;
  /** Returns the value that a text stands for; undefined if it is not valid. */
  readonly parse: (text: string) => Value | undefined;
}

/** How to read a setting that is a whole number; `min` and `max` are allowed values. */
export interface NumberOptions {
  readonly name: string;
  readonly fallback: number;
  readonly min: number;
  readonly max: number;
}

/** How to read a setting that is one of a few words. */
export interface ChoiceOptions<Choice extends string> {
  readonly name: string;
  readonly fallback: Choice;
  readonly choices: readonly Choice[];
}

/** Formats a problem as one line that is safe to print: `PORT (.env, line 3): must be …`. */
export function formatProblem({ place, message }: SettingsProblem): string {
  return printable(`${place}: ${message}`);
}

/**
 * Makes a text that holds a path or a name safe to print: on one line, without characters that a
 * terminal acts on, and without anything that looks like a key.
 */
export function printable(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "?").replace(/svk_[\w-]+/g, "svk_…");
}

/** Names a variable and its place: `PORT (environment)` or `PORT (.env, line 3)`. */
export function placeOf({ name, source, line }: Omit<Variable, "value">): string {
  return source === "environment" ? `${name} (environment)` : `${name} (.env, line ${line})`;
}

/** Like placeOf, for a setting that may have its default: `PORT (default)`. */
export function placeOrDefault(reader: SettingsReader, name: string): string {
  const variable = reader.lookup(name);
  return variable === undefined ? `${name} (default)` : placeOf(variable);
}

/** Reads a setting. If it is not valid, that is a problem, and the result is the fallback. */
export function readValue<Value>(reader: SettingsReader, options: ValueOptions<Value>): Value {
  const variable = reader.lookup(options.name);
  if (variable === undefined) return options.fallback;
  const value = options.parse(variable.value);
  if (value !== undefined) return value;
  reader.problems.push({ place: placeOf(variable), message: `must be ${options.rule}` });
  return options.fallback;
}

/** Reads a whole number in decimal digits: no sign, no blanks, no exponent. See readValue. */
export function readNumber(reader: SettingsReader, options: NumberOptions): number {
  const { name, fallback, min, max } = options;
  const parse = (text: string): number | undefined => {
    const number = Number(text);
    return DIGITS.test(text) && number >= min && number <= max ? number : undefined;
  };
  return readValue(reader, { name, fallback, rule: `a whole number from ${min} to ${max}`, parse });
}

/** Reads one of a few words, spelled exactly like that. See readValue. */
export function readChoice<Choice extends string>(
  reader: SettingsReader,
  options: ChoiceOptions<Choice>,
): Choice {
  const { name, fallback, choices } = options;
  const parse = (text: string): Choice | undefined => choices.find((choice) => choice === text);
  return readValue(reader, { name, fallback, rule: `one of ${choices.join(", ")}`, parse });
}

/** As many digits as the largest limit has, so that Number() is exact. */
const DIGITS = /^\d{1,10}$/;
