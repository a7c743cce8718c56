import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { type LogLine, type Program, startProgram, type Variables } from "../support/program.ts";
import { post } from "../support/requests.ts";
import { exchange, request, statusOf } from "../support/client.ts";
import { tempDirectory } from "../support/temp.ts";
import { until } from "../support/wait.ts";

const OLD = "old-key-0123456789-abcdefghijklmnop";
const NEW = "new-key-0123456789-abcdefghijklmnop";
const OTHER = "other-key-0123456789-abcdefghijklmn";

const TASK = '{"status":"SUCCESS"}';

/** A line of a keys file. */
function lineOf(name: string, key: string, ...options: readonly string[]): string {
  return [name, `sha256:${hash("sha256", key)}`, ...options].join(" ");
}

function toUtc(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

function inDays(days: number): string {
  return toUtc(Date.now() + days * 86_400_000);
}

/** The program with a keys file that a test replaces. */
class Rotation {
  readonly program: Program;

  constructor(program: Program) {
    this.program = program;
  }

  /** Sends SIGHUP, and resolves to the event that says how the reload went. */
  reload(): Promise<LogLine> {
    return reload(this.program);
  }

  /** Replaces the file in one step, as editors and Kubernetes do. */
  write(...lines: readonly string[]): void {
    writeKeysFile(this.program.directory, lines);
  }

  /** The status of a request with this key. */
  statusOf(key: string): Promise<number> {
    return statusWith(this.program, key);
  }

  /** Resolves when a key has this status on so many connections that each worker took some. */
  async settle(key: string, expected: number): Promise<void> {
    const [listening] = this.program.events("listening");
    const needed = listening?.["workers"] === 1 ? 1 : 20;
    let count = 0;
    const isSettled = async (): Promise<boolean> => {
      count = (await this.statusOf(key)) === expected ? count + 1 : 0;
      return count >= needed;
    };
    await until(isSettled, `${expected} from each worker`);
  }
}

async function startRotation(
  t: TestContext,
  lines: readonly string[],
  variables: Variables = {},
): Promise<Rotation> {
  const directory = tempDirectory(t);
  writeKeysFile(directory, lines);
  const keys = { SERVICE_API_KEY: undefined, SERVICE_API_KEYS_FILE: "keys" };
  return new Rotation(await startProgram(t, { ...keys, ...variables }, { directory }));
}

function writeKeysFile(directory: string, lines: readonly string[]): void {
  const next = join(directory, "keys.new");
  writeFileSync(next, `${lines.join("\n")}\n`, { mode: 0o600 });
  renameSync(next, join(directory, "keys"));
}

async function reload(program: Program): Promise<LogLine> {
  const reloads = (): LogLine[] =>
    program.events().filter(({ event }) => String(event).startsWith("keys_reload"));
  const count = reloads().length;
  program.child.kill("SIGHUP");
  await program.until(() => reloads().length > count, "the reload");
  return reloads()[count] ?? {};
}

function statusWith({ port }: Program, key: string): Promise<number> {
  return statusOf(port, post(TASK, [], { key }));
}

for (const WORKERS of ["1", "2"]) {
  describe(`with WORKERS=${WORKERS}`, { concurrency: 4 }, () => {
    test("a key is rotated with overlap: add the new one, then remove the old one", async (t) => {
      const rotation = await startRotation(t, [lineOf("ci", OLD)], { WORKERS });
      assert.deepEqual([await rotation.statusOf(OLD), await rotation.statusOf(NEW)], [200, 401]);
      rotation.write(lineOf("ci", OLD), lineOf("ci", NEW));
      assert.equal((await rotation.reload())["event"], "keys_reloaded");
      await rotation.settle(NEW, 200);
      await rotation.settle(OLD, 200);
      rotation.write(lineOf("ci", NEW));
      const { level, event, keys } = await rotation.reload();
      assert.deepEqual([level, event, keys], ["info", "keys_reloaded", 1]);
      await rotation.settle(OLD, 401);
      await rotation.settle(NEW, 200);
      assert.equal(await rotation.program.stop(), 0);
    });

    test("a broken keys file leaves the old keys in force, and the log says where", async (t) => {
      const rotation = await startRotation(t, [lineOf("ci", OLD)], { WORKERS });
      const assertOldInForce = async (): Promise<void> => {
        assert.deepEqual([await rotation.statusOf(OLD), await rotation.statusOf(NEW)], [200, 401]);
      };
      const broken: readonly (readonly [readonly string[], RegExp])[] = [
        [[lineOf("ci", NEW), "MaRkEr"], /line 2 of the file: /],
        [["# c", lineOf("ci", NEW, "expires=MaRkEr")], /line 2 of the file: bad date/],
        [[lineOf("ci", NEW), lineOf("ci", NEW)], /line 2 of the file: a key given twice/],
        [[lineOf("ci", NEW).slice(0, -1)], /line 1 of the file: /],
      ];
      for (const [lines, message] of broken) {
        rotation.write(...lines);
        const { level, event, problems } = await rotation.reload();
        assert.deepEqual([level, event], ["error", "keys_reload_failed"]);
        assert.match(String(problems), message);
        await assertOldInForce();
      }
      rmSync(join(rotation.program.directory, "keys"));
      assert.match(String((await rotation.reload())["problems"]), /can't be read \(ENOENT\)/);
      await assertOldInForce();
      rotation.write(lineOf("ci", NEW));
      assert.equal((await rotation.reload())["event"], "keys_reloaded");
      await rotation.settle(NEW, 200);
      await rotation.settle(OLD, 401);
      assert.equal(await rotation.program.stop(), 0);
      assertWithoutSecrets(rotation.program);
    });

    test("the log names the key that matched, before and after a reload", async (t) => {
      const rotation = await startRotation(t, [lineOf("ci", OLD)], { WORKERS });
      const { program } = rotation;
      await rotation.statusOf(OLD);
      rotation.write(lineOf("backup", OLD));
      await rotation.reload();
      const names = (): unknown[] => program.events("request").map(({ key }) => key);
      const isRenamed = async (): Promise<boolean> => {
        await rotation.statusOf(OLD);
        return names().includes("backup");
      };
      await program.until(isRenamed, "a request with the new name");
      assert.equal(names()[0], "ci");
    });

    test("a hundred SIGHUPs in a row leave the last file in force", async (t) => {
      const rotation = await startRotation(t, [lineOf("ci", OLD)], { WORKERS });
      for (let i = 0; i < 100; i += 1) {
        rotation.write(lineOf("ci", OLD), lineOf("x", `${i}`));
        rotation.program.child.kill("SIGHUP");
        if (i % 10 === 0) await sleep(5);
      }
      rotation.write(lineOf("ci", NEW));
      await rotation.reload();
      await rotation.settle(NEW, 200);
      await rotation.settle(OLD, 401);
      assert.equal(await rotation.program.stop(), 0);
    });

    test("a rotation under load costs no client with a valid key a request", async (t) => {
      const lines = [lineOf("ci", OLD), lineOf("other", OTHER)];
      const rotation = await startRotation(t, lines, { WORKERS, PROCESS_DELAY_MS: "2" });
      const { port } = rotation.program;
      const load = new RotatingLoad(port, OLD);
      for (const [from, to] of [
        [OLD, NEW],
        [NEW, OLD],
      ] as const) {
        await load.untilMore(50);
        rotation.write(lineOf("ci", from), lineOf("ci", to), lineOf("other", OTHER));
        await rotation.reload();
        await rotation.settle(to, 200);
        await load.switchTo(to);
        rotation.write("broken");
        await rotation.reload();
        rotation.write(lineOf("ci", to), lineOf("other", OTHER));
        await rotation.reload();
        await rotation.settle(from, 401);
      }
      await load.untilMore(50);
      assert.deepEqual(await load.stop(), []);
      assert.equal(await rotation.program.stop(), 0);
    });
  });
}

/** Eight clients: half of them use the key that is rotated, the others one that stays. */
class RotatingLoad {
  readonly #port: number;
  #key: string;
  #isStopped = false;
  #batches = 0;
  readonly #failures: string[] = [];
  readonly #clients: readonly Promise<void>[];
  /** The key of the batch that each client is sending. */
  readonly #keysInUse: (string | undefined)[] = [];

  constructor(port: number, key: string) {
    this.#port = port;
    this.#key = key;
    this.#clients = Array.from({ length: 8 }, (_, index) => this.#run(index));
  }

  /** Resolves when it has sent so many batches more. */
  async untilMore(count: number): Promise<void> {
    const start = this.#batches;
    await until(() => this.#batches >= start + count, "more requests");
  }

  /** Uses another key from now on. Resolves when no request with the old one is on its way. */
  async switchTo(key: string): Promise<void> {
    const old = this.#key;
    this.#key = key;
    await until(() => !this.#keysInUse.includes(old), "the last request with the old key");
  }

  /** Resolves to the failures. */
  async stop(): Promise<string[]> {
    this.#isStopped = true;
    await Promise.all(this.#clients);
    return this.#failures;
  }

  async #run(index: number): Promise<void> {
    while (!this.#isStopped) {
      const key = index % 2 === 0 ? this.#key : OTHER;
      this.#keysInUse[index] = key;
      const batch = Buffer.concat(Array<Buffer>(5).fill(post(TASK, [], { key })));
      const { responses, reset } = await exchange(this.#port, batch, { count: 5 });
      const statuses = responses.map(({ status }) => status).join();
      if (statuses !== "200,200,200,200,200" || reset) this.#failures.push(statuses);
      this.#keysInUse[index] = undefined;
      this.#batches += 1;
    }
  }
}

/** Neither a key, nor its hash, nor a line of a broken file is in the output. */
function assertWithoutSecrets(program: Program): void {
  const output = program.stdout() + program.stderr();
  const hashes = [hash("sha256", OLD), hash("sha256", NEW).slice(0, 16)];
  for (const secret of ["MaRkEr", OLD, NEW, ...hashes]) assert.ok(!output.includes(secret));
}

test("keys that expire within 14 days are named at each start and reload", async (t) => {
  const rotation = await startRotation(t, [
    lineOf("soon", OLD, `expires=${inDays(13)}`),
    lineOf("later", NEW, `expires=${inDays(15)}`),
  ]);
  const { program } = rotation;
  const warnings = (): string[] => program.events("warning").map(({ message }) => String(message));
  assert.equal(warnings().length, 1);
  const soon = /^key soon expires at \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ: add its successor/;
  assert.match(warnings()[0] ?? "", soon);
  rotation.write(
    lineOf("gone", OTHER, "expires=2020-01-01T00:00:00Z"),
    lineOf("soon", OLD, `expires=${inDays(1)}`),
  );
  await rotation.reload();
  await program.until(() => warnings().length === 3, "the warnings");
  assert.match(warnings()[1] ?? "", /^key gone expired at 2020-01-01T00:00:00Z: remove its line$/);
  assert.match(warnings()[2] ?? "", soon);
  assert.ok(!warnings().join().includes("sha256"));
});

test("expired keys and ones that are not yet valid are denied, and the log says why", async (t) => {
  const { program } = await startRotation(t, [
    lineOf("now", OTHER),
    lineOf("old", OLD, "expires=2020-01-01T00:00:00Z"),
    lineOf("new", NEW, "not_before=9999-01-01T00:00:00Z"),
  ]);
  for (const key of ["unknown", OLD, NEW]) {
    const { status, body } = await request(program.port, post("{}", [], { key }));
    assert.deepEqual([status, body], [401, '{"detail":"Invalid or missing API Key"}']);
  }
  await program.untilEvent("request", 3);
  const denials = program.events("request").map(({ denied }) => denied);
  assert.deepEqual(denials, ["unknown", "expired", "not_yet_valid"]);
});

test("a key becomes valid and expires at its second, without a reload", async (t) => {
  const rotation = await startRotation(t, [lineOf("always", OTHER)]);
  // A machine that stands still for longer than the key is valid shows nothing. The next key is
  // valid for longer.
  for (let seconds = 2, seen = new Set<number>(); seen.size < 3; seconds *= 2) {
    assert.ok(seconds < 60, "there are requests before, in and after the key's time");
    const from = 1000 * (Math.ceil(Date.now() / 1000) + seconds);
    const to = from + 1000 * seconds;
    const validity = [`not_before=${toUtc(from)}`, `expires=${toUtc(to)}`];
    rotation.write(lineOf("short", OLD, ...validity), lineOf("always", OTHER));
    assert.equal((await rotation.reload())["event"], "keys_reloaded");
    seen = await phasesUntilExpiry(rotation, from, to);
  }
});

/**
 * Sends requests until the key has expired. Returns the phases in which there were some: 0 before
 * its time, 1 in it, 2 after it.
 */
async function phasesUntilExpiry(
  rotation: Rotation,
  from: number,
  to: number,
): Promise<Set<number>> {
  const phaseAt = (time: number): number => Number(time >= from) + Number(time >= to);
  const seen = new Set<number>();
  while (!seen.has(2)) {
    const before = phaseAt(Date.now());
    const status = await rotation.statusOf(OLD);
    const after = phaseAt(Date.now());
    await sleep(20);
    if (before !== after) continue;
    assert.equal(status, [401, 200, 401][before]);
    seen.add(before);
  }
  return seen;
}

for (const name of ["SERVICE_API_KEY", "SERVICE_API_KEY_FILE"]) {
  test(`a key from ${name} in .env is read again on SIGHUP`, async (t) => {
    const directory = tempDirectory(t);
    const write = (key: string): void => {
      const value = name === "SERVICE_API_KEY" ? key : "key";
      writeFileSync(join(directory, "key"), `${key}\n`, { mode: 0o600 });
      writeFileSync(join(directory, ".env"), `${name}=${value}\n`, { mode: 0o600 });
    };
    write(OLD);
    const program = await startProgram(t, { SERVICE_API_KEY: undefined }, { directory });
    const statuses = async (): Promise<number[]> => [
      await statusWith(program, OLD),
      await statusWith(program, NEW),
    ];
    assert.deepEqual(await statuses(), [200, 401]);
    write(NEW);
    assert.equal((await reload(program))["event"], "keys_reloaded");
    assert.deepEqual(await statuses(), [401, 200]);
    writeFileSync(join(directory, ".env"), "broken\n");
    assert.equal((await reload(program))["event"], "keys_reload_failed");
    assert.deepEqual(await statuses(), [401, 200]);
  });
}

test("a reload changes the keys and no other setting", async (t) => {
  const directory = tempDirectory(t);
  const write = (key: string, maxBodyBytes: number): void => {
    const text = `SERVICE_API_KEY=${key}\nDOCS=off\nMAX_BODY_BYTES=${maxBodyBytes}\n`;
    writeFileSync(join(directory, ".env"), text, { mode: 0o600 });
  };
  write(OLD, 100);
  const program = await startProgram(t, { SERVICE_API_KEY: undefined }, { directory });
  write(NEW, 1);
  assert.equal((await reload(program))["event"], "keys_reloaded");
  assert.equal(await statusWith(program, NEW), 200);
});
