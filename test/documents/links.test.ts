import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";

import { repository } from "../support/checkout.ts";
import {
  linksOf,
  type MarkdownDocument,
  parseDocument,
  readDocuments,
  withoutBlocks,
} from "../support/documents.ts";

const documents = readDocuments();
const [readme] = documents.filter(({ path }) => path === "README.md");

/** Files that a block of a document makes. */
const newFiles = documents.flatMap(({ blocks }) => blocks.map(({ file }) => file));

const manifest = JSON.parse(read("package.json")) as { scripts: Record<string, string> };

/** A path of the repository in a text, also that of a compiled file. */
const PATH = /(?<![\w/.@-])(?:src|test|dist|\.ci)\/[\w./@-]*[\w/]/g;
const SCRIPT = /npm run (?:--silent )?([a-z:]+)/g;

/** Words that the documents do not use, since another one means the same: response, problem, … */
const OTHER_WORDS = /\b(?:answer(?:s|ed|ing)?|faults?|told|lest|nobody|in the making)\b/gi;

for (const document of documents) {
  describe(document.path, () => {
    test("has only links that lead somewhere", () => {
      assert.deepEqual(deadLinks(document), []);
    });

    test("names only paths that exist", () => {
      const paths = [...document.text.matchAll(PATH)].map(([path]) => path);
      assert.deepEqual(paths.filter(isMissing), []);
    });

    test("names only scripts that package.json has", () => {
      const names = [...document.text.matchAll(SCRIPT)].map(([, name = ""]) => name);
      assert.deepEqual(
        names.filter((name) => !(name in manifest.scripts)),
        [],
      );
    });

    test("uses one word for one thing", () => {
      assert.deepEqual(withoutBlocks(document.text).match(OTHER_WORDS) ?? [], []);
    });
  });
}

describe("README.md", () => {
  test("has at most 200 lines", () => {
    const lines = readme?.text.split("\n").length ?? Infinity;
    assert.ok(lines - 1 <= 200, `${lines - 1} lines`);
  });

  test("leads to every other document", () => {
    const reached = new Set(readme && linksOf(readme).map(({ path }) => path));
    const others = documents.map(({ path }) => path).filter((path) => path !== "README.md");
    assert.deepEqual(
      others.filter((path) => !reached.has(path)),
      [],
    );
  });
});

describe("a document", () => {
  const wrong = (text: string): MarkdownDocument => parseDocument("src/README.md", text);

  test("with a link to a file that does not exist has a dead link", () => {
    assert.deepEqual(deadLinks(wrong("[a](none.ts)")), ["src/none.ts"]);
  });

  test("with a link to a heading that does not exist has a dead link", () => {
    assert.deepEqual(deadLinks(wrong("[a](#b)\n# B c")), ["src/README.md#b"]);
    assert.deepEqual(deadLinks(wrong("[a](#b-c)\n# `B` c")), []);
    assert.deepEqual(deadLinks(wrong("[a](../README.md#none)")), ["README.md#none"]);
  });

  test("with a path that does not exist is noticed", () => {
    const text = "`src/app.ts`, dist/test/none.test.js, [x](test/README.md).";
    const paths = [...text.matchAll(PATH)].map(([path]) => path);
    assert.deepEqual(paths, ["src/app.ts", "dist/test/none.test.js", "test/README.md"]);
    assert.deepEqual(paths.filter(isMissing), ["dist/test/none.test.js"]);
  });
});

function deadLinks(document: MarkdownDocument): string[] {
  const dead: string[] = [];
  for (const { path, anchor } of linksOf(document)) {
    const target = [document, ...documents].find((other) => other.path === path);
    const isThere = existsSync(join(repository, path));
    const hasAnchor = anchor === "" || target?.anchors.has(anchor) === true;
    if (!isThere || !hasAnchor) dead.push(anchor === "" ? path : `${path}#${anchor}`);
  }
  return dead;
}

/** Whether neither a file of the repository nor one that a document makes has this path. */
function isMissing(path: string): boolean {
  if (newFiles.includes(path)) return false;
  const source = path.replace(/^dist\//, "").replace(/(?<=^dist\/.*|)\.js$/, ".js");
  const candidates = [source, source.replace(/\.js$/, ".ts")];
  return !candidates.some((candidate) => existsSync(join(repository, candidate)));
}

function read(path: string): string {
  return readFileSync(join(repository, path), "utf8");
}
