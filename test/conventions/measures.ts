import { isClosing, isOpening, type Source, textAt, type Token } from "./scan.ts";

/**
 * Figures for how a source reads. Decisions are those of ESLint's rule `complexity`: `if`, `for`,
 * `while`, `case`, `catch`, `? :`, `&&`, `||`, `??` and their assignments, `?.` and default values.
 * As there, the value of a class's field counts as a function, and code outside functions does not
 * count.
 */

/** How much of a reader's attention a function takes. */
export interface FunctionFigures {
  /** Where it begins. */
  readonly line: number;
  /** Lines of code from its parameters to its end, with the functions in it. */
  readonly lines: number;
  /**
   * 1 for itself and 1 for each decision, as ESLint's rule `complexity` counts; without the
   * functions in it.
   */
  readonly decisions: number;
  /** How deep statements that hold others are nested. */
  readonly depth: number;
}

/** How much of a reader's attention a file takes. */
export interface FileFigures {
  /** Lines of code: blank lines and lines of comments alone are none. */
  readonly lines: number;
  /** Characters of those lines, without white space at both ends. */
  readonly characters: number;
  /** The decisions of all functions, and 1 for each field of a class that has a value. */
  readonly decisions: number;
  /** Functions, methods and arrow functions. */
  readonly functions: readonly FunctionFigures[];
}

/** From the index of its first token to that of its last one. */
interface Span {
  readonly start: number;
  readonly end: number;
}

const DECIDING_WORDS = new Set(["case", "catch", "for", "if", "while"]);
const DECIDING_OPERATORS = new Set(["&&", "||", "??", "&&=", "||=", "??=", "?."]);

/** Statements that hold others. `else` is as deep as its `if`. */
const NESTING = new Set("catch do else finally for if switch try while".split(" "));
const CONTROL = new Set("await catch for if switch while with".split(" "));

/** Before one of these an arrow function is a type. */
const BEFORE_TYPE = new Set(["|", "&", "<", "as", "extends", "keyof"]);
/** Before one of these a "{" begins an object, a pattern or a type, not a block. */
const BEFORE_OBJECT = new Set("= ( , [ ? : && || ?? | & < return ... const let".split(" "));
/** Between a list of parameters and a body none of these occurs outside brackets. */
const NEVER_IN_RETURN_TYPE = new Set([";", "=", "?", "class", "return", ...NESTING]);

/** Measures a source. Declarations of types have lines, but no functions and no decisions. */
export function measure(source: Source): FileFigures {
  const isCode = codeLines(source);
  const code = source.lines.filter((_, index) => isCode[index]);
  const functions = measureFunctions(source, isCode);
  const fields = [...source.tokens.keys()].filter((index) => isField(source, index)).length;
  return {
    lines: code.length,
    characters: code.reduce((sum, line) => sum + line.trim().length, 0),
    decisions: functions.reduce((sum, { decisions }) => sum + decisions, fields),
    functions,
  };
}

function measureFunctions(source: Source, isCode: readonly boolean[]): FunctionFigures[] {
  const spans = functionsOf(source);
  const own = tokensByFunction(source, spans);
  const nested = source.tokens.flatMap((_, index) => nestedStatement(source, index) ?? []);
  return spans.map((span) => {
    const indexes = own.get(span) ?? [];
    const line = lineOf(source, span.start);
    return {
      line,
      lines: isCode.slice(line - 1, source.tokens[span.end]?.endLine).filter(Boolean).length,
      decisions: 1 + indexes.filter((index) => isDecision(source, index)).length,
      depth: depthOf(nested.filter(({ start }) => indexes.includes(start))),
    };
  });
}

/** For each line, whether it is one of code. */
function codeLines({ lines, tokens }: Source): boolean[] {
  const isCode = lines.map(() => false);
  for (const { line, endLine } of tokens) {
    for (let at = line; at <= endLine; at += 1) isCode[at - 1] = lines[at - 1]?.trim() !== "";
  }
  return isCode;
}

