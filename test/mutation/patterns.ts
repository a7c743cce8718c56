/** A change of a text: `text` in place of what stands from `start` to `end`. */
export interface Change {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** Anchors and quantifiers, and what could stand there by mistake. */
const OTHERS: Readonly<Record<string, string>> = { "^": "", $: "", "+": "*", "*": "+", "?": "" };

/**
 * The usual mistakes in a regular expression, given as its literal with slashes and flags: an
 * anchor left out, another quantifier, a class negated or with one item less, a flag left out.
 */
export function patternChanges(literal: string): Change[] {
  const changes: Change[] = [];
  const end = literal.lastIndexOf("/");
  for (let at = 1; at < end; ) {
    const [length, found] = changesAt(literal, at);
    changes.push(...found);
    at += length;
  }
  for (let at = end + 1; at < literal.length; at += 1) {
    // Without these flags the expression, or what is done with it, would not be valid.
    if (!"gu".includes(literal.charAt(at))) changes.push({ start: at, end: at + 1, text: "" });
  }
  return changes;
}

/** How many characters the part at `at` has, and what else could stand there. */
function changesAt(literal: string, at: number): [length: number, changes: Change[]] {
  const character = literal.charAt(at);
  if (character === "\\") return [2, []];
  if (character === "[") return classChanges(literal, at);
  const rest = literal.slice(at);
  const opening = GROUP.exec(rest)?.[0];
  if (opening !== undefined) return [opening.length, []];
  const range = /^\{(\d+)(,?)(\d*)\}/.exec(rest);
  if (range !== null) return [range[0].length, rangeChanges(range, at)];
  const isLazy = character === "?" && /[+*?}]/.test(literal.charAt(at - 1));
  const other = isLazy ? undefined : OTHERS[character];
  return [1, other === undefined ? [] : [{ start: at, end: at + 1, text: other }]];
}

/** What a group begins with. */
const GROUP = /^\((?:\?(?:<?[=!]|:|<\w+>))?/;

/** `{2,5}` with each bound one lower and higher. */
function rangeChanges(range: RegExpExecArray, start: number): Change[] {
  const [whole, least = "", comma = "", most = ""] = range;
  const [low, high] = [Number(least), Number(most)];
  const texts = [`{${low + 1}${comma}${most}}`];
  if (low > 0) texts.push(`{${low - 1}${comma}${most}}`);
  if (most !== "") texts.push(`{${least},${high + 1}}`, `{${least},${high - 1}}`);
  return texts.map((text) => ({ start, end: start + whole.length, text }));
}

/** A character of a class: an escape, or any other. */
const CHARACTER = String.raw`(?:\\(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|p\{\w+\}|.)|[^\]\\])`;
const CLASS_ITEM = new RegExp(`${CHARACTER}(?:-${CHARACTER})?`, "y");

function classChanges(literal: string, start: number): [length: number, changes: Change[]] {
  const isNegated = literal.charAt(start + 1) === "^";
  const changes = [
    isNegated
      ? { start: start + 1, end: start + 2, text: "" }
      : { start: start + 1, end: start + 1, text: "^" },
  ];
  let at = start + (isNegated ? 2 : 1);
  const items: Change[] = [];
  while (literal.charAt(at) !== "]" && at < literal.length) {
    CLASS_ITEM.lastIndex = at;
    const length = CLASS_ITEM.exec(literal)?.[0].length ?? 1;
    items.push({ start: at, end: at + length, text: "" });
    at += length;
  }
  // An empty class is another mistake: it matches nothing.
  if (items.length > 1) changes.push(...items);
  return [at + 1 - start, changes];
}
