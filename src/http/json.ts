/** Why and where a text is not JSON. */
export interface JsonError {
  /** Counted in code points, from 0. */
  readonly position: number;
  /** CPython's message, without its ": line 1 column 2 (char 1)". */
  readonly message: string;
}

/**
 * Explains why `JSON.parse` rejected a text, in the words of CPython 3.11's `json` module.
 *
 * Unlike CPython it rejects `NaN`, `Infinity` and `-Infinity` (RFC 8259 section 6) and accepts any
 * depth. It never throws, and takes time linear in the text and one byte per character. For a text
 * that is JSON it reports "Extra data" at the end.
 *
 * @example
 *     locateJsonError('{"a":}'); // { position: 5, message: "Expecting value" }
 */
export function locateJsonError(text: string): JsonError {
  const { index, message } = findError(text);
  // A surrogate pair is one code point: leave out the first half of each.
  const codePoints = text.slice(0, index).replace(/[\ud800-\udbff](?=[\udc00-\udfff])/g, "");
  return { position: codePoints.length, message };
}

/** An error at `index`, counted in UTF-16 code units as strings are. */
interface ParseError {
  readonly index: number;
  readonly message: string;
}

/** What a reader found, or why it can't be read. */
type ReadResult = Found | { readonly error: ParseError };

interface Found {
  /** The index after it. */
  readonly end: number;
  /** The character code that will close it; undefined if it opens no container. */
  readonly closer?: number;
}

const CLOSE_BRACE = 0x7d;
const CLOSE_BRACKET = 0x5d;

// A loop, not recursion, so that deep nesting can't exhaust the stack. Each round reads one value,
// with the member name before it and the closing brackets after it.
function findError(text: string): ParseError {
  // For each depth the character code that closes the container. A text can't be deeper than long.
  const closers = new Uint8Array(text.length + 1);
  let depth = 0;
  let index = skipSpace(text, 0);
  for (;;) {
    const value = readMember(text, index, closers[depth] === CLOSE_BRACE);
    if ("error" in value) return value.error;
    index = skipSpace(text, value.end);
    if (value.closer !== undefined) {
      depth += 1;
      closers[depth] = value.closer;
      // An empty container closes at once; any other goes on with its first value.
      if (text.charCodeAt(index) !== value.closer) continue;
    }
    while (depth > 0 && text.charCodeAt(index) === closers[depth]) {
      depth -= 1;
      index = skipSpace(text, index + 1);
    }
    if (depth === 0) return { index, message: "Extra data" };
    if (text[index] !== ",") return { index, message: "Expecting ',' delimiter" };
    index = skipSpace(text, index + 1);
  }
}

/**
 * Reads a value, after its name if it `isNamed`: all of a scalar, or only the bracket that opens a
 * container.
 */
function readMember(text: string, start: number, isNamed: boolean): ReadResult {
  const name = isNamed ? readName(text, start) : { end: start };
  if ("error" in name) return name;
  const closer = closerOf(text[name.end]);
  return closer === undefined ? readScalar(text, name.end) : { end: name.end + 1, closer };
}

/** The character code that closes a container; undefined if `opening` does not open one. */
function closerOf(opening: string | undefined): number | undefined {
  if (opening === "{") return CLOSE_BRACE;
  return opening === "[" ? CLOSE_BRACKET : undefined;
}

/** Reads a member name and its colon, up to where the value starts. */
function readName(text: string, start: number): ReadResult {
  if (text[start] !== '"') {
    return failAt(start, "Expecting property name enclosed in double quotes");
  }
  const name = readString(text, start);
  if ("error" in name) return name;
  const index = skipSpace(text, name.end);
  if (text[index] !== ":") return failAt(index, "Expecting ':' delimiter");
  return { end: skipSpace(text, index + 1) };
}

// RFC 8259 sections 3 and 6: false / null / true / number
//   number = [ "-" ] int [ frac ] [ exp ]
//   int = "0" / ( %x31-39 *DIGIT ), frac = "." 1*DIGIT, exp = ( "e" / "E" ) [ "-" / "+" ] 1*DIGIT
// The longest match counts: what is wrong with `01` is the 1, and with `1.` the point.
function readScalar(text: string, start: number): ReadResult {
  if (text[start] === '"') return readString(text, start);
  const scalar = /false|null|true|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?/y;
  scalar.lastIndex = start;
  if (!scalar.test(text)) return failAt(start, "Expecting value");
  return { end: scalar.lastIndex };
}

function readString(text: string, start: number): ReadResult {
  let index = start + 1;
  while (index < text.length) {
    const character = text.charAt(index);
    if (character === '"') return { end: index + 1 };
    if (character < " ") return failAt(index, "Invalid control character at");
    if (character !== "\\") {
      index += 1;
      continue;
    }
    const error = checkEscape(text, index);
    if (error !== undefined) return { error };
    index += 2;
  }
  return failAt(start, "Unterminated string starting at");
}

/** Checks the escape sequence whose backslash stands at `backslash`. */
function checkEscape(text: string, backslash: number): ParseError | undefined {
  const index = backslash + 1;
  // Empty at the end of the text; every string includes it.
  const escaped = text.charAt(index);
  if (!'"\\/bfnrtu'.includes(escaped)) return { index: backslash, message: "Invalid \\escape" };
  if (escaped !== "u") return undefined;
  // CPython wants one more character after the digits: a text that ends there is not
  // "Unterminated".
  if (/^[0-9A-Fa-f]{4}[^]$/.test(text.slice(index + 1, index + 6))) return undefined;
  return { index, message: "Invalid \\uXXXX escape" };
}

// RFC 8259 section 2: ws = *( %x20 / %x09 / %x0A / %x0D ), which is less than \s.
function skipSpace(text: string, start: number): number {
  let index = start;
  while (index < text.length && " \t\n\r".includes(text.charAt(index))) index += 1;
  return index;
}

function failAt(index: number, message: string): { readonly error: ParseError } {
  return { error: { index, message } };
}
