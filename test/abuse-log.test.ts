import { describe, test } from "node:test";

import { assertHolds, brokenLog } from "./support/attacks.ts";
import * as logs from "./support/log-attacks.ts";

// Each attack at full size is in soak/soak.ts.
describe("the log under abuse", { concurrency: 3 }, () => {
  for (const reader of ["closed", "stuck"] as const) {
    test(`with a reader that is ${reader} does not stop the service`, async (t) => {
      assertHolds(await brokenLog(t, reader, 5000));
    });
  }

  for (const sink of ["file", "slow pipe"] as const) {
    test(`has each line of a request with a key in a flood into a ${sink}`, async (t) => {
      assertHolds(await logs.logFlood(t, { sink, connections: 8, calls: 5 }));
    });
  }

  test("goes on when a full disk has room again", async (t) => {
    assertHolds(await logs.fullDisk(t, 1000));
  });

  test("has at most one line a second of refusals past MAX_CONNECTIONS", async (t) => {
    assertHolds(await logs.refusalLines(t, 10, 500));
  });
});
