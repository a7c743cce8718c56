import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync, readFileSync, readSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { Writable } from "node:stream";
import { describe, test, type TestContext } from "node:test";

import { createStreamSink, FileSink } from "../../src/process/log-sink.ts";
import { type Client, open, request } from "../support/client.ts";
import { type FileProgram, startWithLogFile } from "../support/log-file.ts";
import { get, post } from "../support/requests.ts";
import { tempDirectory } from "../support/temp.ts";

/** A sink on a file descriptor, and the codes of the failures that it reported. */
interface Opened {
  readonly fd: number;
  readonly sink: FileSink;
  readonly failures: string[];
}

/** Opens a file with a sink. The end of the test closes it. */
function openSink(t: TestContext, path: string, flags: string | number): Opened {
  const fd = openSync(path, flags);
  t.after(() => closeSync(fd));
  const failures: string[] = [];
  return { fd, sink: new FileSink(fd, (code) => failures.push(code)), failures };
}

/**
 * A sink that is full after some KiB, and then takes only a part, as a full disk does: a FIFO whose
 * only reader is this test.
 */
function openFifo(t: TestContext): Opened {
  const path = join(tempDirectory(t), "fifo");
  execFileSync("mkfifo", [path]);
  return openSink(t, path, constants.O_RDWR | constants.O_NONBLOCK);
}

/** Reads all that is in a FIFO. */
function drain(fd: number): string {
  const buffer = Buffer.alloc(1_048_576);
  let text = "";
  try {
    for (;;) text += buffer.toString("latin1", 0, readSync(fd, buffer));
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, "EAGAIN");
    return text;
  }
}

/** Lines with the numbers from `start` up to `end`, of about `length` bytes each. */
function numbered(start: number, end: number, length = 100): Buffer {
  let text = "";
  for (let i = start; i < end; i += 1) text += `{"i":${i},"a":"${"a".repeat(length)}"}\n`;
  return Buffer.from(text);
}

/** The numbers of lines, each of which must be whole. */
function numbersOf(text: string): number[] {
  const lines = text.split("\n");
  assert.equal(lines.pop(), "", "the last line has its end");
  return lines.map((line) => (JSON.parse(line) as { i: number }).i);
}

describe("a sink on a file", () => {
  test("writes at once, and is never behind or closed", (t) => {
    const path = join(tempDirectory(t), "log");
    const { sink, failures } = openSink(t, path, "a");
    assert.equal(sink.write(numbered(0, 50_000)), 0);
    assert.equal(numbersOf(readFileSync(path, "utf8")).length, 50_000);
    assert.deepEqual([sink.waiting, sink.isClosed, failures.length], [0, false, 0]);
  });

  test("says once that writes fail, and how many lines are lost each time", (t) => {
    const path = join(tempDirectory(t, { log: "" }), "log");
    const { sink, failures } = openSink(t, path, "r");
    assert.equal(sink.write(numbered(0, 1)), 1);
    for (let i = 0; i < 100; i += 1) assert.equal(sink.write(numbered(0, 7)), 7);
    assert.deepEqual(failures, ["EBADF"]);
    assert.deepEqual([sink.waiting, sink.isClosed], [0, false]);
  });

  test("completes a line that was cut before it writes others", (t) => {
    const { fd, sink, failures } = openFifo(t);
    const total = 10_000;
    const lost = sink.write(numbered(0, total));
    assert.ok(lost > 0 && lost < total);
    assert.equal(sink.write(numbered(total, total + 10)), 10, "still full");
    const before = drain(fd);
    assert.ok(!before.endsWith("\n"), "a line is cut");
    assert.equal(sink.write(numbered(total + 10, total + 20)), 0);
    const numbers = numbersOf(before + drain(fd));
    assert.equal(numbers.length, total - lost + 10);
    assert.deepEqual(numbers.slice(-11), [
      total - lost - 1,
      ...Array.from({ length: 10 }, (_, i) => total + 10 + i),
    ]);
    assert.deepEqual(failures, ["EAGAIN"]);
  });

  test("completes it in several writes if there is little room", (t) => {
    const { fd, sink, failures } = openFifo(t);
    // One line of more than a FIFO holds on any system, so that its rest is cut again.
    const line = numbered(0, 1, 3_000_000);
    assert.equal(sink.write(line), 0, "its beginning is in the file");
    let text = drain(fd);
    let lost = 0;
    for (let i = 1; !text.includes("\n"); i += 1) {
      lost += sink.write(numbered(i, i + 1));
      text += drain(fd);
      assert.ok(i < 10_000);
    }
    assert.ok(lost > 1);
    assert.equal(sink.write(numbered(77, 78)), 0);
    const numbers = numbersOf(text + drain(fd));
    assert.deepEqual([numbers[0], numbers.at(-1)], [0, 77]);
    assert.equal(failures.length, 1);
  });

  test("reports a second failure after it has worked in between", (t) => {
    const { fd, sink, failures } = openFifo(t);
    for (let i = 0; i < 3; i += 1) {
      assert.ok(sink.write(numbered(0, 10_000)) > 0);
      drain(fd);
      assert.equal(sink.write(numbered(0, 1)), 0);
    }
    assert.deepEqual(failures, ["EAGAIN", "EAGAIN", "EAGAIN"]);
  });

  test("writes to a device that takes nothing, and does not fail", (t) => {
    const { sink } = openSink(t, "/dev/null", "a");
    assert.equal(sink.write(numbered(0, 1000)), 0);
  });
});

