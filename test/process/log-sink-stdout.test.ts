import assert from "node:assert/strict";
import fs from "node:fs";
import { Socket } from "node:net";
import { Writable } from "node:stream";
import { describe, test, type TestContext } from "node:test";

import { createLogSink, createStreamSink } from "../../src/process/log-sink.ts";
import { useNodeMocks } from "../support/node-mocks.ts";

const LINE = Buffer.from('{"event":"x"}\n');

/** What a test sees of a stdout that is a file. */
interface StdoutFile {
  /** The file descriptors of the writes. */
  readonly descriptors: number[];
  /** What is written to stderr. */
  readonly messages: string[];
  /** The code with which writes fail; undefined if they don't. */
  code: string | undefined;
}

/** Makes stdout a file in the eyes of the program, and stops the clock. */
function simulateFile(t: TestContext): StdoutFile {
  const file: StdoutFile = { descriptors: [], messages: [], code: undefined };
  t.mock.timers.enable({ apis: ["setTimeout"] });
  t.mock.getter(process, "stdout", () => new Writable());
  t.mock.getter(process, "stderr", () => ({ write: (text: string) => file.messages.push(text) }));
  t.mock.method(fs, "writeSync", (fd: number, bytes: Buffer) => {
    file.descriptors.push(fd);
    const { code } = file;
    if (code !== undefined) throw Object.assign(new Error(code), { code });
    return bytes.length;
  });
  useNodeMocks(t);
  return file;
}

describe("the sink of stdout", () => {
  test("writes to a pipe or a terminal as to a stream", (t) => {
    const socket = new Socket();
    const writes = t.mock.method(socket, "write", () => true);
    t.mock.getter(process, "stdout", () => socket);
    assert.equal(createLogSink().write(LINE), 0);
    assert.deepEqual(writes.mock.calls[0]?.arguments, [LINE]);
  });

  test("writes to a file by its descriptor", (t) => {
    const { descriptors, messages } = simulateFile(t);
    assert.equal(createLogSink().write(LINE), 0);
    assert.deepEqual([descriptors, messages], [[1], []]);
  });

  test("says on stderr that lines are being lost, at most once a second", (t) => {
    const file = simulateFile(t);
    const sink = createLogSink();
    for (const code of ["ENOSPC", undefined, "EIO", "EIO"]) {
      file.code = code;
      sink.write(LINE);
    }
    const message = "can't write to stdout (ENOSPC): log lines are being lost\n";
    assert.deepEqual(file.messages, [message]);
    t.mock.timers.tick(1000);
    assert.deepEqual(file.messages, [message, message.replace("ENOSPC", "EIO")]);
  });
});

test("a sink on a stream passes on each write as it is, also those that had to wait", () => {
  const writes: string[] = [];
  const releases: (() => void)[] = [];
  const stream = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      writes.push(chunk.toString());
      releases.push(done);
    },
    writev: () => assert.fail("writes are joined"),
  });
  const sink = createStreamSink(stream);
  for (const text of ["a", "b", "c"]) sink.write(Buffer.from(text));
  for (let i = 0; i < 3; i += 1) releases[i]?.();
  assert.deepEqual(writes, ["a", "b", "c"]);
});
