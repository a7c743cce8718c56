import { posix } from "node:path";

import { type Source, textAt, type Token } from "./scan.ts";

/** Sources by their paths from the repository's root. */
export type Sources = ReadonlyMap<string, Source>;

const DECLARING = new Set("async class const function interface let type var".split(" "));
const TYPES = new Set(["interface", "type"]);

/** Whether the token at `index` is a use of something that a rule is about. */
export type Use = (source: Source, index: number) => boolean;

/** One `import … from` or `export … from`. */
interface Import {
  readonly line: number;
  readonly specifier: string;
  /** The names that exist at run time. "*" is all of them, "default" the default export. */
  readonly names: readonly string[];
}

/** One exported declaration. */
interface Declaration {
  readonly line: number;
  readonly name: string;
  readonly isType: boolean;
}

/**
 * Imports that go the wrong way. `order` lists files and folders: a file may import what stands
 * before it, and modules of Node. Files in a folder such as "src/routes/*" may not import each
 * other. Those in a folder such as "src/work/**", and below it, may; it need not exist. Files and
 * other entries of `order` that do not match are problems, too.
 */
export function wrongImports(sources: Sources, order: readonly string[]): string[] {
  const positionOf = (path: string): number => order.findIndex((entry) => isOf(entry, path));
  const isUsed = order.map(() => false);
  const problems: string[] = [];
  for (const [path, source] of sources) {
    const position = positionOf(path);
    isUsed[position] = true;
    if (position === -1) problems.push(`${path}: not in the order`);
    for (const { line, specifier } of importsOf(source)) {
      const target = positionOf(posix.join(posix.dirname(path), specifier));
      const isEarlier = target < position || (target === position && isOwnTree(order[position]));
      const isAllowed = specifier.startsWith(".") && target !== -1 && isEarlier;
      if (!isAllowed && !isOfNode(specifier))
        problems.push(`${path}:${line}: imports ${specifier}`);
    }
  }
  return [
    ...problems,
    ...uses(sources, isOtherImport),
    ...order
      .filter((entry, index) => isUsed[index] === false && !isOwnTree(entry))
      .map((entry) => `${entry}: no such file`),
  ];
}

function isOf(entry: string, path: string): boolean {
  if (isOwnTree(entry)) return path.startsWith(entry.slice(0, -2));
  return entry === path || entry === `${posix.dirname(path)}/*`;
}

/** Whether an entry of an order is a folder with all that is below it. */
function isOwnTree(entry = ""): boolean {
  return entry.endsWith("/**");
}

/** Relative specifiers without the extension under which Node finds the file from source. */
export function bareSpecifiers(sources: Sources): string[] {
  return [...sources].flatMap(([path, source]) =>
    importsOf(source)
      .filter(({ specifier }) => specifier.startsWith(".") && !specifier.endsWith(".ts"))
      .map(({ line, specifier }) => `${path}:${line}: imports ${specifier}`),
  );
}

/** What is imported from Node at run time: the sorted names by module. Types do not exist then. */
export function nodeImports(sources: Sources): Record<string, string[]> {
  const found = new Map<string, Set<string>>();
  for (const { specifier, names } of [...sources.values()].flatMap(importsOf)) {
    if (!isOfNode(specifier) || names.length === 0) continue;
    const known = found.get(specifier) ?? new Set();
    for (const name of names) known.add(name);
    found.set(specifier, known);
  }
  return Object.fromEntries([...found].map(([specifier, names]) => [specifier, [...names].sort()]));
}

/** Uses in files that are not `allowed`. An allowed path that ends with "/" stands for a folder. */
export function uses(sources: Sources, isUse: Use, allowed: readonly string[] = []): string[] {
  const isAllowed = (path: string): boolean =>
    allowed.some((entry) => path === entry || (entry.endsWith("/") && path.startsWith(entry)));
  return [...sources].flatMap(([path, source]) =>
    source.tokens
      .filter((_, index) => !isAllowed(path) && isUse(source, index))
      .map(({ line, text }) => `${path}:${line}: ${text}`),
  );
}

/**
 * The words in `names` in any position, and strings that hold no more than one of them: `a["b"]`.
 */
export function anyUse(names: readonly string[]): Use {
  return ({ tokens }, index) => names.includes(nameOf(tokens[index]));
}

/**
 * Like anyUse, but not members of those names, not keys of an object, and not text: that would name
 * a global only in `globalThis["process"]`, and both names of the global object are forbidden.
 */
export function globalUse(names: readonly string[]): Use {
  const isName = anyUse(names);
  return (source, index) => {
    const isKey = textAt(source, index + 1) === ":" && "{,".includes(textAt(source, index - 1));
    const isText = source.tokens[index]?.kind === "string";
    return isName(source, index) && !isMember(source, index) && !isKey && !isText;
  };
}

/** Members with one of these names: `a.b`, `a?.b` and `a["b"]`. */
export function memberUse(names: readonly string[]): Use {
  const isName = anyUse(names);
  return (source, index) =>
    isName(source, index) && (isMember(source, index) || source.tokens[index]?.kind === "string");
}

