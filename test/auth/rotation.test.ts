import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test, type TestContext } from "node:test";

import { exchange } from "../support/client.ts";
import { type Program, spawnProgram, type Variables } from "../support/program.ts";
import { post } from "../support/requests.ts";
import { until } from "../support/wait.ts";

const OLD = "old-key-0123456789-abcdefghijklmnop";
const NEW = "new-key-0123456789-abcdefghijklmnop";
const OTHER = "other-key-0123456789-abcdefghijklmn";

const base = mkdtempSync(join(tmpdir(), "rotation-"));
after(() => rmSync(base, { recursive: true, force: true }));

const lineOf = (name: string, key: string, ...options: string[]): string =>
  [name, `sha256:${hash("sha256", key)}`, ...options].join(" ");
const inDays = (days: number): string =>
  `${new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 19)}Z`;

/** A service with a keys file that can be written anew. */
interface Rotating extends Program {
  /** Writes the file as an editor or Kubernetes does: the new one in one step. */
  write(...lines: string[]): void;
  /** SIGHUP; resolves to the event that followed, once every worker has the outcome. */
  reload(): Promise<Record<string, unknown>>;
  /** The status of a request with this key. */
  status(key: string): Promise<number | undefined>;
}

async function startRotating(
  t: TestContext,
  lines: readonly string[],
  variables: Variables = {},
): Promise<Rotating> {
  const directory = mkdtempSync(join(base, "d-"));
  const write = (...text: string[]): void => {
    writeFileSync(join(directory, "keys.new"), `${text.join("\n")}\n`, { mode: 0o600 });
    renameSync(join(directory, "keys.new"), join(directory, "keys"));
  };
  write(...lines);
  const service = spawnProgram(
    t,
    { SERVICE_API_KEYS_FILE: "keys", PORT: "0", PROCESS_DELAY_MS: "0", ...variables },
    { directory },
  );
  await service.until(() => service.port !== 0, "the service to listen");
  const outcomes = (): Record<string, unknown>[] =>
    service.events().filter(({ event }) => /^keys_reload/.test(String(event)));
  const reload = async (): Promise<Record<string, unknown>> => {
    const before = outcomes().length;
    service.child.kill("SIGHUP");
    await until(() => outcomes().length > before, "the reload");
    return outcomes()[before] ?? {};
  };
  const status = async (key: string): Promise<number | undefined> =>
    (await exchange(service.port, post('{"status":"SUCCESS"}', [], { key }))).responses[0]?.status;
  return Object.assign(Object.create(service) as Program, { write, reload, status });
}

/** Asks until a key has expired; the phases that were seen: 0 before its time, 1 in it, 2 after it. */
async function askUntil(service: Rotating, from: number, to: number): Promise<Set<number>> {
  const phaseAt = (time: number): number => Number(time >= from) + Number(time >= to);
  const seen = new Set<number>();
  while (!seen.has(2)) {
    const before = phaseAt(Date.now());
    const status = await service.status(OLD);
    const after = phaseAt(Date.now());
    await new Promise((resolve) => setTimeout(resolve, 20));
    if (before !== after) continue;
    assert.equal(status, [401, 200, 401][before]);
    seen.add(before);
  }
  return seen;
}

/** Waits until a key has a status on so many connections in a row that every worker must have been asked. */
async function settles(service: Rotating, key: string, expected: number): Promise<void> {
  const { workers } = service.events("listening")[0] ?? {};
  let row = 0;
  for (let tries = 0; row < (workers === 1 ? 1 : 20); tries++) {
    assert.ok(tries < 2000, `never ${expected} throughout`);
    row = (await service.status(key)) === expected ? row + 1 : 0;
  }
}

