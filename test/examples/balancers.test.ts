import assert from "node:assert/strict";
import { createServer, type IncomingHttpHeaders } from "node:http";
import { after, before, describe, test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import {
  type Balancer,
  BALANCERS,
  COPY_PORTS,
  healthStatus,
  startBalancer,
} from "../support/balancers.ts";
import { readDocument } from "../support/documents.ts";
import { startLoad } from "../support/load.ts";
import { assertFree, lockFixedPorts } from "../support/ports.ts";
import { type Program, startProgram } from "../support/program.ts";
import { until } from "../support/wait.ts";

const { text } = readDocument("src/process/README.md");

/** What the document says of restarting copies. */
const SHUTDOWN_DELAY_MS = numberIn(/SHUTDOWN_DELAY_MS=(\d+)/);
const HEALTH_REQUESTS = numberIn(/request `\/health` from nginx (\d+) times/);
const WAIT_MS = 1000 * numberIn(/\*\*Wait (\d+) seconds\*\*/);

const FRONT_PORTS = BALANCERS.map(({ port }) => port);

describe("nginx and HAProxy, configured as published,", () => {
  let unlock: (() => void) | undefined;
  before(async () => {
    unlock = await lockFixedPorts(600_000);
    await assertFree([...COPY_PORTS, ...FRONT_PORTS]);
  });
  after(() => unlock?.());

  for (const balancer of BALANCERS) {
    test(`${balancer.name} passes on the client's address and a request id`, async (t) => {
      await Promise.all(COPY_PORTS.map((port) => startEcho(t, port)));
      await startBalancer(t, balancer);
      const sent = await headersSeenFor(balancer, {
        "X-Forwarded-For": "192.0.2.1",
        "X-Request-Id": "mine",
      });
      assert.equal(sent["x-forwarded-for"], "127.0.0.1", "the caller can't name another address");
      assert.equal(sent["x-request-id"], "mine");
      const [first, second] = [await headersSeenFor(balancer), await headersSeenFor(balancer)];
      assert.equal(first["x-forwarded-for"], "127.0.0.1");
      assert.match(String(first["x-request-id"]), /^[0-9a-f-]{32,36}$/);
      assert.notEqual(first["x-request-id"], second["x-request-id"]);
    });
  }

  test("lose no request while copies restart at the documented pace", async (t) => {
    const copies = await Promise.all(COPY_PORTS.map((port) => startCopy(t, port)));
    await Promise.all(BALANCERS.map((balancer) => startBalancer(t, balancer)));
    const loads = FRONT_PORTS.map((port) => startLoad(port, { pauseMs: 5 }));
    t.after(() => Promise.all(loads.map((load) => load.stop())));
    for (const [i, port] of COPY_PORTS.entries()) {
      // The first restart begins under load, the others begin after the wait.
      if (i > 0) await sleep(WAIT_MS);
      else await until(() => copies.every((copy) => tasksOf(copy) > 0), "all copies to be used");
      copies[i] = await restart(t, copies[i] as Program, port);
    }
    await until(() => copies.every((copy) => tasksOf(copy) > 0), "the new copies to be used");
    const results = await Promise.all(loads.map((load) => load.stop()));
    for (const [i, { errors, statuses, done }] of results.entries()) {
      const { name } = BALANCERS[i] as Balancer;
      assert.deepEqual({ name, errors, statuses }, { name, errors: {}, statuses: { 200: done } });
    }
  });
});

function numberIn(pattern: RegExp): number {
  const number = Number(pattern.exec(text)?.[1]);
  assert.ok(number > 0, `${pattern} is in src/process/README.md`);
  return number;
}

function startCopy(t: TestContext, port: number): Promise<Program> {
  return startProgram(t, {
    PORT: String(port),
    PROCESS_DELAY_MS: "10",
    SHUTDOWN_DELAY_MS: String(SHUTDOWN_DELAY_MS),
  });
}

/** Restarts a copy as the document says. */
async function restart(t: TestContext, copy: Program, port: number): Promise<Program> {
  const stopped = copy.stop();
  const [nginxPort = 0] = FRONT_PORTS;
  for (let i = 0; i < HEALTH_REQUESTS; i += 1) assert.equal(await healthStatus(nginxPort), 200);
  assert.equal(await stopped, 0);
  return startCopy(t, port);
}

function tasksOf(copy: Program): number {
  return copy.events("request").filter(({ path }) => path === "/process").length;
}

/** Starts a stand-in for a copy. It responds with the header fields of the request. */
function startEcho(t: TestContext, port: number): Promise<void> {
  const server = createServer((request, response) => {
    response.end(JSON.stringify(request.headers));
  });
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
}

async function headersSeenFor(
  { port }: Balancer,
  headers: Readonly<Record<string, string>> = {},
): Promise<IncomingHttpHeaders> {
  const response = await fetch(`http://127.0.0.1:${port}/`, { headers });
  return (await response.json()) as IncomingHttpHeaders;
}
