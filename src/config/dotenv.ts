import { isUtf8 } from "node:buffer";

/** One problem of a `.env` file. It contains no text from the file but the name. */
export interface DotenvProblem {
  /** The line where the statement starts, counted from 1. */
  readonly line: number;
  /** The name that the statement defines; undefined if it has no valid name. */
  readonly name: string | undefined;
  /** A fixed text: what is wrong, and the remedy. */
  readonly message: string;
}

/** A value of a `.env` file. */
export interface DotenvEntry {
  /** The value, with its references replaced. */
  readonly value: string;
  /** The line where its pair starts, counted from 1. */
  readonly line: number;
}

/** Variables by name, as in process.env. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * A `.env` file that can't be parsed. `problems` are in the order of their lines. The list ends
 * with the first problem of a quote, since what follows may be value or not, and after 10,000.
 */
export class DotenvError extends Error {
  readonly problems: readonly DotenvProblem[];

  constructor(problems: readonly DotenvProblem[]) {
    super(problems.map(({ line, message }) => `line ${line}: ${message}`).join("\n"));
    this.problems = problems;
  }
}

/** One statement. Its `end` is the index of the line end that it stops at. */
type Statement = Nothing | Pair | Problem;

/** A blank line or a comment. */
interface Nothing {
  readonly kind: "nothing";
  readonly end: number;
}

interface Pair {
  readonly kind: "pair";
  readonly end: number;
  readonly name: string;
  /** The escapes are decoded; the references are replaced by evaluate(). */
  readonly value: string;
}

interface Problem {
  readonly kind: "problem";
  readonly end: number;
  readonly name: string | undefined;
  readonly message: string;
}

/** What follows the "=" of a pair. Its `end` is the index of the line end that it stops at. */
type Value =
  | { readonly kind: "value"; readonly end: number; readonly text: string }
  | { readonly kind: "problem"; readonly end: number; readonly message: string };

/** What a pair begins with. */
interface Head {
  /** How many characters it has, up to and including the "=". */
  readonly length: number;
  /** The name as written, with its quotes; "" if there is none. */
  readonly word: string;
  readonly hasEquals: boolean;
}

/** What a value is with its references replaced, or what one of them stands for. */
type Expansion =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "problem"; readonly message: string };

/** Returns the value of a name that a reference may use; undefined if it has none. */
type Find = (name: string) => string | undefined;

const ENCODING = "these bytes are not UTF-8: save the file as UTF-8";
const NUL = "there is a NUL character: remove it, and save the file as UTF-8, not UTF-16";
const NO_NAME = "there is no name: write NAME=value, and # before a comment";
const BAD_NAME =
  "a name holds letters, digits and _, and after the first character also . and -: " +
  "write any other name in single quotes, as in 'NAME'=value";
const BAD_QUOTED_NAME =
  "a name in single quotes must not be empty, and must end on its line: write 'NAME'=value";
const NO_EQUALS =
  "there is no = after the name: write NAME=value, and a value that spans lines in quotes";
const UNCLOSED =
  "the quote before the value is never closed: " +
  "close it, or put the value in the other kind of quotes";
const AFTER_QUOTE =
  "text after the closing quote: write \\ before a quote inside the value, and # before a comment";
const UNDEFINED =
  "${NAME} is defined neither above nor in the environment: define it, use ${NAME:-default}, " +
  "or write a literal ${ as ${:-$}{";
const NESTED =
  "a default may not hold ${: define the name instead, or write every literal ${ as ${:-$}{";
const GROWN_VALUE = "the value grows past 1 MiB by its references: shorten what they stand for";
const GROWN_FILE =
  "the values of this file grow by more than 16 MiB through references: use fewer of them";
const TOO_MANY = "there are more than 10000 problems, here and below: correct those above first";

/** After so many problems a file is not read further. */
const MAX_PROBLEMS = 10_000;

/** How long references may make a value, in characters. */
const MAX_VALUE_LENGTH = 1_048_576;

/** How much longer than the text of their pairs all values may be, in characters. */
const MAX_GROWTH = 16 * MAX_VALUE_LENGTH;

// blank: Python's \s without LF and CR. JavaScript's \s and trim() know other characters.
const BLANK =
  String.raw`\t\v\f \x1C-\x1F\x85\xA0\u1680` +
  String.raw`\u2000-\u200A\u2028\u2029\u202F\u205F\u3000`;

// nothing = *blank [ "#" *any ]
const NOTHING = new RegExp(`^[${BLANK}]*(?:#|$)`);

// head = *blank ["export" 1*blank] [word] *blank ["="]
// word = "'" *(not "'") ["'"] / a run without blank, "=" and "#" that doesn't begin with "'"
// Every line begins with a head.
const HEAD = new RegExp(
  `^[${BLANK}]*(?:export[${BLANK}]+)?('[^']*'?|[^'=#${BLANK}][^=#${BLANK}]*)?[${BLANK}]*(=)?`,
);