for (const workers of ["1", "2"]) {
  describe(`with WORKERS=${workers}`, { concurrency: 4 }, () => {
    test("a key is rotated with overlap: add the new one, both work, remove the old one, it is denied", async (t) => {
      const service = await startRotating(t, [lineOf("ci", OLD)], { WORKERS: workers });
      assert.deepEqual([await service.status(OLD), await service.status(NEW)], [200, 401]);
      service.write(lineOf("ci", OLD), lineOf("ci", NEW));
      assert.equal((await service.reload())["event"], "keys_reloaded");
      await settles(service, NEW, 200);
      await settles(service, OLD, 200);
      service.write(lineOf("ci", NEW));
      const event = await service.reload();
      assert.deepEqual(
        [event["level"], event["event"], event["keys"]],
        ["info", "keys_reloaded", 1],
      );
      await settles(service, OLD, 401);
      await settles(service, NEW, 200);
      assert.equal(await service.stop(), 0);
    });

    test("a broken file leaves the old keys in force, and the log says where without what", async (t) => {
      const service = await startRotating(t, [lineOf("ci", OLD)], { WORKERS: workers });
      const broken: readonly (readonly [readonly string[], RegExp])[] = [
        [[lineOf("ci", NEW), "MaRkEr"], /line 2 of the file: /],
        [["# c", lineOf("ci", NEW, "expires=MaRkEr")], /line 2 of the file: bad date/],
        [[lineOf("ci", NEW), lineOf("ci", NEW)], /line 2 of the file: a key given twice/],
        [[lineOf("ci", NEW).slice(0, -1)], /line 1 of the file: /],
      ];
      for (const [lines, message] of broken) {
        service.write(...lines);
        const event = await service.reload();
        assert.deepEqual([event["level"], event["event"]], ["error", "keys_reload_failed"]);
        assert.match(String(event["problems"]), message);
        assert.deepEqual([await service.status(OLD), await service.status(NEW)], [200, 401]);
      }
      rmSync(join(service.directory, "keys"));
      assert.match(String((await service.reload())["problems"]), /can't be read \(ENOENT\)/);
      assert.deepEqual([await service.status(OLD), await service.status(NEW)], [200, 401]);
      service.write(lineOf("ci", NEW));
      assert.equal((await service.reload())["event"], "keys_reloaded");
      await settles(service, NEW, 200);
      await settles(service, OLD, 401);
      assert.equal(await service.stop(), 0);
      const output = service.stdout() + service.stderr();
      for (const secret of [
        "MaRkEr",
        OLD,
        NEW,
        hash("sha256", OLD),
        hash("sha256", NEW).slice(0, 16),
      ])
        assert.ok(!output.includes(secret));
    });

    test("the log names the key that matched, before and after", async (t) => {
      const service = await startRotating(t, [lineOf("ci", OLD)], { WORKERS: workers });
      await service.status(OLD);
      service.write(lineOf("backup", OLD));
      await service.reload();
      const names = (): unknown[] => service.events("request").map(({ key }) => key);
      for (let tries = 0; !names().includes("backup"); tries++) {
        assert.ok(tries < 500);
        await service.status(OLD);
      }
      assert.equal(names()[0], "ci");
    });

    test("SIGHUP a hundred times in a row leaves a service that responses, with the last file in force", async (t) => {
      const service = await startRotating(t, [lineOf("ci", OLD)], { WORKERS: workers });
      for (let i = 0; i < 100; i++) {
        service.write(lineOf("ci", OLD), lineOf("x", `${i}`));
        service.child.kill("SIGHUP");
        if (i % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      }
      service.write(lineOf("ci", NEW));
      await service.reload();
      await settles(service, NEW, 200);
      await settles(service, OLD, 401);
      assert.equal(await service.stop(), 0);
    });

    test("a rotation under load has no failed request of a valid client, and the revoked key ends", async (t) => {
      const service = await startRotating(t, [lineOf("ci", OLD), lineOf("other", OTHER)], {
        WORKERS: workers,
        LOG_LEVEL: "info",
        PROCESS_DELAY_MS: "2",
      });
      let stopped = false;
      const results: Record<string, number> = {};
      const load = async (keyOf: () => string): Promise<void> => {
        while (!stopped) {
          const text = post('{"status":"SUCCESS"}', [], { key: keyOf() })
            .toString("latin1")
            .repeat(5);
          const { responses, reset } = await exchange(service.port, text, { count: 5 });
          for (const { status } of responses) results[status] = (results[status] ?? 0) + 1;
          if (responses.length !== 5 || reset) results["lost"] = (results["lost"] ?? 0) + 1;
        }
      };
      let rotating = OLD;
      const clients = [
        ...Array<() => string>(4).fill(() => rotating),
        ...Array<() => string>(4).fill(() => OTHER),
      ].map(load);
      const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 100));
      for (const [from, to] of [
        [OLD, NEW],
        [NEW, OLD],
      ] as const) {
        await pause();
        service.write(lineOf("ci", from), lineOf("ci", to), lineOf("other", OTHER));
        await service.reload();
        await settles(service, to, 200);
        rotating = to;
        // What a client has sent with the old key must have been answered before it is revoked.
        await pause();
        await pause();
        service.write("broken");
        await service.reload();
        service.write(lineOf("ci", to), lineOf("other", OTHER));
        await service.reload();
        await settles(service, from, 401);
      }
      stopped = true;
      await Promise.all(clients);
      assert.deepEqual(Object.keys(results), ["200"], JSON.stringify(results));
      assert.ok((results["200"] ?? 0) > 200, JSON.stringify(results));
      assert.equal(await service.stop(), 0);
    });
  });
}

