import { fstatSync, writeSync } from "node:fs";
import { Socket } from "node:net";
import type { Writable } from "node:stream";

import type { LogSink } from "../log-buffer.ts";
import { createThrottle } from "./throttle.ts";

const STDOUT = 1;

/** A sink for this process's stdout. A line on stderr says when writes begin to fail. */
export function createLogSink(): LogSink {
  // Node documents that it is a Socket unless it is a file: a pipe and a terminal are.
  if (process.stdout instanceof Socket) return createStreamSink(process.stdout);
  return new FileSink(
    STDOUT,
    createThrottle((code: string) => {
      process.stderr.write(`can't write to stdout (${code}): log lines are being lost\n`);
    }),
  );
}

/**
 * A sink for a stream with a reader. An error of the stream means that its reader is gone. Each
 * write is passed on as it is.
 */
export function createStreamSink(stream: Writable): LogSink {
  // A stream joins writes that wait if it can, and a long one to a pipe is not atomic: the lines of
  // several processes would mix.
  Object.assign(stream, { _writev: undefined });
  // Without a listener the error would end the process.
  stream.on("error", () => {});
  return {
    write: (lines) => {
      stream.write(lines);
      return 0;
    },
    get waiting() {
      return stream.writableLength;
    },
    get isClosed() {
      return !stream.writable;
    },
  };
}

/**
 * A sink for a file or a device. Writes are synchronous, as Node's own to a file are. A write that
 * fails, as on a full disk, loses its lines; the next one is tried as usual. A stream could not do
 * that: an error destroys it.
 */
export class FileSink implements LogSink {
  readonly waiting = 0;
  readonly isClosed = false;
  readonly #fd: number;
  readonly #onFailure: (code: string) => void;
  #isFailing = false;
  /** The end of a line whose beginning is in the file. It is written first, to mend the line. */
  #rest: Buffer = NOTHING;
  /** The length of the file after that line was cut, in bytes; undefined if it can't be known. */
  #lengthWhenCut: number | undefined;

  /** `onFailure` gets the code of the error when writes begin to fail. */
  constructor(fd: number, onFailure: (code: string) => void) {
    this.#fd = fd;
    this.#onFailure = onFailure;
  }

  write(lines: Buffer): number {
    const bytes = this.#isCut() ? Buffer.concat([this.#rest, lines]) : lines;
    const written = this.#writeSome(bytes);
    if (written === bytes.length) {
      this.#rest = NOTHING;
      return 0;
    }
    const unwritten = bytes.subarray(written);
    const isLineCut = written === 0 ? bytes !== lines : bytes[written - 1] !== LINE_FEED;
    const restLength = isLineCut ? unwritten.indexOf(LINE_FEED) + 1 : 0;
    // A copy, so that it does not keep all the lines in memory.
    this.#rest = Buffer.from(unwritten.subarray(0, restLength));
    this.#lengthWhenCut = lengthOf(this.#fd);
    return countLines(unwritten.subarray(restLength));
  }

  /** Whether the file still ends with a cut line: it may have been emptied since. */
  #isCut(): boolean {
    return this.#rest.length > 0 && lengthOf(this.#fd) === this.#lengthWhenCut;
  }

  /** Writes up to the first error. Returns how many bytes the file has taken. */
  #writeSome(bytes: Buffer): number {
    let written = 0;
    try {
      // A full disk may take a part. What follows it then fails.
      while (written < bytes.length) written += writeSync(this.#fd, bytes, written);
      this.#isFailing = false;
    } catch (error) {
      if (!this.#isFailing) this.#onFailure((error as NodeJS.ErrnoException).code ?? "");
      this.#isFailing = true;
    }
    return written;
  }
}

const NOTHING = Buffer.alloc(0);
const LINE_FEED = 0x0a;

/** The length of an open file in bytes; undefined if it can't be known. */
function lengthOf(fd: number): number | undefined {
  try {
    return fstatSync(fd).size;
  } catch {
    return undefined;
  }
}

function countLines(bytes: Buffer): number {
  let count = 0;
  for (const byte of bytes) {
    if (byte === LINE_FEED) count += 1;
  }
  return count;
}
