import { isUtf8 } from "node:buffer";

/** One fault of a `.env` file. `message` is a fixed text: it says what is wrong and the remedy, and quotes nothing. */
export interface DotenvFault {
  /** Where the statement at fault starts, counted from 1. */
  line: number;
  /** The name that the statement defines, if it is a pair with a valid name. */
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
    this.name = "DotenvError";
    this.faults = faults;
  }
}

/** What stands between the start of a line and the end of the same or a later one: a pair, a fault, or nothing. */
interface Statement {
  end: number;
  name?: string;
  /** With its escapes decoded, but its references not yet replaced. */
  value?: string;
  fault?: string;
}

const ENCODING = "these bytes are not UTF-8: save the file as UTF-8";
const NUL = "there is a NUL character: remove it, and save the file as UTF-8, not UTF-16";
const NO_NAME = "there is no name: write NAME=value, and # before a comment";
const BAD_NAME = "a name holds letters, digits, _ and, not first, . and -: write NAME=value, any other as 'NAME'=value";
const BAD_QUOTED_NAME = "a name in single quotes is not empty and closes on its line: write 'NAME'=value";
const NO_EQUALS = "there is no = after the name: write NAME=value, and a value that spans lines in quotes";
const UNCLOSED = "the quote before the value is never closed: close it, or put the value in the other kind of quotes";
const AFTER_QUOTE = "text after the closing quote: write \\ before a quote inside the value, and # before a comment";
const UNDEFINED = "${NAME} is defined neither above nor in the environment: define it, use ${NAME:-default}, "
  + "or write a literal ${ as ${:-$}{";
const NESTED = "a default may not hold ${: define the name instead, or write every literal ${ as ${:-$}{";

// Python's \s without LF and CR. JavaScript's \s and trim() know other characters.
const BLANK = /^[\t\v\f \x1C-\x1F\x85\xA0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000]$/;

// name = (letter / digit / "_") *(letter / mark / digit / "_" / "." / "-")
const NAME = /^[\p{L}\p{N}_][\p{L}\p{M}\p{N}_.-]*$/u;

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
export function parseDotenv(bytes: Uint8Array, env: Record<string, string | undefined> = {}): Map<string, string> {
  return new Map(Array.from(readDotenv(bytes, env), ([name, { value }]) => [name, value]));
}

/** Like parseDotenv, but with the line of each pair; of two pairs with one name the last counts. */
export function readDotenv(bytes: Uint8Array, env: Record<string, string | undefined> = {}): Map<string, DotenvEntry> {
  const text = decodeBytes(bytes);
  const entries = new Map<string, DotenvEntry>();
  const lookUp = (name: string): string | undefined =>
    entries.get(name)?.value ?? (Object.hasOwn(env, name) ? env[name] : undefined);
  const faults: DotenvFault[] = [];
  for (let start = 0, line = 1; start < text.length;) {
    const { end, name, value = "", fault } = readStatement(text, start);
    const source = text.slice(start, end);
    const expanded = expand(value, lookUp);
    const message = fault ?? (source.includes("\0") ? NUL : expanded.fault);
    if (message !== undefined) faults.push(name === undefined ? { line, message } : { line, name, message });
    else if (name !== undefined) entries.set(name, { value: expanded.value, line });
    line += source.split("\n").length;
    start = end + 1;
  }
  if (faults.length > 0) throw new DotenvError(faults);
  return entries;
}

function decodeBytes(bytes: Uint8Array): string {
  if (!isUtf8(bytes)) throw new DotenvError([{ line: lineOfBadByte(bytes), message: ENCODING }]);
  return new TextDecoder().decode(bytes).replace(/\r\n?/g, "\n"); // decode() drops one BOM
}

function lineOfBadByte(bytes: Uint8Array): number {
  // An LF is never part of a longer sequence: each line is good or bad by itself.
  let start = 0;
  for (let line = 1; ; line += 1) {
    const end = bytes.indexOf(0x0a, start);
    if (end === -1 || !isUtf8(bytes.subarray(start, end))) return line;
    start = end + 1;
  }
}

