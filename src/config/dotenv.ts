import { isUtf8 } from "node:buffer";

/**
 * One fault of a `.env` file: `line`, from 1, is where the statement at fault starts; `name` what it defines, if that
 * is a valid name; `message` a fixed text, which says what is wrong and the remedy, and quotes nothing.
 */
export interface DotenvFault {
  line: number;
  name?: string;
  message: string;
}

/** A value with its references replaced, and the line where its pair starts, counted from 1. */
export interface DotenvEntry {
  value: string;
  line: number;
}

/** Every fault of a `.env` file, in the order of its lines, up to the first one with quotes. */
export class DotenvError extends Error {
  readonly faults: DotenvFault[];

  constructor(faults: DotenvFault[]) {
    super(faults.map(({ line, message }) => `line ${line}: ${message}`).join("\n"));
    this.faults = faults;
  }
}

/** A pair, a fault, both, or nothing. Its value has its escapes decoded, but its references not yet replaced. */
interface Statement {
  end: number;
  name?: string;
  value?: string;
  fault?: string | undefined;
}

const ENCODING = "these bytes are not UTF-8: save the file as UTF-8";
const NUL = "there is a NUL character: remove it, and save the file as UTF-8, not UTF-16";
const NO_NAME = "there is no name: write NAME=value, and # before a comment";
const BAD_NAME =
  "a name holds letters, digits, _ and, not first, . and -: write NAME=value, any other as 'NAME'=value";
const BAD_QUOTED_NAME =
  "a name in single quotes is not empty and closes on its line: write 'NAME'=value";
const NO_EQUALS =
  "there is no = after the name: write NAME=value, and a value that spans lines in quotes";
const UNCLOSED =
  "the quote before the value is never closed: close it, or put the value in the other kind of quotes";
const AFTER_QUOTE =
  "text after the closing quote: write \\ before a quote inside the value, and # before a comment";
const UNDEFINED =
  "${NAME} is defined neither above nor in the environment: define it, use ${NAME:-default}, " +
  "or write a literal ${ as ${:-$}{";
const NESTED =
  "a default may not hold ${: define the name instead, or write every literal ${ as ${:-$}{";

// blank: Python's \s without LF and CR. JavaScript's \s and trim() know other characters.
const BLANK = String.raw`\t\v\f \x1C-\x1F\x85\xA0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000`;

// nothing = *blank [ "#" *any ]
const NOTHING = new RegExp(`^[${BLANK}]*(?:#|$)`);

// head = *blank ["export" 1*blank] [word] *blank ["="], word = "'" *(not "'") ["'"] / what begins otherwise, up to a
// blank, "=" or "#". Every line begins with one.
const HEAD = new RegExp(
  `^[${BLANK}]*(?:export[${BLANK}]+)?('[^']*'?|[^'=#${BLANK}][^=#${BLANK}]*)?[${BLANK}]*(=)?`,
);

// name = (letter / digit / "_") *(letter / mark / digit / "_" / "." / "-") / "'" 1*(not "'") "'"
const NAME = /^(?:[\p{L}\p{N}_][\p{L}\p{M}\p{N}_.-]*|'[^']+')$/u;

// What an unquoted value loses: from the first "#" right after a blank on, and the blanks around what is left. Looking
// at each run of blanks from its start only, it takes linear time.
const PADDING = new RegExp(`(?<![${BLANK}])[${BLANK}]+(?:#[^]*)?$|^[${BLANK}]+`, "g");

// reference = "${" *(not "}" or ":") [":-" *(not "}")] "}"
// What begins like one but meets another ":" or the end matches too, to be passed over as it is: a "${" inside it would
// meet the same. So no character is looked at twice.
const REFERENCE = /\$\{([^}:]*)(?::-([^}]*))?(\}|:|$)/g;

/**
 * The pairs of a `.env` file, with python-dotenv 1.2.4's grammar and values; what it skips with a warning or loses
 * silently (an undefined reference, a name without "=" or with other characters, a NUL) is a fault. A `${NAME}` is the
 * value of the last such pair above, else of the variable in `env`, else its default.
 * @throws DotenvError with the faults; with any nothing is returned.
 */
export const parseDotenv = (
  bytes: Uint8Array,
  env: Record<string, string | undefined> = {},
): Map<string, string> =>
  new Map(Array.from(readDotenv(bytes, env), ([name, { value }]) => [name, value]));

