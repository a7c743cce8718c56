import assert from "node:assert/strict";
import { appendFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import {
  type Clone,
  cloneRepository,
  needsCompiler,
  type Running,
  start,
  until,
} from "../support/clone.ts";

const KEY = "test-key-1234567890";
const DEV = ["npm", "run", "dev"];
const LISTENING = /"event":"listening".*"port":(\d+).*\n/;

describe("npm run dev", { skip: needsCompiler }, () => {
  let clone: Clone;
  before(() => {
    clone = cloneRepository();
    writeFileSync(join(clone.directory, ".env"), `SERVICE_API_KEY=${KEY}\n`);
  });
  after(() => clone.remove());

  test("compiles an edit that is made right after the start", async (t) => {
    const dev = start(t, clone, DEV);
    await dev.until(/> exec node src\/scripts\/dev\.js/);
    replace(clone, "src/routes/health.ts", 'status: "ok"', 'status: "edited"');
    await untilServed(dev, "/health", '{"status":"edited"}');
  });

  test("serves edits of docs.css and openapi.json", async (t) => {
    const dev = start(t, clone, DEV);
    await dev.until(LISTENING);
    replace(clone, "src/docs/openapi.json", '"title": "API"', '"title": "Edited"');
    await untilServed(dev, "/openapi.json", '"title": "Edited"');
    appendFileSync(join(clone.directory, "src/docs/docs.css"), "/* edited */\n");
    await until(() => read(clone, "dist/src/docs/docs.css").endsWith("/* edited */\n"), dev.output);
  });

  test("restarts when .env changes", async (t) => {
    const dev = start(t, clone, DEV);
    await dev.until(LISTENING);
    const { length } = dev.output();
    appendFileSync(join(clone.directory, ".env"), "DOCS=off\n");
    await dev.until(LISTENING, length);
    await untilServed(dev, "/docs", '{"detail":"Not Found"}');
  });

  test("goes on with the last good build while a source has a mistake", async (t) => {
    const dev = start(t, clone, DEV);
    await dev.until(LISTENING);
    const { length } = dev.output();
    const path = join(clone.directory, "src/routes/mistake.ts");
    writeFileSync(path, 'export const mistake: number = "";\n');
    await dev.until(/mistake\.ts/, length);
    await untilServed(dev, "/health", '"status"');
    rmSync(path);
    await dev.until(LISTENING, length);
  });

  for (const signal of ["SIGINT", "SIGHUP"] as const) {
    test(`${signal} from the terminal ends everything that it started`, async (t) => {
      const dev = start(t, clone, DEV);
      await dev.until(LISTENING);
      dev.signalGroup(signal);
      await dev.exit;
      await until(
        () => dev.members().length === 0,
        () => dev.members().join("\n"),
      );
    });
  }

  test("SIGTERM to npm ends everything that it started", async (t) => {
    const dev = start(t, clone, DEV);
    await dev.until(LISTENING);
    process.kill(dev.pid, "SIGTERM");
    await dev.exit;
    await until(
      () => dev.members().length === 0,
      () => dev.members().join("\n"),
    );
  });
});

/** Resolves when the service that listened last responds with a body that contains `text`. */
async function untilServed(dev: Running, path: string, text: string): Promise<void> {
  let body = "";
  let isPending = false;
  const ask = async (): Promise<void> => {
    const port = dev.output().match(new RegExp(LISTENING, "g"))?.at(-1)?.match(LISTENING)?.[1];
    isPending = true;
    body = await fetch(`http://127.0.0.1:${port}${path}`).then(
      (response) => response.text(),
      () => "",
    );
    isPending = false;
  };
  await until(
    () => {
      if (!isPending) void ask();
      return body.includes(text);
    },
    () => `${text} at ${path}:\n${body}\n${dev.output()}`,
  );
}

function read({ directory }: Clone, name: string): string {
  return readFileSync(join(directory, name), "utf8");
}

function replace(clone: Clone, name: string, from: string, to: string): void {
  const before = read(clone, name);
  assert.ok(before.includes(from), name);
  writeFileSync(join(clone.directory, name), before.replace(from, to));
}
