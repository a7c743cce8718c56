import { addCounts, formatMetrics, type Samples, type Source } from "../metrics-text.ts";

/** How long workers have to report their samples. One that is stuck shows its latest. */
const WAIT_MS = 1000;

/** The samples of a pool's workers, in the primary. */
export class PoolMetrics {
  /** The latest report of each worker that is alive, by its id. */
  readonly #latest = new Map<number, Samples>();
  /** What workers that have died had counted by their latest reports. */
  readonly #ended = new Map<string, number>();
  /** The workers whose reports are awaited. */
  readonly #awaited = new Set<number>();
  #onComplete: () => void = () => {};
  #reading: Promise<string> | undefined;

  /** A worker has reported. */
  report(id: number, samples: Samples): void {
    this.#latest.set(id, samples);
    this.#settle(id);
  }

  /** A worker has died. */
  end(id: number): void {
    const samples = this.#latest.get(id);
    if (samples !== undefined) addCounts(this.#ended, samples);
    this.#latest.delete(id);
    this.#settle(id);
  }

  /**
   * Resolves to all metrics as text. `ask` makes workers report, and returns their ids. `common`
   * returns what is no worker's own. Calls during a read get its text, too.
   */
  read(ask: () => readonly number[], common: () => Samples): Promise<string> {
    this.#reading ??= this.#read(ask, common).finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #read(ask: () => readonly number[], common: () => Samples): Promise<string> {
    for (const id of ask()) this.#awaited.add(id);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, WAIT_MS);
      this.#onComplete = () => {
        clearTimeout(timer);
        resolve();
      };
      if (this.#awaited.size === 0) this.#onComplete();
    });
    this.#awaited.clear();
    const workers: Source[] = [...this.#latest].map(([id, samples]) => ({
      samples,
      worker: String(id),
    }));
    return formatMetrics([...workers, { samples: this.#ended }, { samples: common() }]);
  }

  #settle(id: number): void {
    this.#awaited.delete(id);
    if (this.#awaited.size === 0) this.#onComplete();
  }
}