/** Names of signals: SIGTERM, SIGHUP and so on. */
export function signalUse({ tokens }: Source, index: number): boolean {
  return /^SIG[A-Z0-9]+$/.test(nameOf(tokens[index]));
}

/** The constructor of a function makes functions from text. A class may declare its own. */
export function constructorUse(source: Source, index: number): boolean {
  const isDeclared = textAt(source, index + 1) === "(" && !isMember(source, index);
  return nameOf(source.tokens[index]) === "constructor" && !isDeclared;
}

/**
 * Exported declarations without a doc comment right above them. Overloads share that of the first
 * one.
 */
export function undocumentedExports(sources: Sources): string[] {
  return [...sources].flatMap(([path, source]) => {
    const ends = source.comments
      .filter(({ text }) => text.startsWith("/**"))
      .map(({ endLine }) => endLine);
    const documented = new Set<string>();
    return declarationsOf(source).flatMap(({ name, line }) => {
      if (ends.includes(line - 1)) documented.add(name);
      return documented.has(name) ? [] : [`${path}:${line}: ${name}`];
    });
  });
}

/** Exported values that no other file imports, among `sources` and `users`. */
export function unusedExports(sources: Sources, users: Sources = new Map()): string[] {
  const used = new Set<string>();
  for (const [path, source] of [...sources, ...users]) {
    for (const { specifier, names } of importsOf(source)) {
      const target = posix.join(posix.dirname(path), specifier);
      for (const name of names) used.add(`${target}: ${name}`);
    }
  }
  const exported = [...sources].flatMap(([path, source]) =>
    declarationsOf(source)
      .filter(({ isType }) => !isType)
      .map(({ name }) => `${path}: ${name}`),
  );
  return [...new Set(exported)].filter((name) => !used.has(name));
}

/** `export default`, and `export *`, which does not say what it exports. */
export function unnamedExports(sources: Sources): string[] {
  return uses(
    sources,
    (source, index) =>
      textAt(source, index - 1) === "export" && ["default", "*"].includes(textAt(source, index)),
  );
}

/** Hosts of package registries, and paths of somebody's machine. */
export function foreignPlaces(path: string, text: string): string[] {
  const host = /(?:npmjs|yarnpkg|npmmirror|jsr|jfrog|verdaccio|pkg\.github)\.(?:org|com|io|dev)/gi;
  const directory = /(?<![\w.-])\/(?:home|Users|root|work)\/[\w.-]+/g;
  return [host, directory].flatMap((pattern) =>
    [...text.matchAll(pattern)].map(({ 0: found }) => `${path}: ${found}`),
  );
}

/** Imports that load something and are no `import … from`. `import.meta.url` loads nothing. */
function isOtherImport(source: Source, index: number): boolean {
  if (source.tokens[index]?.text !== "import" || isMember(source, index)) return false;
  const next = source.tokens[index + 1];
  if (next?.text === ".") return textAt(source, index + 4) !== "url";
  return next?.text === "(" || next?.kind === "string";
}

function importsOf(source: Source): Import[] {
  return source.tokens.flatMap(({ text, line }, index) => {
    const from = ["import", "export"].includes(text) ? fromAfter(source, index) : undefined;
    if (from === undefined) return [];
    const clause = source.tokens.slice(index + 1, from).map((token) => token.text);
    const specifier = nameOf(source.tokens[from + 1]);
    return { line, specifier, names: namesIn(clause.join(" ")) };
  });
}

/** The `from` that belongs to the `import` or `export` at `index`. */
function fromAfter(source: Source, index: number): number | undefined {
  let at = index + 1;
  while (/^(?:[\w$]+|[{,*])$/.test(textAt(source, at))) {
    if (textAt(source, at) === "from" && source.tokens[at + 1]?.kind === "string") return at;
    at = (source.pairs.get(at) ?? at) + 1;
  }
  return undefined;
}

/**
 * The names at run time of `a, { b as c, type D }` and the like, as the imported module calls them.
 */
function namesIn(clause: string): string[] {
  if (/^type (?!,|from)/.test(clause)) return [];
  return clause
    .replace(/^[\w$]+/, "default")
    .split(/[{},]/)
    .map((part) => part.trim().replace(/ as .*$/, ""))
    .filter((part) => part !== "" && !part.startsWith("type "));
}

function declarationsOf(source: Source): Declaration[] {
  return source.tokens.flatMap(({ text, line }, index) => {
    if (text !== "export" || !DECLARING.has(textAt(source, index + 1))) return [];
    const isType = TYPES.has(textAt(source, index + 1));
    let at = index + 1;
    while (DECLARING.has(textAt(source, at)) || textAt(source, at) === "*") at += 1;
    // `export type { … } from` declares nothing.
    return source.tokens[at]?.kind === "word" ? { line, name: textAt(source, at), isType } : [];
  });
}

/** A word, or what a string holds. */
function nameOf(token: Token | undefined): string {
  if (token === undefined || token.kind === "template" || token.kind === "regex") return "";
  return token.kind === "string" ? token.text.slice(1, -1) : token.text;
}

function isMember(source: Source, index: number): boolean {
  return [".", "?."].includes(textAt(source, index - 1));
}

function isOfNode(specifier: string): boolean {
  return /^node:[a-z/_]+$/.test(specifier);
}
