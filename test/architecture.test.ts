import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, test } from "node:test";

import { root } from "./root.ts";
import { type Lock, lockFaults, type Manifest, manifestFaults } from "./support/manifest.ts";
import * as rules from "./support/rules.ts";
import { codeLines, functionsOf, scan } from "./support/scan.ts";

/** Each file imports only from those above it, and from Node. */
const ORDER = [
  "http/reply.ts",
  "http/route.ts",
  "http/router.ts",
  "http/head.ts",
  "http/exchange.ts",
  "http/model.ts",
  "http/json.ts",
  "http/body.ts",
  "http/send.ts",
  "http/connections.ts",
  "http/server.ts",
  "config/dotenv.ts",
  "auth/keys.ts",
  "config/key-sources.ts",
  "log.ts",
  "config/settings.ts",
  "auth/security.ts",
  "auth/keygen.ts",
  "docs/html.ts",
  "docs/document.ts",
  "docs/page.ts",
  "routes/health.ts",
  "routes/process.ts",
  "routes/docs.ts",
  "app.ts",
  "process/sandbox.ts",
  "process/cluster.ts",
  "main.ts",
].map((path) => `src/${path}`);

/** All that the program takes from Node: it listens, reads files, starts workers, and no more. */
const NODE_IMPORTS = {
  "node:buffer": ["isUtf8"],
  "node:cluster": ["default"],
  "node:crypto": ["hash", "randomBytes", "randomUUID", "timingSafeEqual"],
  "node:fs": ["readFileSync", "statSync"],
  "node:http": ["METHODS", "STATUS_CODES", "createServer"],
  "node:net": ["Server"],
  "node:os": ["availableParallelism"],
  "node:path": ["join", "resolve"],
  "node:timers/promises": ["setImmediate", "setTimeout"],
  "node:url": ["fileURLToPath"],
  "node:util": ["parseArgs"],
};

/** The only files that know of their process: its arguments, its environment, its signals, its end. */
const PROCESS = ["src/main.ts", "src/process/cluster.ts"];

