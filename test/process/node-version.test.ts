import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";

import { nodeVersionProblem } from "../../src/process/node-version.ts";
import { root } from "../support/root.ts";

type Outcome = "good" | "warned about" | "refused";

function outcomeOf(version: string): Outcome {
  const problem = nodeVersionProblem(version);
  if (problem === undefined) return "good";
  return problem.isFatal ? "refused" : "warned about";
}

describe("Node", () => {
  for (const [version, outcome] of [
    ["16.20.2", "refused"],
    ["18.20.8", "refused"],
    ["20.11.1", "refused"],
    ["20.12.0", "warned about"],
    ["20.20.1", "warned about"],
    ["20.20.2", "good"],
    ["20.21.0", "good"],
    ["22.22.1", "warned about"],
    ["22.22.2", "good"],
    ["23.11.1", "warned about"],
    ["24.14.0", "warned about"],
    ["24.14.1", "good"],
    ["25.8.1", "warned about"],
    ["25.8.2", "good"],
    ["26.0.0", "good"],
    ["27.0.0-nightly20270101", "good"],
    ["30.1.0", "good"],
  ] as const) {
    test(`${version} is ${outcome}`, () => assert.equal(outcomeOf(version), outcome));
  }
});

test("a problem is one line that names the version and the releases to use", () => {
  for (const version of ["18.20.8", "20.20.1"]) {
    const message = nodeVersionProblem(version)?.message ?? "";
    assert.match(message, new RegExp(`^Node ${version} .*: use 20\\.20\\.2, .*$`));
  }
});

test("package.json's engines are the good versions", () => {
  const text = readFileSync(new URL("package.json", root), "utf8");
  const { engines } = JSON.parse(text) as { engines: { node: string } };
  const lines = engines.node.split(" || ");
  assert.equal(lines.length, 4, engines.node);
  for (const line of lines) {
    const [, first = "", last] = /^>=(\d+\.\d+\.\d+)(?: <(\d+))?$/.exec(line) ?? [];
    const [major, minor, patch = 0] = first.split(".").map(Number);
    assert.equal(outcomeOf(first), "good", line);
    assert.equal(outcomeOf(`${major}.${minor}.${patch - 1}`), "warned about", line);
    if (last !== undefined) assert.equal(outcomeOf(`${last}.0.0`), "warned about", line);
  }
});
