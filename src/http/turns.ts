/**
 * Shares the turns of the event loop among connections whose clients pipeline requests. Node
 * accepts one connection in a turn, so the longer turns take, the longer newcomers wait.
 */
export class Turns {
  readonly #waiting: (() => void)[] = [];
  #isScheduled = false;

  /** Runs `task` in a later turn, after the tasks that wait already. */
  add(task: () => void): void {
    this.#waiting.push(task);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled || this.#waiting.length === 0) return;
    this.#isScheduled = true;
    setImmediate(this.#run);
  }

  readonly #run = (): void => {
    this.#isScheduled = false;
    for (const task of this.#waiting.splice(0, TASKS_PER_TURN)) task();
    this.#schedule();
  };
}

/** How many connections go on in one turn. */
const TASKS_PER_TURN = 4;
