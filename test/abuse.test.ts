import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import * as attacks from "./support/attacks.ts";
import { assertHolds } from "./support/attacks.ts";
import {
  type Client,
  exchange,
  open,
  openMany,
  outcomes,
  untilAnswered,
  untilClosed,
} from "./support/client.ts";
import * as memory from "./support/memory-attacks.ts";
import * as processes from "./support/process-attacks.ts";
import { startProgram } from "./support/program.ts";
import { get, post } from "./support/requests.ts";
import { EXEC, startInShell } from "./support/shell.ts";
import { until } from "./support/wait.ts";

const TASK = post('{"status":"SUCCESS"}');

/** A bound, not a measurement: the machine may be busy. The soak measures. */
const SLACK_MS = 60_000;

/** What a process may take under these attacks, in MiB. It starts with 50 to 70. */
const LIMIT_MIB = 160;

// Each attack at full size is in soak/soak.ts.
describe("under abuse", { concurrency: 4 }, () => {
  test("500 idle connections are held and cost no one else anything", async (t) => {
    const options = { limitMiB: 150, holdMs: 500, slackMs: SLACK_MS };
    assertHolds(await attacks.idleConnections(t, 500, options));
  });

  test("100 slow header sections get 408 in time", async (t) => {
    const options = { headersMs: 1500, requestMs: 60_000, slackMs: SLACK_MS };
    assertHolds(await attacks.slowRequests(t, "header", 100, options));
  });

  test("100 slow bodies get 408 in time", async (t) => {
    const options = { headersMs: 1500, requestMs: 2500, slackMs: SLACK_MS };
    assertHolds(await attacks.slowRequests(t, "body", 100, options));
  });

  test("20 slow readers of 100 responses take little memory and are closed", async (t) => {
    assertHolds(await attacks.slowReaders(t, 20, 100, 1000));
  });

  test("2 slow readers of 2,000 responses take little memory and are closed", async (t) => {
    assertHolds(await attacks.slowReaders(t, 2, 2000, 1000));
  });

  test("bodies made to take memory are rejected at once, in few words", async (t) => {
    assertHolds(await attacks.bodyBombs(t));
  });

  test("200 connections on 64 file handles cost little, and some are served", async (t) => {
    assertHolds(await attacks.fileHandles(t, 64, 200, SLACK_MS));
  });

  test("connections past MAX_CONNECTIONS are closed at once, the others served", async (t) => {
    assertHolds(await attacks.excessConnections(t, 50, 100));
  });

  test("requests past MAX_IN_FLIGHT get 503 at once, the others and /health 200", async (t) => {
    assertHolds(await attacks.excessRequests(t, 50, 100));
  });

  test("300 header sections without an end take little memory and get 408", async (t) => {
    const attack = { connections: 300, timeoutMs: 1500, limitMiB: LIMIT_MIB };
    assertHolds(await memory.unfinishedHeaders(t, attack));
  });

  test("50 pipelines whose responses are not read take little memory", async (t) => {
    assertHolds(await memory.unreadResponses(t, { connections: 50, limitMiB: LIMIT_MIB }));
  });

  test("20 pipelines whose responses are read take little memory", async (t) => {
    assertHolds(await memory.readResponses(t, { connections: 20, limitMiB: 200 }, 500));
  });

  test("of 30 bodies that lack a byte, as many are held as there is memory for", async (t) => {
    const attack = { connections: 30, allowed: 8, limitMiB: LIMIT_MIB };
    assertHolds(await memory.unfinishedBodies(t, attack));
  });

  test("1,000 requests on one connection are served in order, 64 at a time", async (t) => {
    assertHolds(await memory.longPipeline(t, 1000, LIMIT_MIB));
  });

  for (const responses of ["unsent", "in the kernel"] as const) {
    test(`20 clients that never read are closed, responses ${responses}`, async (t) => {
      const attack = { connections: 20, responses, timeoutMs: 1000, slackMs: 60_000 };
      assertHolds(await memory.clientsThatNeverRead(t, attack));
    });
  }

  test("FIFOs and /dev/zero in place of files stop neither a start nor a reload", async (t) => {
    assertHolds(await processes.endlessFiles(t));
  });

  test("SIGTERM leaves no one out who waits to be accepted", async (t) => {
    assertHolds(await processes.fullListenQueue(t, 500, 60_000));
  });
});

