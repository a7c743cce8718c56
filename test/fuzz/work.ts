import { Session } from "node:inspector";

/**
 * Counts how often the blocks of code below a folder run: a measure of work that no clock is in.
 * Only functions that have not run before there is a counter are counted.
 */
export class WorkCounter {
  readonly #session = new Session();
  readonly #folder: string;

  /** `folder` is a URL. */
  constructor(folder: URL = new URL("../../src/", import.meta.url)) {
    this.#folder = folder.href;
    this.#session.connect();
    this.#session.post("Profiler.enable");
    this.#session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  }

  /** Starts at 0. */
  reset(): void {
    this.#session.post("Profiler.takePreciseCoverage", () => {});
  }

  /** Returns how many blocks have run since the last reset, and starts at 0. */
  take(): number {
    let count = 0;
    // The inspector of the own thread calls back at once.
    this.#session.post("Profiler.takePreciseCoverage", (_error, { result }) => {
      for (const { url, functions } of result) {
        if (!url.startsWith(this.#folder)) continue;
        for (const { ranges } of functions) for (const range of ranges) count += range.count;
      }
    });
    return count;
  }

  close(): void {
    this.#session.disconnect();
  }
}
