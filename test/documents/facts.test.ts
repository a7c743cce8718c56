import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { repository } from "../support/checkout.ts";

interface OpenApi {
  readonly paths: Record<string, Record<string, { readonly responses: object }>>;
}

const readme = read("README.md");

test("README.md has the settings of .env.example, with their defaults", () => {
  const example = [...read(".env.example").matchAll(/^#?([A-Z_]+)=(.*)$/gm)];
  const defaults = new Map(example.map(([, name = "", value = ""]) => [name, value]));
  // These have no default: the example shows a value.
  for (const name of defaults.keys()) if (/_API_KEY|^TLS_/.test(name)) defaults.set(name, "");
  const rows = [...readme.matchAll(/^\| `([A-Z_]+)` +\| (?:`(.*?)`)? *\|/gm)];
  const table = new Map(rows.map(([, name = "", value = ""]) => [name, value]));
  assert.deepEqual(table, defaults);
});

test("src/process/README.md has each setting beside those of uvicorn and nginx", () => {
  const document = read("src/process/README.md");
  const section = /^## Settings in uvicorn and nginx\n([^]*?)^## /m.exec(document)?.[1] ?? "";
  const firsts = [...section.matchAll(/^\| (`.*?`) +\|/gm)].map(([, cell = ""]) => cell);
  const rows = firsts.join().match(/[A-Z_]{4,}/g) ?? [];
  const example = [...read(".env.example").matchAll(/^#?([A-Z_]+)=/gm)];
  assert.deepEqual(rows.sort(), example.map(([, name = ""]) => name).sort());
});

test("README.md has every status of the first two endpoints", () => {
  const { paths } = JSON.parse(read("src/docs/openapi.json")) as OpenApi;
  const items = ["/process", "/health"].map((path) => paths[path] ?? {});
  const operations = items.flatMap((item) => Object.values(item));
  assert.equal(operations.length, 2);
  const statuses = operations.flatMap(({ responses }) => Object.keys(responses));
  const rows = new Set([...readme.matchAll(/^\| (\d{3}) /gm)].map(([, status]) => status));
  assert.deepEqual(missing(statuses, rows), []);
});

test("src/process/README.md has every event of the log, and each member of a line", () => {
  const document = read("src/process/README.md");
  const section = /^## Logs\n([^]*?)^## /m.exec(document)?.[1] ?? "";
  const named = new Set([...section.matchAll(/`(\w+)`/g)].map(([, name]) => name));
  const sources = readdirSync(join(repository, "src"), { recursive: true, encoding: "utf8" });
  const code = sources.filter((path) => path.endsWith(".ts")).map((path) => read(`src/${path}`));
  const events = code.flatMap((text) => [...text.matchAll(/\bevent\("\w+", "(\w+)"/g)]);
  assert.ok(events.length >= 8, `${events.length} events`);
  const members = [...read("src/log-line.ts").matchAll(/[,`]"(\w+)":/g)];
  assert.ok(members.length >= 9, `${members.length} members`);
  const names = [...events, ...members].map(([, name = ""]) => name);
  assert.deepEqual(missing([...names, "time"], named), []);
});

function missing(names: readonly string[], found: ReadonlySet<string | undefined>): string[] {
  return [...new Set(names)].filter((name) => !found.has(name));
}

function read(path: string): string {
  return readFileSync(join(repository, path), "utf8");
}
