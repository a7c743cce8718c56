import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";

import { repository } from "../support/checkout.ts";
import { tempDirectory } from "../support/temp.ts";
import { findTool } from "../support/tools.ts";

const NAME = "api@.service";
const unit = readExample(NAME);

/** The units that systemd starts with any service. */
const STANDARD_UNITS = [
  "-.slice",
  "basic.target",
  "multi-user.target",
  "network-online.target",
  "shutdown.target",
  "sockets.target",
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

describe("api.service and api.socket", () => {
  const service = readExample("api.service");
  const socket = readExample("api.socket");

  test("are valid", (t) => {
    const units = { "api.service": service, "api.socket": socket };
    assert.deepEqual(verifyAll(t, units), { exitCode: 0, output: "" });
  });

  test("hand over one socket, as the first fd after the standard streams", () => {
    assert.match(service, /^Environment=HOST=fd:3$/m);
    assert.equal([...socket.matchAll(/^Listen\w+=/gm)].length, 1);
    assert.match(socket, /^Accept=no$/m);
  });

  test("run the service as the unit for each port does", () => {
    const settingsOf = (text: string): string[] =>
      text.split("\n").filter((line) => /^[A-Z]\w+=/.test(line));
    const differing = ["Description", "After", "Wants", "Requires", "Also"];
    const common = (text: string): string[] =>
      settingsOf(text).filter((line) => {
        const [name = ""] = line.split("=");
        return !differing.includes(name) && !/=(?:PORT|HOST)=/.test(line);
      });
    assert.deepEqual(common(service), common(unit));
  });

  for (const [what, before, after] of [
    ["an unknown setting", "Backlog=", "Backlogs="],
    ["an address that is none", "ListenStream=8000", "ListenStream=800000"],
  ] as const) {
    test(`would not be valid with ${what}`, (t) => {
      const units = { "api.service": service, "api.socket": socket.replace(before, after) };
      assert.notEqual(verifyAll(t, units).output, "");
    });
  }
});

function readExample(name: string): string {
  return readFileSync(join(repository, "src/process/examples", name), "utf8");
}

/** Has systemd check the unit of one port. */
function verify(t: TestContext, text: string): { exitCode: number | null; output: string } {
  return verifyAll(t, { [NAME]: text }, ["api@8000.service"]);
}

/** Has systemd check units, in a tree that has what the unit expects of a machine. */
function verifyAll(
  t: TestContext,
  units: Readonly<Record<string, string>>,
  names = Object.keys(units),
): { exitCode: number | null; output: string } {
  const standard = STANDARD_UNITS.map((name) => [
    `usr/lib/systemd/system/${name}`,
    "[Unit]\nDescription=Part of systemd\n",
  ]);
  const tree = tempDirectory(t, {
    ...Object.fromEntries(standard),
    ...Object.fromEntries(
      Object.entries(units).map(([name, text]) => [`etc/systemd/system/${name}`, text]),
    ),
    "usr/bin/node": "#!/bin/sh\n",
  });
  chmodSync(join(tree, "usr/bin/node"), 0o755);
  const args = ["verify", "--man=no", `--root=${tree}`, ...names];
  const { status, stdout, stderr } = spawnSync(findTool("systemd-analyze", "systemd"), args, {
    encoding: "utf8",
  });
  return { exitCode: status, output: stdout + stderr };
}

function valueOf(setting: string): string {
  return new RegExp(`^${setting}=(.*)$`, "m").exec(unit)?.[1] ?? "";
}
