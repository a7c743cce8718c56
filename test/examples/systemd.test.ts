import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";

import { repository } from "../support/checkout.ts";
import { tempDirectory } from "../support/temp.ts";
import { findTool } from "../support/tools.ts";

const NAME = "api@.service";
const unit = readFileSync(join(repository, "src/process/examples", NAME), "utf8");

/** The units that systemd starts with any service. */
const STANDARD_UNITS = [
  "-.slice",
  "basic.target",
  "multi-user.target",
  "network-online.target",
  "shutdown.target",
  "sysinit.target",
  "system-api.slice",
  "system.slice",
];

describe(NAME, () => {
  test("is valid", (t) => {
    assert.deepEqual(verify(t, unit), { exitCode: 0, output: "" });
  });

  test("restarts the service unless its settings are wrong", () => {
    assert.equal(valueOf("Restart"), "always");
    // sysexits.h: EX_USAGE and EX_CONFIG, the exit codes of a program that can't start.
    assert.equal(valueOf("RestartPreventExitStatus"), "64 78");
  });

  test("gives the service more time to stop than it takes, and bounds its memory", () => {
    // The delay of src/process/README.md, and the default timeout.
    assert.ok(Number(valueOf("TimeoutStopSec")) > 3 + 10);
    assert.ok(Number.parseInt(valueOf("MemoryMax"), 10) > 512);
  });

  for (const [what, before, after] of [
    ["an unknown value", "Restart=always", "Restart=sometimes"],
    ["an unknown setting", "DynamicUser=yes", "DynamicUsers=yes"],
    ["a program that does not exist", "/usr/bin/node dist", "/usr/bin/none dist"],
  ] as const) {
    test(`would not be valid with ${what}`, (t) => {
      assert.notEqual(verify(t, unit.replace(before, after)).output, "");
    });
  }
});

/** Has systemd check the unit, in a tree that has what the unit expects of a machine. */
function verify(t: TestContext, text: string): { exitCode: number | null; output: string } {
  const standard = STANDARD_UNITS.map((name) => [
    `usr/lib/systemd/system/${name}`,
    "[Unit]\nDescription=Part of systemd\n",
  ]);
  const tree = tempDirectory(t, {
    ...Object.fromEntries(standard),
    [`etc/systemd/system/${NAME}`]: text,
    "usr/bin/node": "#!/bin/sh\n",
  });
  chmodSync(join(tree, "usr/bin/node"), 0o755);
  const args = ["verify", "--man=no", `--root=${tree}`, "api@8000.service"];
  const { status, stdout, stderr } = spawnSync(findTool("systemd-analyze", "systemd"), args, {
    encoding: "utf8",
  });
  return { exitCode: status, output: stdout + stderr };
}

function valueOf(setting: string): string {
  return new RegExp(`^${setting}=(.*)$`, "m").exec(unit)?.[1] ?? "";
}
