import { readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";

/**
 * What tests that belong to a file are called, beside those that have its name. They are in its
 * folder, unless another one is named.
 */
const BELONGING: Readonly<Record<string, string>> = {
  "http/connection": "pipelining sweep reset unread draining timeouts",
  "http/node-internals": "pipelining reset unread connection",
  "http/exchange": "handlers broken-body context characters gone",
  "http/flow": "handlers context body optional-body gone silent-log server streams send",
  "http/head": "texts framing target characters",
  "http/send": "streams framing reset handlers context draining early-response",
  "http/stream": "streams",
  "http/table": "router",
  "http/budget": "body-memory body-reading",
  "http/connections": "connection draining sweep timeouts",
  "http/server": "timeouts parse-error pipelining framing connect",
  "http/router": "target",
  "http/reply": "framing handlers streams context",
  "http/parse-error": "texts",
  "http/body": "texts body-memory optional-body",
  "config/certificates": "tls",
  "config/env-file": "settings-env-file dotenv",
  "config/host": "settings",
  "config/key-options": "keys-file",
  "config/key-sources": "settings-reload",
  "config/keys-file": "key-options",
  "config/reader": "settings",
  "config/result": "keys-file",
  "config/numbers": "settings",
  "config/settings": "tls host",
  "docs/base": "openapi",
  "docs/components": "openapi",
  "docs/document": "openapi page",
  "docs/form": "page",
  "docs/html": "page form schema",
  "docs/sample": "form",
  "docs/schema": "page",
  "models/array": "kinds pydantic",
  "models/base": "kinds pydantic",
  "models/choice": "kinds pydantic",
  "models/formats": "kinds pydantic",
  "models/number": "kinds pydantic",
  "models/object": "model kinds pydantic",
  "models/problems": "model",
  "models/string": "kinds pydantic",
  app: "docs/openapi",
  "auth/security": "recheck limited docs/openapi",
  main: "process/old-node process/signals",
  "process/commands": "output start",
  "process/listen": "listen-error unix-socket handed-over",
  "process/lifecycle": "commands messages old-node",
  "process/cluster": "messages metrics",
  "process/worker": "messages",
  "routes/health": "docs/openapi",
  "routes/process": "docs/openapi",
};

/** Tests that take minutes, or programs that the rest does not need. */
const LEFT_OUT =
  /\/(?:documents|examples|scripts|fuzz|bench|soak|conventions)\/|architecture|abuse/;

/** The tests for one source file, those that are most likely to fail first. */
export interface TestOrder {
  /** They belong to the file. */
  readonly own: readonly string[];
  /** Others of its folder. */
  readonly folder: readonly string[];
  readonly others: readonly string[];
}

/** Orders the tests of the checkout at `root` for `file`, a path such as `src/http/head.ts`. */
export function testsFor(root: string, file: string): TestOrder {
  const tests = readdirSync(join(root, "test"), { recursive: true, encoding: "utf8" })
    .map((path) => `test/${path}`)
    .filter((path) => path.endsWith(".test.ts") && !LEFT_OUT.test(path))
    .sort();
  const name = file.replace(/^src\//, "").replace(/\.ts$/, "");
  const folder = `test/${dirname(name)}/`.replace("/./", "/");
  const names = [basename(name), ...(BELONGING[name]?.split(" ") ?? [])];
  const isOwn = (path: string): boolean =>
    names.some((one) => isNamed(path, one.includes("/") ? `test/${one}` : folder + one));
  const own = tests.filter(isOwn).sort((a, b) => rank(a, names) - rank(b, names));
  const inFolder = tests.filter((path) => path.startsWith(folder) && !own.includes(path));
  const others = tests.filter((path) => !own.includes(path) && !inFolder.includes(path));
  return { own, folder: inFolder, others };
}

/** `head-line.test.ts` is one of the tests of `head`. */
function isNamed(test: string, name: string): boolean {
  return test === `${name}.test.ts` || test.startsWith(`${name}-`);
}

/** The tests that have the file's name come first. */
function rank(path: string, names: readonly string[]): number {
  return names.findIndex((name) => isNamed(basename(path), basename(name)));
}