/** Like parseDotenv, but with the line of each pair; of two pairs with one name the last counts. */
export function readDotenv(
  bytes: Uint8Array,
  env: Record<string, string | undefined> = {},
): Map<string, DotenvEntry> {
  if (!isUtf8(bytes)) throw new DotenvError([{ line: lineOfBadByte(bytes), message: ENCODING }]);
  const text = new TextDecoder().decode(bytes).replace(/\r\n?/g, "\n"); // decode() drops one BOM
  const entries = new Map<string, DotenvEntry>();
  const find = (name: string): string | undefined =>
    entries.get(name)?.value ?? (Object.hasOwn(env, name) ? env[name] : undefined);
  const faults: DotenvFault[] = [];
  for (let start = 0, line = 1; start < text.length; ) {
    const { end, name, value = "", fault } = readStatement(text, start);
    const source = text.slice(start, end);
    const unresolved: string[] = [];
    const expanded = expand(value, find, unresolved);
    const message = fault ?? (source.includes("\0") ? NUL : unresolved[0]);
    if (message !== undefined)
      faults.push(name === undefined ? { line, message } : { line, name, message });
    else if (name !== undefined) entries.set(name, { value: expanded, line });
    line += source.split("\n").length;
    start = end + 1;
  }
  if (faults.length > 0) throw new DotenvError(faults);
  return entries;
}

function lineOfBadByte(bytes: Uint8Array): number {
  // An LF is never part of a longer sequence: each line is good or bad by itself. Latin-1 keeps all bytes as they are.
  const lines = Buffer.from(bytes).toString("latin1").split("\n");
  return lines.findIndex((line) => !isUtf8(Buffer.from(line, "latin1"))) + 1;
}

// statement = nothing / head value
function readStatement(text: string, start: number): Statement {
  const end = endOfLine(text, start);
  const line = text.slice(start, end);
  if (NOTHING.test(line)) return { end };
  const [head = "", word = "", equals] = HEAD.exec(line) ?? [];
  const fault = nameFault(word) ?? (equals === undefined ? NO_EQUALS : undefined);
  if (word === "" || equals === undefined) return { end, fault };
  const value = readValue(text, start + head.length, end);
  return fault === undefined ? { name: word.replaceAll("'", ""), ...value } : { fault, ...value };
}

function nameFault(word: string): string | undefined {
  if (word === "") return NO_NAME;
  if (NAME.test(word)) return undefined;
  if (word.includes("\0")) return NUL;
  return word.startsWith("'") ? BAD_QUOTED_NAME : BAD_NAME;
}

// value = *blank (quoted / unquoted), unquoted up to the end of the line; `start` is right after the "="
function readValue(text: string, start: number, end: number): Statement {
  const value = text.slice(start, end).replace(PADDING, "");
  return /^["']/.test(value)
    ? readQuoted(text, text.indexOf(value.charAt(0), start))
    : { end, value };
}

/** After a fault with quotes nobody knows what is value and what isn't: the statement takes the rest of the file. */
function readQuoted(text: string, open: number): Statement {
  let close = open + 1;
  while (close < text.length && text[close] !== text[open]) close += text[close] === "\\" ? 2 : 1;
  if (close >= text.length) return { end: text.length, fault: UNCLOSED };
  const end = endOfLine(text, close);
  if (!NOTHING.test(text.slice(close + 1, end))) return { end: text.length, fault: AFTER_QUOTE };
  const escape = text[open] === '"' ? /\\([\\'"abfnrtv])/g : /\\([\\'])/g;
  const decode = (_: string, letter: string): string =>
    "\x07\b\f\n\r\t\v"["abfnrtv".indexOf(letter)] ?? letter;
  return { end, value: text.slice(open + 1, close).replace(escape, decode) };
}

function endOfLine(text: string, at: number): number {
  const end = text.indexOf("\n", at);
  return end === -1 ? text.length : end;
}

/** `value` with each of its references replaced once; adds a message to `faults` for each that can't be. */
function expand(
  value: string,
  find: (name: string) => string | undefined,
  faults: string[],
): string {
  const replace = (
    whole: string,
    name: string,
    fallback: string | undefined,
    last: string,
  ): string => {
    if (last !== "}") return whole;
    const found = find(name) ?? fallback;
    if (fallback?.includes("${")) faults.push(NESTED);
    else if (found === undefined) faults.push(UNDEFINED);
    return found ?? "";
  };
  return value.replace(REFERENCE, replace);
}
