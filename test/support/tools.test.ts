import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { findTool } from "./tools.ts";

test("a tool is found in the PATH", (t) => {
  const directory = mkdtempSync(join(tmpdir(), "tools-"));
  t.after(() => rmSync(directory, { recursive: true }));
  writeFileSync(join(directory, "some-tool"), "");
  const path = `/nowhere:${directory}`;
  assert.equal(findTool("some-tool", "some-package", path), join(directory, "some-tool"));
});

test("a tool of the system is found without the PATH", () => {
  // Linux and macOS have it there.
  assert.match(findTool("chroot", "coreutils", ""), /sbin\/chroot$/);
});

test("a tool that is missing is an error that names the package to install", () => {
  assert.throws(() => findTool("no-such-tool", "some-package"), {
    message: "no-such-tool is not installed. Install Debian's package some-package.",
  });
});