describe("a sink on a stream", () => {
  /** A stream whose reader takes nothing until `release` is called. */
  function heldStream(): { stream: Writable; release: () => void } {
    let release = (): void => {};
    const stream = new Writable({
      write: (_chunk, _encoding, done) => {
        release = done;
      },
    });
    return { stream, release: () => release() };
  }

  test("is behind by what its reader has yet to take", () => {
    const { stream, release } = heldStream();
    const sink = createStreamSink(stream);
    assert.equal(sink.waiting, 0);
    assert.equal(sink.write(Buffer.alloc(1000)), 0);
    assert.equal(sink.write(Buffer.alloc(500)), 0);
    assert.equal(sink.waiting, 1500);
    release();
    assert.equal(sink.waiting, 500);
    assert.equal(sink.isClosed, false);
  });

  test("is closed by an error, and does not throw", async () => {
    const { stream } = heldStream();
    const sink = createStreamSink(stream);
    const closed = new Promise((resolve) => stream.once("close", resolve));
    stream.destroy(new Error("EPIPE"));
    await closed;
    assert.equal(sink.isClosed, true);
  });

  test("is closed if the stream has ended", () => {
    const { stream } = heldStream();
    const sink = createStreamSink(stream);
    stream.end();
    assert.equal(sink.isClosed, true);
  });
});

/** Sends requests until `isDone`, one after the other. They are numbered in their paths. */
async function requestUntil(client: Client, isDone: () => boolean): Promise<void> {
  for (let i = 0; !isDone(); i += 1) {
    const before = client.responses.length;
    client.send(get(`/${"a".repeat(200)}/${i}`));
    await client.untilResponses(before + 1);
    assert.ok(i < 10_000, "the file is full at some time");
  }
}

/** How many lines of stderr say that the log can't be written. */
function failureLines(program: FileProgram): string[] {
  return program.stderr().match(/^can't write to stdout .*$/gm) ?? [];
}

describe("a log on a full disk", () => {
  test("loses lines, says so once on stderr, and goes on when there is room", async (t) => {
    // The limit of a file's size stands in for a full disk. It needs no rights.
    const program = await startWithLogFile(t, { prelude: "ulimit -f 16" });
    const client = await open(program.port);
    await requestUntil(client, () => failureLines(program).length > 0);
    for (let i = 0; i < 100; i += 1) {
      assert.equal((await request(program.port, post('{"status":"SUCCESS"}'))).status, 200);
    }
    // It comes after the lines of all requests before it have been written, and has none itself.
    await request(program.port, get("/health"));
    truncateSync(program.path);
    await request(program.port, get("/after", ["X-Request-Id: after"]));
    await program.until(() => program.stdout().includes('"after"'), "a line after the failure");
    await request(program.port, get("/after", ["X-Request-Id: later"]));
    await program.until(() => program.stdout().includes('"later"'), "a later line");
    const lost = program.events("warning").map((line) => line["lost_lines"]);
    assert.equal(lost.length, 1);
    assert.ok(Number(lost[0]) >= 100, String(lost[0]));
    assert.equal(await program.stop(), 0);
    assert.equal(program.events("stopped").length, 1);
    assert.deepEqual(failureLines(program), [
      "can't write to stdout (EFBIG): log lines are being lost",
    ]);
  });

  test("that stays full does not stop the service", async (t) => {
    const program = await startWithLogFile(t, { prelude: "ulimit -f 0" });
    for (let i = 0; i < 100; i += 1) {
      assert.equal((await request(program.port, post('{"status":"SUCCESS"}'))).status, 200);
    }
    assert.equal(await program.stop(), 0);
    assert.equal(program.stdout(), "");
    assert.equal(failureLines(program).length, 1);
  });

  test("says so once in each worker", async (t) => {
    const program = await startWithLogFile(t, {
      prelude: "ulimit -f 0",
      variables: { WORKERS: "2" },
    });
    // The primary logs that it listens. Which worker a connection gets is up to the system.
    const isServed = async (): Promise<boolean> => {
      await request(program.port, get("/"));
      return failureLines(program).length === 3;
    };
    await program.until(isServed, "a line of the primary and of each worker");
    assert.equal(await program.stop(), 0);
    assert.equal(failureLines(program).length, 3);
  });
});
