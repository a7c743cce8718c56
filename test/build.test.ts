import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { root } from "./root.ts";

const repository = fileURLToPath(root);

// Who runs the tests from source may have nothing installed. Compiled tests show that there is a compiler.
const isInstalled =
  import.meta.url.endsWith(".js") || existsSync(join(repository, "node_modules/.bin/tsc"));
const skip = isInstalled ? false : "npm ci has not been run: there is no compiler";

describe("npm run build", { skip }, () => {
  const places = ["first-", "second, elsewhere-"].map((name) => mkdtempSync(join(tmpdir(), name)));
  let builds: Map<string, Buffer>[] = [];
  before(() => {
    builds = places.map((place) => build(place));
  });
  after(() => places.forEach((place) => rmSync(place, { recursive: true, force: true })));

  test("gives the same files with the same bytes, wherever and whenever it runs", () => {
    const [first = new Map<string, Buffer>(), second = new Map<string, Buffer>()] = builds;
    assert.ok(first.size > 50, `${first.size} files`);
    assert.deepEqual([...first.keys()], [...second.keys()]);
    for (const [path, bytes] of first) assert.ok(second.get(path)?.equals(bytes), path);
  });

  test("gives one file of JavaScript for each source, the files of the docs, and nothing else", () => {
    const expected = namesIn(join(repository, "src"))
      .filter((name) => !name.endsWith("tsconfig.json"))
      .map((name) => name.replace(/\.ts$/, ".js"));
    const built = [...(builds[0]?.keys() ?? [])]
      .filter((name) => name.startsWith("src/"))
      .map((name) => name.slice(4));
    assert.deepEqual(built.sort(), expected.sort());
  });

  test("leaves no name of the place where it ran in any file", () => {
    for (const [path, bytes] of builds[0] ?? [])
      assert.equal(bytes.includes(places[0] ?? ""), false, path);
  });
});

/** The files that a copy of the repository gives in `place`, by their names in `dist/`. */
function build(place: string): Map<string, Buffer> {
  for (const name of ["src", "test", "package.json", "tsconfig.json"]) {
    cpSync(join(repository, name), join(place, name), { recursive: true });
  }
  symlinkSync(join(repository, "node_modules"), join(place, "node_modules"));
  const { status, stdout, stderr } = spawnSync("npm", ["run", "--silent", "build"], {
    cwd: place,
    encoding: "utf8",
    timeout: 120_000,
  });
  assert.equal(status, 0, stdout + stderr);
  const dist = join(place, "dist");
  return new Map(namesIn(dist).map((name) => [name, readFileSync(join(dist, name))]));
}

/** The files in a directory and below, by their paths from there, in order. */
function namesIn(directory: string): string[] {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  return entries
    .map(({ parentPath, name }) => join(parentPath, name).slice(directory.length + 1))
    .sort();
}
