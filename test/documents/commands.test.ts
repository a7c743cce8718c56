import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";

import { repository } from "../support/checkout.ts";
import { needsCompiler } from "../support/clone.ts";
import { readDocuments } from "../support/documents.ts";
import { Newcomer } from "../support/newcomer.ts";
import { suiteScope } from "../support/scope.ts";

/** Commands that .ci/run runs as they are. Here they would run themselves, or fetch packages. */
const RUN_BY_CI = ["npm test", "npm ci", "sh test/support/compare-compilers.sh"];

const documents = readDocuments();

for (const { path, blocks } of documents) {
  const scripts = blocks.filter(({ language }) => language === "sh");
  if (scripts.length === 0) continue;
  describe(`the commands of ${path}`, { skip: needsCompiler }, () => {
    const newcomer = new Newcomer(suiteScope());
    for (const { text, section } of scripts) {
      if (isRunByCi(text)) continue;
      test(`${section}: ${text.split("\n")[0]}`, () => newcomer.run(text));
    }
  });
}

test("commands that are not run here are in a document, and are run by .ci/run", () => {
  const ci = readFileSync(join(repository, ".ci/run"), "utf8");
  for (const command of RUN_BY_CI) {
    assert.ok(
      documents.some(({ text }) => text.includes(command)),
      `a document has ${command}`,
    );
    assert.ok(ci.includes(command), `.ci/run has ${command}`);
  }
});

function isRunByCi(block: string): boolean {
  return block.split("\n").every((line) => RUN_BY_CI.includes(line));
}
