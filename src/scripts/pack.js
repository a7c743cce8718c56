// npm run pack: builds, makes the archive in dist/, and prints its SHA-256. The same sources give
// the same bytes, so that an archive from elsewhere can be compared.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

import { compile } from "./compile.js";

process.exitCode = compile() ? pack() : 1;

/** @returns {number} the exit code. */
function pack() {
  const options = ["--silent", "--ignore-scripts", "--pack-destination", "dist"];
  const { status, stdout } = spawnSync("npm", ["pack", ...options], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (status !== 0) return 1;
  const path = `dist/${stdout.trim()}`;
  const digest = createHash("sha256").update(readFileSync(path)).digest("hex");
  process.stdout.write(`${digest}  ${path}\n`);
  return 0;
}
