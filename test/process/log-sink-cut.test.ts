import assert from "node:assert/strict";
import fs from "node:fs";
import { describe, test, type TestContext } from "node:test";

import { FileSink } from "../../src/process/log-sink.ts";
import { useNodeMocks } from "../support/node-mocks.ts";

/** A disk with one file. */
interface Disk {
  content: string;
  /** How many bytes it still takes. */
  room: number;
}

/** Has FileSink write to a disk that takes what there is room for, and then fails. */
function simulateDisk(t: TestContext, room: number): Disk {
  const disk: Disk = { content: "", room };
  t.mock.method(fs, "writeSync", (_fd: number, bytes: Buffer, offset: number) => {
    if (disk.room === 0) throw Object.assign(new Error("ENOSPC"), { code: "ENOSPC" });
    const taken = bytes.subarray(offset, offset + disk.room);
    disk.content += taken.toString();
    disk.room -= taken.length;
    return taken.length;
  });
  t.mock.method(fs, "fstatSync", () => ({ size: disk.content.length }));
  useNodeMocks(t);
  return disk;
}

const LINES = Buffer.from("a\nbcd\n\nef\n");

describe("a disk with room for a part of some lines", () => {
  // What is in the file after a further line, and how many of the first are lost.
  const rows: readonly (readonly [room: number, content: string, lost: number])[] = [
    [0, "x\n", 4],
    [1, "a\nx\n", 3],
    [2, "a\nx\n", 3],
    [3, "a\nbcd\nx\n", 2],
    [4, "a\nbcd\nx\n", 2],
    [5, "a\nbcd\nx\n", 2],
    [6, "a\nbcd\nx\n", 2],
    [7, "a\nbcd\n\nx\n", 1],
    [8, "a\nbcd\n\nef\nx\n", 0],
    [9, "a\nbcd\n\nef\nx\n", 0],
    [10, "a\nbcd\n\nef\nx\n", 0],
  ];
  for (const [room, content, lost] of rows) {
    test(`of ${room} bytes gets whole lines in the end`, (t) => {
      const disk = simulateDisk(t, room);
      const sink = new FileSink(1, () => {});
      assert.equal(sink.write(LINES), lost);
      disk.room = 100;
      assert.equal(sink.write(Buffer.from("x\n")), 0);
      assert.equal(disk.content, content);
    });
  }
});

test("the rest of a line is not written to a file that has been emptied since", (t) => {
  const disk = simulateDisk(t, 4);
  const sink = new FileSink(1, () => {});
  sink.write(LINES);
  Object.assign(disk, { content: "", room: 100 });
  assert.equal(sink.write(Buffer.from("x\n")), 0);
  assert.equal(disk.content, "x\n");
});

test("the rest of a line waits as long as the disk is full", (t) => {
  const disk = simulateDisk(t, 4);
  const sink = new FileSink(1, () => {});
  sink.write(LINES);
  assert.equal(sink.write(Buffer.from("x\ny\n")), 2);
  disk.room = 1;
  assert.equal(sink.write(Buffer.from("z\n")), 1);
  disk.room = 100;
  assert.equal(sink.write(Buffer.from("last\n")), 0);
  assert.equal(disk.content, "a\nbcd\nlast\n");
});
