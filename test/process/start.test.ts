import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";

import { describeListenError } from "../../src/process/listen-error.ts";
import { exchange } from "../support/client.ts";
import { PROGRAM, spawnProgram, startProgram } from "../support/program.ts";
import { get, KEY } from "../support/requests.ts";

describe("a working directory that has been deleted", () => {
  for (const command of [[], ["keys"], ["sandbox"]]) {
    test(`ends ${JSON.stringify(command)} with one line and 78`, () => {
      const { status, stdout, stderr } = runInDeletedDirectory(command);
      assert.deepEqual([status, stdout], [78, ""]);
      assert.match(stderr, /^the working directory can't be found \(ENOENT\)[^\n]*\n$/);
    });
  }

  test("is all the same to keygen, which reads no file", () => {
    const { status, stdout } = runInDeletedDirectory(["keygen"]);
    assert.equal(status, 0);
    assert.match(stdout, /^SERVICE_API_KEY=svk_/);
  });
});

function runInDeletedDirectory(args: readonly string[]): {
  status: number | null;
  stdout: string;
  stderr: string;
} {
  const directory = mkdtempSync(join(tmpdir(), "deleted-"));
  const script = 'rmdir "$PWD" && exec "$@"';
  const command = [process.execPath, "--no-warnings", PROGRAM, ...args];
  try {
    return spawnSync("sh", ["-c", script, "sh", ...command], {
      cwd: directory,
      env: { PATH: process.env["PATH"], SERVICE_API_KEY: KEY, PORT: "0" },
      encoding: "utf8",
      timeout: 20_000,
    });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

describe("an address that can't be listened on ends the service with one line, which says", () => {
  const hosts: readonly (readonly [host: string, code: RegExp, remedy: RegExp])[] = [
    ["203.0.113.1", /EADDRNOTAVAIL/, /this machine does not have this address: set HOST/],
    ["name.invalid", /ENOTFOUND|EAI_AGAIN/, /no address is known for it as a name: check/],
  ];
  for (const [host, code, remedy] of hosts) {
    for (const WORKERS of ["1", "2"]) {
      test(`for ${host} what is wrong and the remedy, with WORKERS=${WORKERS}`, async (t) => {
        const service = spawnProgram(t, {
          SERVICE_API_KEY: KEY,
          SERVICE_ALLOW_WEAK_KEY: "1",
          LOG_LEVEL: "error",
          PORT: "0",
          HOST: host,
          WORKERS,
        });
        assert.equal(await service.exit(), 1);
        assert.match(service.stderr(), /^can't listen on [^\n]*\n$/);
        assert.match(service.stderr(), code);
        assert.match(service.stderr(), remedy);
        assert.equal(service.stdout(), "");
      });
    }
  }

  test("for a port in use that another process uses it", async (t) => {
    const taken = createServer();
    t.after(() => taken.close());
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const { port } = taken.address() as AddressInfo;
    const service = spawnProgram(t, { SERVICE_API_KEY: KEY, PORT: String(port) });
    assert.equal(await service.exit(), 1);
    assert.equal(
      service.stderr(),
      `can't listen on 127.0.0.1:${port} (EADDRINUSE): another process uses this port: ` +
        "stop it, or set PORT to a free one\n",
    );
  });

  test("for each other code a remedy of its own", () => {
    const codes = ["EACCES", "EAFNOSUPPORT", "EINVAL", "EAI_AGAIN", "EADDRINUSE", "ENOTFOUND"];
    const lines = codes.map((code) => describeListenError(code, "::1", 80));
    for (const line of lines) assert.match(line, /^can't listen on \[::1\]:80 \(E\w+\): [^\n]+$/);
    assert.equal(new Set(lines.map((line) => line.split(": ")[1])).size, codes.length - 1);
    assert.match(describeListenError("EACCES", "0.0.0.0", 80), /set PORT to one above 1023$/);
    assert.match(describeListenError("ENEW", "0.0.0.0", 80), /\(ENEW\): check HOST and PORT$/);
  });
});

describe("the printed address", () => {
  const hasIPv6 = Object.values(networkInterfaces()).some((addresses) =>
    addresses?.some(({ address }) => address === "::1"),
  );
  const addresses = [
    ["127.0.0.1", "127.0.0.1"],
    ["0.0.0.0", "127.0.0.1"],
    ["::ffff:127.0.0.1", "[::ffff:127.0.0.1]"],
    ...(hasIPv6 ? [["::1", "[::1]"]] : []),
  ] as const;
  for (const [host, printed] of addresses) {
    test(`for HOST=${host} is http://${printed}`, async (t) => {
      const variables = { HOST: host, SERVICE_ALLOW_WEAK_KEY: "1" };
      const service = await startProgram(t, variables, { args: ["--hints"] });
      await service.until(() => service.stderr().includes("/process"), "the hint");
      assert.ok(service.stderr().includes(`http://${printed}:${service.port}/process`));
      if (host === "::1") return;
      assert.equal((await exchange(service.port, get("/health"))).responses[0]?.status, 200);
    });
  }

  test("names the docs page only if it is served", async (t) => {
    for (const DOCS of ["on", "off"]) {
      const service = await startProgram(t, { DOCS }, { args: ["--hints"] });
      await service.until(() => service.stderr().includes("/process"), "the hint");
      assert.equal(service.stderr().includes("/docs"), DOCS === "on");
    }
  });
});
