/** A value of a YAML document. */
export type Yaml = string | number | boolean | readonly Yaml[] | { readonly [key: string]: Yaml };

/** A line without its comment. */
interface Line {
  /** How many blanks it begins with. */
  readonly indent: number;
  readonly text: string;
}

/**
 * Reads the documents of a YAML file, in the part of YAML 1.1 that the examples use: mappings and
 * sequences in block style, one-line scalars, comments. Throws an Error for anything else.
 */
export function parseYaml(text: string): Yaml[] {
  return text.split(/^---\n/m).map((document) => {
    const lines = readLines(document);
    const value = readNode(lines, lines[0]?.indent ?? 0);
    if (lines.length > 0) throw new Error(`unexpected indentation: ${lines[0]?.text}`);
    return value;
  });
}

/** Follows keys and indices into a value. Undefined if there is nothing. */
export function valueAt(value: Yaml | undefined, ...path: (string | number)[]): Yaml | undefined {
  let current: unknown = value;
  for (const step of path) {
    if (typeof current !== "object" || current === null || !Object.hasOwn(current, step)) {
      return undefined;
    }
    current = (current as Record<string | number, unknown>)[step];
  }
  return current as Yaml | undefined;
}

function readLines(text: string): Line[] {
  const lines: Line[] = [];
  for (const raw of text.split("\n")) {
    const content = raw.replace(/(?:^|\s)#.*$/, "").trimEnd();
    const trimmed = content.trimStart();
    if (trimmed !== "") lines.push({ indent: content.length - trimmed.length, text: trimmed });
  }
  return lines;
}

/** Takes the lines of one value, which begin at this indentation. */
function readNode(lines: Line[], indent: number): Yaml {
  const text = lines[0]?.text ?? "";
  if (text.startsWith("- ")) return readSequence(lines, indent);
  if (splitKey(text) !== undefined) return readMapping(lines, indent);
  lines.shift();
  return readScalar(text);
}

function readSequence(lines: Line[], indent: number): Yaml[] {
  const items: Yaml[] = [];
  while (lines[0]?.indent === indent && lines[0].text.startsWith("- ")) {
    // The item is as far to the right as what follows it.
    lines[0] = { indent: indent + 2, text: lines[0].text.slice(2) };
    items.push(readNode(lines, indent + 2));
  }
  return items;
}

function readMapping(lines: Line[], indent: number): Yaml {
  const members: Record<string, Yaml> = {};
  while (lines[0]?.indent === indent) {
    const entry = splitKey(lines[0].text);
    if (entry === undefined) throw new Error(`not a member: ${lines[0].text}`);
    const [key, value] = entry;
    if (Object.hasOwn(members, key)) throw new Error(`a key given twice: ${key}`);
    lines.shift();
    if (value !== "") {
      members[key] = readScalar(value);
    } else {
      const next = lines[0]?.indent ?? 0;
      if (next <= indent) throw new Error(`${key} has no value`);
      members[key] = readNode(lines, next);
    }
  }
  return members;
}

function splitKey(text: string): [key: string, value: string] | undefined {
  const [, key, value = ""] = /^([\w-]+):(?: +(.*))?$/.exec(text) ?? [];
  return key === undefined ? undefined : [key, value];
}

function readScalar(text: string): Yaml {
  if (/^"[^"\\]*"$/.test(text)) return text.slice(1, -1);
  // Flow style, anchors, tags, block scalars and other quotes are not read.
  if (/^[[{&*!|>'"%@`]/.test(text)) throw new Error(`not read: ${text}`);
  if (text === "true" || text === "false") return text === "true";
  if (/^0[0-7]+$/.test(text)) return Number.parseInt(text, 8);
  return /^-?\d+(?:\.\d+)?$/.test(text) ? Number(text) : text;
}
