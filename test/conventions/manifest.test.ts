import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { type Lock, lockProblems, type Manifest, manifestProblems } from "./manifest.ts";

const manifest: Manifest = { devDependencies: { a: "1.0.0" } };
const a = { version: "1.0.0", dev: true, integrity: `sha512-${"a".repeat(86)}==` };

function locked(packages: Lock["packages"]): string[] {
  return lockProblems({ packages: { "": manifest, ...packages } }, manifest);
}

test("a package.json and a lock file that fit have no problem", () => {
  assert.deepEqual(manifestProblems(manifest, ["a"]), []);
  assert.deepEqual(locked({ "node_modules/a": a }), []);
});

describe("one problem each:", () => {
  const wrong: readonly [name: string, problems: string[]][] = [
    ["a runtime dependency", manifestProblems({ dependencies: { a: "1.0.0" } }, [])],
    ["another package", manifestProblems({ devDependencies: { a: "1.0.0" } }, [])],
    ["an inexact version", manifestProblems({ devDependencies: { a: "^1.0.0" } }, ["a"])],
    ["a script that npm runs by itself", manifestProblems({ scripts: { postinstall: "a" } }, [])],
    ["a long script", manifestProblems({ scripts: { b: "a".repeat(101) } }, [])],
    ["no hash", locked({ "node_modules/a": { ...a, integrity: "sha1-aaaa" } })],
    ["an address", locked({ "node_modules/a": { ...a, resolved: "x" } })],
    ["a link", locked({ "node_modules/a": { ...a, link: true } })],
    ["an install script", locked({ "node_modules/a": { ...a, hasInstallScript: true } })],
    ["another version", locked({ "node_modules/a": { ...a, version: "1.0.1" } })],
    ["a package for the program", locked({ "node_modules/a": { ...a, dev: false } })],
    ["a superfluous package", locked({ "node_modules/a": a, "node_modules/b": a })],
    ["a missing package", locked({})],
    ["another list", lockProblems({ packages: { "": {}, "node_modules/a": a } }, manifest)],
  ];
  for (const [name, problems] of wrong) {
    test(name, () => assert.equal(problems.length, 1, problems.join("\n")));
  }
});
