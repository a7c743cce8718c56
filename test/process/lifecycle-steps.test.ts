import assert from "node:assert/strict";
import { statSync, writeFileSync } from "node:fs";
import { Socket } from "node:net";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";

import { formatDate } from "../../src/config/expiry.ts";
import { PIPE_BUF } from "../../src/log.ts";
import { WorkerPool } from "../../src/process/cluster.ts";
import { EXIT_CONFIG, Failure } from "../../src/process/exit.ts";
import { configure, serve } from "../../src/process/lifecycle.ts";
import { makeCertificate } from "../support/certificates.ts";
import { KEY } from "../support/requests.ts";
import { tempDirectory } from "../support/temp.ts";
import { keepHandlers } from "../support/this-process.ts";
import { until } from "../support/wait.ts";

type Variables = Readonly<Record<string, string>>;

const LOCAL = { kind: "address", address: "127.0.0.1" } as const;

const NO_KEY_LEFT = "no usable key is set: every request that needs a key is denied";

/** A line of the log. */
type Line = Readonly<Record<string, unknown>>;

/** A service in this process, which a mistake may end. */
interface Served {
  readonly directory: string;
  /** Does what the process does on a signal. */
  readonly signal: (name: string) => void;
  /** Does what the process does with an exception or a rejection that no one handles. */
  readonly fail: (event: string, error: Error) => void;
  /** Waits for an event, and returns its lines. */
  readonly untilEvent: (event: string, count?: number) => Promise<readonly Line[]>;
  /** The exit codes that it has asked for. */
  readonly exits: unknown[];
  readonly stdout: Pipe;
  readonly stderr: string[];
}

/** Stands in for a pipe that stdout leads to. */
class Pipe extends Socket {
  text = "";
  /** The bytes of the longest write. */
  longest = 0;

  override write(bytes: Uint8Array | string, ...rest: unknown[]): boolean {
    const written = Buffer.from(bytes);
    this.text += written.toString();
    this.longest = Math.max(this.longest, written.length);
    const done = rest.at(-1);
    if (typeof done === "function") process.nextTick(() => done());
    return true;
  }
}

/** Runs the service until the test ends, with these variables and files. */
async function start(
  t: TestContext,
  variables: Variables = {},
  { files = {}, showHint = false }: { files?: Variables; showHint?: boolean } = {},
): Promise<Served> {
  const directory = tempDirectory(t, files);
  useVariables(t, { SERVICE_API_KEY: KEY, PORT: "0", LOG_LEVEL: "info", ...variables });
  t.mock.method(process, "cwd", () => directory);
  const stdout = new Pipe();
  const stderr: string[] = [];
  const emit = keepHandlers(t);
  const exits: unknown[] = [];
  t.mock.getter(process, "stdout", () => stdout);
  t.mock.method(process.stderr, "write", (text: string) => stderr.push(text));
  t.mock.method(process, "exit", (code: unknown) => exits.push(code));
  await serve(showHint);
  const signal = (name: string): void => emit(name, name);
  const fail = (event: string, error: Error): void => emit(event, error);
  const untilEvent = async (event: string, count = 1): Promise<readonly Line[]> => {
    const found = (): Line[] => linesOf(stdout.text).filter((line) => line["event"] === event);
    await until(() => found().length >= count, event);
    return found();
  };
  t.after(async () => {
    signal("SIGTERM");
    await untilEvent("stopped");
    await until(() => exits.length > 0, "the end");
  });
  return { directory, signal, fail, untilEvent, exits, stdout, stderr };
}

function useVariables(t: TestContext, variables: Variables): void {
  const { env } = process;
  process.env = { ...variables };
  t.after(() => {
    process.env = env;
  });
}

function linesOf(text: string): Line[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line);
}

/** What a line has besides its time, level and event. */
function fieldsOf({ time: _time, level: _level, event: _event, ...fields }: Line = {}): Line {
  return fields;
}

