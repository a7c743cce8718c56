/** Where a text stops being JSON, in code points, and CPython's message. */
export interface JsonError {
  readonly position: number;
  readonly message: string;
}

/** Whether a text is JSON. */
export function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Thrown where a text stops being JSON. */
class GrammarError extends Error {
  /** What is left of the text there. */
  readonly rest: string;

  constructor(rest: string, message: string) {
    super(message);
    this.rest = rest;
  }
}

function fail(rest: string, message: string): never {
  throw new GrammarError(rest, message);
}

/**
 * The error of a text by a recursive reading of RFC 8259's grammar. Each function takes the rest of
 * the text and returns what it leaves of it. What follows a whole value is an error, too, even if
 * it is nothing.
 */
export function referenceError(text: string): JsonError {
  try {
    return fail(trim(readValue(trim(text))), "Extra data");
  } catch (error) {
    if (!(error instanceof GrammarError)) throw error;
    return { position: [...text].length - [...error.rest].length, message: error.message };
  }
}

function trim(rest: string): string {
  return rest.replace(/^[ \t\n\r]+/, "");
}

function readValue(rest: string): string {
  if (rest.startsWith("[")) return readItems(rest, "]", readValue);
  if (rest.startsWith("{")) return readItems(rest, "}", readMember);
  if (rest.startsWith('"')) return readString(rest);
  const word = /^(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)/.exec(rest);
  return word === null ? fail(rest, "Expecting value") : rest.slice(word[0].length);
}

function readItems(rest: string, closer: string, readItem: (rest: string) => string): string {
  let left = trim(rest.slice(1));
  if (left.startsWith(closer)) return left.slice(1);
  for (;;) {
    left = trim(readItem(left));
    if (left.startsWith(closer)) return left.slice(1);
    if (!left.startsWith(",")) fail(left, "Expecting ',' delimiter");
    left = trim(left.slice(1));
  }
}

function readMember(rest: string): string {
  if (!rest.startsWith('"')) fail(rest, "Expecting property name enclosed in double quotes");
  const left = trim(readString(rest));
  if (!left.startsWith(":")) fail(left, "Expecting ':' delimiter");
  return readValue(trim(left.slice(1)));
}

function readString(rest: string): string {
  const sound = /^"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4}(?!$))*/.exec(rest)?.[0] ?? "";
  const left = rest.slice(sound.length);
  if (left.startsWith('"')) return left.slice(1);
  if (left === "" || left === "\\") fail(rest, "Unterminated string starting at");
  if (left.startsWith("\\u")) fail(left.slice(1), "Invalid \\uXXXX escape");
  return fail(left, left.startsWith("\\") ? "Invalid \\escape" : "Invalid control character at");
}

/**
 * Ways to go on after `before` as the message asks, each closed. A string may be a value or a
 * member's name.
 */
export function completions(before: string, message: string): string[] {
  const additions: Record<string, string[]> = {
    "Expecting value": ["0"],
    "Expecting property name enclosed in double quotes": ['"":0'],
    "Expecting ':' delimiter": [":0"],
    "Expecting ',' delimiter": [""],
    "Extra data": [""],
    "Unterminated string starting at": ['""', '"":0'],
    "Invalid control character at": ['"', '":0'],
    "Invalid \\escape": ['"', '":0'],
    "Invalid \\uXXXX escape": ['"', '":0'],
  };
  // The position of a bad \uXXXX is that of its u.
  const sound = message === "Invalid \\uXXXX escape" ? before.slice(0, -1) : before;
  return (additions[message] ?? []).map(
    (addition) => sound + addition + closersOf(sound + addition),
  );
}

function closersOf(text: string): string {
  const open: string[] = [];
  for (const [bracket] of text.replace(/"(?:\\.|[^"\\])*"/gs, "").matchAll(/[[\]{}]/g)) {
    if (bracket === "[" || bracket === "{") open.unshift(bracket === "[" ? "]" : "}");
    else open.shift();
  }
  return open.join("");
}

const PIECES = [
  ...'[]{}:,"""\\\'0123eE+-./ \t\n\r\x00\x1f\x7f\xa0\u2028\ufefféſ１١😀',
  "true",
  "false",
  "null",
  "tru",
  "NaN",
  "Infinity",
  "-Infinity",
  "01",
  "1.",
  "1e+",
  '""',
  '{"a":',
  "[]",
  "{}",
  ",,",
  "\\n",
  "\\x",
  "\\u",
  "\\u12",
  "\\u00e9",
  "\\u12g4",
  "\\ud800",
  "\\udc00",
];

/** Random JSON, most of it spoiled in one to three places. The same seed gives the same texts. */
export function* mutatedTexts(count: number, seed: number): Generator<string> {
  const random = randomIntegers(seed);
  for (let n = 0; n < count; n += 1) {
    let text = randomJson(random, random(5));
    for (let edits = random(4); edits > 0; edits -= 1) {
      const characters = [...text];
      const at = random(characters.length + 1);
      const piece = PIECES[random(PIECES.length)] ?? "";
      if (random(5) === 0) characters.length = at;
      else characters.splice(at, random(3), ...(random(3) === 0 ? "" : piece));
      text = characters.join("");
    }
    yield text;
  }
}

function randomJson(random: (below: number) => number, depth: number): string {
  const pick = (choices: string[]): string => choices[random(choices.length)] ?? "";
  const space = (): string => pick(["", "", "", " ", "\n", "\t\r"]);
  const contents = ["", "a", "é", "😀😀", "[{,", "\\n", "\\u00e9", "\\ud83d\\ude00", '\\"', "\\\\"];
  const string = (): string => `"${pick(contents)}"`;
  const list = (item: () => string): string =>
    Array.from({ length: random(4) }, () => space() + item() + space()).join();
  const value = (): string => randomJson(random, depth - 1);
  const kind = depth > 0 ? random(4) : 2 + random(2);
  if (kind === 0) return `${space()}[${list(value)}]${space()}`;
  if (kind === 1)
    return `${space()}{${list(() => string() + space() + ":" + space() + value())}}${space()}`;
  if (kind === 2) return string();
  return pick([
    "0",
    "-0",
    "12",
    "-1.5",
    "1e5",
    "0.25E-3",
    "123456789012345678901",
    "true",
    "false",
    "null",
  ]);
}

// Mulberry32.
function randomIntegers(seed: number): (below: number) => number {
  let state = seed;
  return (below: number): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}
