import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { describe, test, type TestContext } from "node:test";

import type { Log } from "../../src/log.ts";
import type { Instance } from "../../src/process/instance.ts";
import { Shutdown } from "../../src/process/shutdown.ts";
import { keepHandlers } from "../support/this-process.ts";

/** A shutdown of which the test sees each step. */
interface Started {
  readonly shutdown: Shutdown;
  /** What it has done, in order. */
  readonly steps: string[];
  /** Resolves when the process would end. */
  readonly ended: Promise<void>;
  /** Calls the handlers of the process for an event. */
  readonly emit: (event: string, value?: unknown) => void;
}

/** `drained`: the exit code of the instance. `isStuck`: the reader of stdout takes nothing. */
function start(t: TestContext, { drained = 0, isStuck = false } = {}): Started {
  const steps: string[] = [];
  const emit = keepHandlers(t);
  const log = {
    event: (level: string, event: string, fields: object) => {
      steps.push(`${level} ${event} ${JSON.stringify(fields)}`);
    },
    error: (error: Error) => steps.push(`error ${error.message}`),
    flush: () => steps.push("flush"),
  } as unknown as Log;
  const instance = {
    stop: () => {
      steps.push("stop");
      return Promise.resolve(drained);
    },
  } as unknown as Instance;
  const stdout = new Writable({
    write: (chunk, _encoding, done) => {
      if (isStuck) return;
      process.nextTick(() => {
        steps.push(`written "${chunk}"`);
        done();
      });
    },
  });
  t.mock.getter(process, "stdout", () => stdout);
  const ended = new Promise<void>((resolve) => {
    t.mock.method(process, "exit", (code: unknown) => {
      steps.push(`exit ${code}`);
      resolve();
    });
  });
  return { shutdown: new Shutdown(instance, log), steps, ended, emit };
}

/** What comes before it has been written, too. */
const WRITTEN = 'written ""';

const DRAINING = `info draining {"pid":${process.pid}}`;

function stopped(exitCode: number): string {
  return `info stopped {"pid":${process.pid},"exit_code":${exitCode}}`;
}

describe("a shutdown", () => {
  test("drains, then writes its last lines, and ends the process, once", async (t) => {
    const { shutdown, steps, ended } = start(t);
    shutdown.begin();
    shutdown.begin();
    await ended;
    assert.deepEqual(steps, [DRAINING, "stop", stopped(0), "flush", WRITTEN, "exit 0"]);
  });

  test("has the exit code of what it cut off", async (t) => {
    const { shutdown, steps, ended } = start(t, { drained: 1 });
    shutdown.begin();
    await ended;
    assert.deepEqual(steps.slice(2), [stopped(1), "flush", WRITTEN, "exit 1"]);
  });

  test("does not wait for a reader that takes nothing", async (t) => {
    const { shutdown, steps, ended } = start(t, { isStuck: true });
    shutdown.begin();
    await ended;
    assert.equal(steps.at(-1), "exit 0");
  });
});

describe("a process that handles what nothing catches", () => {
  test("logs an exception, and ends in order with 1", async (t) => {
    t.after(() => {
      process.exitCode = undefined;
    });
    const { shutdown, steps, ended, emit } = start(t);
    shutdown.handleUncaughtErrors();
    emit("uncaughtException", new Error("thrown"));
    await ended;
    assert.deepEqual(steps.slice(0, 4), ["error thrown", DRAINING, "stop", stopped(1)]);
    assert.equal(steps.at(-1), "exit 1");
  });

  test("logs a rejection, and goes on", (t) => {
    const { shutdown, steps, emit } = start(t);
    shutdown.handleUncaughtErrors();
    emit("unhandledRejection", new Error("rejected"));
    assert.deepEqual(steps, ["error rejected"]);
    assert.equal(process.exitCode, undefined);
  });

  test("writes its log when it exits, and outlives an error of stderr", (t) => {
    const stderr = new Writable();
    t.mock.getter(process, "stderr", () => stderr);
    const { shutdown, steps, emit } = start(t);
    shutdown.handleUncaughtErrors();
    emit("exit");
    assert.deepEqual(steps, ["flush"]);
    assert.equal(stderr.emit("error", new Error("EPIPE")), true);
  });
});