// name = (letter / digit / "_") *(letter / mark / digit / "_" / "." / "-") / "'" 1*(not "'") "'"
const NAME = /^(?:[\p{L}\p{N}_][\p{L}\p{M}\p{N}_.-]*|'[^']+')$/u;

// What an unquoted value loses: everything from the first "#" right after a blank, and the blanks
// around the rest. Each run of blanks is looked at from its start only, so this takes linear time.
const PADDING = new RegExp(`(?<![${BLANK}])[${BLANK}]+(?:#[^]*)?$|^[${BLANK}]+`, "g");

// reference = "${" *(not "}" or ":") [":-" *(not "}")] "}"
// A text that begins like one but meets another ":" or the end matches, too, and is left as it is:
// a "${" inside of it would meet the same. So no character is looked at twice.
const REFERENCE = /\$\{([^}:]*)(?::-([^}]*))?(\}|:|$)/g;

/** What may follow a backslash, in single and in double quotes. */
const SINGLE_QUOTED_ESCAPE = /\\([\\'])/g;
const DOUBLE_QUOTED_ESCAPE = /\\([\\'"abfnrtv])/g;

/** What the letter of an escape stands for. A backslash and a quote stand for themselves. */
const ESCAPES = new Map([
  ["a", "\x07"],
  ["b", "\b"],
  ["f", "\f"],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
  ["v", "\v"],
]);

/**
 * Returns the pairs of a `.env` file. Grammar and values are those of python-dotenv 1.2.4. What it
 * skips with a warning or loses silently is a problem here: an undefined reference, a name without
 * "=" or with other characters, a NUL.
 *
 * A reference `${NAME}` or `${NAME:-default}` stands for the last such pair above, else for the
 * variable in `env`, else for the default.
 *
 * @example
 * parseDotenv(Buffer.from("A=1\nexport B=${A}2 # comment\n")); // Map { "A" → "1", "B" → "12" }
 * @throws DotenvError with all problems. If there is one, no pair is returned.
 */
export function parseDotenv(bytes: Uint8Array, env: Environment = {}): Map<string, string> {
  const values = new Map<string, string>();
  for (const [name, { value }] of readDotenv(bytes, env)) values.set(name, value);
  return values;
}

/** Like parseDotenv, with the line of each pair. The last of two pairs with one name counts. */
export function readDotenv(bytes: Uint8Array, env: Environment = {}): Map<string, DotenvEntry> {
  const text = decode(bytes);
  const entries = new Map<string, DotenvEntry>();
  const problems: DotenvProblem[] = [];
  const find: Find = (name) => entries.get(name)?.value ?? valueIn(env, name);
  let line = 1;
  let growth = 0;
  for (let start = 0; start < text.length; ) {
    const statement = readStatement(text, start);
    const source = text.slice(start, statement.end);
    const result = evaluate(statement, source, find, MAX_GROWTH - growth);
    if (result.kind === "problem") {
      if (problems.length === MAX_PROBLEMS) {
        problems.push({ line, name: undefined, message: TOO_MANY });
        break;
      }
      problems.push({ line, name: result.name, message: result.message });
    } else if (result.kind === "pair") {
      entries.set(result.name, { value: result.value, line });
      growth += Math.max(0, result.value.length - source.length);
    }
    line += source.split("\n").length;
    start = statement.end + 1;
  }
  if (problems.length > 0) throw new DotenvError(problems);
  return entries;
}

/** Returns the value of a variable; undefined if it is not set. Inherited properties are not. */
export function valueIn(env: Environment, name: string): string | undefined {
  return Object.hasOwn(env, name) ? env[name] : undefined;
}

/** Decodes UTF-8, drops one byte order mark, and turns CRLF and CR into LF. */
function decode(bytes: Uint8Array): string {
  if (!isUtf8(bytes)) {
    throw new DotenvError([{ line: lineOfBadByte(bytes), name: undefined, message: ENCODING }]);
  }
  return new TextDecoder().decode(bytes).replace(/\r\n?/g, "\n");
}

function lineOfBadByte(bytes: Uint8Array): number {
  // An LF is never part of a longer sequence, so each line is valid or not by itself.
  // Latin-1 keeps all bytes as they are.
  const lines = Buffer.from(bytes).toString("latin1").split("\n");
  return lines.findIndex((line) => !isUtf8(Buffer.from(line, "latin1"))) + 1;
}

/**
 * Replaces a pair's references, by which its value may get `maxGrowth` characters longer than the
 * text of the pair, `source`. A pair or a comment may turn out to be a problem.
 */
function evaluate(statement: Statement, source: string, find: Find, maxGrowth: number): Statement {
  if (statement.kind === "problem") return statement;
  const name = statement.kind === "pair" ? statement.name : undefined;
  if (source.includes("\0")) return problemUpTo(statement.end, NUL, name);
  if (statement.kind === "nothing") return statement;
  const result = expand(statement.value, find);
  if (result.kind === "problem") return problemUpTo(statement.end, result.message, name);
  if (result.text.length - source.length > maxGrowth) {
    return problemUpTo(statement.end, GROWN_FILE, name);
  }
  return { ...statement, value: result.text };
}

// statement = nothing / head value
function readStatement(text: string, start: number): Statement {
  const end = endOfLine(text, start);
  const line = text.slice(start, end);
  if (NOTHING.test(line)) return { kind: "nothing", end };
  const { length, word, hasEquals } = readHead(line);
  if (word === "") return problemUpTo(end, NO_NAME);
  const nameProblem = problemOfName(word);
  if (!hasEquals) return problemUpTo(end, nameProblem ?? NO_EQUALS);
  // The value is read even if the name is not valid: the next statement starts after it.
  const value = readValue(text, start + length, end);
  if (nameProblem !== undefined) {
    return problemUpTo(value.end, value.kind === "problem" ? value.message : nameProblem);
  }
  const name = word.replaceAll("'", "");
  if (value.kind === "problem") return problemUpTo(value.end, value.message, name);
  return { kind: "pair", end: value.end, name, value: value.text };
}

function readHead(line: string): Head {
  const [head = "", word = "", equals] = HEAD.exec(line) ?? [];
  return { length: head.length, word, hasEquals: equals !== undefined };
}

function problemOfName(word: string): string | undefined {
  if (NAME.test(word)) return undefined;
  if (word.includes("\0")) return NUL;
  return word.startsWith("'") ? BAD_QUOTED_NAME : BAD_NAME;
}

function problemUpTo(end: number, message: string, name?: string): Problem {
  return { kind: "problem", end, name, message };
}

// value = *blank (quoted / unquoted), an unquoted one up to the end of the line
/** Reads the value from `start`, right after the "=". */
function readValue(text: string, start: number, end: number): Value {
  const value = text.slice(start, end).replace(PADDING, "");
  const quote = value.charAt(0);
  if (quote === '"' || quote === "'") return readQuoted(text, text.indexOf(quote, start));
  return { kind: "value", end, text: value };
}

/** Reads the value whose quote is at `open`. With a problem, it takes the rest of the file. */
function readQuoted(text: string, open: number): Value {
  const quote = text[open];
  let close = open + 1;
  while (close < text.length && text[close] !== quote) {
    close += text[close] === "\\" ? 2 : 1;
  }
  if (close >= text.length) return { kind: "problem", end: text.length, message: UNCLOSED };
  const end = endOfLine(text, close);
  if (!NOTHING.test(text.slice(close + 1, end))) {
    return { kind: "problem", end: text.length, message: AFTER_QUOTE };
  }
  const escape = quote === '"' ? DOUBLE_QUOTED_ESCAPE : SINGLE_QUOTED_ESCAPE;
  const decoded = text
    .slice(open + 1, close)
    .replace(escape, (_, letter: string) => ESCAPES.get(letter) ?? letter);
  return { kind: "value", end, text: decoded };
}

function endOfLine(text: string, from: number): number {
  const end = text.indexOf("\n", from);
  return end === -1 ? text.length : end;
}

/** Replaces each reference in `value` once. Returns the new value, or the first problem. */
function expand(value: string, find: Find): Expansion {
  let expanded = "";
  let end = 0;
  let growth = 0;
  for (const match of value.matchAll(REFERENCE)) {
    const [whole, name = "", fallback, last] = match;
    if (last !== "}") continue;
    const found = resolveReference(name, fallback, find);
    if (found.kind === "problem") return found;
    growth += found.text.length - whole.length;
    // What follows can make the result shorter, but by less than the length of `value`.
    if (growth > MAX_VALUE_LENGTH) return { kind: "problem", message: GROWN_VALUE };
    expanded += value.slice(end, match.index) + found.text;
    end = match.index + whole.length;
  }
  expanded += value.slice(end);
  if (growth > 0 && expanded.length > MAX_VALUE_LENGTH) {
    return { kind: "problem", message: GROWN_VALUE };
  }
  return { kind: "text", text: expanded };
}

function resolveReference(name: string, fallback: string | undefined, find: Find): Expansion {
  if (fallback?.includes("${")) return { kind: "problem", message: NESTED };
  const text = find(name) ?? fallback;
  if (text === undefined) return { kind: "problem", message: UNDEFINED };
  return { kind: "text", text };
}
