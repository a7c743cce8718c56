import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";

import { repository } from "../support/checkout.ts";
import { readDocument } from "../support/documents.ts";

/** A requirement in the table of test/asvs.md. */
interface Requirement {
  readonly id: string;
  readonly level: string;
  readonly verdict: string;
  readonly evidence: string;
}

const VERDICTS = ["met", "refused", "not met", "not applicable"];

/** Evidence that is a file: in a folder, or at the top. */
const FILE = /`((?:[\w.@-]+\/)+[\w.@-]+|[\w-]+\.(?:md|json))`/g;

const { text } = readDocument("test/asvs.md");
const requirements = readRequirements(text);

describe("the table of ASVS", () => {
  test("has each requirement once, in order, with a level and a verdict", () => {
    const ids = requirements.map(({ id }) => id);
    assert.ok(ids.length >= 170, `${ids.length} requirements`);
    assert.deepEqual(ids, [...new Set(ids)].sort(compareIds));
    for (const { id, level, verdict } of requirements) {
      assert.ok(/^[123]$/.test(level) && VERDICTS.includes(verdict), `${id}: ${level}, ${verdict}`);
    }
  });

  test("names files that exist as evidence of what is met", () => {
    for (const { id, verdict, evidence } of requirements) {
      const files = filesIn(evidence);
      if (verdict === "met") assert.ok(files.length > 0, `${id} has no evidence`);
      assert.deepEqual(files.filter(isMissing), [], id);
    }
  });

  test("gives a reason for everything else", () => {
    for (const { id, verdict, evidence } of requirements) {
      if (verdict !== "met") assert.match(evidence, /\w+ \w+/, id);
    }
  });

  test("names headings of documents that exist", () => {
    for (const { id, evidence } of requirements) {
      const [, path = "", headings = ""] = /`([\w/.]+\.md)`, (".*")/.exec(evidence) ?? [];
      for (const [, heading = ""] of headings.matchAll(/"([^"]+)"/g)) {
        assert.match(readDocument(path).text, new RegExp(`^## ${heading}$`, "m"), id);
      }
    }
  });

  test("leaves nothing of level 1 and 2 not met", () => {
    const left = requirements.filter(
      ({ level, verdict }) => level !== "3" && verdict === "not met",
    );
    assert.deepEqual(left, []);
  });
});

/** How the figures of all requirements are written. */
const FIGURES =
  /(\d+) requirements (\d+) are met, (\d+) refused, (\d+) not met, (\d+) not applicable\./;

test("the figures of the text are those of the table", () => {
  const figures = VERDICTS.map((verdict) => count(verdict));
  const found = FIGURES.exec(text)?.slice(1).map(Number);
  assert.deepEqual(found, [requirements.length, ...figures]);
});

for (const level of ["1", "2", "3"]) {
  test(`the figures of level ${level} are those of the table`, () => {
    const figures = VERDICTS.map((verdict) => count(verdict, level)).join(" | ");
    assert.ok(text.replace(/ +/g, " ").includes(`| ${level} | ${figures} |`), figures);
  });
}

test("a file that does not exist is noticed", () => {
  assert.deepEqual(filesIn("`a/none.ts`, `README.md` (`x`), `.ci/run`").filter(isMissing), [
    "a/none.ts",
  ]);
});

function readRequirements(document: string): Requirement[] {
  const rows = document.matchAll(/^\| (\d+\.\d+\.\d+) +\|(.*)\|$/gm);
  return [...rows].map(([, id = "", cells = ""]) => {
    const [, level = "", verdict = "", evidence = ""] = cells.split("|").map((cell) => cell.trim());
    return { id, level, verdict, evidence };
  });
}

function filesIn(evidence: string): string[] {
  return [...evidence.matchAll(FILE)].map(([, path = ""]) => path);
}

function isMissing(path: string): boolean {
  return !existsSync(join(repository, path));
}

function count(verdict: string, level?: string): number {
  return requirements.filter(
    (one) => one.verdict === verdict && (level === undefined || one.level === level),
  ).length;
}

function compareIds(one: string, other: string): number {
  const [a, b] = [one, other].map((id) => id.split(".").map(Number)) as [number[], number[]];
  const at = a.findIndex((part, index) => part !== b[index]);
  return at === -1 ? 0 : Number(a[at]) - Number(b[at]);
}
