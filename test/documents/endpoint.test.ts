import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";

import { copyRepository, Terminal } from "../support/checkout.ts";
import { needsCompiler } from "../support/clone.ts";
import { applyDiff } from "../support/diff.ts";
import { type Block, readDocument } from "../support/documents.ts";
import { tempDirectory } from "../support/temp.ts";

/**
 * Tests of commands would run this one. Those of parts have routes of their own, or none.
 * Attackers, balancers, most of what a browser does, and the scripts that start the service, or
 * watch its files, do not see a new endpoint.
 */
const LEFT_OUT = [
  "test/documents/commands.test.ts",
  "test/documents/endpoint.test.ts",
  "test/examples/",
  "test/models/",
  "test/http/",
  "test/config/",
  "test/auth/",
  "test/abuse.test.ts",
  "test/abuse-log.test.ts",
  "test/log-flood.test.ts",
  "test/client-address-proxies.test.ts",
  // Runs others once more.
  "test/encrypted.test.ts",
  "test/docs/docs.test.ts",
  "test/docs/copy.test.ts",
  "test/docs/try-it.test.ts",
  "test/scripts/dev.test.ts",
  "test/scripts/dotenv.test.ts",
  "test/scripts/run-tests.test.ts",
  "test/scripts/start.test.ts",
];

/** A bound, not a measurement: the tests take minutes on a busy machine. */
const LIMIT_MS = 900_000;

describe("Adding an endpoint, as in src/README.md", { skip: needsCompiler }, () => {
  test("needs six blocks and a command, and all tests pass with them", async (t) => {
    const clone = tempDirectory(t);
    copyRepository(clone);
    const blocks = readDocument("src/README.md").blocks.filter(({ file }) => file !== "");
    assert.equal(blocks.length, 6);
    for (const block of blocks) applyBlock(clone, block);

    const files = testFiles(clone, "test/").filter((path) => !isLeftOut(path));
    assert.ok(files.includes("test/routes/jobs.test.ts"));
    const compiled = files.map((path) => `dist/${path.replace(/\.ts$/, ".js")}`);
    const terminal = new Terminal(t, clone);
    const script = [
      "npm run --silent openapi",
      "npm run --silent build",
      `node --test --test-concurrency=2 ${compiled.join(" ")}`,
    ].join("\n");
    const { output, exit } = await terminal.run(script, LIMIT_MS);
    assert.equal(exit, 0, failuresIn(output));
  });

  test("leaves out only tests that exist", (t) => {
    const clone = tempDirectory(t);
    copyRepository(clone);
    assert.deepEqual(
      LEFT_OUT.filter((path) => !existsSync(join(clone, path))),
      [],
    );
  });
});

describe("a diff", () => {
  test("adds and removes lines beside those that it keeps", () => {
    assert.equal(applyDiff("a\nb\nc\n", " a\n+x\n-b"), "a\nx\nc\n");
    assert.equal(applyDiff("a\nb\nc\n", " a\n+x\n@@\n+y\n c"), "a\nx\nb\ny\nc\n");
  });

  test("fails if the lines that it keeps are missing or not unique", () => {
    assert.throws(() => applyDiff("a\nb\n", " c\n+x"), /found 0 times/);
    assert.throws(() => applyDiff("a\nb\na\n", " a\n+x"), /found 2 times/);
  });
});

/** Makes the block's file, or changes it, unless someone who follows the document has done so. */
function applyBlock(clone: string, { language, file, text }: Block): void {
  const path = join(clone, file);
  const before = existsSync(path) ? readFileSync(path, "utf8") : undefined;
  if (language === "diff") {
    if (!hasAdditions(before ?? "", text)) writeFileSync(path, applyDiff(before ?? "", text));
    return;
  }
  const after = `${text}\n`;
  assert.ok(before === undefined || before === after, `${file} exists, with another text`);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, after);
}

/** Whether a text has each line that a diff adds. */
function hasAdditions(text: string, diff: string): boolean {
  const lines = text.split("\n");
  const added = diff.split("\n").filter((line) => line.startsWith("+"));
  return added.every((line) => lines.includes(line.slice(1)));
}

function isLeftOut(path: string): boolean {
  return LEFT_OUT.some((prefix) => path.startsWith(prefix));
}

/** The test files in a folder of a checkout, from its root. */
function testFiles(clone: string, folder: string): string[] {
  const files: string[] = [];
  for (const entry of readdirSync(join(clone, folder), { withFileTypes: true })) {
    const path = folder + entry.name;
    if (entry.isDirectory()) files.push(...testFiles(clone, `${path}/`));
    else if (path.endsWith(".test.ts")) files.push(path);
  }
  return files;
}

/** The failed tests of a run, with some of what follows each. */
function failuresIn(output: string): string {
  const lines = output.split("\n");
  const failed = lines.flatMap((line, at) =>
    /^\s*(?:not ok|✖)/.test(line) ? lines.slice(at, at + 20) : [],
  );
  return [...failed.slice(0, 400), ...lines.slice(-40)].join("\n");
}
