import assert from "node:assert/strict";
import { type AddressInfo, createServer, Server, Socket } from "node:net";
import { describe, test, type TestContext } from "node:test";

import { keySetOf } from "../../src/auth/keys.ts";
import type { Settings } from "../../src/config/settings.ts";
import type { PrimaryMessage, ServeMessage, WorkerMessage } from "../../src/process/messages.ts";
import { runWorker } from "../../src/process/worker.ts";
import { request } from "../support/client.ts";
import { get, KEY, OTHER_KEY, post } from "../support/requests.ts";
import { configurationOf } from "../support/settings.ts";
import { keepHandlers, throwOnExit } from "../support/this-process.ts";
import { until } from "../support/wait.ts";

/** A worker in this process, whose primary is the test. */
interface Worker {
  /** Does what the process does on an event, such as a signal. */
  readonly emit: (event: string, value?: unknown) => void;
  /** Sends it a message, or what is none. */
  readonly send: (message: PrimaryMessage | string) => void;
  /** Has it serve with these settings and this key. */
  readonly serve: (version: number, settings?: Partial<Settings>, key?: string) => void;
  /** What it has sent. */
  readonly sent: WorkerMessage[];
  /** The exit codes that it has asked for. */
  readonly exits: unknown[];
  /** Its servers. */
  readonly servers: Server[];
}

function start(t: TestContext): Worker {
  const emit = keepHandlers(t);
  const [sent, exits, servers]: [WorkerMessage[], unknown[], Server[]] = [[], [], []];
  const stdout = new Socket();
  t.mock.method(stdout, "write", (_text: unknown, done?: () => void) => done?.());
  t.mock.getter(process, "stdout", () => stdout);
  throwOnExit(t, (code) => exits.push(code));
  const listen = Server.prototype.listen as (options: object) => Server;
  t.mock.method(Server.prototype, "listen", function (this: Server, options: object) {
    servers.push(this);
    return listen.call(this, options);
  });
  useChannel(t, (message, onSent) => {
    sent.push(message);
    if (message.type !== "failed") return onSent();
    assert.throws(onSent);
  });
  t.after(() => servers.forEach((server) => server.close()));
  const { settings } = configurationOf(t, { PORT: "0", PROCESS_DELAY_MS: "0" });
  const send = (message: PrimaryMessage | string): void => emit("message", message);
  runWorker();
  return {
    emit,
    send,
    serve: (version, changes = {}, key = KEY) => {
      const secrets = { keys: keySetOf({ default: key }), tls: undefined };
      const message: ServeMessage = {
        type: "serve",
        settings: { ...settings, ...changes },
        secrets,
        version,
      };
      send(message);
    },
    sent,
    exits,
    servers,
  };
}

/** Calls `onMessage` with what this process sends to its primary. */
function useChannel(
  t: TestContext,
  onMessage: (message: WorkerMessage, onSent: () => void) => void,
): void {
  const { send } = process;
  t.after(() => {
    process.send = send as NonNullable<typeof process.send>;
  });
  process.send = (
    message: WorkerMessage,
    _handle?: unknown,
    _options?: unknown,
    done?: unknown,
  ) => {
    onMessage(message, done as () => void);
    return true;
  };
}

/** Waits until a worker has sent so many messages, and returns those after the first. */
async function sentBy({ sent }: Worker, count: number): Promise<readonly WorkerMessage[]> {
  await until(() => sent.length >= count, "the messages");
  return sent.slice(1);
}

function portOf({ servers }: Worker): number {
  return (servers[0]?.address() as AddressInfo).port;
}

async function statusOf(worker: Worker, key: string): Promise<number> {
  return (await request(portOf(worker), post('{"status":"SUCCESS"}', [], { key }))).status;
}