test("keys that expire within 14 days are warned about at start and at each reload, by name", async (t) => {
  const service = await startRotating(t, [
    lineOf("soon", OLD, `expires=${inDays(13)}`),
    lineOf("later", NEW, `expires=${inDays(15)}`),
  ]);
  const warnings = (): string[] => service.events("warning").map(({ message }) => String(message));
  assert.equal(warnings().length, 1);
  assert.match(
    warnings()[0] ?? "",
    /^key soon expires at \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ: add its successor/,
  );
  service.write(
    lineOf("gone", OTHER, "expires=2020-01-01T00:00:00Z"),
    lineOf("soon", OLD, `expires=${inDays(1)}`),
  );
  await service.reload();
  await until(() => warnings().length === 3, "the warnings");
  assert.match(warnings()[1] ?? "", /^key gone expired at 2020-01-01T00:00:00Z: remove its line$/);
  assert.match(warnings()[2] ?? "", /^key soon expires at /);
  assert.ok(!warnings().join().includes("sha256"));
});

test("expired and not yet valid keys are denied like unknown ones, and the log has the reason", async (t) => {
  const service = await startRotating(t, [
    lineOf("now", OTHER),
    lineOf("old", OLD, "expires=2020-01-01T00:00:00Z"),
    lineOf("new", NEW, "not_before=9999-01-01T00:00:00Z"),
  ]);
  for (const key of ["unknown", OLD, NEW]) {
    const { responses } = await exchange(service.port, post("{}", [], { key }));
    assert.deepEqual(
      [responses[0]?.status, responses[0]?.body],
      [401, '{"detail":"Invalid or missing API Key"}'],
    );
  }
  await until(() => service.events("request").length === 3, "the lines");
  assert.deepEqual(
    service.events("request").map(({ denied, key }) => [denied, key]),
    [
      ["unknown", undefined],
      ["expired", undefined],
      ["not_yet_valid", undefined],
    ],
  );
});

test("a key becomes valid, and expires, at its second, without a reload", async (t) => {
  const service = await startRotating(t, [lineOf("always", OTHER)]);
  // A machine that stands still for longer than the key is valid shows nothing: the next one is valid for longer.
  for (let seconds = 2, seen = new Set<number>(); seen.size < 3; seconds *= 2) {
    assert.ok(seconds < 60, "the key is asked for before, in and after its time");
    const [from, to] = [
      Math.ceil(Date.now() / 1000) + seconds,
      Math.ceil(Date.now() / 1000) + 2 * seconds,
    ];
    const at = (second: number): string => `${new Date(second * 1000).toISOString().slice(0, 19)}Z`;
    service.write(lineOf("short", OLD, `not_before=${at(from)}`, `expires=${at(to)}`));
    assert.equal((await service.reload())["event"], "keys_reloaded");
    seen = await askUntil(service, from * 1000, to * 1000);
  }
});

test("SERVICE_API_KEY in .env and the file of SERVICE_API_KEY_FILE are read again, too", async (t) => {
  for (const name of ["SERVICE_API_KEY", "SERVICE_API_KEY_FILE"]) {
    const directory = mkdtempSync(join(base, "d-"));
    const write = (key: string): void => {
      writeFileSync(join(directory, "key"), `${key}\n`, { mode: 0o600 });
      writeFileSync(
        join(directory, ".env"),
        `${name}=${name === "SERVICE_API_KEY" ? key : "key"}\n`,
        { mode: 0o600 },
      );
    };
    write(OLD);
    const service = spawnProgram(t, { PORT: "0", PROCESS_DELAY_MS: "0" }, { directory });
    await service.until(() => service.port !== 0, "the service");
    const status = async (key: string): Promise<number | undefined> =>
      (await exchange(service.port, post('{"status":"SUCCESS"}', [], { key }))).responses[0]
        ?.status;
    assert.deepEqual([await status(OLD), await status(NEW)], [200, 401]);
    write(NEW);
    service.child.kill("SIGHUP");
    await until(() => service.events("keys_reloaded").length === 1, "the reload");
    assert.deepEqual([await status(OLD), await status(NEW)], [401, 200]);
    writeFileSync(join(directory, ".env"), "broken\n");
    service.child.kill("SIGHUP");
    await until(() => service.events("keys_reload_failed").length === 1, "the failure");
    assert.deepEqual([await status(OLD), await status(NEW)], [401, 200]);
    await service.stop();
  }
});

test("a reload changes the keys and no other setting", async (t) => {
  const directory = mkdtempSync(join(base, "d-"));
  const write = (key: string, delay: number): void =>
    writeFileSync(
      join(directory, ".env"),
      `SERVICE_API_KEY=${key}\nDOCS=off\nMAX_BODY_BYTES=${delay}\n`,
      {
        mode: 0o600,
      },
    );
  write(OLD, 100);
  const service = spawnProgram(t, { PORT: "0", PROCESS_DELAY_MS: "0" }, { directory });
  await service.until(() => service.port !== 0, "the service");
  write(NEW, 1);
  service.child.kill("SIGHUP");
  await until(() => service.events("keys_reloaded").length === 1, "the reload");
  assert.equal(
    (await exchange(service.port, post('{"status":"SUCCESS"}', [], { key: NEW }))).responses[0]
      ?.status,
    200,
  );
});
