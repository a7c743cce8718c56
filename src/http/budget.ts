/**
 * How many bytes all requests of a server may hold for one purpose. It keeps clients from using up
 * the memory of the process.
 */
export class MemoryBudget {
  #left: number;

  constructor(bytes: number) {
    this.#left = bytes;
  }

  /** Takes this many bytes; a negative number gives some back. Returns false if it is overdrawn. */
  take(bytes: number): boolean {
    this.#left -= bytes;
    return this.#left >= 0;
  }

  /** Whether it has this many bytes left. */
  has(bytes: number): boolean {
    return this.#left >= bytes;
  }
}
