import assert from "node:assert/strict";
import { describe, test } from "node:test";

import * as rules from "./rules.ts";
import { scan } from "./scan.ts";

function sample(text: string, path = "b.ts"): rules.Sources {
  return new Map([[path, scan(text)]]);
}

const ORDER = ["a.ts", "b.ts", "c.ts", "d/*", "w/**", "z.ts"];

/** Problems of an import in b.ts; those of files that are not there are left out. */
function importProblems(text: string, path = "b.ts"): string[] {
  return rules
    .wrongImports(sample(text, path), ORDER)
    .filter((problem) => !problem.endsWith("no such file"));
}

describe("one problem each:", () => {
  const wrong: readonly [name: string, problems: string[]][] = [
    ["a package", importProblems('import x from "x";')],
    ["a package without a semicolon", importProblems('import x from "x"\nx();')],
    ["a package's file", importProblems('import { x } from "x/y.ts";')],
    ["a URL", importProblems('import x from "data:text/javascript,1";')],
    ["an import of a later file", importProblems('import { c } from "./c.ts";')],
    ["an import on several lines", importProblems('import {\n  c,\n} from "./c.ts";')],
    ["an import of a type", importProblems('import type { C } from "./c.ts";')],
    ["an export of a later file", importProblems('export { c } from "./c.ts";')],
    ["an export of all of a later file", importProblems('export * from "./c.ts";')],
    ["an import of the same file", importProblems('import type { b } from "./b.ts";')],
    ["an import of an unknown file", importProblems('import { x } from "./x.ts";')],
    ["an import in a folder without order", importProblems('import "./e.ts";', "d/f.ts")],
    ["an import for its effects", importProblems('import "./a.ts";')],
    ["an import at run time", importProblems('await import("./a.ts");')],
    ["an import in an expression", importProblems("const a = f(import(name));")],
    ["a module found at run time", importProblems("import.meta.resolve(name);")],
    ["an import of a later folder", importProblems('import { y } from "./w/x/y.ts";')],
    [
      "an import of what stands behind a tree",
      importProblems('import { z } from "../z.ts";', "w/v.ts"),
    ],
    ["a file that the order lacks", importProblems("", "x.ts")],
    ["a file that only the order has", rules.wrongImports(new Map(), ["a.ts"])],
    ["a folder that only the order has", rules.wrongImports(new Map(), ["d/*"])],
    ["a specifier without .ts", rules.bareSpecifiers(sample('import { a } from "./a";'))],
    ["a specifier with .js", rules.bareSpecifiers(sample('import { a } from "./a.js";'))],
    ["a default export", rules.unnamedExports(sample("export default 1;"))],
    ["an export of everything", rules.unnamedExports(sample('export * from "./a.ts";'))],
    ["an export without a comment", rules.undocumentedExports(sample("export const a = 1;"))],
    ["another comment", rules.undocumentedExports(sample("// a\nexport const a = 1;"))],
    ["a distant comment", rules.undocumentedExports(sample("/** a */\n\nexport class A {}"))],
    ["an export that is not used", rules.unusedExports(sample("export async function* a() {}"))],
    ["a registry", rules.foreignPlaces("a", `https://${["registry", "npmjs", "org"].join(".")}/x`)],
    ["a home directory", rules.foreignPlaces("a", `see /${"home"}/me/x`)],
  ];
  for (const [name, problems] of wrong) {
    test(name, () => assert.equal(problems.length, 1, problems.join("\n")));
  }
});

describe("no problem:", () => {
  const right: readonly [name: string, problems: string[]][] = [
    ["an earlier file", importProblems('import { a } from "./a.ts";')],
    ["a folder before", importProblems('import { b } from "../b.ts";', "d/e.ts")],
    ["a file of the same tree", importProblems('import { y } from "./x/y.ts";', "w/v.ts")],
    ["a file above in the same tree", importProblems('import { v } from "../v.ts";', "w/x/y.ts")],
    ["a tree that is not there", rules.wrongImports(new Map(), ["w/**"])],
    ["a module of Node", importProblems('import { a } from "node:timers/promises";')],
    ["the URL of the file", importProblems("const a = import.meta.url;")],
    ["a string like an import", importProblems('const a = "import x from y";\nf("from", "x");')],
    ["an export with a comment", rules.undocumentedExports(sample("/** a */\nexport type A = 1;"))],
    [
      "overloads with one comment",
      rules.undocumentedExports(
        sample("/** a */\nexport function a(): 1;\nexport function a(): 2;"),
      ),
    ],
    ["an exported type that is not used", rules.unusedExports(sample("export interface A {}"))],
    [
      "an export that is used",
      rules.unusedExports(
        new Map([
          ...sample("export const b = 1;"),
          ...sample('import { b as c } from "./b.ts";', "c.ts"),
        ]),
      ),
    ],
  ];
  for (const [name, problems] of right) {
    test(name, () => assert.deepEqual(problems, []));
  }
});

describe("a use is found:", () => {
  const found: readonly [text: string, isUse: rules.Use, uses: string[]][] = [
    ["eval(a); b.eval;", rules.anyUse(["eval"]), ["eval", "eval"]],
    ['process["getBuiltinModule"](a);', rules.anyUse(["getBuiltinModule"]), ['"getBuiltinModule"']],
    ["`a${Function(text)}`;", rules.anyUse(["Function"]), ["Function"]],
    ["\\u0065val(a);", rules.anyUse(["\\"]), ["\\"]],
    ['"use eval"; // eval', rules.anyUse(["eval"]), []],
    ["process.exit(1);", rules.globalUse(["process"]), ["process"]],
    ["a ? process : b;", rules.globalUse(["process"]), ["process"]],
    ["a.process; b({ process: c, d });", rules.globalUse(["process"]), []],
    ['tags(["process"]); ', rules.globalUse(["process"]), []],
    ["server.listen(0); a?.listen();", rules.memberUse(["listen"]), ["listen", "listen"]],
    ['server["listen"](0);', rules.memberUse(["listen"]), ['"listen"']],
    ["const a = { listen };", rules.memberUse(["listen"]), []],
    ['f("SIGTERM"); os.constants.SIGKILL;', rules.signalUse, ['"SIGTERM"', "SIGKILL"]],
    ["f.constructor(a);", rules.constructorUse, ["constructor"]],
    ['f["constructor"](a);', rules.constructorUse, ['"constructor"']],
    ["const { constructor: F } = f;", rules.constructorUse, ["constructor"]],
    ["class A { constructor() {} }", rules.constructorUse, []],
  ];
  for (const [text, isUse, expected] of found) {
    test(`${expected.length} in ${text}`, () => {
      assert.deepEqual(
        rules.uses(sample(text), isUse),
        expected.map((use) => `b.ts:1: ${use}`),
      );
    });
  }

  test("but not in a file or a folder that is allowed to", () => {
    assert.deepEqual(rules.uses(sample("eval(a);"), rules.anyUse(["eval"]), ["b.ts"]), []);
    assert.deepEqual(rules.uses(sample("eval(a);", "c/d.ts"), rules.anyUse(["eval"]), ["c/"]), []);
  });
});

test("names imported from Node are those of the module, and types are left out", () => {
  const lines = [
    'import a, { b as c, type D } from "node:x";',
    'import type { E } from "node:y";',
    'import * as f from "node:z";',
    'export { g } from "node:z";',
  ];
  assert.deepEqual(rules.nodeImports(sample(lines.join("\n"))), {
    "node:x": ["b", "default"],
    "node:z": ["*", "g"],
  });
});
