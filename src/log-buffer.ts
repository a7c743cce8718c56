/** Where a log's lines go. */
export interface LogSink {
  /**
   * Takes whole lines in ASCII. Neither waits nor throws. Returns how many of the lines are lost:
   * 0 unless a write has failed.
   */
  readonly write: (lines: Buffer) => number;
  /** How many bytes its reader has yet to take. Always 0 for a file. */
  readonly waiting: number;
  /** Nothing can be written any more: its reader has closed it. */
  readonly isClosed: boolean;
}

/**
 * The kind of a line. A caller without a key can cause any number of lines `withoutKey`: denials,
 * 404s, probes, bytes that are not a request. All others are `trusted`: events, and requests that
 * the guard has let pass.
 */
export type LineKind = "trusted" | "withoutKey";

/** How many lines are missing from the log: those that were dropped, by kind, and those lost. */
export type MissingLines = Readonly<Record<LineKind | "lost", number>>;

/**
 * How many bytes may wait for a reader that is behind before lines of a kind are dropped. Since
 * strangers can fill only half of it, the other half is left for trusted lines.
 */
const CAPACITY: Readonly<Record<LineKind, number>> = {
  trusted: 1_048_576,
  withoutKey: 524_288,
};

/** Lines are handed over as soon as this many bytes have been gathered. */
const MAX_WRITE_LENGTH = 65_536;

/**
 * Gathers lines and hands them to a sink, at 64 KiB or at the end of the turn of the event loop. It
 * drops lines while the reader is behind. When there is room again, a line says how many:
 *
 * - `dropped_lines`: trusted lines that were dropped;
 * - `dropped_requests_without_key`: lines of requests without a key that were dropped;
 * - `lost_lines`: lines of any kind that were lost because a write failed.
 */
export class LineBuffer {
  readonly #sink: LogSink;
  readonly #maxWriteLength: number;
  readonly #dropped: Record<LineKind, number> = { trusted: 0, withoutKey: 0 };
  #lost = 0;
  /** What the log itself has said of those that are missing. */
  #reported: MissingLines = { trusted: 0, withoutKey: 0, lost: 0 };
  /** Lines to be handed over. All of it is ASCII, so that characters are bytes. */
  #text = "";
  #lastTime = 0;
  #lineStart = "";

  /** No single write is longer than `maxWriteLength` bytes, unless one line is. */
  constructor(sink: LogSink, maxWriteLength: number) {
    this.#sink = sink;
    this.#maxWriteLength = Math.min(maxWriteLength, MAX_WRITE_LENGTH);
  }

  /** How many lines have been dropped or lost in all. */
  get missing(): MissingLines {
    return {
      trusted: this.#reported.trusted + this.#dropped.trusted,
      withoutKey: this.#reported.withoutKey + this.#dropped.withoutKey,
      lost: this.#reported.lost + this.#lost,
    };
  }

  /**
   * Whether there is room for a line of a kind. If not, it counts as dropped, and need not even be
   * made: in a flood, most are not.
   */
  admits(kind: LineKind): boolean {
    if (this.#sink.isClosed) return false;
    const hasRoom = this.#sink.waiting + this.#text.length <= CAPACITY[kind];
    if (!hasRoom) this.#dropped[kind] += 1;
    return hasRoom;
  }

  /**
   * Takes a line that has been admitted, without its beginning, the time: the rest of a JSON
   * object, in ASCII.
   */
  append(rest: string): void {
    const line = `${this.#startLine()}${rest}\n`;
    if (this.#text.length + line.length > this.#maxWriteLength) this.flush();
    if (this.#text === "") setImmediate(this.flush);
    this.#text += line;
    if (this.#text.length >= this.#maxWriteLength) this.flush();
  }

  /** Hands over what has been gathered. Bound to its buffer, so that it can be passed on. */
  readonly flush = (): void => {
    if (this.#text === "") return;
    const lines = Buffer.from(this.#text, "latin1");
    this.#text = "";
    // There is room again if strangers' lines have some, even with these lines waiting.
    if (this.#sink.waiting + lines.length <= CAPACITY.withoutKey) this.#reportMissing();
    this.#lost += this.#sink.write(lines);
  };

  /** Writes how many lines are missing, if any are. */
  #reportMissing(): void {
    const { trusted, withoutKey } = this.#dropped;
    if (trusted + withoutKey + this.#lost === 0) return;
    const line =
      `${this.#startLine()}"level":"warn","event":"warning","dropped_lines":${trusted},` +
      `"dropped_requests_without_key":${withoutKey},"lost_lines":${this.#lost}}\n`;
    if (this.#sink.write(Buffer.from(line)) > 0) return;
    this.#reported = this.missing;
    this.#dropped.trusted = 0;
    this.#dropped.withoutKey = 0;
    this.#lost = 0;
  }

  /** The beginning of a line: a JSON object up to its time. */
  #startLine(): string {
    const now = Date.now();
    // Writing the time takes as long as the rest of a line, and most lines share theirs.
    if (now !== this.#lastTime) this.#lineStart = `{"time":"${new Date(now).toISOString()}",`;
    this.#lastTime = now;
    return this.#lineStart;
  }
}
