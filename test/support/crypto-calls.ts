import crypto from "node:crypto";
import { syncBuiltinESMExports } from "node:module";
import type { TestContext } from "node:test";

/**
 * Counts the calls of a function of node:crypto until the end of the test. The function that it
 * returns says how many there were since it was last asked.
 */
export function countCalls(
  t: TestContext,
  name: "randomFillSync" | "timingSafeEqual",
): () => number {
  const { mock } = t.mock.method(crypto, name);
  // Imports of single functions see a change of the module only after this.
  syncBuiltinESMExports();
  t.after(() => {
    mock.restore();
    syncBuiltinESMExports();
  });
  return () => {
    const count = mock.callCount();
    mock.resetCalls();
    return count;
  };
}
