import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";

import { keyState } from "../src/auth/keys.ts";
import { parseKeysFile } from "../src/config/keys-file.ts";
import { statusOf } from "./support/client.ts";
import {
  type ProgramOptions,
  spawnProgram,
  startProgram,
  type Variables,
} from "./support/program.ts";
import { get, KEY, post } from "./support/requests.ts";
import { tempDirectory } from "./support/temp.ts";
import { verifyKey } from "./support/verify-key.ts";

const DAY_MS = 86_400_000;

interface Result {
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the program to its end. */
async function run(
  t: TestContext,
  args: readonly string[],
  variables: Variables = {},
  options: ProgramOptions = {},
): Promise<Result> {
  const program = spawnProgram(t, variables, { ...options, args });
  const code = await program.exit();
  return { code, stdout: program.stdout(), stderr: program.stderr() };
}

function sha256(key: string): string {
  return `sha256:${hash("sha256", key)}`;
}

function hashStart(key: string): string {
  return hash("sha256", key).slice(0, 8);
}

function inDays(days: number): string {
  return `${new Date(Date.now() + days * DAY_MS).toISOString().slice(0, 19)}Z`;
}

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
    test(`ends with 64 and one usage line for ${JSON.stringify(args)}`, async (t) => {
      const { code, stdout, stderr } = await run(t, args, { PORT: "bad" });
      assert.deepEqual([code, stdout], [64, ""]);
      assert.match(stderr, /^usage: [^\n]+\n$/);
    });
  }

  test("of no command makes a .env", async (t) => {
    const directory = tempDirectory(t);
    for (const args of [[], ["keys"], ["keygen"], ["keygen", "ci"], ["--hints"], ["nonsense"]]) {
      await run(t, args, { PORT: "0" }, { directory });
    }
    assert.equal(existsSync(join(directory, ".env")), false);
  });
});

describe("keygen", { concurrency: 4 }, () => {
  for (const args of [["CI"], ["ci", "--days", "0"], ["--help"]]) {
    test(`ends with 64, one usage line and no key for ${JSON.stringify(args)}`, async (t) => {
      const { code, stdout, stderr } = await run(t, ["keygen", ...args]);
      assert.deepEqual([code, stdout], [64, ""]);
      assert.match(stderr, /^usage: node [^\n]*main\.[jt]s keygen [^\n]+\n$/);
    });
  }

  test("prints a line for .env that the program accepts, and needs no settings", async (t) => {
    const { code, stdout, stderr } = await run(t, ["keygen"], { PORT: "bad", SERVICE_API_KEY: "" });
    assert.deepEqual([code, stderr], [0, ""]);
    const [, key = ""] = /^SERVICE_API_KEY=(svk_[\w-]{43})\n$/.exec(stdout) ?? [];
    const directory = tempDirectory(t, { ".env": stdout });
    const { stdout: table } = await run(t, ["keys"], {}, { directory });
    const row = new RegExp(`^default +${hashStart(key)} +active +never expires$`, "m");
    assert.match(table, row);
  });

  test("NAME --days N prints the key on stderr, and its line on stdout", async (t) => {
    const { code, stdout, stderr } = await run(t, ["keygen", "ci", "--days", "30"]);
    assert.equal(code, 0);
    const [key = "", ...others] = stderr.match(/svk_[\w-]{43}/g) ?? [];
    assert.deepEqual(others, []);
    const { keys, problems } = parseKeysFile(Buffer.from(stdout));
    assert.deepEqual([problems, verifyKey(keys, key, Date.now())], [[], { name: "ci" }]);
    assert.ok(keys[0] && keyState(keys[0], Date.now() + 31 * DAY_MS) === "expired");
  });
});

