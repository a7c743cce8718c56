/** A fault at `index`, counted in UTF-16 code units as strings are. */
interface Fault {
  index: number;
  message: string;
}

/**
 * Where and why a text that `JSON.parse` refused isn't JSON, in the words of CPython 3.11's `json` module.
 * `position` counts code points from 0; `message` is CPython's without its ": line 1 column 2 (char 1)".
 * Unlike CPython it refuses `NaN`, `Infinity` and `-Infinity` (RFC 8259 section 6) and accepts any depth.
 * Never throws; takes time linear in the text and one byte per character. A text that is JSON: "Extra data" at its end.
 */
export function locateJsonError(text: string): { position: number; message: string } {
  const { index, message } = findFault(text);
  // A surrogate pair is one code point: of each, the first half is left out.
  return {
    position: text.slice(0, index).replace(/[\ud800-\udbff](?=[\udc00-\udfff])/g, "").length,
    message,
  };
}

// A loop, not recursion, so that deep nesting can't exhaust the stack: each round reads one value, with the
// member name before it and the closing brackets after it.
function findFault(text: string): Fault {
  // The code of the bracket that closes the container at each depth; a text can't be deeper than it is long.
  const closers = new Uint8Array(text.length + 1);
  let depth = 0;
  let index = skipSpace(text, 0);
  for (;;) {
    const start = closers[depth] === 0x7d ? readName(text, index) : index; // 0x7d is "}"
    if (typeof start !== "number") return start;
    const isOpening = text[start] === "{" || text[start] === "[";
    if (isOpening) closers[++depth] = text.charCodeAt(start) + 2; // as far as "}" is from "{", and "]" from "["
    const end = isOpening ? start + 1 : readScalar(text, start);
    if (typeof end !== "number") return end;
    index = skipSpace(text, end);
    if (isOpening && text.charCodeAt(index) !== closers[depth]) continue;
    while (depth > 0 && text.charCodeAt(index) === closers[depth]) {
      depth -= 1;
      index = skipSpace(text, index + 1);
    }
    if (depth === 0) return { index, message: "Extra data" };
    if (text[index] !== ",") return { index, message: "Expecting ',' delimiter" };
    index = skipSpace(text, index + 1);
  }
}

// The readers return the index after what they read, readName that of the member's value.
function readName(text: string, start: number): number | Fault {
  if (text[start] !== '"')
    return { index: start, message: "Expecting property name enclosed in double quotes" };
  const end = readString(text, start);
  if (typeof end !== "number") return end;
  const index = skipSpace(text, end);
  return text[index] === ":"
    ? skipSpace(text, index + 1)
    : { index, message: "Expecting ':' delimiter" };
}

// RFC 8259 sections 3 and 6: false / null / true / number, where number = [ "-" ] int [ frac ] [ exp ],
// int = "0" / ( %x31-39 *DIGIT ), frac = "." 1*DIGIT, exp = ( "e" / "E" ) [ "-" / "+" ] 1*DIGIT.
// The longest match counts, so what is wrong with `01` is the 1, and with `1.` the point.
function readScalar(text: string, start: number): number | Fault {
  if (text[start] === '"') return readString(text, start);
  const scalar = /false|null|true|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?/y;
  scalar.lastIndex = start;
  return scalar.test(text) ? scalar.lastIndex : { index: start, message: "Expecting value" };
}

function readString(text: string, start: number): number | Fault {
  for (let index = start + 1; index < text.length; index += 1) {
    const char = text.charAt(index);
    if (char === '"') return index + 1;
    if (char < " ") return { index, message: "Invalid control character at" };
    if (char !== "\\") continue;
    index += 1;
    const escaped = text.charAt(index); // "" at the end of the text, which every string includes
    if (!'"\\/bfnrtu'.includes(escaped)) return { index: index - 1, message: "Invalid \\escape" };
    // CPython wants one more character after the four digits: a text that ends with them isn't "Unterminated".
    if (escaped === "u" && !/^[0-9A-Fa-f]{4}[^]$/.test(text.slice(index + 1, index + 6))) {
      return { index, message: "Invalid \\uXXXX escape" };
    }
  }
  return { index: start, message: "Unterminated string starting at" };
}

// RFC 8259 section 2: ws = *( %x20 / %x09 / %x0A / %x0D ), which is less than \s.
function skipSpace(text: string, start: number): number {
  let index = start;
  while (index < text.length && " \t\n\r".includes(text.charAt(index))) index += 1;
  return index;
}
