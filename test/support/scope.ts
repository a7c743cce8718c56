import { after } from "node:test";

/** A test or a suite, as helpers see it. A TestContext is one. */
export interface Scope {
  /** Calls `action` when the test or the suite has ended, whether or not it failed. */
  after(action: () => unknown): void;
}

/** The scope of a suite. Call it in the body of `describe`, or of the file. */
export function suiteScope(): Scope {
  const scope = new ActionList();
  after(() => scope.end());
  return scope;
}

/** Calls `action` with a scope that ends with it, for programs that are not tests. */
export async function withScope<T>(action: (scope: Scope) => Promise<T>): Promise<T> {
  const scope = new ActionList();
  try {
    return await action(scope);
  } finally {
    await scope.end();
  }
}

class ActionList implements Scope {
  readonly #actions: (() => unknown)[] = [];

  after(action: () => unknown): void {
    this.#actions.push(action);
  }

  /** Calls all actions, the latest first, and then throws the first error. */
  async end(): Promise<void> {
    const errors: unknown[] = [];
    for (const action of this.#actions.splice(0).reverse()) {
      try {
        await action();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }
}
