import crypto from "node:crypto";
import type { TestContext } from "node:test";

import { useNodeMocks } from "./node-mocks.ts";

/**
 * Counts the calls of a function of node:crypto until the end of the test. The function that it
 * returns says how many there were since it was last asked.
 */
export function countCalls(
  t: TestContext,
  name: "randomFillSync" | "timingSafeEqual",
): () => number {
  const { mock } = t.mock.method(crypto, name);
  useNodeMocks(t);
  return () => {
    const count = mock.callCount();
    mock.resetCalls();
    return count;
  };
}
