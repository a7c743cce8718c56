import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { chmodSync, writeFileSync } from "node:fs";
import { request as requestHttps } from "node:https";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";

import { makeCertificate } from "../support/certificates.ts";
import { open, type RawResponse, request } from "../support/client.ts";
import { childrenOf, kill, workersOf } from "../support/processes.ts";
import { type Program, startProgram, type Variables } from "../support/program.ts";
import { type Family, parseMetrics, sumOf, valueOf } from "../support/prometheus.ts";
import { get, head, KEY, post } from "../support/requests.ts";
import { tempDirectory } from "../support/temp.ts";
import { until } from "../support/wait.ts";

const ON: Variables = { METRICS: "on" };
const TASK = '{"status":"SUCCESS"}';

/** Gets the metrics with this key. */
async function scrape(program: Program, key = KEY): Promise<Map<string, Family>> {
  const response = await request(program.port, get("/metrics", [`X-API-Key: ${key}`]));
  assert.equal(response.status, 200, response.body);
  assert.equal(response.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
  assert.equal(response.headers["cache-control"], "no-store");
  return parseMetrics(response.body);
}

/** Sends requests one after the other, each on a connection of its own. */
async function sendAll(
  program: Program,
  bytes: string | Buffer,
  count = 1,
): Promise<readonly RawResponse[]> {
  const responses: RawResponse[] = [];
  for (let i = 0; i < count; i += 1) responses.push(await request(program.port, bytes));
  return responses;
}

describe("GET /metrics", () => {
  test("is a 404 by default, and with METRICS=off", async (t) => {
    for (const variables of [{}, { METRICS: "off" }]) {
      const program = await startProgram(t, variables);
      for (const fields of [[], [`X-API-Key: ${KEY}`]]) {
        const { status, body } = await request(program.port, get("/metrics", fields));
        assert.deepEqual([status, body], [404, '{"detail":"Not Found"}']);
      }
    }
  });

  test("is for callers with a key, and not in the document", async (t) => {
    const program = await startProgram(t, ON);
    for (const fields of [[], ["X-API-Key: x"], [`Authorization: Bearer ${KEY}`]]) {
      assert.equal((await request(program.port, get("/metrics", fields))).status, 401);
    }
    const { status } = await request(program.port, post("{}", [], { path: "/metrics" }));
    assert.equal(status, 405);
    const client = await open(program.port, head("/metrics", [`X-API-Key: ${KEY}`]), {
      isHead: true,
    });
    const [response] = await client.untilResponses();
    assert.equal(response?.status, 200);
    const document = await request(program.port, get("/openapi.json"));
    assert.ok(!document.body.includes("metrics"));
  });

  test("has what requests have done", async (t) => {
    const limited = "limited-key-0123456789-abcdefghijklmn";
    const directory = tempDirectory(t, {
      "keys.txt":
        `ci sha256:${hash("sha256", limited)} rate=1/m expires=2999-01-01T00:00:00Z\n` +
        `ci sha256:${"0".repeat(64)} expires=2000-01-01T00:00:00Z\n` +
        `forever sha256:${"1".repeat(64)}\n`,
    });
    const program = await startProgram(
      t,
      {
        ...ON,
        // The port is in the hint then.
        LOG_LEVEL: "silent",
        SERVICE_API_KEYS_FILE: join(directory, "keys.txt"),
      },
      { args: ["--hints"] },
    );
    await sendAll(program, post(TASK), 3);
    await sendAll(program, post("{"), 2);
    await sendAll(program, post(TASK, [], { key: "" }), 4);
    await sendAll(program, post(TASK, [], { key: "unknown" }), 1);
    await sendAll(program, post(TASK, [], { key: limited }), 3);
    await sendAll(program, get("/health"), 2);
    await sendAll(program, head("/openapi.json").replace("HEAD", "GET"));
    await sendAll(program, get('/stranger"}?x=1'), 2);
    await sendAll(program, "PROPFIND /x HTTP/1.1\r\nHost: x\r\n\r\n");
    await sendAll(program, "nonsense\r\n\r\n");
    const idle = await open(program.port, get("/health"));
    await idle.untilResponses();
    const families = await scrape(program);
    const requests = Object.fromEntries(families.get("api_requests_total")?.samples ?? []);
    assert.deepEqual(requests, {
      'api_requests_total{route="/process",method="POST",status="200"}': 4,
      'api_requests_total{route="/process",method="POST",status="422"}': 2,
      'api_requests_total{route="/process",method="POST",status="401"}': 5,
      'api_requests_total{route="/process",method="POST",status="429"}': 2,
      'api_requests_total{route="/health",method="GET",status="200"}': 3,
      'api_requests_total{route="/openapi.json",method="GET",status="200"}': 1,
      'api_requests_total{route="none",method="none",status="404"}': 3,
      'api_requests_total{route="none",method="none",status="400"}': 1,
    });
    const rows: readonly (readonly [series: string, value: number])[] = [
      ['api_request_duration_seconds_count{route="/process"}', 13],
      ['api_request_duration_seconds_count{route="none"}', 4],
      ['api_denials_total{reason="missing"}', 4],
      ['api_denials_total{reason="unknown"}', 1],
      ['api_limited_total{key="ci",limit="rate"}', 2],
      ["api_requests_in_flight", 1],
      ['api_log_lines_dropped_total{kind="trusted"}', 0],
      ['api_log_lines_dropped_total{kind="without_key"}', 0],
      ['api_log_lines_dropped_total{kind="lost"}', 0],
      [`api_info{version="0.1.0",node="${process.version}"}`, 1],
    ];
    for (const [series, value] of rows) assert.equal(valueOf(families, series), value, series);
    assert.ok(sumOf(families, "api_connections") >= 2);
    const expiries = [...(families.get("api_key_expiry_seconds")?.samples ?? [])];
    const digits = hash("sha256", limited).slice(0, 8);
    assert.deepEqual(
      expiries.map(([series]) => series),
      [
        `api_key_expiry_seconds{key="ci",hash="${digits}"}`,
        'api_key_expiry_seconds{key="ci",hash="00000000"}',
      ],
    );
    const [later = 0, earlier = 0] = expiries.map(([, seconds]) => seconds);
    assert.ok(Math.abs(Date.now() / 1000 + later - Date.parse("2999-01-01") / 1000) < 600);
    assert.ok(Math.abs(Date.now() / 1000 + earlier - Date.parse("2000-01-01") / 1000) < 600);
    assert.ok(sumOf(families, "process_cpu_seconds_total") > 0);
    assert.ok(sumOf(families, "process_resident_memory_bytes") > 10_000_000);
    assert.ok(sumOf(families, "nodejs_heap_size_used_bytes") > 1_000_000);
    assert.ok(sumOf(families, "nodejs_heap_size_total_bytes") > 1_000_000);
    const started = sumOf(families, "process_start_time_seconds");
    assert.ok(Math.abs(Date.now() / 1000 - started) < 600);
    await until(async () => {
      const delays = (await scrape(program)).get("api_event_loop_delay_seconds");
      return (delays?.samples.get("api_event_loop_delay_seconds_count") ?? 0) >= 3;
    }, "measurements of the event loop");
  });

  test("responds past MAX_IN_FLIGHT", async (t) => {
    const program = await startProgram(t, { ...ON, MAX_IN_FLIGHT: "1", PROCESS_DELAY_MS: "60000" });
    const busy = await open(program.port, post(TASK));
    await until(
      async () => sumOf(await scrape(program), "api_requests_in_flight") === 2,
      "the request in progress",
    );
    assert.equal((await request(program.port, post(TASK))).status, 503);
    busy.socket.destroy();
    await until(
      async () => sumOf(await scrape(program), "api_requests_in_flight") === 1,
      "the end of the request",
    );
    const none = 'api_requests_total{route="/process",method="POST",status="none"}';
    assert.equal(valueOf(await scrape(program), none), 1);
  });

  test("has the keys of the latest reload", async (t) => {
    const directory = tempDirectory(t, { "keys.txt": "" });
    const file = join(directory, "keys.txt");
    const line = (name: string): string =>
      `${name} sha256:${hash("sha256", name)} expires=2999-01-01T00:00:00Z\n`;
    writeFileSync(file, line("before"));
    const program = await startProgram(t, { ...ON, SERVICE_API_KEYS_FILE: file });
    assert.equal((await scrape(program)).get("api_key_expiry_seconds")?.samples.size, 1);
    writeFileSync(file, line("after"));
    program.child.kill("SIGHUP");
    await program.untilEvent("keys_reloaded");
    const [series = ""] = [
      ...((await scrape(program, "after")).get("api_key_expiry_seconds")?.samples.keys() ?? []),
    ];
    assert.match(series, /key="after"/);
  });
});

describe("with TLS, GET /metrics has the time until the certificate expires", () => {
  for (const workers of ["1", "2"]) {
    test(`also after a reload, with WORKERS=${workers}`, async (t) => {
      const first = makeCertificate({ days: 100 });
      const directory = tempDirectory(t, { "cert.pem": first.cert, "key.pem": first.key });
      chmodSync(join(directory, "key.pem"), 0o600);
      const program = await startProgram(t, {
        ...ON,
        WORKERS: workers,
        TLS_CERT_FILE: join(directory, "cert.pem"),
        TLS_KEY_FILE: join(directory, "key.pem"),
      });
      assert.equal(await certificateDays(program.port, first.cert), 100);
      const second = makeCertificate({ days: 40 });
      writeFileSync(join(directory, "cert.pem"), second.cert);
      writeFileSync(join(directory, "key.pem"), second.key);
      program.child.kill("SIGHUP");
      await program.untilEvent("keys_reloaded");
      assert.equal(await certificateDays(program.port, second.cert), 40);
    });
  }
});

/** Gets the metrics over HTTPS, and returns how many days the certificate has left. */
function certificateDays(port: number, ca: string): Promise<number> {
  const headers = { "X-API-Key": KEY };
  const options = { host: "127.0.0.1", port, path: "/metrics", headers, ca, agent: false };
  return new Promise((resolve, reject) => {
    const sent = requestHttps(options, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      response.on("end", () => {
        const seconds = valueOf(parseMetrics(text), "api_certificate_expiry_seconds") ?? NaN;
        resolve(Math.round(seconds / 86_400));
      });
    });
    sent.on("error", reject);
    sent.end();
  });
}

