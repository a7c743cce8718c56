import { syncBuiltinESMExports } from "node:module";
import type { TestContext } from "node:test";

/**
 * Has imports of single functions see what the test has mocked in a module of Node, until the test
 * ends. Call it after the last such mock.
 */
export function useNodeMocks(t: TestContext): void {
  syncBuiltinESMExports();
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
}
