/**
 * Shares the turns of the event loop among connections whose clients pipeline requests. Node
 * accepts one connection in a turn, so the longer turns take, the longer newcomers wait.
 */
export class Turns {
  readonly #waiting: (() => void)[] = [];

  /** Runs `task` in a later turn, after the tasks that wait already. */
  add(task: () => void): void {
    if (this.#waiting.length === 0) setImmediate(this.#run);
    this.#waiting.push(task);
  }

  readonly #run = (): void => {
    const tasks = this.#waiting.splice(0, TASKS_PER_TURN);
    // Before the tasks run, because each of them may add another.
    if (this.#waiting.length > 0) setImmediate(this.#run);
    for (const task of tasks) task();
  };
}

/** How many connections go on in one turn. */
const TASKS_PER_TURN = 4;