// A function made of text, and a module whose name is made of text, in whatever spelling.
const DYNAMIC_CODE = new RegExp(
  [
    /(?<![\w$])(?:eval|Function|WebAssembly|globalThis|require|createRequire|getBuiltinModule|dlopen|binding)(?![\w$])/,
    // Every function's is Function. A class has a method of that name.
    /\.\s*constructor(?![\w$])|(?<![\w$.])constructor(?![\w$]|\s*\()/,
  ]
    .map(({ source }) => source)
    .join("|"),
  "g",
);
const PROCESS_WORD = /(?<![\w$.])process(?![\w$]|\s*:)/g;
const SIGNAL = /SIG[A-Z]+/g;
const LISTEN = /\.\s*listen(?![\w$])/g;
const UNNAMED_EXPORT = /^export\s+(?:default|\*)/gm;
// What opens connections without an import.
const OUTGOING = /(?<![\w$.])(?:fetch|WebSocket|EventSource|XMLHttpRequest)(?![\w$])/g;

const sources = readSources("src/");
const tests = readSources("test/");

describe("the source", () => {
  test("imports only from Node and from files above it in the layout", () => {
    assert.deepEqual(rules.wrongImports(sources, ORDER), []);
  });

  test("takes exactly the stated things from Node", () => {
    assert.deepEqual(rules.nodeImports(sources), NODE_IMPORTS);
  });

  test("touches its process in main.ts and cluster.ts only", () => {
    assert.deepEqual(rules.uses(sources, PROCESS_WORD, PROCESS), []);
    assert.deepEqual(rules.uses(sources, SIGNAL, PROCESS), []);
  });

  test("listens in one place", () => {
    assert.deepEqual(rules.uses(sources, LISTEN, ["src/main.ts"]), []);
  });

  test("makes no code at run time", () => {
    assert.deepEqual(rules.uses(sources, DYNAMIC_CODE), []);
  });

  test("opens no connection of its own", () => {
    assert.deepEqual(rules.uses(sources, OUTGOING), []);
  });

  test("says in a doc comment what each export promises", () => {
    assert.deepEqual(rules.undocumentedExports(sources), []);
  });

  test("exports no value that no other file uses", () => {
    assert.deepEqual(rules.unusedExports(sources, tests), []);
  });

  test("has no default exports, and names whatever it hands on", () => {
    assert.deepEqual(rules.uses(sources, UNNAMED_EXPORT), []);
  });
});

test("sources and tests use double quotes, and the extension under which Node finds a file", () => {
  for (const files of [sources, tests]) {
    assert.deepEqual(rules.singleQuotes(files), []);
    assert.deepEqual(rules.bareSpecifiers(files), []);
  }
});

describe("the packages", () => {
  const manifest = JSON.parse(read("package.json")) as Manifest;
  const lock = JSON.parse(read("package-lock.json")) as Lock;

  test("are two, for development, in exact versions, and npm runs nothing of ours when it installs them", () => {
    assert.deepEqual(manifestFaults(manifest, ["typescript", "@types/node"]), []);
  });

  test("are locked with a hash each, and with them only what they ask for, from nowhere in particular", () => {
    assert.deepEqual(lockFaults(lock, manifest), []);
  });
});

test("no file names a package registry's host or a path of somebody's machine", () => {
  const faults = filesBelow("").flatMap((path) => foreignPlaces(path, read(path)));
  assert.deepEqual(faults, []);
});

describe("the rules can fail:", () => {
  const sample = (text: string, path = "b.ts"): rules.Sources => new Map([[path, scan(text)]]);

  const wrong: readonly [name: string, faults: string[]][] = [
    ["a package", rules.wrongImports(sample('import x from "x";'), ["b.ts"])],
    ["a package's file", rules.wrongImports(sample('import { x } from "x/y.ts";'), ["b.ts"])],
    ["a URL", rules.wrongImports(sample('import x from "data:text/javascript,1";'), ["b.ts"])],
    [
      "an import from below",
      rules.wrongImports(sample('import { c } from "./c.ts";'), ["b.ts", "c.ts"]).slice(1),
    ],
    [
      "an import from below on two lines",
      rules.wrongImports(sample('import {\n  c,\n} from "./c.ts";'), ["b.ts"]),
    ],
    ["a re-export from below", rules.wrongImports(sample('export { c } from "./c.ts";'), ["b.ts"])],
    [
      "an import of itself",
      rules.wrongImports(sample('import type { b } from "./b.ts";'), ["b.ts"]),
    ],
    ["an import from outside", rules.wrongImports(sample('import { b } from "./b.ts";'), ["b.ts"])],
    ["an import for its effects", rules.wrongImports(sample('import "./a.ts";'), ["b.ts"])],
    ["an import at run time", rules.wrongImports(sample('await import("./a.ts");'), ["b.ts"])],
    [
      "an import within an expression",
      rules.wrongImports(sample("const a = f(import(name));"), ["b.ts"]),
    ],
    ["an import by resolving", rules.wrongImports(sample("import.meta.resolve(name);"), ["b.ts"])],
    ["a file that is not in the order", rules.wrongImports(sample(""), [])],
    ["a file that is only in the order", rules.wrongImports(new Map(), ["b.ts"])],
    ["eval", rules.uses(sample("eval(text);"), DYNAMIC_CODE)],
    ["eval by another way", rules.uses(sample("const run = (0, globalThis)[name];"), DYNAMIC_CODE)],
    ["new Function", rules.uses(sample("new Function(text)();"), DYNAMIC_CODE)],
    ["Function in a template", rules.uses(sample("`a${Function(text)}`;"), DYNAMIC_CODE)],
    ["require", rules.uses(sample("require(name);"), DYNAMIC_CODE)],
    [
      "a member named in a string",
      rules.uses(sample('process["getBuiltinModule"](name);'), DYNAMIC_CODE),
    ],
    ["the constructor of a function", rules.uses(sample("f.constructor(text);"), DYNAMIC_CODE)],
    [
      "the constructor named in a string",
      rules.uses(sample('f["constructor"](text);'), DYNAMIC_CODE),
    ],
    ["process", rules.uses(sample("process.exit(1);"), PROCESS_WORD)],
    ["a signal", rules.uses(sample('f("SIGTERM");'), SIGNAL)],
    ["listening", rules.uses(sample("server.listen(0);"), LISTEN)],
    ["a default export", rules.uses(sample("export default 1;"), UNNAMED_EXPORT)],
    ["an export of all there is", rules.uses(sample('export * from "./a.ts";'), UNNAMED_EXPORT)],
    ["fetch", rules.uses(sample("await fetch(url);"), OUTGOING)],
    ["a function of 4 lines", rules.longFunctions(sample("function f() {\n\n\n}"), 3)],
    [
      "a method of 4 lines",
      rules.longFunctions(sample("class A {\n  f(): { a: 1 } | B {\n\n\n  }\n}"), 3),
    ],
    ["an arrow of 4 lines", rules.longFunctions(sample("const f = (a: A): B =>\n\n\n  a;"), 3)],
    ["a file of 3 lines", rules.longFiles(sample("\n\n\n"), 2)],
    ["a line of 5 characters", rules.longLines(sample("\n12345"), 4)],
    ["an export without a comment", rules.undocumentedExports(sample("export const a = 1;"))],
    [
      "an export with another comment",
      rules.undocumentedExports(sample("// a\nexport const a = 1;")),
    ],
    [
      "an export below another's comment",
      rules.undocumentedExports(sample("/** b */\nlet b;\nexport const a = b;")),
    ],
    ["an export that nobody uses", rules.unusedExports(sample("export const a = 1;"))],
    ["single quotes", rules.singleQuotes(sample("const a = 'b';"))],
    ["a specifier without .ts", rules.bareSpecifiers(sample('import { a } from "./a";'))],
    ["a specifier with .js", rules.bareSpecifiers(sample('import { a } from "./a.js";'))],
    ["a registry", foreignPlaces("a", `https://${["registry", "npmjs", "org"].join(".")}/x`)],
    ["a home directory", foreignPlaces("a", `see /${"home"}/me/x`)],
    ["a runtime dependency", manifestFaults({ dependencies: { a: "1.0.0" } }, [])],
    ["a third package", manifestFaults({ devDependencies: { a: "1.0.0" } }, [])],
    ["an inexact version", manifestFaults({ devDependencies: { a: "^1.0.0" } }, ["a"])],
    ["an install script of ours", manifestFaults({ scripts: { postinstall: "true" } }, [])],
  ];
  for (const [name, faults] of wrong) {
    test(`${name} is one fault`, () => assert.equal(faults.length, 1, faults.join("\n")));
  }

  test("what is taken from Node is seen under its own name, and types are not", () => {
    const lines = [
      'import a, { b as c, type D } from "node:x";',
      'import type { E } from "node:y";',
      'import * as f from "node:z";',
    ];
    assert.deepEqual(rules.nodeImports(sample(lines.join("\n"))), {
      "node:x": ["b", "default"],
      "node:z": ["*"],
    });
  });

  test("lines of code over all files are counted", () => {
    assert.equal(
      rules.totalCodeLines(
        new Map([
          ["a.ts", scan("a;\n\n// b\n")],
          ["b.ts", scan("a;\nb;\n")],
        ]),
      ),
      3,
    );
  });

  const a = { version: "1.0.0", dev: true, integrity: `sha512-${"a".repeat(86)}==` };
  const manifest: Manifest = { devDependencies: { a: "1.0.0" } };
  const locked = (packages: Lock["packages"]): string[] =>
    lockFaults({ packages: { "": manifest, ...packages } }, manifest);

  test("a lock file without a fault has none", () =>
    assert.deepEqual(locked({ "node_modules/a": a }), []));

  for (const [name, faults] of [
    ["no hash", locked({ "node_modules/a": { ...a, integrity: "sha1-aaaa" } })],
    ["an address", locked({ "node_modules/a": { ...a, resolved: "x" } })],
    ["an install script", locked({ "node_modules/a": { ...a, hasInstallScript: true } })],
    ["another version", locked({ "node_modules/a": { ...a, version: "1.0.1" } })],
    ["a package for the program", locked({ "node_modules/a": { ...a, dev: false } })],
    ["a package that nobody asks for", locked({ "node_modules/a": a, "node_modules/b": a })],
    ["a package that is missing", locked({})],
    [
      "other packages than package.json",
      lockFaults({ packages: { "": {}, "node_modules/a": a } }, manifest),
    ],
  ] as const) {
    test(`in a lock file ${name} is one fault`, () =>
      assert.equal(faults.length, 1, faults.join("\n")));
  }
});

describe("the scanner", () => {
  test("is not fooled by what stands in comments, strings, templates and regular expressions", () => {
    const { code } = scan('a(/* { */ "{" + `{${b("}")}{` + /[/{]"/.test(c)); // {');
    assert.equal(code, 'a(        " " + ` ${b(" ")} ` + /     /.test(c));     ');
  });

  test("tells a division from a regular expression", () => {
    assert.equal(scan('a / b("x") / c').code, 'a / b(" ") / c');
  });

  for (const [name, text] of [
    ["a string", 'const a = "b;\n'],
    ["a template", "const a = `b;"],
    ["a comment", "/* a"],
    ["a regular expression", "const a = /b;\n"],
    ["a brace", "function f() { if (a) {"],
    ["a bracket of another kind", "f(]"],
    ["a bracket too many", "f())"],
  ] as const) {
    test(`throws where ${name} has no end`, () =>
      assert.throws(() => scan(text), /^Error: line \d+: /));
  }

  test("counts lines of code without blanks and comments", () => {
    const text = "// a\nconst a = `\n\n// b\n`; // c\n/* d\ne */\n\n/** f */ const g = 1;\n";
    assert.equal(codeLines(scan(text)), 4);
  });

  test("finds functions of every kind, with the lines from signature to end", () => {
    const text = [
      "export async function f<T>(a: { b: T }): Promise<{ c: T }> {",
      "  return a.map((b) => {",
      "    return b;",
      "  });",
      "}",
      "class A {",
      "  #g = (): void => {};",
      "  get h(): string {",
      "    if (a) { b(); }",
      "    return `${c}`;",
      "  }",
      "}",
      "function k(): () => string {",
      "  return () =>",
      '    "l";',
      "}",
      "function m(a: 1): void;",
    ];
    const spans = functionsOf(scan(text.join("\n"))).map(({ line, lines }) => [line, lines]);
    assert.deepEqual(spans, [
      [1, 5],
      [2, 3],
      [7, 1],
      [8, 4],
      [13, 4],
      [14, 2],
    ]);
  });

  test("throws where a function has no end that it could find", () => {
    assert.throws(
      () => functionsOf(scan("function f")),
      /^Error: line 1: a function without an end/,
    );
    assert.throws(
      () => functionsOf(scan("[a] => b")),
      /^Error: line 1: an arrow function without a beginning/,
    );
  });
});

/** The TypeScript files in a folder of the repository, with paths from its root. */
function readSources(folder: string): rules.Sources {
  const paths = filesBelow(folder).filter((path) => path.endsWith(".ts"));
  return new Map(paths.map((path) => [path, scan(read(path))]));
}

/** The repository's files in a folder, with paths from its root; without those that .gitignore names. */
function filesBelow(folder: string): string[] {
  const ignored = [
    ...read(".gitignore")
      .split("\n")
      .map((line) => line.replaceAll("/", "")),
    ".git",
  ];
  return readdirSync(new URL(folder, root), { withFileTypes: true }).flatMap((entry) => {
    if (ignored.includes(entry.name)) return [];
    return entry.isDirectory() ? filesBelow(`${folder}${entry.name}/`) : [folder + entry.name];
  });
}

function read(path: string): string {
  return readFileSync(new URL(path, root), "utf8");
}

function foreignPlaces(path: string, text: string): string[] {
  const host = /(?:npmjs|yarnpkg|npmmirror|jsr|jfrog|verdaccio|pkg\.github)\.(?:org|com|io|dev)/gi;
  const directory = /(?<![\w.-])\/(?:home|Users|root|work)\/[\w.-]+/g;
  return [host, directory].flatMap((pattern) =>
    [...text.matchAll(pattern)].map(({ 0: found }) => `${path}: ${found}`),
  );
}