describe("a worker", () => {
  test("says that it is ready, and waits", (t) => {
    const { send, sent, servers } = start(t);
    send("a library's");
    assert.deepEqual(sent, [{ type: "ready" }]);
    assert.deepEqual(servers, []);
  });

  test("serves with what the primary says, then with the latest secrets", async (t) => {
    const worker = start(t);
    worker.serve(1);
    assert.deepEqual(await sentBy(worker, 2), [{ type: "secrets_set", version: 1 }]);
    assert.equal(await statusOf(worker, KEY), 200);
    worker.serve(2, {}, OTHER_KEY);
    assert.deepEqual((await sentBy(worker, 3)).slice(1), [{ type: "secrets_set", version: 2 }]);
    assert.deepEqual([await statusOf(worker, OTHER_KEY), worker.servers.length], [200, 1]);
  });

  test("says why it can't serve, and ends with 1 once that is sent", async (t) => {
    const taken = createServer().listen(0, "127.0.0.1");
    t.after(() => taken.close());
    await new Promise((resolve) => taken.once("listening", resolve));
    const { port } = taken.address() as AddressInfo;
    const worker = start(t);
    worker.serve(1, { port });
    const [failed] = await sentBy(worker, 2);
    assert.ok(failed?.type === "failed");
    assert.ok(failed.reason.startsWith(`can't listen on 127.0.0.1:${port} (EADDRINUSE): `));
    assert.deepEqual(worker.exits, [1]);
  });

  test("ends with 1 when its primary is gone", (t) => {
    const { emit, exits } = start(t);
    assert.throws(() => emit("disconnect"));
    assert.deepEqual(exits, [1]);
  });

  test("that does not serve yet ends at once when it is to stop", (t) => {
    const { emit, send, exits } = start(t);
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) emit(signal);
    assert.deepEqual(exits, []);
    assert.throws(() => send({ type: "stop" }));
    assert.deepEqual(exits, [undefined]);
  });

  test("goes on after a rejection that no one handles", async (t) => {
    const worker = start(t);
    worker.serve(1);
    await sentBy(worker, 2);
    worker.emit("unhandledRejection", new Error("late"));
    assert.equal(await statusOf(worker, KEY), 200);
    assert.deepEqual(worker.exits, []);
  });

  for (const [what, stop] of [
    ["SIGTERM", (worker: Worker) => worker.emit("SIGTERM")],
    ["SIGINT", (worker: Worker) => worker.emit("SIGINT")],
    ["its primary", (worker: Worker) => worker.send({ type: "stop" })],
  ] as const) {
    test(`that serves drains when ${what} stops it`, async (t) => {
      t.mock.timers.enable({ apis: ["setInterval"] });
      const worker = start(t);
      worker.serve(1, { metrics: true });
      await sentBy(worker, 2);
      const closed = new Promise((resolve) => worker.servers[0]?.once("close", resolve));
      t.mock.method(process, "exit", (code: unknown) => worker.exits.push(code));
      stop(worker);
      await closed;
      await until(() => worker.exits.length > 0, "the end");
      assert.deepEqual(worker.exits, [0]);
      assert.deepEqual(typesOf(worker), ["ready", "secrets_set"]);
    });
  }
});

function typesOf({ sent }: Worker): readonly string[] {
  return sent.map(({ type }) => type);
}

describe("the metrics of a worker", () => {
  test("go to the primary four times a second, and if it asks", async (t) => {
    t.mock.timers.enable({ apis: ["setInterval"] });
    const worker = start(t);
    worker.serve(1, { metrics: true });
    await sentBy(worker, 2);
    worker.send({ type: "report_samples" });
    t.mock.timers.tick(249);
    assert.equal(worker.sent.length, 3);
    t.mock.timers.tick(1);
    assert.equal(worker.sent.length, 4);
    for (const message of worker.sent.slice(2)) {
      assert.ok(message.type === "samples");
      assert.equal(message.samples.get("api_requests_in_flight"), 0);
    }
  });

  test("are not sent if they are off, or before it serves", async (t) => {
    t.mock.timers.enable({ apis: ["setInterval"] });
    const worker = start(t);
    worker.send({ type: "report_samples" });
    worker.serve(1);
    await sentBy(worker, 2);
    worker.send({ type: "report_samples" });
    t.mock.timers.tick(10_000);
    assert.equal(worker.sent.length, 2);
  });

  test("come from the primary, which is asked once for all who wait", async (t) => {
    const worker = start(t);
    worker.serve(1, { metrics: true });
    await sentBy(worker, 2);
    const wanted = (): number => typesOf(worker).filter((type) => type === "metrics_wanted").length;
    const inFlight = (): number => latestInFlight(worker);
    const read = (): Promise<{ body: string }> =>
      request(portOf(worker), get("/metrics", [`X-API-Key: ${KEY}`]));
    for (const round of [1, 2]) {
      const first = read();
      await until(() => inFlight() === 1, "the first request");
      assert.equal(wanted(), round);
      const readings = [first, read()];
      await until(() => inFlight() === 2, "both requests");
      assert.equal(wanted(), round);
      worker.send({ type: "metrics", text: `of all, ${round}\n` });
      const bodies = (await Promise.all(readings)).map(({ body }) => body);
      assert.deepEqual(bodies, [`of all, ${round}\n`, `of all, ${round}\n`]);
    }
  });
});

/** How many requests are in progress, as the worker reports when it is asked. */
function latestInFlight(worker: Worker): number {
  worker.send({ type: "report_samples" });
  const latest = worker.sent.at(-1);
  return latest?.type === "samples" ? Number(latest.samples.get("api_requests_in_flight")) : 0;
}