// statement = *blank [ "#" *any / ["export" 1*blank] name *blank "=" value ]
function readStatement(text: string, start: number): Statement {
  const lineEnd = endOfLine(text, start);
  const at = skipBlanks(text, start);
  if (at === lineEnd || text[at] === "#") return { end: lineEnd };
  const { end, ...name } = readName(text, at, lineEnd);
  if (text[end] !== "=") return { end: lineEnd, fault: name.fault ?? NO_EQUALS };
  return { ...name, ...readValue(text, end + 1) };
}

/** The name; `end` is where the "=" should be. */
function readName(text: string, start: number, lineEnd: number): Statement {
  const exported = text.startsWith("export", start) && isBlank(text[start + 6]);
  const at = exported ? skipBlanks(text, start + 6) : start;
  if (text[at] === "'") {
    const length = text.slice(at + 1, lineEnd).indexOf("'");
    if (length < 1) return { end: lineEnd, fault: BAD_QUOTED_NAME };
    return { end: skipBlanks(text, at + length + 2), name: text.slice(at + 1, at + 1 + length) };
  }
  let end = at;
  while (end < lineEnd && text[end] !== "=" && text[end] !== "#" && !isBlank(text[end])) end += 1;
  if (end === at) return { end: lineEnd, fault: NO_NAME };
  const name = text.slice(at, end);
  end = skipBlanks(text, end);
  if (NAME.test(name)) return { end, name };
  return { end, fault: name.includes("\0") ? NUL : BAD_NAME };
}

// value = *blank (quoted / unquoted), unquoted up to the end of the line; `start` is right after the "="
function readValue(text: string, start: number): Statement {
  const at = skipBlanks(text, start);
  if (text[at] === '"' || text[at] === "'") return readQuoted(text, at);
  const end = endOfLine(text, at);
  return { end, value: text[at] === "#" && at > start ? "" : trimUnquoted(text.slice(at, end)) };
}

/** After a fault with quotes nobody knows what is value and what isn't: the statement takes the rest of the file. */
function readQuoted(text: string, start: number): Statement {
  const close = closingQuote(text, start);
  if (close === -1) return { end: text.length, fault: UNCLOSED };
  const at = skipBlanks(text, close + 1);
  if (at < text.length && text[at] !== "\n" && text[at] !== "#") return { end: text.length, fault: AFTER_QUOTE };
  const escape = text[start] === '"' ? /\\([\\'"abfnrtv])/g : /\\([\\'])/g;
  const decode = (_: string, letter: string): string => "\x07\b\f\n\r\t\v"["abfnrtv".indexOf(letter)] ?? letter;
  return { end: endOfLine(text, at), value: text.slice(start + 1, close).replace(escape, decode) };
}

function closingQuote(text: string, open: number): number {
  for (let at = open + 1; at < text.length; at += 1) {
    if (text[at] === text[open]) return at;
    if (text[at] === "\\") at += 1;
  }
  return -1;
}

/** Without the comment, which starts at the first "#" right after a blank, and without the blanks at the end. */
function trimUnquoted(raw: string): string {
  let hash = raw.indexOf("#", 1);
  while (hash !== -1 && !isBlank(raw[hash - 1])) hash = raw.indexOf("#", hash + 1);
  let end = hash === -1 ? raw.length : hash;
  while (isBlank(raw[end - 1])) end -= 1;
  return raw.slice(0, end);
}

/** `value` with each of its references replaced once, and the fault of the first that can't be. */
function expand(
  value: string,
  lookUp: (name: string) => string | undefined,
): { value: string; fault: string | undefined } {
  let fault: string | undefined;
  const replace = (whole: string, name: string, fallback: string | undefined, last: string): string => {
    if (last !== "}") return whole;
    const found = lookUp(name) ?? fallback;
    if (fallback?.includes("${")) fault ??= NESTED;
    else if (found === undefined) fault ??= UNDEFINED;
    return found ?? "";
  };
  return { value: value.replace(REFERENCE, replace), fault };
}

function endOfLine(text: string, at: number): number {
  const end = text.indexOf("\n", at);
  return end === -1 ? text.length : end;
}

function skipBlanks(text: string, start: number): number {
  let at = start;
  while (isBlank(text[at])) at += 1;
  return at;
}

function isBlank(character: string | undefined): boolean {
  return character !== undefined && BLANK.test(character);
}
