/**
 * Applies a diff without line numbers. Its hunks are separated by `@@`. Their lines begin with a
 * blank (kept), "+" (added) or "-" (removed). Throws an Error unless the kept and removed lines of
 * each hunk stand in the text exactly once.
 *
 * @example
 *     applyDiff("a\nc\n", " a\n+b"); // "a\nb\nc\n"
 */
export function applyDiff(text: string, diff: string): string {
  let result = `\n${text}`;
  for (const hunk of splitHunks(diff)) {
    const before = joinLines(hunk.filter((line) => !line.startsWith("+")));
    const after = joinLines(hunk.filter((line) => !line.startsWith("-")));
    const parts = result.split(before);
    if (parts.length !== 2) {
      throw new Error(`found ${parts.length - 1} times instead of once:${before}`);
    }
    result = parts.join(after);
  }
  return result.slice(1);
}

function splitHunks(diff: string): string[][] {
  return `${diff}\n`.split(/^@@\n/m).map((hunk) => hunk.replace(/\n$/, "").split("\n"));
}

/** The lines without their first character, each with the line end before it and after it. */
function joinLines(lines: readonly string[]): string {
  return `\n${lines.map((line) => line.slice(1)).join("\n")}\n`;
}
