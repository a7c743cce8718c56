import { posix } from "node:path";

import { codeLines, functionsOf, lineAt, type Scan } from "./scan.ts";

/** Texts taken apart, by their paths. */
export type Sources = ReadonlyMap<string, Scan>;

/** One `import` or `export … from`. */
interface Import {
  readonly specifier: string;
  /** What is there at run time: "*" is all of it, "default" the default export. */
  readonly names: readonly string[];
}

// statement = ( "import" / "export" ) ["type"] clause "from" string, from the start of a line on
const FROM = /^(?:import|export)\s+(type\s+)?([^"';]*?)\s*\bfrom\s*["']/gm;

// What else has the word: import "x", import("x"), import.meta.resolve; but import.meta.url loads nothing.
const OTHER_IMPORT = /(?<![\w$.])import\s*(?:\(|["']|\.\s*(?!meta\.url(?![\w$]))[\w$]+)/g;

/** Files that import what isn't theirs to import: only node: and what stands above them in `order`, as `./x.ts`. */
export function wrongImports(sources: Sources, order: readonly string[]): string[] {
  const faults = [...sources.keys()]
    .filter((path) => !order.includes(path))
    .map((path) => `${path}: not in the order`);
  faults.push(
    ...order
      .filter((path) => !sources.has(path))
      .map((path) => `${path}: in the order, but no file`),
  );
  for (const [path, source] of sources) {
    for (const { specifier } of importsOf(source)) {
      const target = posix.join(posix.dirname(path), specifier);
      const isAbove = order.indexOf(target) !== -1 && order.indexOf(target) < order.indexOf(path);
      if (!/^node:[a-z/_]+$/.test(specifier) && !(specifier.startsWith(".") && isAbove)) {
        faults.push(`${path}: imports ${specifier}`);
      }
    }
    for (const { index, 0: found } of source.code.matchAll(OTHER_IMPORT)) {
      faults.push(`${path}:${lineAt(source.text, index)}: ${found}`);
    }
  }
  return faults;
}

/** What is imported from Node at run time: for each module the sorted names. Types are gone by then. */
export function nodeImports(sources: Sources): Record<string, string[]> {
  const found = new Map<string, Set<string>>();
  for (const { specifier, names } of [...sources.values()].flatMap(importsOf)) {
    if (specifier.startsWith(".") || names.length === 0) continue;
    const known = found.get(specifier) ?? new Set();
    names.forEach((name) => known.add(name));
    found.set(specifier, known);
  }
  return Object.fromEntries([...found].map(([specifier, names]) => [specifier, [...names].sort()]));
}

/** Places where `pattern` matches code, or a whole string (`a["b"]`), in files that aren't `allowed` it. */
export function uses(sources: Sources, pattern: RegExp, allowed: readonly string[] = []): string[] {
  return [...sources]
    .filter(([path]) => !allowed.includes(path))
    .flatMap(([path, { text, code, strings }]) => {
      const inCode = [...code.matchAll(pattern)].map(({ index, 0: found }) => ({
        start: index,
        text: found,
      }));
      const isMatch = (inside: string): boolean => inside.match(pattern)?.[0] === inside;
      const inStrings = strings.filter((string) => isMatch(string.text.slice(1, -1)));
      return [...inCode, ...inStrings].map(
        (found) => `${path}:${lineAt(text, found.start)}: ${found.text}`,
      );
    });
}

/** Functions that are longer than `most` lines, from the signature to the closing brace. */
export function longFunctions(sources: Sources, most: number): string[] {
  return [...sources].flatMap(([path, source]) =>
    functionsOf(source)
      .filter(({ lines }) => lines > most)
      .map(({ line, lines }) => `${path}:${line}: ${lines} lines`),
  );
}

/** Files that have more than `most` lines in all. */
export function longFiles(sources: Sources, most: number): string[] {
  return [...sources].flatMap(([path, { text }]) => {
    const lines = text.replace(/\n$/, "").split("\n").length;
    return lines > most ? [`${path}: ${lines} lines`] : [];
  });
}

/** Lines that are longer than `most` characters. */
export function longLines(sources: Sources, most: number): string[] {
  return [...sources].flatMap(([path, { text }]) => {
    const lines = text
      .split("\n")
      .map(({ length }, index) => ({ length, at: `${path}:${index + 1}` }));
    return lines
      .filter(({ length }) => length > most)
      .map(({ length, at }) => `${at}: ${length} characters`);
  });
}

/** How many lines of all files hold more than blanks and comments. */
export function totalCodeLines(sources: Sources): number {
  return [...sources.values()].reduce((sum, source) => sum + codeLines(source), 0);
}

/** Exported declarations without a doc comment right above them. An overload shares that of the first one. */
export function undocumentedExports(sources: Sources): string[] {
  return [...sources].flatMap(([path, source]) => {
    const documented = new Set<string>();
    return declarationsOf(source).flatMap(({ name, start }) => {
      const above = source.text.slice(0, start).trimEnd();
      const comment = source.comments.at(source.comments.findLastIndex((one) => one.start < start));
      const isDocumented = comment?.text.startsWith("/**") === true && above.endsWith(comment.text);
      if (isDocumented) documented.add(name);
      return documented.has(name) ? [] : [`${path}:${lineAt(source.text, start)}: ${name}`];
    });
  });
}

/** Exported values that no file of `sources` or of `users` imports. Types are there for who wants to name them. */
export function unusedExports(sources: Sources, users: Sources = new Map()): string[] {
  const used = new Set<string>();
  for (const [path, source] of [...sources, ...users]) {
    for (const { specifier, names } of importsOf(source)) {
      names.forEach((name) => used.add(`${posix.join(posix.dirname(path), specifier)}: ${name}`));
    }
  }
  const exported = [...sources].flatMap(([path, source]) =>
    declarationsOf(source)
      .filter(({ isType }) => !isType)
      .map(({ name }) => `${path}: ${name}`),
  );
  return [...new Set(exported)].filter((name) => !used.has(name));
}

/** Strings in single quotes that could as well stand in double quotes. */
export function singleQuotes(sources: Sources): string[] {
  return [...sources].flatMap(([path, { text, strings }]) =>
    strings
      .filter((string) => string.text.startsWith("'") && !string.text.includes('"'))
      .map(({ start }) => `${path}:${lineAt(text, start)}: single quotes`),
  );
}

/** Relative specifiers without the extension under which Node finds the file from source. */
export function bareSpecifiers(sources: Sources): string[] {
  return [...sources].flatMap(([path, source]) =>
    importsOf(source)
      .filter(({ specifier }) => specifier.startsWith(".") && !specifier.endsWith(".ts"))
      .map(({ specifier }) => `${path}: ${specifier}`),
  );
}

function declarationsOf({ code }: Scan): { name: string; start: number; isType: boolean }[] {
  const pattern =
    /^export\s+(?:async\s+)?(const|let|var|function\*?|class|interface|type|default)\s+(?!\{)([\w$]+)/gm;
  return [...code.matchAll(pattern)].map(({ index, 1: kind = "", 2: name = "" }) => {
    return { name, start: index, isType: kind === "interface" || kind === "type" };
  });
}

function importsOf({ code, strings }: Scan): Import[] {
  return [...code.matchAll(FROM)].map(({ index, 0: whole, 1: type, 2: clause = "" }) => {
    const string = strings.find(({ start }) => start === index + whole.length - 1);
    // name = ["type"] exported ["as" local]; what stands outside of the braces is the default, or "* as all"
    const parts = clause
      .replace(/^([\w$]+)/, "default as $1")
      .split(/[{},]/)
      .map((part) => part.trim());
    const isType = (part: string): boolean => type !== undefined || part.startsWith("type ");
    return {
      specifier: string?.text.slice(1, -1) ?? "",
      names: parts
        .filter((part) => part !== "" && !isType(part))
        .map((part) => part.replace(/\s+as\s.*$/s, "")),
    };
  });
}