const ACCEPTED = 'api_requests_total{route="/process",method="POST",status="200"}';

/** Starts two workers, and waits until both have reported. */
async function startTwo(t: TestContext): Promise<Program> {
  const program = await startProgram(t, { ...ON, WORKERS: "2" });
  await until(async () => (await workerIds(program)).length === 2, "both workers to report");
  return program;
}

/** The ids of the workers whose memory is shown. */
async function workerIds(program: Program): Promise<string[]> {
  const samples = (await scrape(program)).get("process_resident_memory_bytes")?.samples;
  return [...(samples?.keys() ?? [])].map((series) => /worker="(\d+)"/.exec(series)?.[1] ?? "");
}

describe("with two workers, GET /metrics", () => {
  test("has the sums over both, whichever responds", async (t) => {
    const program = await startTwo(t);
    await sendAll(program, post(TASK), 30);
    for (let i = 0; i < 10; i += 1) {
      const families = await scrape(program);
      assert.equal(valueOf(families, ACCEPTED), 30);
      assert.equal(families.get("process_start_time_seconds")?.samples.size, 2);
      assert.equal(families.get("process_cpu_seconds_total")?.samples.size, 1);
    }
    const scrapes = await Promise.all(Array.from({ length: 20 }, () => scrape(program)));
    for (const families of scrapes) assert.equal(valueOf(families, ACCEPTED), 30);
  });

  test("keeps the counts of a worker that has died, and nothing else of it", async (t) => {
    const program = await startTwo(t);
    await sendAll(program, post(TASK), 30);
    const before = await scrape(program);
    assert.equal(valueOf(before, ACCEPTED), 30);
    for (const death of [1, 2]) {
      const [victim = 0] = await workersOf(program, 2);
      const ids = await workerIds(program);
      kill(victim, "SIGKILL");
      await program.untilEvent("worker_exited", death);
      assert.equal(valueOf(await scrape(program), ACCEPTED), 30);
      await program.until(() => childrenOf(program.pid).length === 2, "the new worker");
      await until(async () => (await workerIds(program)).length === 2, "it to report");
      assert.notDeepEqual(await workerIds(program), ids);
    }
    await sendAll(program, post(TASK), 12);
    const after = await scrape(program);
    assert.equal(valueOf(after, ACCEPTED), 42);
    for (const name of ["process_cpu_seconds_total", "api_event_loop_delay_seconds"]) {
      assert.ok(sumOf(after, name) >= sumOf(before, name), name);
    }
  });

  test("does not wait long for a worker that is stuck, and has its latest counts", async (t) => {
    const program = await startTwo(t);
    await sendAll(program, post(TASK), 30);
    assert.equal(valueOf(await scrape(program), ACCEPTED), 30);
    const [stuck = 0] = await workersOf(program, 2);
    kill(stuck, "SIGSTOP");
    t.after(() => kill(stuck, "SIGCONT"));
    for (let i = 0; i < 2; i += 1) assert.equal(valueOf(await scrape(program), ACCEPTED), 30);
    kill(stuck, "SIGCONT");
    assert.equal(valueOf(await scrape(program), ACCEPTED), 30);
  });
});
