import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { describe, test } from "node:test";

import { longLines, overLimits } from "./conventions/limits.ts";
import {
  type Lock,
  lockProblems,
  type Manifest,
  manifestProblems,
} from "./conventions/manifest.ts";
import * as rules from "./conventions/rules.ts";
import { scan } from "./conventions/scan.ts";
import { root } from "./support/root.ts";

/**
 * Each file imports only what stands before it. Files in routes/ do not import each other. work/ is
 * for what routes of one's own share: its files may.
 */
const LAYOUT: readonly (readonly [folder: string, names: string])[] = [
  ["models", "problems base formats string number object array choice model paths parameters"],
  [
    "http",
    "node-modules reply route head node-internals parse-error table router budget turns connection",
  ],
  ["http", "exchange json body stream send connections flow server"],
  [".", "keygen-command client-address log-line log-buffer log metrics-text metrics"],
  ["auth", "key-index keys limits security"],
  [
    "config",
    "file dotenv reader numbers host trusted-proxies env-file named-file expiry result key-options",
  ],
  ["config", "plaintext-key keys-file keygen key-sources certificates tls-context tls settings"],
  ["docs", "html document schema sample form page base components openapi"],
  ["work", "**"],
  ["routes", "*"],
  [".", "app"],
  [
    "process",
    "node-version signals exit throttle file-handles log-sink listen-error listen messages",
  ],
  ["process", "metrics metrics-pool"],
  ["process", "sandbox expiry-watch instance hint cluster shutdown worker lifecycle commands"],
  [".", "main"],
];

/**
 * Everything that the program takes from Node, but for routes: it listens, reads files and starts
 * workers.
 */
const NODE_IMPORTS: Readonly<Record<string, object>> = {
  "src/models/": {},
  "src/http/": {
    "node:buffer": ["isUtf8"],
    "node:crypto": ["randomBytes"],
    "node:net": ["Server"],
    "node:stream": ["Readable"],
    "node:timers/promises": ["setImmediate", "setTimeout"],
  },
  "src/client-address.ts": { "node:net": ["BlockList", "isIPv4", "isIPv6"] },
  "src/log-line.ts": {},
  "src/log-buffer.ts": {},
  "src/log.ts": {},
  "src/metrics-text.ts": {},
  "src/metrics.ts": {},
  "src/keygen-command.ts": { "node:url": ["fileURLToPath"] },
  "src/auth/": {
    "node:crypto": ["hash", "randomFillSync", "timingSafeEqual"],
  },
  "src/config/": {
    "node:buffer": ["isUtf8"],
    "node:crypto": ["X509Certificate", "constants", "createPrivateKey", "hash", "randomBytes"],
    "node:fs": ["closeSync", "constants", "fstatSync", "openSync", "readSync", "statSync"],
    "node:net": ["BlockList", "isIPv4", "isIPv6"],
    "node:os": ["availableParallelism"],
    "node:path": ["join", "resolve"],
    "node:util": ["parseArgs"],
  },
  "src/docs/": {},
  "src/app.ts": { "node:fs": ["readFileSync"] },
  "src/process/": {
    "node:cluster": ["default"],
    // For the sandbox: the program's real path. For the log: stdout if it is a file. For the watch
    // on file handles: its own file. For HOST=unix: its socket, and whether one is left over.
    "node:fs": [
      "chmodSync",
      "closeSync",
      "fstatSync",
      "lstatSync",
      "openSync",
      "realpathSync",
      "unlinkSync",
      "writeSync",
    ],
    // Tells a stdout that is a stream from one that is a file.
    "node:net": ["Socket", "connect"],
    "node:path": ["basename", "dirname", "join"],
    "node:timers/promises": ["setTimeout"],
    "node:url": ["fileURLToPath"],
    // The hint offers `node --env-file` only if Node's own parser finds the key in the file.
    "node:util": ["parseEnv"],
  },
  "src/main.ts": {},
};

/** Where endpoints are, and what they share. */
const ENDPOINTS = ["src/routes/", "src/work/"];

/** What they may import from Node: nothing that listens, opens files, or starts processes. */
const NODE_MODULES_FOR_ROUTES = [
  "node:buffer",
  "node:crypto",
  "node:events",
  "node:stream",
  "node:stream/promises",
  "node:string_decoder",
  "node:timers/promises",
  "node:url",
  "node:util",
  "node:zlib",
];