describe("keys", { concurrency: 4 }, () => {
  test("lists name, start of the hash, state and days left of each key", async (t) => {
    const lines = [
      `ci ${sha256("1")} expires=${inDays(10.5)}`,
      `old ${sha256("2")} expires=2020-01-01T00:00:00Z`,
      `new ${sha256("3")} not_before=${inDays(5)}`,
    ];
    const directory = tempDirectory(t, { keys: lines.join("\n") });
    const variables = { SERVICE_API_KEY: KEY, SERVICE_API_KEYS_FILE: "keys" };
    const { code, stdout, stderr } = await run(t, ["keys"], variables, { directory });
    assert.deepEqual([code, stderr], [0, ""]);
    const rows = stdout.trimEnd().split("\n");
    assert.deepEqual(
      rows.map((row) => row.split(/ {2,}/).slice(0, 4)),
      [
        ["NAME", "HASH", "STATE", "DAYS LEFT"],
        ["default", hashStart(KEY), "active", "never expires"],
        ["ci", hashStart("1"), "active", "11"],
        ["old", hashStart("2"), "expired", "0"],
        ["new", hashStart("3"), "not yet valid", "never expires"],
      ],
    );
    const longer = ["1", "2", "3", KEY].map((key) => hash("sha256", key).slice(0, 10));
    for (const secret of [KEY, ...longer]) assert.ok(!stdout.includes(secret));
  });

  const wrong: readonly (readonly [name: string, text: string, message: RegExp])[] = [
    ["a bad hash", "ci sha256:MaRkEr\n", /line 1 of the file: /],
    ["an unknown option", `\nci ${sha256("1")} MaRkEr=1\n`, /line 2 of the file: unknown option/],
    [
      "a hash given twice",
      `a ${sha256("1")}\nb ${sha256("1")}\n`,
      /line 2 of the file: a key given twice/,
    ],
    [
      "a date that is not in UTC",
      `a ${sha256("1")} expires=2027-01-31T00:00:00+01:00\n`,
      /line 1 of the file: bad date/,
    ],
    ["no key", "# MaRkEr\n", /no usable key/],
    ["expired keys only", `a ${sha256("1")} expires=2020-01-01T00:00:00Z\n`, /no usable key/],
  ];
  for (const [name, text, message] of wrong) {
    test(`ends with 78 for a file with ${name}, and says where`, async (t) => {
      const directory = tempDirectory(t, { keys: text });
      const variables = { SERVICE_API_KEYS_FILE: "keys" };
      const { code, stdout, stderr } = await run(t, ["keys"], variables, { directory });
      assert.deepEqual([code, stdout], [78, ""]);
      assert.match(stderr, message);
      assert.ok(!stderr.includes("MaRkEr") && !stderr.includes(hash("sha256", "1")));
    });
  }
});

describe("the program", { concurrency: 4 }, () => {
  test("logs the real address when it listens, and writes nothing on stderr", async (t) => {
    const program = await startProgram(t);
    const { host, port, workers, pid } = program.events("listening")[0] ?? {};
    assert.deepEqual([host, workers, pid], ["127.0.0.1", 1, program.pid]);
    assert.equal(await statusOf(Number(port), get("/health")), 200);
    assert.equal(await program.stop(), 0);
    assert.equal(program.stderr(), "");
  });

  for (const WORKERS of ["1", "2"]) {
    test(`prints address, docs page and a curl line with WORKERS=${WORKERS}`, async (t) => {
      const directory = tempDirectory(t, { ".env": `SERVICE_API_KEY=${KEY}\n` });
      const variables = { SERVICE_API_KEY: undefined, WORKERS };
      const program = await startProgram(t, variables, { args: ["--hints"], directory });
      await program.until(() => program.stderr().includes("curl"), "the hint");
      const hint = program.stderr();
      const origin = `http://127.0.0.1:${program.port}`;
      assert.ok(hint.includes(`${origin}, `) || hint.includes(`${origin} `), hint);
      assert.ok(hint.includes(`${origin}/docs`), hint);
      assert.match(
        hint,
        /\.env \| curl -H @- [^\n]*'\{"status":"SUCCESS"\}' http:[^\n]*\/process\n/,
      );
      assert.ok(!hint.includes(KEY));
    });
  }

  for (const HOST of ["::", "0.0.0.0"]) {
    test(`serves on IPv4 with HOST=${HOST}, and prints an address to call`, async (t) => {
      const variables = { HOST, SERVICE_ALLOW_WEAK_KEY: "1" };
      const program = await startProgram(t, variables, { args: ["--hints"] });
      assert.equal(await statusOf(program.port, get("/health")), 200);
      await program.until(() => program.stderr().includes("/docs"), "the hint");
      assert.ok(program.stderr().includes(`http://127.0.0.1:${program.port}/docs`));
    });
  }

  test("takes from .env what the environment does not set", async (t) => {
    const settings = ["PORT=0", "PROCESS_DELAY_MS=0", "DOCS=off", "MAX_BODY_BYTES=30"];
    const text = `SERVICE_API_KEY=${KEY}\n${settings.join("\n")}\n`;
    const directory = tempDirectory(t, { ".env": text });
    const program = spawnProgram(t, {}, { directory });
    await program.until(() => program.port !== 0, "the program to listen");
    assert.equal(await statusOf(program.port, post('{"status":"SUCCESS"}')), 200);
    const long = post('{"status":"SUCCESS","a":"aaaaaaaaaa"}');
    assert.equal(await statusOf(program.port, long), 413);
    for (const path of ["/docs", "/openapi.json", "/docs/docs.js"]) {
      assert.equal(await statusOf(program.port, get(path)), 404);
    }
    assert.equal(readFileSync(join(directory, ".env"), "utf8"), text);
  });
});
