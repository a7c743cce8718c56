// npm run test:file -- FILE...: builds, then runs these test files. npm run test:watch does so
// again after each change. A file is named as in the sources: test/http/router.test.ts. Options go
// to node --test.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";

import { compile } from "./compile.js";
import { watch } from "./watch.js";

const USAGE = "usage: npm run test:file -- [OPTION...] test/.../NAME.test.ts...\n";

const args = process.argv.slice(2).filter((arg) => arg !== "--watch");
const files = args.filter((arg) => !arg.startsWith("-"));
const missing = files.filter((file) => !file.endsWith(".ts") || !existsSync(file));

if (files.length === 0 || missing.length > 0) {
  process.stderr.write(missing.map((file) => `${file}: no such test file\n`).join("") + USAGE);
  process.exitCode = 64;
} else if (process.argv.includes("--watch")) {
  await watch(["src", "test", "tsconfig.json"], async () => void (await buildAndRun()));
} else {
  process.exitCode = await buildAndRun();
}

/** @returns {Promise<number>} an exit code. */
async function buildAndRun() {
  if (!compile()) return 1;
  const compiled = args.map((arg) => arg.replace(/^(?!-)(?:\.\/)?(.*)\.ts$/, "dist/$1.js"));
  const child = spawn(process.execPath, ["--test", ...compiled], { stdio: "inherit" });
  const [code] = await once(child, "exit");
  return code ?? 1;
}
