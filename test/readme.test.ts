import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

import { root } from "./root.ts";
import { until } from "./service.ts";

const repository = fileURLToPath(root);
const readme = readFileSync(join(repository, "README.md"), "utf8");

/** A fenced block: what stands after its fence, its lines, and the heading above it. */
interface Block {
  readonly kind: string;
  readonly text: string;
  readonly section: string;
}

const blocks = fencedBlocks(readme);
const shell = blocks.filter(({ kind }) => kind === "sh");

/** Commands that .ci/run runs as they are: here they would run themselves, or fetch packages. */
const RUN_BY_CI = ["npm test", "npm ci", "sh test/support/compare-compilers.sh"];

// From source nothing needs to be installed; these commands do need the compiler.
const skip = existsSync(join(repository, "node_modules/.bin/tsc"))
  ? false
  : "npm ci has not been run";

describe("the README's commands", { skip }, () => {
  const clone = copyRepository();
  let server: ChildProcess | undefined;
  after(async () => {
    await stop(server);
    rmSync(clone, { recursive: true, force: true });
  });

  for (const { text, section } of shell) {
    const commands = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    if (commands.every((command) => RUN_BY_CI.includes(command))) continue;
    test(`${section}: ${commands[0]}`, async () => {
      if (commands[0] === "npm ci && npm start") {
        server = await startInBackground(clone);
        return;
      }
      if (section !== "Endpoints") await stop(server);
      const result = spawnSync("sh", ["-e", "-c", `exec 2>&1\n${await onOwnPort(text)}`], {
        cwd: clone,
        encoding: "utf8",
        env: { ...process.env, PORT: String(await port) },
        timeout: 120_000,
      });
      assert.equal(result.status, 0, result.stdout);
      assertShown(result.stdout, text);
    });
  }
});

test("commands that the README names and this test leaves out are run by .ci/run", () => {
  const ci = readFileSync(join(repository, ".ci/run"), "utf8");
  for (const command of RUN_BY_CI) {
    assert.ok(readme.includes(command), `${command} in the README`);
    assert.ok(ci.includes(command), `${command} in .ci/run`);
  }
});

test("test files and scripts that the README names exist", () => {
  const { scripts } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8")) as {
    scripts: object;
  };
  for (const [, path = ""] of readme.matchAll(
    /\b(?:dist\/)?((?:test|src)\/[\w./-]+\.(?:ts|js|json|conf|cfg|sh))\b/g,
  )) {
    const candidates = [path, path.replace(/\.js$/, ".ts")];
    const isNew = blocks.some(({ kind }) => kind.endsWith(` ${path}`));
    assert.ok(isNew || candidates.some((file) => existsSync(join(repository, file))), path);
  }
  for (const [, name = ""] of readme.matchAll(/npm run (?:--silent )?([a-z]+)/g))
    assert.ok(name in scripts, name);
});

describe("the README's second endpoint", { skip }, () => {
  test("works as written, and the tests hold with it", () => {
    const clone = copyRepository();
    for (const { kind, text } of blocks) {
      const [, path = ""] = kind.split(" ");
      if (path === "src/app.ts") addToTable(join(clone, path), text);
      else if (path === "src/docs/openapi.json") addPath(join(clone, path), text);
      else if (path !== "") writeFile(join(clone, path), text);
    }
    const tests = ["dist/test/routes/reverse.test.js", "dist/test/app.test.js"];
    const result = spawnSync(
      "sh",
      ["-e", "-c", `npm run --silent build\nnode --test ${tests.join(" ")}`],
      {
        cwd: clone,
        encoding: "utf8",
        env: Object.fromEntries(
          Object.entries(process.env).filter(([name]) => name !== "NODE_TEST_CONTEXT"),
        ),
        timeout: 120_000,
      },
    );
    rmSync(clone, { recursive: true, force: true });
    assert.equal(result.status, 0, result.stdout + result.stderr);
  });
});

function fencedBlocks(markdown: string): Block[] {
  const found: Block[] = [];
  let section = "";
  let open: { kind: string; lines: string[] } | undefined;
  for (const line of markdown.split("\n")) {
    if (open !== undefined && line === "```") {
      found.push({ kind: open.kind, text: open.lines.join("\n"), section });
      open = undefined;
    } else if (open !== undefined) open.lines.push(line);
    else if (line.startsWith("```")) open = { kind: line.slice(3), lines: [] };
    else if (line.startsWith("#")) section = line.replace(/^#+ /, "");
  }
  return found;
}

/** A fresh copy of what a clone would have, with this one's packages. */
function copyRepository(): string {
  const clone = mkdtempSync(join(tmpdir(), "readme-"));
  const leftOut = new Set(["node_modules", "dist", ".git", ".env"]);
  for (const name of readdirSync(repository)) {
    if (!leftOut.has(name)) cpSync(join(repository, name), join(clone, name), { recursive: true });
  }
  symlinkSync(join(repository, "node_modules"), join(clone, "node_modules"));
  return clone;
}

const port: Promise<number> = new Promise((resolve) => {
  const server = createServer().listen(0, "127.0.0.1", () => {
    const address = server.address();
    server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
  });
});

async function onOwnPort(text: string): Promise<string> {
  return text.replaceAll("127.0.0.1:8000", `127.0.0.1:${await port}`);
}

async function startInBackground(directory: string): Promise<ChildProcess> {
  const child = spawn("npm", ["start"], {
    cwd: directory,
    env: { ...process.env, PORT: String(await port) },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => (output += String(chunk)));
  child.stderr.on("data", (chunk: Buffer) => (output += String(chunk)));
  await until(
    () => output.includes('"listening"') && output.includes("curl -H"),
    "npm start to listen",
    60_000,
  );
  return child;
}

/** Ends npm and what it started, as Ctrl-C does: a signal to the whole group. */
async function stop(child: ChildProcess | undefined): Promise<void> {
  if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise((resolve) => child.once("exit", resolve));
  process.kill(-child.pid, "SIGINT");
  await exit;
}

/** The lines after "# " are what a command prints, in this order, up to the random parts. */
function assertShown(output: string, block: string): void {
  const normal = (text: string): string => text.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, "<uuid>");
  const lines = normal(output).split("\n");
  let at = 0;
  for (const line of block.split("\n").filter((one) => one.startsWith("# "))) {
    // Without a line end curl's answer and what follows stand on one line.
    const found = lines.findIndex(
      (one, index) => index >= at && one.includes(normal(line.slice(2))),
    );
    assert.ok(found !== -1, `${line} in:\n${output.slice(0, 2000)}`);
    at = found;
  }
}

function addToTable(path: string, text: string): void {
  const [importLine = "", tableLine = ""] = text.split("\n");
  const before = readFileSync(path, "utf8");
  const withImport = before.replace(/(\nimport [^\n]*\n)\n/, `$1${importLine}\n\n`);
  writeFileSync(path, withImport.replace("\n    health,\n", `\n    health,\n${tableLine}\n`));
}

function addPath(path: string, text: string): void {
  const document = JSON.parse(readFileSync(path, "utf8")) as { paths: object };
  Object.assign(document.paths, JSON.parse(text));
  writeFileSync(path, JSON.stringify(document, undefined, 2));
}

function writeFile(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${text}\n`);
}