/** What a route may import to call another service, as fetch does. */
const CLIENTS_FOR_ROUTES = [
  "node:http Agent",
  "node:http request",
  "node:https Agent",
  "node:https request",
];

/** The only file that names a module of Node in a call. It has no other statements. */
const BUILTIN_MODULES = {
  path: "src/http/node-modules.ts",
  text: `import type * as https from "node:https";
import type * as tls from "node:tls";
const { getBuiltinModule, versions } = process;
export const { createServer, METHODS, STATUS_CODES, validateHeaderName, validateHeaderValue } =
  getBuiltinModule("node:http");
export const loadHttps = (): typeof https => getBuiltinModule("node:https");
export const loadTls = (): typeof tls => getBuiltinModule("node:tls");
export const ENDS_IN_TWO_WRITES: boolean = Number.parseInt(versions.node) < 24;
`,
};

/** The only places that know their process: its arguments, environment, signals, and end. */
const PROCESS = ["src/main.ts", "src/process/"];

/** Functions made from text, modules named by text, and names written with escapes. */
const DYNAMIC_CODE = rules.anyUse([
  "eval",
  "Function",
  "WebAssembly",
  "global",
  "globalThis",
  "require",
  "createRequire",
  "dlopen",
  "binding",
  "\\",
]);

const sources = readSources("src/", ".ts");
const tests = readSources("test/", ".ts");
// The docs page's script and those of package.json are read like everything else.
const scripts = readSources("src/", ".js");

describe("the source", () => {
  test("imports only from Node and from what stands before it in the layout", () => {
    const order = LAYOUT.flatMap(([folder, names]) =>
      names
        .split(" ")
        .map((name) => posix.join("src", folder, name.startsWith("*") ? name : `${name}.ts`)),
    );
    assert.deepEqual(rules.wrongImports(sources, order), []);
  });

  test("has scripts that import only from Node and each other", () => {
    const order = ["src/docs/*", "src/scripts/watch.js", "src/scripts/compile.js", "src/scripts/*"];
    assert.deepEqual(rules.wrongImports(scripts, order), []);
  });

  for (const [place, expected] of Object.entries(NODE_IMPORTS)) {
    test(`takes exactly the listed things from Node in ${place}`, () => {
      assert.deepEqual(rules.nodeImports(below(sources, place)), expected);
    });
  }

  test("takes from Node for endpoints what can neither listen nor reach files", () => {
    const files = ENDPOINTS.flatMap((place) => [...below(sources, place)]);
    const imports = Object.entries(rules.nodeImports(new Map(files)));
    const others = imports
      .filter(([module]) => !NODE_MODULES_FOR_ROUTES.includes(module))
      .flatMap(([module, names]) => names.map((name) => `${module} ${name}`));
    assert.deepEqual(
      others.filter((use) => !CLIENTS_FOR_ROUTES.includes(use)),
      [],
    );
  });

  test("takes something from Node only where these lists say so", () => {
    const places = [...Object.keys(NODE_IMPORTS), ...ENDPOINTS];
    const others = [...sources.keys()].filter(
      (path) => !places.some((place) => path.startsWith(place)),
    );
    assert.deepEqual(others, []);
  });

  test("touches its process and names signals in main.ts and process/ only", () => {
    const places = [...PROCESS, BUILTIN_MODULES.path];
    assert.deepEqual(rules.uses(sources, rules.globalUse(["process"]), places), []);
    assert.deepEqual(rules.uses(sources, rules.signalUse, PROCESS), []);
  });

  test("listens in process/ only", () => {
    assert.deepEqual(rules.uses(sources, rules.memberUse(["listen"]), PROCESS), []);
  });

  test("makes no code at run time", () => {
    assert.deepEqual(rules.uses(sources, DYNAMIC_CODE), []);
    assert.deepEqual(rules.uses(sources, rules.constructorUse), []);
  });

  test("names a module in a call in one file only", () => {
    const { path, text } = BUILTIN_MODULES;
    const use = rules.anyUse(["getBuiltinModule"]);
    assert.deepEqual(rules.uses(sources, use, [path]), []);
    const file = readFileSync(new URL(path, root), "utf8");
    assert.equal(file.replace(/^\/\*.*?\*\/\n|^\n/gms, ""), text);
  });

  test("opens no connection, but that a route may fetch", () => {
    const others = rules.globalUse(["WebSocket", "EventSource", "XMLHttpRequest"]);
    assert.deepEqual(rules.uses(sources, rules.globalUse(["fetch"]), ENDPOINTS), []);
    assert.deepEqual(rules.uses(sources, others), []);
  });

  test("says in a doc comment what each export promises", () => {
    assert.deepEqual(rules.undocumentedExports(sources), []);
  });

  test("exports no value that no other file uses", () => {
    assert.deepEqual(rules.unusedExports(sources, tests), []);
  });

  test("exports everything by name", () => {
    assert.deepEqual(rules.unnamedExports(sources), []);
  });
});

