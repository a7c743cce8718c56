/** A piece of a text, and where it starts. */
export interface Piece {
  readonly start: number;
  readonly text: string;
}

/** A TypeScript text taken apart, without a compiler. */
export interface Scan {
  readonly text: string;
  /** The text with blanks for comments and for the insides of strings, templates and regular expressions. */
  readonly code: string;
  readonly comments: readonly Piece[];
  /** Strings with their quotes; templates are not among them. */
  readonly strings: readonly Piece[];
  /** Where each bracket of `code` that is opened is closed. */
  readonly closes: ReadonlyMap<number, number>;
}

/** A function of any kind, from its name or its first parenthesis to its end. */
export interface FunctionSpan {
  readonly line: number;
  readonly lines: number;
}

const OPENING = "([{";
const CLOSING = ")]}";

// After one of these words a "/" starts a regular expression, and a "(" no list of parameters.
const BEFORE_REGEX =
  /(?:^|[^\w$.])(?:return|typeof|case|in|of|delete|void|throw|new|else|do|instanceof|await|yield)$/;
const CONTROL = /(?:^|[^\w$.])(?:if|for|while|switch|catch|with|await|return)$/;

/** Takes a text apart. Throws an Error with the line where it can't: an open string, brackets that don't match. */
export function scan(text: string): Scan {
  const code = text.split("");
  const comments: Piece[] = [];
  const strings: Piece[] = [];
  const closes = new Map<number, number>();
  const open: number[] = [];
  const blank = (start: number, end: number): void => {
    for (let i = start; i < end; i++) if (text[i] !== "\n") code[i] = " ";
  };
  // Blanks a template's text from `start` on; returns where code follows: after its end, or after "${".
  const skipTemplate = (start: number): number => {
    const end = endOf(text, start, /\\[^]|\$\{|`/g, (part) => part === "`" || part === "${");
    blank(start, text[end - 1] === "`" ? end - 1 : end - 2);
    if (text[end - 1] === "{") open.push(end - 1);
    return end;
  };
  let before = "";
  for (let at = 0; at < text.length; ) {
    const char = text.charAt(at);
    let end = at + 1;
    if (text.startsWith("//", at) || text.startsWith("/*", at)) {
      end = text[at + 1] === "/" ? endOf(`${text}\n`, at, /\n/g) - 1 : endOf(text, at + 2, /\*\//g);
      comments.push({ start: at, text: text.slice(at, end) });
      blank(at, end);
    } else if (char === '"' || char === "'") {
      end = endOf(text, at + 1, /\\[^]|["'\n]/g, (part) => part === char || part === "\n");
      if (text[end - 1] === "\n") throw faultAt(text, at, "a string without an end");
      strings.push({ start: at, text: text.slice(at, end) });
      blank(at + 1, end - 1);
    } else if (char === "`") {
      end = skipTemplate(at + 1);
    } else if (char === "/" && startsRegex(before)) {
      end = endOf(
        text,
        at + 1,
        /\\.|\[(?:\\.|[^\]\\\n])*\]|[/\n]/g,
        (part) => part === "/" || part === "\n",
      );
      if (text[end - 1] === "\n") throw faultAt(text, at, "a regular expression without an end");
      blank(at + 1, end - 1);
    } else if (OPENING.includes(char)) {
      open.push(at);
    } else if (CLOSING.includes(char)) {
      const start = open.pop();
      if (start === undefined || OPENING.indexOf(text.charAt(start)) !== CLOSING.indexOf(char)) {
        throw faultAt(text, at, `a ${char} that closes nothing`);
      }
      closes.set(start, at);
      if (char === "}" && text.startsWith("${", start - 1)) end = skipTemplate(at + 1);
    }
    // What a "/" means depends on what stands before it: a few characters, without comments.
    if (comments.at(-1)?.start !== at) before = (before + text.slice(at, end)).slice(-99);
    at = end;
  }
  const rest = open.pop();
  if (rest !== undefined) throw faultAt(text, rest, `a ${text[rest]} that is never closed`);
  return { text, code: code.join(""), comments, strings, closes };
}

/** The line of a place in a text, counted from 1. */
export function lineAt(text: string, at: number): number {
  return text.slice(0, at).split("\n").length;
}

/** How many lines hold more than blanks and comments. */
export function codeLines({ text, comments }: Scan): number {
  const parts = [...comments, { start: text.length, text: "" }].map(({ start }, index) => {
    const last = comments[index - 1];
    const gap = text.slice(last === undefined ? 0 : last.start + last.text.length, start);
    return gap + (comments[index]?.text.replace(/[^\n]/g, "") ?? "");
  });
  return parts
    .join("")
    .split("\n")
    .filter((line) => line.trim() !== "").length;
}

/**
 * Every function, method and arrow function; types of functions, too, which are short. Throws an Error with the line
 * of a `function` or a `=>` for which it finds no beginning or no end.
 */
export function functionsOf({ text, code, closes }: Scan): FunctionSpan[] {
  const spans: FunctionSpan[] = [];
  // Those that are dealt with, or are part of another function's type.
  const arrows = new Set<number>();
  const add = (start: number, end: number): void => {
    const line = lineAt(text, start);
    spans.push({ line, lines: lineAt(text, end) - line + 1 });
  };
  for (const [start, end] of [...closes].sort(([a], [b]) => a - b)) {
    if (code[start] !== "(") continue;
    const name = /(?:[\w$#]+\s*)?(?:<[^()]*>)?\s*$/.exec(code.slice(0, start))?.[0].trim() ?? "";
    const body = bodyAfter(code, closes, end + 1, arrows);
    if (body === undefined || arrows.has(body)) continue;
    const isArrow = code.startsWith("=>", body);
    if (isArrow) arrows.add(body);
    else if (name === "" || CONTROL.test(name)) continue;
    add(
      isArrow ? start : start - name.length,
      isArrow ? endOfArrow(code, closes, body + 2) : (closes.get(body) ?? 0),
    );
  }
  for (const { index } of code.matchAll(/=>/g)) {
    if (arrows.has(index)) continue;
    const [name] = /[\w$]+\s*$/.exec(code.slice(0, index)) ?? [];
    if (name === undefined) throw faultAt(text, index, "an arrow function without a beginning");
    add(index - name.length, endOfArrow(code, closes, index + 2));
  }
  for (const { index } of code.matchAll(/(?<![\w$.])function(?![\w$])/g)) {
    const line = lineAt(text, index);
    if (!spans.some((span) => span.line === line) && !isOverload(code, closes, index)) {
      throw faultAt(text, index, "a function without an end");
    }
  }
  return spans;
}

/** Whether the `function` at `start` is declared only: its type ends with ";", and no body follows. */
function isOverload(code: string, closes: ReadonlyMap<number, number>, start: number): boolean {
  let at = start;
  while (at < code.length && code[at] !== ";" && code[at] !== "{") at = (closes.get(at) ?? at) + 1;
  return code[at] === ";";
}

/**
 * Where the "{" of a body or the "=>" is, after the parameters' ")" and perhaps a type; undefined: no function.
 * The "=>" in a type go to `arrows`.
 */
function bodyAfter(
  code: string,
  closes: ReadonlyMap<number, number>,
  start: number,
  arrows: Set<number>,
): number | undefined {
  let at = skipBlanks(code, start);
  if (code.startsWith("=>", at) || code[at] === "{") return at;
  if (code[at] !== ":") return undefined;
  // A "{" after one of these is part of the type, and ends with its "}"; after anything else it is the body.
  const isWithinType = (): boolean =>
    /(?:[:|&<,(]|=>|\bis|\bkeyof|\breadonly)\s*$/.test(code.slice(0, at));
  for (at += 1; at < code.length; at += 1) {
    const char = code.charAt(at);
    if (code.startsWith("=>", at)) return at;
    if (char === "{" && !isWithinType()) return at;
    if (";)]}".includes(char) || (char === "," && !code.slice(start, at).includes("<")))
      return undefined;
    const isGroup = char === "(";
    at = closes.get(at) ?? at;
    const next = skipBlanks(code, at + 1);
    // The type is that of a function.
    if (isGroup && code.startsWith("=>", next)) {
      arrows.add(next);
      at = next + 1;
    }
  }
  return undefined;
}

/** The last character of an arrow function whose body starts at `start`. */
function endOfArrow(code: string, closes: ReadonlyMap<number, number>, start: number): number {
  const first = skipBlanks(code, start);
  if (code[first] === "{") return closes.get(first) ?? first;
  let at = first;
  while (at < code.length && !";,)]}".includes(code.charAt(at))) at = (closes.get(at) ?? at) + 1;
  return at - 1;
}

function startsRegex(before: string): boolean {
  const last = before.trimEnd();
  return last === "" || /[(,=:[!&|?{;+\-*%~^<>]$/.test(last) || BEFORE_REGEX.test(last);
}

/** Where the first match of `pattern` from `start` on that `isEnd` likes ends. */
function endOf(
  text: string,
  start: number,
  pattern: RegExp,
  isEnd: (part: string) => boolean = () => true,
): number {
  pattern.lastIndex = start;
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    if (isEnd(match[0])) return pattern.lastIndex;
  }
  throw faultAt(text, start, "something without an end");
}

function skipBlanks(code: string, start: number): number {
  let at = start;
  while (/\s/.test(code.charAt(at))) at += 1;
  return at;
}

function faultAt(text: string, at: number, message: string): Error {
  return new Error(`line ${lineAt(text, at)}: ${message}`);
}
