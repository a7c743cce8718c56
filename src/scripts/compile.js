// The scripts in this folder are plain JavaScript because they run before anything is compiled, on
// Node 20 too.
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const dist = join(root, "dist");
const compiler = join(root, "node_modules/typescript/bin/tsc");

const NO_COMPILER = `The TypeScript compiler is not installed. To install it:

  npm ci --include=dev

Without --include=dev npm leaves it out if NODE_ENV is production. Node 22.18 and later
also run the service without it: node src/main.ts
`;

/** Files in src/docs/ that the service does not read. */
const NOT_SERVED = /\.(?:ts|md)$|^tsconfig\.json$/;

/**
 * Compiles src/ and test/ into dist/. It builds beside dist/ and swaps at the end, so that a
 * service that runs from there finds whole files; if a source has a mistake, dist/ stays as it is.
 *
 * @returns {boolean} whether it worked. If not, the terminal shows why.
 */
export function compile() {
  if (!existsSync(compiler)) {
    process.stderr.write(NO_COMPILER);
    return false;
  }
  const next = join(root, `.dist-${process.pid}`);
  const old = `${next}-old`;
  try {
    mkdirSync(next);
    const options = ["--project", root, "--outDir", next, "--noEmitOnError"];
    const { status } = spawnSync(process.execPath, [compiler, ...options], { stdio: "inherit" });
    if (status !== 0) return false;
    copyDocs(join(next, "src/docs"));
    swap(next, old);
    return true;
  } finally {
    rmSync(next, { recursive: true, force: true });
    rmSync(old, { recursive: true, force: true });
  }
}

/**
 * Copies the files of the docs page that need no compiler.
 *
 * @param {string} target
 */
function copyDocs(target) {
  const source = join(root, "src/docs");
  for (const name of readdirSync(source)) {
    if (!NOT_SERVED.test(name)) copyFileSync(join(source, name), join(target, name));
  }
}

/**
 * Puts `next` in the place of dist/, which goes into the directory `old`. That takes two steps,
 * because a directory that is not empty cannot be replaced. If another build comes between them, it
 * starts over.
 *
 * @param {string} next
 * @param {string} old
 */
function swap(next, old) {
  mkdirSync(old);
  for (let attempt = 0, isDone = false; !isDone; attempt += 1) {
    rename(dist, join(old, String(attempt)), "ENOENT");
    isDone = rename(next, dist, "ENOTEMPTY");
  }
}

/**
 * @param {string} from
 * @param {string} to
 * @param {string} expected The code of an error that is expected.
 * @returns {boolean} whether there was no such error.
 */
function rename(from, to, expected) {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error);
    if (code !== expected) throw error;
    return false;
  }
}