describe("the source can be read:", () => {
  test("small files and functions, few decisions, few levels", () => {
    const limits = { fileLines: 250, functionLines: 40, decisions: 10, depth: 3 };
    assert.deepEqual(overLimits(new Map([...sources, ...scripts]), limits), []);
  });

  test("lines of at most 100 characters", () => {
    assert.deepEqual(longLines(new Map([...sources, ...scripts]), 100), []);
  });

  test("36 characters and 0.35 decisions per line of code", () => {
    const limits = { charactersPerLine: 36, decisionsPerLine: 0.35 };
    assert.deepEqual(overLimits(new Map([...sources, ...scripts]), limits), []);
  });

  test("at most 2,000 lines of code between the network and a handler", () => {
    const core = new Map([...below(sources, "src/http/"), ...below(sources, "src/auth/")]);
    assert.deepEqual(overLimits(core, { totalLines: 2000 }), []);
  });
});

describe("the tests can be read:", () => {
  test("files of at most 400 lines", () => {
    assert.deepEqual(overLimits(tests, { fileLines: 400 }), []);
  });

  test("lines of at most 100 characters", () => {
    assert.deepEqual(longLines(tests, 100), []);
  });

  test("helpers of small functions with few decisions", () => {
    const helpers = new Map([...tests].filter(([path]) => !path.endsWith(".test.ts")));
    assert.deepEqual(overLimits(helpers, { functionLines: 40, decisions: 10, depth: 3 }), []);
  });

  test("specifiers with the extension under which Node finds a file", () => {
    assert.deepEqual(rules.bareSpecifiers(tests), []);
  });
});

describe("the packages", () => {
  const manifest = JSON.parse(read("package.json")) as Manifest;
  const lock = JSON.parse(read("package-lock.json")) as Lock;

  test("are two, for development, in exact versions, and npm runs nothing on installing", () => {
    assert.deepEqual(manifestProblems(manifest, ["typescript", "@types/node"]), []);
  });

  test("are locked by their hashes, with what they depend on, from no particular place", () => {
    assert.deepEqual(lockProblems(lock, manifest), []);
  });
});

test("no file names a package registry's host or a path of somebody's machine", () => {
  const places = filesBelow("").flatMap((path) => rules.foreignPlaces(path, read(path)));
  assert.deepEqual(places, []);
});

/** The sources in a folder, or the one file at that path. */
function below(all: rules.Sources, place: string): rules.Sources {
  return new Map([...all].filter(([path]) => path.startsWith(place)));
}

/** The files with this ending in a folder of the repository, with paths from its root. */
function readSources(folder: string, ending: string): rules.Sources {
  const paths = filesBelow(folder).filter((path) => path.endsWith(ending));
  return new Map(paths.map((path) => [path, scan(withStaticImport(path, read(path)))]));
}

/**
 * The text of a file, with the one import that main.ts may make later written as a static one: the
 * rules then check it like the others. main.ts looks at Node's version before it imports the
 * commands.
 */
function withStaticImport(path: string, text: string): string {
  if (path !== "src/main.ts") return text;
  return text.replace(/const (\{ \w+ \}) = await import\(("\.[^"]+")\)/, "import $1 from $2");
}

/**
 * The repository's files in a folder, with paths from its root; without those that .gitignore
 * names.
 */
function filesBelow(folder: string): string[] {
  return readdirSync(new URL(folder, root), { withFileTypes: true }).flatMap((entry) => {
    if (isIgnored(entry.name)) return [];
    return entry.isDirectory() ? filesBelow(`${folder}${entry.name}/`) : [folder + entry.name];
  });
}

function isIgnored(name: string): boolean {
  const patterns = read(".gitignore").trim().replaceAll("/", "").split("\n").concat(".git");
  return patterns.some((pattern) =>
    pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : name === pattern,
  );
}

function read(path: string): string {
  return readFileSync(new URL(path, root), "utf8");
}
