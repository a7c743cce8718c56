import assert from "node:assert/strict";
import fs from "node:fs";
import { type AddressInfo, Server as NetServer } from "node:net";
import { describe, test, type TestContext } from "node:test";
import { connect } from "node:tls";

import { keySetOf } from "../../src/auth/keys.ts";
import type { Secrets, Settings } from "../../src/config/settings.ts";
import { Connections } from "../../src/http/connections.ts";
import type { Log } from "../../src/log.ts";
import { createInstance, type LocalInstance } from "../../src/process/instance.ts";
import type { MetricsReader } from "../../src/routes/metrics.ts";
import { makeCertificate } from "../support/certificates.ts";
import { open, request } from "../support/client.ts";
import { useNodeMocks } from "../support/node-mocks.ts";
import { parseMetrics, valueOf } from "../support/prometheus.ts";
import { get, KEY, OTHER_KEY, post } from "../support/requests.ts";
import { configurationOf } from "../support/settings.ts";
import { countTimers } from "../support/this-process.ts";
import { until } from "../support/wait.ts";

const SECRETS: Secrets = { keys: keySetOf({ default: KEY }), tls: undefined };
const TASK = '{"status":"SUCCESS"}';

/** What differs from the settings by default. */
interface Options {
  readonly settings?: Partial<Settings>;
  readonly secrets?: Secrets;
  readonly readMetrics?: MetricsReader;
}

/** An instance that listens in this process. */
interface Running {
  readonly instance: LocalInstance;
  readonly server: NetServer;
  readonly port: number;
  /** The events of its log. A warning is `["warn", message]`. */
  readonly events: unknown[][];
}

async function start(t: TestContext, options: Options = {}): Promise<Running> {
  const { secrets = SECRETS, readMetrics } = options;
  const { settings } = configurationOf(t, { PORT: "0", PROCESS_DELAY_MS: "0" });
  const events: unknown[][] = [];
  const log = {
    event: (...event: unknown[]) => events.push(event),
    warn: (messages: readonly string[]) => events.push(["warn", ...messages]),
    missing: () => ({ trusted: 0, withoutKey: 0, lost: 0 }),
  } as unknown as Log;
  const instance = createInstance({ ...settings, ...options.settings }, secrets, log, readMetrics);
  const listening = t.mock.method(NetServer.prototype, "listen");
  await instance.listen();
  const server = listening.mock.calls[0]?.this as NetServer;
  listening.mock.restore();
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  return { instance, server, port, events };
}

async function statusOf(port: number, key: string): Promise<number> {
  return (await request(port, post(TASK, [], { key }))).status;
}

describe("an instance", () => {
  test("accepts the latest keys, and no others", async (t) => {
    const { instance, port } = await start(t);
    assert.deepEqual([await statusOf(port, KEY), await statusOf(port, OTHER_KEY)], [200, 401]);
    await instance.setSecrets({ keys: keySetOf({ other: OTHER_KEY }), tls: undefined });
    assert.deepEqual([await statusOf(port, KEY), await statusOf(port, OTHER_KEY)], [401, 200]);
  });

  test("that has nothing in progress stops with 0, and leaves no timer behind", async (t) => {
    const { instance, server } = await start(t);
    const before = countTimers();
    assert.equal(await instance.stop(), 0);
    assert.deepEqual([server.listening, countTimers()], [false, before]);
  });

  test("drains at once, but goes on accepting for a while", async (t) => {
    const draining = t.mock.method(Connections.prototype, "startDraining");
    const { instance, server } = await start(t);
    const stopping = instance.stop();
    assert.deepEqual([draining.mock.callCount(), server.listening], [1, true]);
    assert.equal(await stopping, 0);
  });

  test("stops with 1 if what is in progress takes longer than it may", async (t) => {
    const settings = { processDelayMs: 600_000, shutdownTimeoutMs: 1 };
    const { instance, port } = await start(t, { settings });
    const client = await open(port, post(TASK));
    await until(async () => (await statusOf(port, "")) === 401, "the request before it");
    assert.equal(await instance.stop(), 1);
    client.socket.destroy();
  });

  test("uses the latest certificate for new connections, and has its date", async (t) => {
    const [first, second] = [makeCertificate({ days: 2 }), makeCertificate({ days: 3 })];
    const [before, after] = [first, second].map(({ cert, key }, index) => {
      const expires = Date.parse(`299${index}-01-01T00:00:00Z`);
      return { ...SECRETS, tls: { certificates: cert, privateKey: key, expires } };
    }) as [Secrets, Secrets];
    const { instance, port } = await start(t, { secrets: before, settings: { metrics: true } });
    const earlier = await certificateSeconds(port, first.cert);
    await instance.setSecrets(after);
    const later = await certificateSeconds(port, second.cert);
    assert.ok(later - earlier > 300 * 86_400, `${later - earlier} s`);
  });
});

