import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { hash } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";

import { exchange } from "../support/client.ts";
import { kill, workersOf } from "../support/processes.ts";
import { type Program, spawnProgram } from "../support/program.ts";
import { get, post } from "../support/requests.ts";
import { tempDirectory } from "../support/temp.ts";

const KEY = "svk_reload-0123456789-abcdefghijklmnopqrstuvwxyz";
const NEW_KEY = "svk_new-0123456789-abcdefghijklmnopqrstuvwxyz";

for (const WORKERS of ["1", "2"]) {
  describe(`SIGHUP with WORKERS=${WORKERS}`, () => {
    const withoutKeys: Readonly<Record<string, string>> = {
      "an empty keys file": "",
      "a keys file of comments": `# ${lineOf(KEY)}`,
      "expired keys": lineOf(KEY, new Date(0)),
    };
    for (const [what, text] of Object.entries(withoutKeys)) {
      test(`takes ${what}: everything is denied, and the log says so`, async (t) => {
        const service = await startWithKeys(t, lineOf(KEY), WORKERS);
        assert.equal(await statusWith(service, KEY), 200);
        await reload(service, text, "keys_reloaded");
        assert.equal(await statusWith(service, KEY), 401);
        assert.equal((await exchange(service.port, get("/health"))).responses[0]?.status, 200);
        await service.until(() => /no usable key/.test(messages(service)), "the warning");
        await reload(service, lineOf(NEW_KEY), "keys_reloaded", 2);
        assert.equal(await statusWith(service, NEW_KEY), 200);
        assert.equal(await service.stop(), 0);
      });
    }

    test("keeps the keys with any other problem, and names it", async (t) => {
      const service = await startWithKeys(t, lineOf(KEY), WORKERS);
      const cases: readonly (() => void)[] = [
        () => writeKeys(service, "junk\n"),
        () => writeKeys(service, `${lineOf(NEW_KEY)}junk\n`),
        () => rmSync(join(service.directory, "keys")),
        () => execFileSync("mkfifo", [join(service.directory, "keys")]),
      ];
      for (const [index, change] of cases.entries()) {
        change();
        service.child.kill("SIGHUP");
        await service.until(
          () => service.events("keys_reload_failed").length === index + 1,
          "the failure",
        );
        assert.equal(await statusWith(service, KEY), 200);
        const [problem] = service.events("keys_reload_failed").at(-1)?.["problems"] as string[];
        assert.match(String(problem), /^SERVICE_API_KEYS_FILE /);
      }
      assert.equal(service.events("keys_reloaded").length, 0);
      assert.equal(await service.stop(), 0);
    });

    test("reports a key that expires later, once, and one that will soon, each day", async (t) => {
      const end = new Date(Date.now() + 3_600_000);
      const service = await startWithKeys(t, lineOf(KEY, end) + lineOf(NEW_KEY), WORKERS);
      const processes = [service.pid, ...(WORKERS === "1" ? [] : await workersOf(service, 2))];
      assert.equal(await statusWith(service, KEY), 200);
      const warnings = (): number => messages(service).split("key ci expired at").length - 1;
      assert.equal(warnings(), 0);
      for (let day = 1; day <= 2; day += 1) {
        // Makes a day pass.
        for (const pid of processes) kill(pid, "SIGUSR2");
        await service.until(() => warnings() === day, "the daily warning");
      }
      assert.equal(await statusWith(service, KEY), 401);
      assert.equal(await statusWith(service, NEW_KEY), 200);
      const events = service.events("key_expired");
      assert.deepEqual(
        events.map(({ level, key, keys_left }) => [level, key, keys_left]),
        [["warn", "ci", 1]],
      );
      assert.equal(await service.stop(), 0);
    });
  });
}

test("SIGTERM while workers have yet to take new keys: the service ends", async (t) => {
  const service = await startWithKeys(t, lineOf(KEY), "2");
  const workers = await workersOf(service, 2);
  for (const pid of workers) kill(pid, "SIGSTOP");
  writeKeys(service, lineOf(NEW_KEY));
  service.child.kill("SIGHUP");
  service.child.kill("SIGTERM");
  await service.until(() => service.events("draining").length === 1, "the primary to drain");
  for (const pid of workers) kill(pid, "SIGCONT");
  assert.equal(await service.exit(), 0);
});

/** Code with which SIGUSR2 sets the clock of a process forward by a day. */
const CLOCK = `
  const realNow = Date.now;
  let offset = 0;
  Date.now = () => realNow() + offset;
  process.on("SIGUSR2", () => (offset += 86_400_000));`;

/** A line of the keys file. */
function lineOf(key: string, expires?: Date): string {
  const date = expires === undefined ? "" : ` expires=${expires.toISOString().slice(0, 19)}Z`;
  return `ci sha256:${hash("sha256", key)}${date}\n`;
}

/** A service that has its keys from a file, and none from elsewhere. */
async function startWithKeys(t: TestContext, text: string, WORKERS: string): Promise<Program> {
  const directory = tempDirectory(t, { keys: text });
  const variables = {
    SERVICE_API_KEYS_FILE: "keys",
    PORT: "0",
    PROCESS_DELAY_MS: "0",
    WORKERS,
    NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(CLOCK)}`,
  };
  const service = spawnProgram(t, variables, { directory });
  await service.until(() => service.port !== 0, "the service to listen");
  return service;
}

function writeKeys({ directory }: Program, text: string): void {
  writeFileSync(join(directory, "keys"), text, { mode: 0o600 });
}

/** Changes the keys file, sends SIGHUP, and waits for the `count`th event that says how it went. */
async function reload(service: Program, text: string, event: string, count = 1): Promise<void> {
  writeKeys(service, text);
  service.child.kill("SIGHUP");
  await service.until(() => service.events(event).length === count, event);
}

async function statusWith({ port }: Program, key: string): Promise<number | undefined> {
  const { responses } = await exchange(port, post('{"status":"SUCCESS"}', [], { key }));
  return responses[0]?.status;
}

function messages(service: Program): string {
  return service
    .events("warning")
    .map(({ message }) => String(message))
    .join("\n");
}
