import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { test } from "node:test";

import { KEYGEN, shellWord } from "../src/keygen-command.ts";

test("the command names the program itself, by its absolute path", () => {
  const [, path = ""] = /^node (\/.*\/main\.[jt]s) keygen$/.exec(KEYGEN) ?? [];
  assert.ok(existsSync(path), KEYGEN);
});

/** Texts that a shell would change or take apart without quotes. */
const WORDS: readonly string[] = [
  "/srv/api/dist/src/main.js",
  "",
  "a b",
  "a\tb",
  "a\nb",
  "it's",
  "''",
  '"$HOME"',
  "`id`",
  "$(id)",
  "a*b?c[d]",
  "a;b&c|d>e<f",
  "~/x",
  "#x",
  "{a,b}",
  "!x",
  "a\\b",
  "é",
];

for (const word of WORDS) {
  test(`a shell reads ${JSON.stringify(word)} as one word after shellWord()`, () => {
    const output = execFileSync("sh", ["-c", `printf '%s' ${shellWord(word)}`]);
    assert.equal(String(output), word);
  });
}

test("a usual path stays as it is", () => {
  for (const path of ["/srv/api-1.0/dist/src/main.js", "C:/a_b+c@d%20,e.js"]) {
    assert.equal(shellWord(path), path);
  }
});

test("what a shell would not see, or take for several words, is in quotes", () => {
  assert.equal(shellWord(""), "''");
  assert.equal(shellWord("/srv/my api/main.js"), "'/srv/my api/main.js'");
});
