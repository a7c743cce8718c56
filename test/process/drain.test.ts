import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";

import { open, outcomes, untilClosed } from "../support/client.ts";
import { kill, workersOf } from "../support/processes.ts";
import { type Program, startProgram, type Variables } from "../support/program.ts";
import { post } from "../support/requests.ts";
import { until } from "../support/wait.ts";

const TASK = post('{"status":"SUCCESS"}');

/** Code that makes each turn of a process's event loop take 5 ms, as on a machine under load. */
const SLOW_TURNS = `
  const spin = () => {
    const end = performance.now() + 5;
    while (performance.now() < end);
    setImmediate(spin).unref();
  };
  spin();`;

function startSlow(t: TestContext, variables: Variables): Promise<Program> {
  const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(SLOW_TURNS)}`;
  return startProgram(t, { NODE_OPTIONS, ...variables });
}

describe("SIGTERM under load", () => {
  for (const WORKERS of ["1", "2"]) {
    test(`serves all who wait to be accepted, with WORKERS=${WORKERS}`, async (t) => {
      const service = await startSlow(t, { WORKERS, SHUTDOWN_TIMEOUT_MS: "60000" });
      const servers = WORKERS === "1" ? [service.pid] : await workersOf(service, 2);
      // The queue fills while nothing accepts.
      for (const pid of servers) kill(pid, "SIGSTOP");
      const waiting = await Promise.all(
        Array.from({ length: 300 }, () => open(service.port, TASK)),
      );
      service.child.kill("SIGTERM");
      for (const pid of servers) kill(pid, "SIGCONT");
      await untilClosed(waiting);
      assert.deepEqual(outcomes(waiting), { 200: 300 });
      assert.equal(await service.exit(), 0);
    });
  }

  test("leaves time for the responses, although clients keep connecting", async (t) => {
    const service = await startSlow(t, { PROCESS_DELAY_MS: "500", SHUTDOWN_TIMEOUT_MS: "5000" });
    const clients = Array.from({ length: 200 }, () => keepConnecting(service.port));
    await service.until(() => service.events("request").length > 0, "the load");
    service.child.kill("SIGTERM");
    await Promise.all(clients);
    assert.equal(await service.exit(), 0);
    assert.deepEqual(
      service.events("request").filter(({ status }) => status !== 200),
      [],
    );
  });
});

/** Sends a request on each connection, and opens another when the service has closed it. */
async function keepConnecting(port: number): Promise<void> {
  for (;;) {
    const peer = await open(port, TASK);
    await until(() => peer.closed || peer.responses.length > 0, "a response");
    peer.socket.destroy();
    if (peer.responses.length === 0) return;
  }
}
