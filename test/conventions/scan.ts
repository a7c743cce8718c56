/**
 * A scanner for TypeScript and JavaScript, so that the house rules can be checked with nothing
 * installed. It knows tokens and brackets, and no grammar.
 */

/** What kind of token it is. Numbers and private names count as words. */
export type TokenKind = "comment" | "string" | "template" | "regex" | "word" | "punctuator";

/** The smallest piece of a source that means something. */
export interface Token {
  readonly kind: TokenKind;
  /**
   * As it stands in the source. A template with holes has one token before, between and after them.
   */
  readonly text: string;
  /** The line of its first character, from 1. */
  readonly line: number;
  /** The line of its last character. */
  readonly endLine: number;
}

/** A source as tokens. */
export interface Source {
  readonly lines: readonly string[];
  /** Everything but comments. */
  readonly tokens: readonly Token[];
  readonly comments: readonly Token[];
  /** For the index of each bracket in `tokens`, the index of the other one. */
  readonly pairs: ReadonlyMap<number, number>;
}

const BRACKETS: Readonly<Record<string, string>> = { ")": "(", "]": "[", "}": "{" };
const OPENING = new Set(Object.values(BRACKETS));

/** After these words a "/" begins a regular expression. */
const WORDS_BEFORE_REGEX = new Set(
  "await case delete do else in instanceof new of return throw typeof void yield".split(" "),
);
const ENDS_OF_VALUES = new Set([")", "]", "}", "++", "--"]);

const SPACE = /\s+/y;
const COMMENT = /\/\/.*|\/\*[^]*?\*\//y;
const STRING = /"(?:\\[^]|[^"\\\n])*"|'(?:\\[^]|[^'\\\n])*'/y;
const TEMPLATE = /`(?:\\[^]|\$(?!\{)|[^`\\$])*(?:`|\$\{)/y;
const TEMPLATE_REST = /(?:\\[^]|\$(?!\{)|[^`\\$])*(?:`|\$\{)/y;
const REGEX = /\/(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/[a-z]*/y;
const DIVISION = /\/(?!\*)=?/y;
const WORD = /[\w$#]+/y;
const PUNCTUATOR =
  /=>|\?\.(?!\d)|(?:\?\?|&&|\|\||\*\*|<<|>>>?)=?|[=!]==?|[-+*%&|^<>]=|\+\+|--|\.{3}|[^\s"'`/]/y;

/**
 * Splits a source into tokens. Throws an Error that names the line if a token or a bracket has no
 * end.
 */
export function scan(text: string): Source {
  const tokens: Token[] = [];
  const comments: Token[] = [];
  const pairs = new Map<number, number>();
  const open: number[] = [];
  let line = 1;
  let isInTemplate = false;
  for (let at = 0; at < text.length; ) {
    const found = isInTemplate
      ? { kind: "template" as const, text: match(TEMPLATE_REST, text, at) }
      : nextPiece(text, at, tokens.at(-1));
    if (found.text === "") throw new Error(`line ${line}: ${text.slice(at, at + 20)} has no end`);
    const endLine = line + found.text.split("\n").length - 1;
    isInTemplate = false;
    if (found.kind === "comment") comments.push({ ...found, kind: found.kind, line, endLine });
    else if (found.kind !== "space") {
      tokens.push({ ...found, kind: found.kind, line, endLine });
      isInTemplate = pair(tokens, open, pairs);
    }
    line = endLine;
    at += found.text.length;
  }
  const unclosed = tokens[open.at(-1) ?? -1];
  if (unclosed !== undefined) throw new Error(`line ${unclosed.line}: ${unclosed.text} has no end`);
  return { lines: text.split("\n"), tokens, comments, pairs };
}

/** The text of the token at `index`; empty outside the source. */
export function textAt({ tokens }: Source, index: number): string {
  return tokens[index]?.text ?? "";
}

/** Whether `token` opens a bracket: a template does if a hole follows. */
export function isOpening({ kind, text }: Token): boolean {
  return kind === "template" ? text.endsWith("${") : kind === "punctuator" && OPENING.has(text);
}

/** Whether `token` closes a bracket. */
export function isClosing({ kind, text }: Token): boolean {
  return kind === "punctuator" && text in BRACKETS;
}

/** The next token, comment or white space. Its text is empty if there is none that ends. */
function nextPiece(
  text: string,
  at: number,
  previous: Token | undefined,
): { kind: TokenKind | "space"; text: string } {
  const slash = mayRegexFollow(previous)
    ? (["regex", REGEX] as const)
    : (["punctuator", DIVISION] as const);
  const patterns = [
    ["space", SPACE],
    ["comment", COMMENT],
    ["word", WORD],
    ["string", STRING],
    ["template", TEMPLATE],
    slash,
    ["punctuator", PUNCTUATOR],
  ] as const;
  for (const [kind, pattern] of patterns) {
    const found = match(pattern, text, at);
    if (found !== "") return { kind, text: found };
  }
  return { kind: "punctuator", text: "" };
}

function mayRegexFollow(previous: Token | undefined): boolean {
  if (previous === undefined) return true;
  if (previous.kind === "word") return WORDS_BEFORE_REGEX.has(previous.text);
  return previous.kind === "punctuator" && !ENDS_OF_VALUES.has(previous.text);
}

/**
 * Pairs the last token, if it is a bracket. `open` holds the indexes of open brackets. Returns
 * whether the text of a template follows.
 */
function pair(tokens: readonly Token[], open: number[], pairs: Map<number, number>): boolean {
  const index = tokens.length - 1;
  const token = tokens[index];
  if (token === undefined) return false;
  if (isOpening(token)) open.push(index);
  if (!isClosing(token)) return false;
  const start = open.pop() ?? -1;
  const opening = tokens[start];
  const isPair = opening?.text.endsWith(BRACKETS[token.text] ?? "") === true;
  if (!isPair) throw new Error(`line ${token.line}: ${token.text} closes nothing`);
  pairs.set(start, index);
  pairs.set(index, start);
  return opening.kind === "template";
}

function match(pattern: RegExp, text: string, at: number): string {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0] ?? "";
}