function functionsOf(source: Source): Span[] {
  const types = typesOf(source);
  const spans: Span[] = [];
  for (const index of source.tokens.keys()) {
    if (types.some(({ start, end }) => start <= index && index <= end)) continue;
    const span = functionAt(source, index);
    if (span !== undefined) spans.push(span);
  }
  return spans;
}

/** The function whose body begins with the "{" at `index`, or after the "=>" there. */
function functionAt(source: Source, index: number): Span | undefined {
  const text = textAt(source, index);
  const isArrow = text === "=>";
  if (!isArrow && (text !== "{" || textAt(source, index - 1) === "=>")) return undefined;
  const start = parametersBefore(source, index);
  if (start === undefined) return undefined;
  if (!isArrow) {
    const isControl = CONTROL.has(textAt(source, start - 1));
    return isControl ? undefined : { start, end: source.pairs.get(index) ?? index };
  }
  return isType(source, start) ? undefined : { start, end: endOfExpression(source, index + 1) };
}

/**
 * The "(" of the parameters that belong to a body or an arrow at `index`. A return type may stand
 * between.
 */
function parametersBefore(source: Source, index: number): number | undefined {
  const { pairs } = source;
  if (textAt(source, index - 1) === ")") return pairs.get(index - 1);
  if (BEFORE_OBJECT.has(textAt(source, index - 1))) return undefined;
  for (let at = index - 1; at > 0; at = before(source, at)) {
    const text = textAt(source, at);
    if (text === ":") return textAt(source, at - 1) === ")" ? pairs.get(at - 1) : undefined;
    if (NEVER_IN_RETURN_TYPE.has(text) || isOpening(source.tokens[at] as Token)) return undefined;
  }
  return undefined;
}

/** Whether the parameters at `index` are those of a function type: `(a: A) => B`. */
function isType(source: Source, index: number): boolean {
  const text = textAt(source, index - 1);
  if (text === "(") return isType(source, index - 1);
  if (text !== ":") return BEFORE_TYPE.has(text);
  // Not if the ":" stands in a conditional expression or after the name of an object's member.
  for (let at = before(source, index - 1); at >= 0; at = before(source, at)) {
    const token = source.tokens[at] as Token;
    if (isConditional(source, at)) return false;
    if (isOpening(token)) return !isObject(source, at);
    if (token.text === ";") return true;
  }
  return true;
}

function isObject(source: Source, index: number): boolean {
  return textAt(source, index) === "{" && BEFORE_OBJECT.has(textAt(source, index - 1));
}

/** Declarations of types: `interface … { … }` and `type … ;` */
function typesOf(source: Source): Span[] {
  return [...source.tokens.keys()].flatMap((start) => {
    const isFirst = ["", ";", "}", "export"].includes(textAt(source, start - 1));
    if (!isFirst || source.tokens[start + 1]?.kind !== "word") return [];
    if (textAt(source, start) === "type") return { start, end: endOfLine(source, start) };
    if (textAt(source, start) !== "interface") return [];
    const body = source.tokens.findIndex(({ text }, at) => at > start && text === "{");
    return { start, end: source.pairs.get(body) ?? body };
  });
}

/** For each function, the indexes of the tokens in it and in no function inside it. */
function tokensByFunction(source: Source, spans: readonly Span[]): Map<Span, number[]> {
  const own = new Map<Span, number[]>(spans.map((span) => [span, []]));
  for (const index of source.tokens.keys()) {
    const around = spans.filter(({ start, end }) => start <= index && index <= end);
    const [inner] = around.sort((a, b) => b.start - a.start);
    if (inner !== undefined) own.get(inner)?.push(index);
  }
  return own;
}

function isDecision(source: Source, index: number): boolean {
  const text = textAt(source, index);
  if (isStatement(source, index)) return DECIDING_WORDS.has(text);
  return DECIDING_OPERATORS.has(text) || isConditional(source, index) || isDefault(source, index);
}

function isConditional(source: Source, index: number): boolean {
  return textAt(source, index) === "?" && ![":", ")", ","].includes(textAt(source, index + 1));
}

