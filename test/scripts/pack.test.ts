import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { cpSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { gunzipSync } from "node:zlib";

import { repository } from "../support/checkout.ts";
import { type Clone, cloneRepository, needsCompiler, run, start } from "../support/clone.ts";
import { suiteScope } from "../support/scope.ts";
import { tempDirectory } from "../support/temp.ts";

const ARCHIVE = "dist/api-0.1.0.tgz";
const KEY = "svk_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789-_abcde";

describe("npm run pack", { skip: needsCompiler }, () => {
  const scope = suiteScope();
  const clones: Clone[] = [];
  const printed: string[] = [];
  before(() => {
    for (let count = 0; count < 2; count += 1) {
      const clone = cloneRepository();
      scope.after(() => clone.remove());
      for (const name of ["README.md", ".env.example"]) {
        cpSync(join(repository, name), join(clone.directory, name));
      }
      const { status, stdout, stderr } = run(clone, ["npm", "run", "--silent", "pack"]);
      assert.equal(status, 0, stdout + stderr);
      clones.push(clone);
      printed.push(stdout);
    }
  });

  test("prints the SHA-256 of the archive, as sha256sum would", () => {
    const bytes = readFileSync(join(clones[0]?.directory ?? "", ARCHIVE));
    const digest = createHash("sha256").update(bytes).digest("hex");
    assert.equal(printed[0], `${digest}  ${ARCHIVE}\n`);
  });

  test("gives the same archive, wherever and whenever it runs", () => {
    assert.equal(printed[0], printed[1]);
  });

  test("packs what test/README.md lists: what runs, and nothing else", () => {
    const { directory = "" } = clones[0] ?? {};
    const built = readdirSync(join(directory, "dist/src"), { recursive: true, encoding: "utf8" })
      .filter((name) => /\.\w+$/.test(name))
      .map((name) => `package/dist/src/${name}`);
    const expected = [".env.example", "README.md", "package.json"].map((name) => `package/${name}`);
    const packed = namesIn(gunzipSync(readFileSync(join(directory, ARCHIVE))));
    assert.deepEqual(packed.sort(), [...expected, ...built].sort());
  });

  test("gives an archive that runs after npm install of it alone", async (t) => {
    const directory = tempDirectory(t, { "package.json": "{}" });
    const installed: Clone = { directory, remove: () => {} };
    const archive = join(clones[0]?.directory ?? "", ARCHIVE);
    const install = run(installed, ["npm", "install", "--offline", "--no-audit", archive]);
    assert.equal(install.status, 0, install.stderr);
    assert.deepEqual(
      readdirSync(join(directory, "node_modules")).filter((name) => !name.startsWith(".")),
      ["api"],
    );
    const command = [process.execPath, "node_modules/api/dist/src/main.js"];
    const service = start(t, installed, command, { SERVICE_API_KEY: KEY });
    const line = await service.until(/"event":"listening".*\n/);
    const port = /"port":(\d+)/.exec(line)?.[1];
    for (const path of ["health", "docs", "docs/docs.js", "openapi.json"]) {
      const { status } = await fetch(`http://127.0.0.1:${port}/${path}`);
      assert.equal(status, 200, path);
    }
    service.signalGroup("SIGTERM");
    assert.equal(await service.exit, 0, service.output());
  });
});

/** The names in a tar archive (POSIX ustar), which has a block of 512 bytes before each file. */
function namesIn(archive: Buffer): string[] {
  const names: string[] = [];
  for (let at = 0; archive[at] !== 0; ) {
    const text = (start: number, length: number): string =>
      archive.toString("latin1", at + start, at + start + length).replace(/\0.*$/s, "");
    const prefix = text(345, 155);
    names.push(prefix === "" ? text(0, 100) : `${prefix}/${text(0, 100)}`);
    at += 512 + 512 * Math.ceil(Number.parseInt(text(124, 12), 8) / 512);
  }
  return names;
}
