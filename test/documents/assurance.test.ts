import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";

import { repository } from "../support/checkout.ts";
import { readDocument } from "../support/documents.ts";

/** Commands that need a quiet machine, minutes, or packages: .ci/run or a person runs them. */
const RUN_ELSEWHERE = [
  "node dist/test/bench/ttest.js",
  "npm run soak",
  "npm run fuzz",
  "npm run bench",
  "sh test/support/compare-compilers.sh",
];

/** A row of the tables below the heading "Assurance". */
interface Row {
  readonly claim: string;
  readonly command: string;
  /** What the command prints. Empty for tests: their table says it once. */
  readonly prints: string;
}

const rows = readRows();
const testRows = rows.filter(({ command }) => command.startsWith("node --test "));
const otherRows = rows.filter((row) => !testRows.includes(row));

describe("the assurance tables", () => {
  test("have rows of both kinds", () => {
    assert.ok(testRows.length >= 10 && otherRows.length >= 5, `${rows.length} rows`);
  });

  for (const { claim, command } of testRows) {
    test(`npm test runs: ${claim}`, () => {
      for (const file of command.split(" ").slice(2)) assertIsTest(file);
    });
  }

  for (const { claim, command, prints } of otherRows) {
    if (RUN_ELSEWHERE.includes(command)) continue;
    test(`${command}: ${claim}`, () => {
      const { status, stdout, stderr } = spawnSync("sh", ["-c", command], {
        cwd: repository,
        encoding: "utf8",
      });
      assert.equal(status, 0, stderr);
      const expected = prints.replaceAll("`", "");
      assert.ok(stdout.includes(expected), `${expected} is missing in:\n${stdout}`);
    });
  }
});

test("what is run elsewhere is in a table", () => {
  const commands = otherRows.map(({ command }) => command);
  assert.deepEqual(
    RUN_ELSEWHERE.filter((command) => !commands.includes(command)),
    [],
  );
});

/** Whether `npm test` runs a compiled test file, and its source exists. */
function assertIsTest(file: string): void {
  const { scripts } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8")) as {
    scripts: { test: string };
  };
  const patterns = scripts.test.split(" ").filter((word) => word.startsWith("dist/test/"));
  const isRun = patterns.some((pattern) => {
    const expression = pattern.replaceAll(".", "\\.").replaceAll("*", "[^/]*");
    return new RegExp(`^${expression}$`).test(file);
  });
  assert.ok(isRun, `npm test does not run ${file}`);
  const source = file.replace(/^dist\//, "").replace(/\.js$/, ".ts");
  assert.ok(existsSync(join(repository, source)), `${source} does not exist`);
}

function readRows(): Row[] {
  const { text } = readDocument("test/README.md");
  const section = /^## Assurance\n([^]*?)^## /m.exec(text)?.[1] ?? "";
  const found: Row[] = [];
  for (const line of section.split("\n")) {
    // A cell's own bars are escaped.
    const [, claim = "", code = "", prints = ""] = line
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim());
    const command = /^`(.*)`$/.exec(code)?.[1];
    if (command !== undefined) found.push({ claim, command, prints });
  }
  return found;
}