function assertConfigFailure(run: () => unknown, message: RegExp): void {
  assert.throws(run, (error) => {
    assert.ok(error instanceof Failure);
    assert.match(error.message, message);
    assert.equal(error.exitCode, EXIT_CONFIG);
    return true;
  });
}

describe("the configuration", () => {
  test("fails with 78 and its problems", (t) => {
    useVariables(t, { SERVICE_API_KEY: KEY, PORT: "x" });
    assertConfigFailure(() => configure(0), /^PORT \(environment\): [^\n]+$/);
  });

  test("fails with 78 without a working directory", (t) => {
    useVariables(t, { SERVICE_API_KEY: KEY });
    t.mock.method(process, "cwd", () => {
      throw Object.assign(new Error(), { code: "ENOENT" });
    });
    const message = /^the working directory can't be found \(ENOENT\): change to another one$/;
    assertConfigFailure(() => configure(0), message);
  });
});

describe("the service", () => {
  test("logs its address and its only process when it listens", async (t) => {
    const { untilEvent, stderr } = await start(t);
    const [line] = await untilEvent("listening");
    assert.equal(line?.["level"], "info");
    const { port, ...fields } = fieldsOf(line);
    assert.ok(Number(port) > 0);
    assert.deepEqual(fields, { host: "127.0.0.1", workers: 1, pid: process.pid });
    assert.deepEqual(stderr, []);
  });

  test("on a Unix socket logs its path, not a port, and keeps others out", async (t) => {
    const path = join(tempDirectory(t), "s");
    const { untilEvent } = await start(t, { HOST: `unix:${path}` });
    const [line] = await untilEvent("listening");
    assert.deepEqual(fieldsOf(line), { host: `unix:${path}`, workers: 1, pid: process.pid });
    const warnings = await untilEvent("warning");
    assert.ok(warnings.some(({ message }) => String(message).startsWith("PORT (environment)")));
    assert.equal(statSync(path).mode & 0o777, 0o660);
  });

  test("prints a hint if it is asked to", async (t) => {
    const { stderr } = await start(t, {}, { showHint: true });
    assert.match(stderr.join(""), /^\n {2}Listening on http:/);
  });

  test("drains after the first signal, and ends with 1 on another", async (t) => {
    const { signal, untilEvent, exits } = await start(t);
    signal("SIGTERM");
    assert.deepEqual(exits, []);
    signal("SIGINT");
    assert.deepEqual(exits, [1]);
    assert.equal((await untilEvent("draining")).length, 1);
  });

  test("logs a rejection that no one handles, and goes on", async (t) => {
    const { fail, untilEvent, exits } = await start(t);
    fail("unhandledRejection", new Error("late"));
    const [error] = await untilEvent("error");
    assert.match(String(error?.["stack"]), /^Error: late\n/);
    assert.deepEqual(exits, []);
  });

  test("does not start where a file is no Unix socket", async (t) => {
    const directory = tempDirectory(t, { s: "" });
    await assert.rejects(start(t, { HOST: `unix:${directory}/s` }), /\(EEXIST\)/);
  });

  for (const workers of [1, 2]) {
    const [name, isWhole] = workers === 1 ? ["whole", true] : ["in pieces that don't mix", false];
    test(`writes many lines ${name} with WORKERS=${workers}`, async (t) => {
      // A warning for each.
      const keys = Array.from({ length: 60 }, (_, index) => {
        const hash = String(index).padStart(64, "0");
        return `key-${index} sha256:${hash} expires=2020-01-01T00:00:00Z\n`;
      });
      t.mock.method(WorkerPool.prototype, "listen", () => ({ ...LOCAL, port: 80 }));
      t.mock.method(WorkerPool.prototype, "stop", () => 0);
      const { stdout, untilEvent } = await start(
        t,
        { WORKERS: String(workers), SERVICE_API_KEYS_FILE: "keys" },
        { files: { keys: keys.join("") } },
      );
      await untilEvent("listening");
      assert.ok(stdout.text.length > 2 * PIPE_BUF);
      assert.equal(stdout.longest > PIPE_BUF, isWhole);
    });
  }
});

