import { measure } from "./measures.ts";
import type { Sources } from "./rules.ts";

/** How much of a reader's attention code may take. A limit that is left out does not apply. */
export interface Limits {
  /** Lines of code of a file. */
  readonly fileLines?: number;
  /** Lines of code of a function. */
  readonly functionLines?: number;
  /** Decisions of a function, and 1 for itself. */
  readonly decisions?: number;
  /** Levels of statements in statements. */
  readonly depth?: number;
  /** Lines of code of all files together. */
  readonly totalLines?: number;
  /** Characters per line of code, over all files. */
  readonly charactersPerLine?: number;
  /** Decisions per line of code, over all files. */
  readonly decisionsPerLine?: number;
}

/** What is over a limit: a line for each place, and one for each figure over all files. */
export function overLimits(sources: Sources, limits: Limits): string[] {
  const problems: string[] = [];
  const check = (place: string, figure: number, limit: number | undefined, unit: string): void => {
    if (limit !== undefined && figure > limit) {
      problems.push(`${place}: ${Number(figure.toFixed(3))} ${unit}, over ${limit}`);
    }
  };
  let lines = 0;
  let characters = 0;
  let decisions = 0;
  for (const [path, source] of sources) {
    const file = measure(source);
    check(path, file.lines, limits.fileLines, "lines of code");
    for (const one of file.functions) {
      const place = `${path}:${one.line}`;
      check(place, one.lines, limits.functionLines, "lines of code");
      check(place, one.decisions, limits.decisions, "decisions");
      check(place, one.depth, limits.depth, "levels");
    }
    lines += file.lines;
    characters += file.characters;
    decisions += file.decisions;
  }
  check("all", lines, limits.totalLines, "lines of code");
  check("all", characters / lines, limits.charactersPerLine, "characters per line of code");
  check("all", decisions / lines, limits.decisionsPerLine, "decisions per line of code");
  return problems;
}

/** Lines of any kind that are longer than `most` characters. */
export function longLines(sources: Sources, most: number): string[] {
  return [...sources].flatMap(([path, { lines }]) =>
    lines.flatMap(({ length }, index) =>
      length > most ? [`${path}:${index + 1}: ${length} characters`] : [],
    ),
  );
}