/** Reads over TLS, from a server whose certificate is this one, how long that is valid. */
async function certificateSeconds(port: number, ca: string): Promise<number> {
  const socket = connect({ host: "127.0.0.1", port, ca, servername: "localhost" });
  socket.write(get("/metrics", [`X-API-Key: ${KEY}`]));
  let text = "";
  for await (const chunk of socket) {
    text += String(chunk);
    const [, seconds] = /^api_certificate_expiry_seconds (\S+)\n/m.exec(text) ?? [];
    if (seconds !== undefined) return Number(seconds);
  }
  return NaN;
}

describe("the metrics of an instance", () => {
  const read = async (port: number): Promise<string> =>
    (await request(port, get("/metrics", [`X-API-Key: ${KEY}`]))).body;

  test("are neither counted nor served if they are off", async (t) => {
    const { instance, port } = await start(t);
    assert.equal(instance.samples(), undefined);
    assert.equal(await read(port), '{"detail":"Not Found"}');
  });

  test("are its own samples, and what all processes have in common", async (t) => {
    const { instance, port } = await start(t, { settings: { metrics: true } });
    await statusOf(port, KEY);
    const series = 'api_requests_total{route="/process",method="POST",status="200"}';
    assert.equal(instance.samples()?.get(series), 1);
    const families = parseMetrics(await read(port));
    assert.equal(valueOf(families, series), 1);
    assert.ok(families.has("api_info"));
  });

  test("come from elsewhere if there are other processes", async (t) => {
    const readMetrics = (): Promise<string> => Promise.resolve("of all\n");
    const { port } = await start(t, { settings: { metrics: true }, readMetrics });
    assert.equal(await read(port), "of all\n");
  });
});

describe("the log of an instance says", () => {
  test("how many connections were past MAX_CONNECTIONS", async (t) => {
    const { server, events } = await start(t, { settings: { maxConnections: 5 } });
    server.emit("drop", {});
    const message = "5 connections are open (MAX_CONNECTIONS): new ones are closed";
    assert.deepEqual(events, [["warn", "warning", { message, count: 1 }]]);
  });

  test("why connections can't be accepted", async (t) => {
    const { server, events } = await start(t);
    const error = new Error("accept failed");
    server.emit("error", error);
    assert.deepEqual(events, [["error", "error", { stack: error.stack, count: 1 }]]);
  });

  for (const code of ["ERR_SSL", undefined]) {
    test(`that a handshake failed (${code}), unless its client has left`, async (t) => {
      const { server, events } = await start(t);
      server.emit("tlsClientError", Object.assign(new Error(), { code: "ECONNRESET" }));
      assert.deepEqual(events, []);
      server.emit("tlsClientError", Object.assign(new Error(), { code }));
      assert.deepEqual(events, [["info", "handshake_failed", { code: code ?? "", count: 1 }]]);
    });
  }

  test("once a second that no file handle is left, while it listens", async (t) => {
    t.mock.timers.enable({ apis: ["setInterval"] });
    const { server, events } = await start(t);
    t.mock.method(fs, "openSync", () => {
      throw Object.assign(new Error("EMFILE"), { code: "EMFILE" });
    });
    useNodeMocks(t);
    t.mock.timers.tick(1000);
    const warning = [
      "warn",
      "no file handle is left (EMFILE), so new connections are closed: " +
        "raise the limit (ulimit -n) or lower MAX_CONNECTIONS",
    ];
    assert.deepEqual(events, [warning]);
    server.emit("close");
    t.mock.timers.tick(5000);
    assert.deepEqual(events, [warning]);
  });
});
