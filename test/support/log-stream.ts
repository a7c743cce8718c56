import { Writable } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";

import { createLog, type Log, type LogLevel } from "../../src/log.ts";
import { createStreamSink } from "../../src/process/log-sink.ts";

/** A stream that keeps what is written to it, and that a test can hold up. */
export class LogStream extends Writable {
  /** All that has been written. */
  text = "";
  /** The length of each write. */
  readonly writes: number[] = [];
  /** Writes do not end before `release`. */
  isHeld = false;
  #finishWrite: (() => void) | undefined = undefined;

  constructor() {
    super({ decodeStrings: false });
  }

  override _write(chunk: string, _encoding: string, done: () => void): void {
    this.text += chunk;
    this.writes.push(chunk.length);
    if (this.isHeld) this.#finishWrite = done;
    else done();
  }

  release(): void {
    this.isHeld = false;
    this.#finishWrite?.();
  }

  /** The lines so far. Throws if one is not whole. */
  get lines(): Record<string, unknown>[] {
    if (this.text !== "" && !this.text.endsWith("\n"))
      throw new Error("the last line is not whole");
    const lines = this.text.split("\n").slice(0, -1);
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  }
}

/** What a log of this level has written after `action`. */
export async function logged(level: LogLevel, action: (log: Log) => void): Promise<LogStream> {
  const stream = new LogStream();
  action(createLog(level, createStreamSink(stream)));
  await untilWritten();
  return stream;
}

/** Resolves when the lines of this turn have been handed over. */
export async function untilWritten(): Promise<void> {
  await nextTurn();
  await nextTurn();
}