describe("SIGHUP", () => {
  const line = (name: string, digit: string, ...options: readonly string[]): string =>
    [name, `sha256:${digit.repeat(64)}`, ...options].join(" ") + "\n";

  test("reads the keys again, and keeps the old ones if anything is wrong", async (t) => {
    const { directory, signal, untilEvent } = await start(
      t,
      { SERVICE_API_KEYS_FILE: "keys" },
      { files: { keys: line("one", "1") } },
    );
    writeFileSync(join(directory, "keys"), line("one", "1") + line("two", "2"));
    signal("SIGHUP");
    const [reloaded] = await untilEvent("keys_reloaded");
    assert.equal(reloaded?.["level"], "info");
    assert.deepEqual(fieldsOf(reloaded), { keys: 3 });
    writeFileSync(join(directory, "keys"), "?\n!\n");
    signal("SIGHUP");
    const [failed] = await untilEvent("keys_reload_failed");
    assert.equal(failed?.["level"], "error");
    assert.equal((failed?.["problems"] as string[]).length, 2);
  });

  test("accepts that no key is left, with a warning", async (t) => {
    const { signal, untilEvent } = await start(
      t,
      { SERVICE_API_KEYS_FILE: "keys" },
      { files: { keys: "" } },
    );
    delete process.env["SERVICE_API_KEY"];
    signal("SIGHUP");
    const [reloaded] = await untilEvent("keys_reloaded");
    assert.deepEqual(fieldsOf(reloaded), { keys: 0 });
    const warnings = (await untilEvent("warning")).map(({ message }) => message);
    assert.ok(warnings.includes(NO_KEY_LEFT), warnings.join("\n"));
  });

  test("has the dates of the new keys watched", async (t) => {
    t.mock.timers.enable({ apis: ["setInterval"] });
    let now = Date.now();
    const clock = t.mock.method(Date, "now", () => now);
    const soon = `expires=${formatDate(now + 60_000)}`;
    const { directory, signal, untilEvent } = await start(
      t,
      { SERVICE_API_KEYS_FILE: "keys" },
      { files: { keys: line("one", "1", soon) } },
    );
    writeFileSync(join(directory, "keys"), line("two", "2", soon));
    signal("SIGHUP");
    await untilEvent("keys_reloaded");
    now += 120_000;
    t.mock.timers.tick(1000);
    clock.mock.restore();
    const expired = await untilEvent("key_expired");
    assert.deepEqual(
      expired.map(({ key }) => key),
      ["two"],
    );
  });

  test("names the certificate's date, and switches TLS neither on nor off", async (t) => {
    const { cert, key } = makeCertificate({ days: 100 });
    const { signal, untilEvent } = await start(
      t,
      { TLS_CERT_FILE: "cert.pem", TLS_KEY_FILE: "key.pem" },
      { files: { "cert.pem": cert, "key.pem": key } },
    );
    signal("SIGHUP");
    const [reloaded] = await untilEvent("keys_reloaded");
    assert.match(String(reloaded?.["certificate_expires"]), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    delete process.env["TLS_CERT_FILE"];
    delete process.env["TLS_KEY_FILE"];
    signal("SIGHUP");
    const [failed] = await untilEvent("keys_reload_failed");
    assert.deepEqual(failed?.["problems"], [
      "TLS_CERT_FILE, TLS_KEY_FILE: restart the service to switch TLS on or off",
    ]);
  });

  test("logs the stack of a mistake in the program", async (t) => {
    const { signal, untilEvent } = await start(t);
    const mistake = t.mock.method(Date, "now", () => {
      throw new TypeError("mistake");
    });
    signal("SIGHUP");
    mistake.mock.restore();
    const [failed] = await untilEvent("keys_reload_failed");
    assert.deepEqual(failed?.["problems"], ["mistake"]);
    const [error] = await untilEvent("error");
    assert.match(String(error?.["stack"]), /^TypeError: mistake\n +at /);
  });
});