describe("on the wire", { concurrency: 4 }, () => {
  test("a denied upload of 2 MiB reads its whole 401, 100 times of 100", async (t) => {
    const program = await startProgram(t);
    const upload = post(Buffer.alloc(2_097_152, " "), [], { key: "wrong" });
    for (let i = 0; i < 100; i += 1) {
      const { responses, reset } = await exchange(program.port, upload);
      const statuses = responses.map(({ status }) => status);
      assert.deepEqual({ statuses, reset }, { statuses: [401], reset: false });
    }
    assert.equal(await program.stop(), 0);
  });

  // node:http alone would close it after 5 s.
  test("a connection that has been idle for 5.5 s is used again without a reset", async (t) => {
    const program = await startProgram(t);
    const clients = await openMany(program.port, 20, TASK);
    await untilAnswered(clients);
    await sleep(5500);
    for (const { socket } of clients) socket.write(TASK);
    await untilAnswered(clients, 2);
    assert.deepEqual(outcomes(clients), { 200: 20 });
  });

  test("a connection is closed after KEEP_ALIVE_TIMEOUT_MS without a request", async (t) => {
    const program = await startProgram(t, { KEEP_ALIVE_TIMEOUT_MS: "500" });
    const clients = await openMany(program.port, 5, TASK);
    await untilClosed(clients);
    assert.deepEqual(outcomes(clients), { 200: 5 });
  });

  test("a new connection is closed after HEADERS_TIMEOUT_MS of silence", async (t) => {
    const program = await startProgram(t, { HEADERS_TIMEOUT_MS: "500" });
    const client = await open(program.port);
    await untilClosed([client]);
    assert.deepEqual(outcomes([client]), { 408: 1 });
  });
});

describe("clients that go away", { concurrency: 4 }, () => {
  const departures: Readonly<Record<string, Buffer>> = {
    "before a byte": Buffer.alloc(0),
    "in the header section": TASK.subarray(0, 30),
    "in the body": TASK.subarray(0, -5),
    "before the response": TASK,
    "while responses are written": Buffer.from(get("/docs").repeat(50)),
    "after garbage": Buffer.from("\x16\x03\x01\r\n\r\n"),
    "after a rejected body": post(Buffer.alloc(200_000), [], { key: "" }).subarray(0, 100_000),
  };
  for (const [when, bytes] of Object.entries(departures)) {
    test(`200 clients that reset or close ${when} leave nothing open`, async (t) => {
      // With so few file handles, a leak of half of the connections would leave none.
      const { port } = await startInShell(t, `ulimit -n 120; ${EXEC}`, { PROCESS_DELAY_MS: "100" });
      for (let round = 0; round < 10; round += 1) {
        const clients = await openMany(port, 20, bytes);
        // Some of the bytes have been read by then, and some have not.
        await sleep(10);
        for (const [i, { socket }] of clients.entries()) {
          if (i % 2 === 0) socket.resetAndDestroy();
          else socket.destroy();
        }
        await untilClosed(clients);
      }
      await until(() => isServing80(port), "80 connections at once to be served");
    });
  }
});

/** Whether it serves on more than half of its file handles at once. */
async function isServing80(port: number): Promise<boolean> {
  const clients = await openMany(port, 80, get("/health"));
  const isOver = ({ responses, closed }: Client): boolean => responses.length > 0 || closed;
  await until(() => clients.every(isOver), "responses or ends");
  for (const { socket } of clients) socket.destroy();
  return outcomes(clients)["200"] === 80;
}
