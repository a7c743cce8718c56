import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { existsSync, mkdtempSync } from "node:fs";
import { rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";

import { keyState, verifyKey } from "../src/auth/keys.ts";
import { parseKeysFile } from "../src/auth/keys-file.ts";
import { exchange } from "./support/client.ts";
import { spawnProgram, startProgram, type Variables } from "./support/program.ts";
import { get, KEY, post } from "./support/requests.ts";
import { suiteScope } from "./support/scope.ts";

const base = mkdtempSync(join(tmpdir(), "main-"));
after(() => rmSync(base, { recursive: true }));

const scope = suiteScope();

const newDirectory = (): string => mkdtempSync(join(base, "d-"));

interface Result {
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the program to its end. */
async function run(
  args: readonly string[],
  variables: Variables = {},
  directory = newDirectory(),
): Promise<Result> {
  const service = spawnProgram(scope, variables, { args, directory });
  const code = await service.exit();
  return { code, stdout: service.stdout(), stderr: service.stderr() };
}

const sha256 = (key: string): string => `sha256:${hash("sha256", key)}`;
const inDays = (days: number): string =>
  `${new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 19)}Z`;

describe("the command line", { concurrency: 4 }, () => {
  const misuses: readonly (readonly string[])[] = [
    ["start"],
    ["--help"],
    [""],
    ["KEYS"],
    ["--hint"],
    ["__proto__"],
    ["keys", "x"],
    ["init"],
    ["--hints", "x"],
    ["--", "keys"],
  ];
  for (const args of misuses) {
    test(`${JSON.stringify(args)} is misuse: 64 and one usage line, whatever the settings`, async () => {
      const { code, stdout, stderr } = await run(args, { PORT: "bad" });
      assert.deepEqual([code, stdout], [64, ""]);
      assert.match(stderr, /^usage: [^\n]+\n$/);
    });
  }

  for (const args of [["CI"], ["ci", "--days", "0"], ["--help"]]) {
    test(`keygen ${JSON.stringify(args)} is misuse: 64, one usage line and no key`, async () => {
      const { code, stdout, stderr } = await run(["keygen", ...args]);
      assert.deepEqual([code, stdout], [64, ""]);
      assert.match(stderr, /^usage: node [^\n]*main\.[jt]s keygen [^\n]+\n$/);
    });
  }

  test("keygen prints a line for .env that the program starts with, and needs no settings", async () => {
    const { code, stdout, stderr } = await run(["keygen"], { PORT: "bad", SERVICE_API_KEY: "" });
    assert.deepEqual([code, stderr], [0, ""]);
    const [, key = ""] = /^SERVICE_API_KEY=(svk_[\w-]{43})\n$/.exec(stdout) ?? [];
    const directory = newDirectory();
    writeFileSync(join(directory, ".env"), stdout, { mode: 0o600 });
    assert.match(
      (await run(["keys"], {}, directory)).stdout,
      new RegExp(`^default +${hash("sha256", key).slice(0, 8)} +active +never expires$`, "m"),
    );
  });

  test("keygen NAME --days N prints the key once, on stderr, and its line for the keys file on stdout", async () => {
    const { code, stdout, stderr } = await run(["keygen", "ci", "--days", "30"]);
    assert.equal(code, 0);
    const [key = "", ...more] = stderr.match(/svk_[\w-]{43}/g) ?? [];
    assert.equal(more.length, 0);
    const { keys, problems } = parseKeysFile(Buffer.from(stdout));
    assert.deepEqual([problems, verifyKey(keys, key, Date.now())], [[], { name: "ci" }]);
    assert.ok(keys[0] && keyState(keys[0], Date.now() + 31 * 86_400_000) === "expired");
  });

  test("keys lists name, start of the hash, state and days left of every key, and nothing else of it", async () => {
    const directory = newDirectory();
    const text = [
      `ci ${sha256("1")} expires=${inDays(10.5)}`,
      `old ${sha256("2")} expires=2020-01-01T00:00:00Z`,
      `new ${sha256("3")} not_before=${inDays(5)}`,
    ].join("\n");
    writeFileSync(join(directory, "keys"), text, { mode: 0o600 });
    const { code, stdout, stderr } = await run(
      ["keys"],
      { SERVICE_API_KEY: KEY, SERVICE_API_KEYS_FILE: "keys" },
      directory,
    );
    assert.deepEqual([code, stderr], [0, ""]);
    assert.deepEqual(
      stdout
        .trimEnd()
        .split("\n")
        .map((row) => row.split(/ {2,}/).slice(0, 4)),
      [
        ["NAME", "HASH", "STATE", "DAYS LEFT"],
        ["default", hash("sha256", KEY).slice(0, 8), "active", "never expires"],
        ["ci", hash("sha256", "1").slice(0, 8), "active", "11"],
        ["old", hash("sha256", "2").slice(0, 8), "expired", "0"],
        ["new", hash("sha256", "3").slice(0, 8), "not yet valid", "never expires"],
      ],
    );
    for (const secret of [
      KEY,
      ...["1", "2", "3", KEY].map((key) => hash("sha256", key).slice(0, 10)),
    ])
      assert.ok(!stdout.includes(secret));
  });

  const faulty: readonly (readonly [string, string, RegExp])[] = [
    ["a bad hash", "ci sha256:MaRkEr\n", /line 1 of the file: /],
    ["an unknown option", `\nci ${sha256("1")} MaRkEr=1\n`, /line 2 of the file: unknown option/],
    [
      "a hash given twice",
      `a ${sha256("1")}\nb ${sha256("1")}\n`,
      /line 2 of the file: a key given twice/,
    ],
    [
      "a date that isn't in UTC",
      `a ${sha256("1")} expires=2027-01-31T00:00:00+01:00\n`,
      /line 1 of the file: bad date/,
    ],
    ["no key", "# MaRkEr\n", /no usable key/],
    ["expired keys only", `a ${sha256("1")} expires=2020-01-01T00:00:00Z\n`, /no usable key/],
  ];
  for (const [what, text, message] of faulty) {
    test(`keys with a file that has ${what} ends with 78, says where and shows nothing`, async () => {
      const directory = newDirectory();
      writeFileSync(join(directory, "keys"), text);
      const { code, stdout, stderr } = await run(
        ["keys"],
        { SERVICE_API_KEYS_FILE: "keys" },
        directory,
      );
      assert.deepEqual([code, stdout], [78, ""]);
      assert.match(stderr, message);
      assert.ok(!stderr.includes("MaRkEr") && !stderr.includes(hash("sha256", "1")));
    });
  }

  test("no command makes a .env", async () => {
    const directory = newDirectory();
    for (const args of [[], ["keys"], ["keygen"], ["keygen", "ci"], ["--hints"], ["nonsense"]])
      await run(args, { PORT: "0" }, directory);
    assert.equal(existsSync(join(directory, ".env")), false);
  });
});

describe("starting", { concurrency: 4 }, () => {
  test("the log says the real address, and nothing is on stderr", async (t) => {
    const service = await startProgram(t);
    const [listening] = service.events("listening");
    assert.deepEqual(
      [listening?.["host"], listening?.["workers"], listening?.["pid"]],
      ["127.0.0.1", 1, service.pid],
    );
    assert.equal(
      (await exchange(Number(listening?.["port"]), get("/health"))).responses[0]?.status,
      200,
    );
    assert.equal(await service.stop(), 0);
    assert.equal(service.stderr(), "");
  });

  test("--hints prints the address, the docs page and a curl line that reads the key from .env", async (t) => {
    for (const workers of ["1", "2"]) {
      const directory = newDirectory();
      writeFileSync(join(directory, ".env"), `SERVICE_API_KEY=${KEY}\n`, { mode: 0o600 });
      const service = spawnProgram(
        t,
        { PORT: "0", WORKERS: workers },
        { args: ["--hints"], directory },
      );
      const isDone = (): boolean => service.stderr().includes("curl") && service.port !== 0;
      await service.until(isDone, "the hints");
      const hints = service.stderr();
      assert.ok(
        hints.includes(`http://127.0.0.1:${service.port}`) &&
          hints.includes(`http://127.0.0.1:${service.port}/docs`),
      );
      assert.match(
        hints,
        /\.env \| curl -H @- [^\n]*'\{"status":"SUCCESS"\}' http:\/\/127\.0\.0\.1:\d+\/process\n/,
      );
      assert.ok(!hints.includes(KEY));
      await service.stop();
    }
  });

  test("a port that is taken ends it with one line, which names host and port, and never with a stack", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => taken.once("listening", resolve));
    const { port } = taken.address() as { port: number };
    for (const workers of ["1", "2"]) {
      const { code, stderr } = await run([], {
        SERVICE_API_KEY: KEY,
        PORT: String(port),
        WORKERS: workers,
      });
      assert.equal(code, 1);
      assert.match(
        stderr,
        new RegExp(`^[^\\n]*127\\.0\\.0\\.1:${port}[^\\n]*EADDRINUSE[^\\n]*\\n$`),
      );
    }
    taken.close();
  });

  test("a HOST that is none of this machine's ends it with one line", async () => {
    for (const host of ["203.0.113.1", "name.invalid", "999.1.1.1"]) {
      const { code, stderr } = await run([], {
        SERVICE_API_KEY: KEY,
        SERVICE_ALLOW_WEAK_KEY: "1",
        PORT: "0",
        HOST: host,
      });
      assert.equal(code, 1);
      assert.match(stderr, new RegExp(`^can't listen on ${host}:0 \\([A-Z_]+\\)[^\\n]*\\n$`));
    }
  });

  test("HOST=:: responses on IPv4, too, and HOST=0.0.0.0 everywhere", async (t) => {
    for (const host of ["::", "0.0.0.0"]) {
      const service = await startProgram(
        t,
        { HOST: host, SERVICE_ALLOW_WEAK_KEY: "1" },
        { args: ["--hints"] },
      );
      assert.equal((await exchange(service.port, get("/health"))).responses[0]?.status, 200);
      await service.until(() => service.stderr().includes("/docs"), "the hints");
      assert.ok(service.stderr().includes(`http://127.0.0.1:${service.port}/docs`));
      await service.stop();
    }
  });

  test("what isn't set in the environment comes from .env in the working directory", async (t) => {
    const directory = newDirectory();
    writeFileSync(
      join(directory, ".env"),
      `SERVICE_API_KEY=${KEY}\nPORT=0\nPROCESS_DELAY_MS=0\nDOCS=off\nMAX_BODY_BYTES=30\n`,
      { mode: 0o600 },
    );
    const service = spawnProgram(t, {}, { directory });
    await service.until(() => service.port !== 0, "the service");
    assert.equal(
      (await exchange(service.port, post('{"status":"SUCCESS"}'))).responses[0]?.status,
      200,
    );
    assert.equal(
      (await exchange(service.port, post('{"status":"SUCCESS","a":"aaaaaaaaaa"}'))).responses[0]
        ?.status,
      413,
    );
    for (const path of ["/docs", "/openapi.json", "/docs/docs.js"]) {
      assert.equal((await exchange(service.port, get(path))).responses[0]?.status, 404);
    }
    await service.stop();
  });
});