/** Whether the "=" at `index` gives a parameter or a part of a pattern its default value. */
function isDefault(source: Source, index: number): boolean {
  if (textAt(source, index) !== "=") return false;
  const at = bracketAround(source, index);
  const isParameter =
    textAt(source, at) === "(" && isBeforeBody(source, source.pairs.get(at) ?? at);
  return isParameter || textAt(source, at) === "[" || isObject(source, at);
}

/** Whether the "=" at `index` gives a field of a class its value. */
function isField(source: Source, index: number): boolean {
  if (textAt(source, index) !== "=") return false;
  let at = bracketAround(source, index);
  do at = before(source, at);
  while (/^[\w$.<>]+$/.test(textAt(source, at)) && textAt(source, at) !== "class");
  return textAt(source, at) === "class";
}

/** The bracket that is open at `index`. */
function bracketAround(source: Source, index: number): number {
  let at = index;
  while (at >= 0 && !isOpening(source.tokens[at] as Token)) at = before(source, at);
  return at;
}

/**
 * Whether the ")" at `index` ends a list of parameters, not an expression or the head of a loop.
 */
function isBeforeBody(source: Source, index: number): boolean {
  const isControl = CONTROL.has(textAt(source, (source.pairs.get(index) ?? index) - 1));
  return !isControl && ["=>", "{", ":"].includes(textAt(source, index + 1));
}

/** Whether there is a word of NESTING or `case` at `index`, not a member of that name. */
function isStatement(source: Source, index: number): boolean {
  const text = textAt(source, index);
  if (!NESTING.has(text) && text !== "case") return false;
  return ![".", "?."].includes(textAt(source, index - 1)) && textAt(source, index + 1) !== ":";
}

/** The statement inside the one at `index`. */
function nestedStatement(source: Source, index: number): Span | undefined {
  if (!isStatement(source, index) || textAt(source, index) === "case") return undefined;
  if (textAt(source, index) === "else" && textAt(source, index + 1) === "if") return undefined;
  return { start: index, end: endOfStatement(source, index) };
}

/** How many of these statements stand in each other at most. */
function depthOf(statements: readonly Span[]): number {
  const depths = statements.map(
    ({ start }) => statements.filter((other) => other.start <= start && start <= other.end).length,
  );
  return Math.max(0, ...depths);
}

function endOfStatement(source: Source, index: number): number {
  const { pairs } = source;
  let at = index;
  while (NESTING.has(textAt(source, at)) || textAt(source, at) === "await") {
    at += 1;
    if (textAt(source, at) === "(") at = (pairs.get(at) ?? at) + 1;
  }
  return textAt(source, at) === "{" ? (pairs.get(at) ?? at) : endOfLine(source, at);
}

/** The next ";" that is not in brackets. */
function endOfLine(source: Source, index: number): number {
  return ending(source, index, [";"]);
}

/** The last token of an arrow function's body that begins at `index`. */
function endOfExpression(source: Source, index: number): number {
  if (textAt(source, index) === "{") return source.pairs.get(index) ?? index;
  return ending(source, index, [";", ","]) - 1;
}

/** The first of `texts`, or a closing bracket, from `index` on and not in brackets. */
function ending({ tokens, pairs }: Source, index: number, texts: readonly string[]): number {
  let at = index;
  for (let token = tokens[at]; token !== undefined; token = tokens[at]) {
    if (texts.includes(token.text) || isClosing(token)) return at;
    at = (isOpening(token) ? (pairs.get(at) ?? at) : at) + 1;
  }
  return at;
}

/**
 * The token before the one at `index`; if that one closes a bracket, the token before the whole.
 */
function before({ tokens, pairs }: Source, index: number): number {
  const token = tokens[index];
  return (token !== undefined && isClosing(token) ? (pairs.get(index) ?? index) : index) - 1;
}

function lineOf({ tokens }: Source, index: number): number {
  return tokens[index]?.line ?? 0;
}
