import { readdirSync, readFileSync } from "node:fs";
import { posix } from "node:path";

import { root } from "./root.ts";

/** One Markdown document of the repository. */
export interface MarkdownDocument {
  /** From the root of the repository. */
  readonly path: string;
  readonly text: string;
  readonly blocks: readonly Block[];
  /** Where links within the document can lead, such as `adding-an-endpoint`. */
  readonly anchors: ReadonlySet<string>;
}

/** A fenced block of code. */
export interface Block {
  /** The language after the fence, such as `sh`. */
  readonly language: string;
  /** The file after the language, from the root of the repository; empty if there is none. */
  readonly file: string;
  readonly text: string;
  /** The heading above the block. */
  readonly section: string;
}

/** A link of a document to a place in the repository. */
export interface Link {
  /** The file or folder, from the root of the repository. */
  readonly path: string;
  /** What follows the "#"; empty if nothing does. */
  readonly anchor: string;
}

/** Reads every document of the repository, README.md first. */
export function readDocuments(): MarkdownDocument[] {
  return documentPaths("").map((path) => parseDocument(path, read(path)));
}

/** Reads the document of one path, from the root of the repository. */
export function readDocument(path: string): MarkdownDocument {
  return parseDocument(path, read(path));
}

/** Finds the blocks and anchors of a document. */
export function parseDocument(path: string, text: string): MarkdownDocument {
  const blocks: Block[] = [];
  const anchors = new Set<string>();
  let section = "";
  let fence: { readonly info: string; readonly lines: string[] } | undefined;
  for (const line of text.split("\n")) {
    if (fence !== undefined && line !== "```") {
      fence.lines.push(line);
    } else if (fence !== undefined) {
      const [language = "", file = ""] = fence.info.split(" ");
      blocks.push({ language, file, text: fence.lines.join("\n"), section });
      fence = undefined;
    } else if (line.startsWith("```")) {
      fence = { info: line.slice(3), lines: [] };
    } else if (/^#+ /.test(line)) {
      section = line.replace(/^#+ /, "");
      anchors.add(anchorOf(section));
    }
  }
  if (fence !== undefined) throw new Error(`${path}: a block without an end`);
  return { path, text, blocks, anchors };
}

/** Finds the links that lead to a place in the repository. */
export function linksOf({ path, text }: MarkdownDocument): Link[] {
  const links: Link[] = [];
  for (const [, target = ""] of withoutBlocks(text).matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:/.test(target)) continue;
    const [relative = "", anchor = ""] = target.split("#");
    const file = relative === "" ? path : posix.join(posix.dirname(path), relative);
    links.push({ path: file, anchor });
  }
  return links;
}

/** Removes fenced blocks. */
export function withoutBlocks(text: string): string {
  return text.replace(/^```.*\n(?:(?!```$).*\n)*```$/gm, "");
}

/** GitHub's anchor of a heading. */
function anchorOf(heading: string): string {
  const words = heading.toLowerCase().replace(/[^\p{L}\p{N}_ -]/gu, "");
  return words.replaceAll(" ", "-");
}

function documentPaths(folder: string): string[] {
  const ignored = [".git", "node_modules", "dist"];
  const paths: string[] = [];
  for (const entry of readdirSync(new URL(`./${folder}`, root), { withFileTypes: true })) {
    if (ignored.includes(entry.name)) continue;
    if (entry.isDirectory()) paths.push(...documentPaths(`${folder}${entry.name}/`));
    else if (entry.name.endsWith(".md")) paths.push(folder + entry.name);
  }
  return paths.sort();
}

function read(path: string): string {
  return readFileSync(new URL(path, root), "utf8");
}
