import assert from "node:assert/strict";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { type Clone, cloneRepository, needsCompiler, run } from "../support/clone.ts";

describe("npm run openapi", { skip: needsCompiler }, () => {
  let clone: Clone;
  let path = "";
  let committed = "";
  before(() => {
    clone = cloneRepository();
    path = join(clone.directory, "src/docs/openapi.json");
    committed = readFileSync(path, "utf8");
  });
  after(() => clone.remove());

  test("writes what is committed, whatever was there before", () => {
    writeFileSync(path, "{");
    const { status, stdout, stderr } = run(clone, ["npm", "run", "--silent", "openapi"]);
    assert.deepEqual([status, stdout, stderr], [0, "", ""]);
    assert.equal(readFileSync(path, "utf8"), committed);
  });

  test("leaves the document as it is if the table holds a mistake, and names both routes", () => {
    const app = join(clone.directory, "src/app.ts");
    const text = readFileSync(app, "utf8");
    const line = "    healthRoute(options.isDraining),\n";
    writeFileSync(app, text.replace(line, line + line));
    const { status, stderr } = run(clone, ["npm", "run", "--silent", "openapi"]);
    writeFileSync(app, text);
    assert.equal(status, 1);
    assert.match(stderr, /routes\[2\] GET \/health: the same method and path as routes\[1\] /);
    assert.equal(readFileSync(path, "utf8"), committed);
  });

  test("leaves the document as it is if a route has no place in it, and names the route", () => {
    const route = join(clone.directory, "src/routes/health.ts");
    writeFileSync(route, readFileSync(route, "utf8").replace('"HealthModel"', '"Health model"'));
    const { status, stderr } = run(clone, ["npm", "run", "--silent", "openapi"]);
    assert.equal(status, 1);
    assert.match(stderr, /GET \/health: the title "Health model" must be /);
    assert.equal(readFileSync(path, "utf8"), committed);
  });

  test("fails if the sources do not compile", () => {
    appendFileSync(join(clone.directory, "src/routes/health.ts"), "mistake\n");
    assert.notEqual(run(clone, ["npm", "run", "--silent", "openapi"]).status, 0);
    assert.equal(readFileSync(path, "utf8"), committed);
  });
});
