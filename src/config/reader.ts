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

/** How to read a setting that is a text. */
export interface TextOptions {
  readonly name: string;
  /** What an unset variable means. It need not be valid itself. */
  readonly fallback: string;
  /** Completes the sentence "must be …". */
  readonly rule: string;
  readonly isValid: (value: string) => boolean;
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

/** Formats a problem as one line: `PORT (.env, line 3): must be …`. */
export function formatProblem({ place, message }: SettingsProblem): string {
  return `${place}: ${message}`;
}

/** Names a variable and its place: `PORT (environment)` or `PORT (.env, line 3)`. */
export function placeOf({ name, source, line }: Variable): string {
  return source === "environment" ? `${name} (environment)` : `${name} (.env, line ${line})`;
}

/** Reads a text. If it is not valid, that is a problem, and the result is the fallback. */
export function readText(reader: SettingsReader, options: TextOptions): string {
  const variable = reader.lookup(options.name);
  if (variable === undefined) return options.fallback;
  if (options.isValid(variable.value)) return variable.value;
  reader.problems.push({ place: placeOf(variable), message: `must be ${options.rule}` });
  return options.fallback;
}

/** Reads a whole number in decimal digits: no sign, no blanks, no exponent. See readText. */
export function readNumber(reader: SettingsReader, options: NumberOptions): number {
  const { name, fallback, min, max } = options;
  const isValid = (value: string): boolean => {
    const number = Number(value);
    return DIGITS.test(value) && number >= min && number <= max;
  };
  const rule = `a whole number from ${min} to ${max}`;
  return Number(readText(reader, { name, fallback: String(fallback), rule, isValid }));
}

/** Reads one of a few words, spelled exactly like that. See readText. */
export function readChoice<Choice extends string>(
  reader: SettingsReader,
  options: ChoiceOptions<Choice>,
): Choice {
  const { name, fallback, choices } = options;
  const isValid = (value: string): boolean => choices.some((choice) => choice === value);
  const rule = `one of ${choices.join(", ")}`;
  return readText(reader, { name, fallback, rule, isValid }) as Choice;
}

/** As many digits as the largest limit has, so that Number() is exact. */
const DIGITS = /^\d{1,10}$/;
