import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";

import { createKey, type Key, type KeyOptions } from "../../src/auth/keys.ts";
import { createGuard, type Keyring } from "../../src/auth/security.ts";
import { HttpError, json } from "../../src/http/reply.ts";
import { route } from "../../src/http/route.ts";
import { type Client, open, type RawResponse, request } from "../support/client.ts";
import { get, post, postHead } from "../support/requests.ts";
import { type LogLine, type Program, startProgram } from "../support/program.ts";
import { anything, serveFor, type TestService } from "../support/server.ts";
import { tempDirectory } from "../support/temp.ts";
import { until } from "../support/wait.ts";

const LIMITED = "limited-key";
const FREE = "free-key";

/** One request, and no other for a minute. */
const ONCE: KeyOptions = { rate: { count: 1, periodMs: 60_000 } };

function keyOf(name: string, key: string, options: KeyOptions = {}): Key {
  return createKey(name, hash("sha256", key), options);
}

interface Guarded {
  readonly service: TestService;
  readonly keyring: Keyring;
  /** Ends the request that has been in progress for longest. */
  readonly finish: () => void;
}

/** Serves `POST /process`, which waits for `finish`, and other routes behind one guard. */
async function serveGuarded(t: TestContext, options: KeyOptions, limits = {}): Promise<Guarded> {
  const keyring: Keyring = { current: [keyOf("slow", LIMITED, options), keyOf("free", FREE)] };
  const dependencies = [createGuard(keyring)];
  const waiting: (() => void)[] = [];
  const routes = [
    route({
      method: "POST",
      path: "/process",
      dependencies,
      body: anything,
      handler: async () => {
        await new Promise<void>((resolve) => waiting.push(resolve));
        return json(200, "done");
      },
    }),
    route({ method: "GET", path: "/fast", dependencies, handler: () => json(200, "done") }),
    route({
      method: "GET",
      path: "/broken",
      dependencies,
      handler: () => {
        throw new HttpError(409, "no");
      },
    }),
  ];
  const service = await serveFor(t, routes, limits);
  return { service, keyring, finish: () => waiting.shift()?.() };
}

function getWith(path: string, key = LIMITED): string {
  return get(path, [`X-API-Key: ${key}`]);
}

/** The status of a request on a connection of its own. */
async function statusOf({ service }: Guarded, bytes: string | Buffer): Promise<number> {
  return (await request(service.port, bytes)).status;
}

/** Sends a request, and waits until `count` are in progress. */
async function start({ service }: Guarded, bytes: string | Buffer, count = 1): Promise<Client> {
  const client = await open(service.port, bytes);
  await until(() => service.connections.inFlight === count, `${count} requests in progress`);
  return client;
}

function assertLimited(response: RawResponse | undefined, detail: RegExp): void {
  assert.equal(response?.status, 429);
  assert.match((JSON.parse(response.body) as { detail: string }).detail, detail);
  assert.match(response.headers["retry-after"] ?? "", /^[1-9]\d*$/);
  assert.equal(response.headers["content-type"], "application/json");
}

const TOO_FAST = /^Too Many Requests: this key makes requests too fast$/;
const TOO_MANY = /^Too Many Requests: too many requests with this key are in flight$/;

describe("past its rate", () => {
  test("a key gets 429, the log says limited, and other keys go on", async (t) => {
    const guarded = await serveGuarded(t, { rate: { count: 3, periodMs: 60_000 } });
    const { port, records } = guarded.service;
    for (let i = 0; i < 3; i += 1) assert.equal(await statusOf(guarded, getWith("/fast")), 200);
    for (let i = 0; i < 3; i += 1) assertLimited(await request(port, getWith("/fast")), TOO_FAST);
    for (let i = 0; i < 5; i += 1) {
      assert.equal(await statusOf(guarded, getWith("/fast", FREE)), 200);
    }
    const logged = records.map(({ status, key, denied, limited }) => [
      status,
      key,
      denied,
      limited,
    ]);
    assert.deepEqual(logged, [
      ...Array.from({ length: 3 }, () => [200, "slow", undefined, undefined]),
      ...Array.from({ length: 3 }, () => [429, "slow", undefined, "rate"]),
      ...Array.from({ length: 5 }, () => [200, "free", undefined, undefined]),
    ]);
  });

  test("the limit is that of the name, on all routes and connections together", async (t) => {
    const guarded = await serveGuarded(t, ONCE);
    const { keyring, service } = guarded;
    keyring.current = [...keyring.current, keyOf("slow", "second-key")];
    const client = await open(service.port, getWith("/fast") + getWith("/fast"));
    const [first, second] = await client.untilResponses(2);
    assert.equal(first?.status, 200);
    assertLimited(second, TOO_FAST);
    assertLimited(await request(service.port, getWith("/broken")), TOO_FAST);
    assertLimited(await request(service.port, getWith("/fast", "second-key")), TOO_FAST);
    assertLimited(await request(service.port, post("{}", [], { key: LIMITED })), TOO_FAST);
    const head = getWith("/fast").replace("GET", "HEAD");
    const heads = await open(service.port, head, { isHead: true });
    assert.equal((await heads.untilResponses())[0]?.status, 429);
  });

  test("the connection goes on after a body that no one has read", async (t) => {
    const guarded = await serveGuarded(t, ONCE);
    assert.equal(await statusOf(guarded, getWith("/fast")), 200);
    const body = post('{"status":"SUCCESS"}', [], { key: LIMITED });
    const client = await open(guarded.service.port, Buffer.concat([body, body]));
    for (const response of await client.untilResponses(2)) assertLimited(response, TOO_FAST);
    client.send(getWith("/fast", FREE));
    assert.equal((await client.untilResponses(3))[2]?.status, 200);
  });
});

describe("the limits are checked", () => {
  test("before the body arrives, and without 100 Continue", async (t) => {
    const guarded = await serveGuarded(t, ONCE);
    const { port } = guarded.service;
    assert.equal(await statusOf(guarded, getWith("/fast")), 200);
    for (const fields of [
      ["Content-Length: 100"],
      ["Transfer-Encoding: chunked"],
      ["Content-Length: 2", "Expect: 100-continue"],
    ]) {
      const client = await open(port, postHead(fields, { key: LIMITED }));
      assertLimited((await client.untilResponses())[0], TOO_FAST);
    }
  });

  test("after everything else that the header section decides", async (t) => {
    const guarded = await serveGuarded(t, ONCE, { maxBodyBytes: 10, maxInFlight: 1 });
    const withKey = { key: LIMITED };
    const rows: readonly (readonly [status: number, bytes: string | Buffer])[] = [
      [400, post("{}", ["Host: y"], withKey)],
      [404, getWith("/nope")],
      [405, getWith("/process")],
      [401, post("{}", [], { key: "unknown" })],
      [401, post("{}", [`X-API-Key: ${LIMITED}`], withKey)],
      [415, post("{}", [], { ...withKey, type: "text/plain" })],
      [422, post("", [], withKey)],
      [413, post("x".repeat(11), [], withKey)],
    ];
    for (const [status, bytes] of rows) assert.equal(await statusOf(guarded, bytes), status);
    const client = await start(guarded, post("{}", [], { key: FREE }));
    assert.equal(await statusOf(guarded, post("{}", [], withKey)), 503);
    guarded.finish();
    await client.untilResponses();
    assert.equal(await statusOf(guarded, getWith("/fast")), 200, "nothing was counted");
    for (const [status, bytes] of rows) assert.equal(await statusOf(guarded, bytes), status);
    assert.equal(await statusOf(guarded, getWith("/fast")), 429);
  });

  test("and counted whatever becomes of the request", async (t) => {
    const guarded = await serveGuarded(t, { rate: { count: 3, periodMs: 60_000 } });
    assert.equal(await statusOf(guarded, getWith("/broken")), 409);
    assert.equal(await statusOf(guarded, post("{", [], { key: LIMITED })), 422);
    const client = await start(guarded, postHead(["Content-Length: 2"], { key: LIMITED }));
    client.socket.destroy();
    await until(() => guarded.service.connections.inFlight === 0, "the client to be gone");
    assert.equal(await statusOf(guarded, getWith("/fast")), 429);
  });
});

describe("past its number of requests in progress", () => {
  test("a key gets 429 until one of them has ended, and other keys go on", async (t) => {
    const guarded = await serveGuarded(t, { inFlight: 2 });
    const { port, records } = guarded.service;
    const bytes = post("{}", [], { key: LIMITED });
    const first = await start(guarded, bytes, 1);
    const second = await start(guarded, bytes, 2);
    assertLimited(await request(port, bytes), TOO_MANY);
    assertLimited(await request(port, getWith("/fast")), TOO_MANY);
    assert.equal(await statusOf(guarded, getWith("/fast", FREE)), 200);
    assert.deepEqual(
      records.map(({ key, limited }) => [key, limited]),
      [
        ["slow", "in_flight"],
        ["slow", "in_flight"],
        ["free", undefined],
      ],
    );
    guarded.finish();
    assert.equal((await first.untilResponses())[0]?.status, 200);
    assert.equal(await statusOf(guarded, getWith("/fast")), 200);
    guarded.finish();
    await second.untilResponses();
    for (let i = 0; i < 5; i += 1) assert.equal(await statusOf(guarded, getWith("/fast")), 200);
  });

  /** How a request ends, other than with its handler's reply. */
  const ENDS: readonly (readonly [
    name: string,
    bytes: Buffer,
    end: (client: Client, guarded: Guarded) => unknown,
  ])[] = [
    ["whose handler throws", Buffer.from(getWith("/broken")), () => {}],
    ["that is not valid JSON", post("{", [], { key: LIMITED }), () => {}],
    [
      "whose client goes away before its body",
      postHead(["Content-Length: 2"], { key: LIMITED }),
      (client) => client.socket.destroy(),
    ],
    [
      "whose client goes away before its response",
      post("{}", [], { key: LIMITED }),
      (client) => client.socket.destroy(),
    ],
    [
      "whose body breaks",
      postHead(["Transfer-Encoding: chunked"], { key: LIMITED }),
      (client) => client.send("x\r\n"),
    ],
    [
      "whose body is too large",
      postHead(["Transfer-Encoding: chunked"], { key: LIMITED }),
      (client) => client.send(`65\r\n${"x".repeat(101)}`),
    ],
    [
      "whose key is revoked meanwhile",
      postHead(["Content-Length: 2"], { key: LIMITED }),
      (client, { keyring }) => {
        const [key] = keyring.current;
        keyring.current = [keyOf("slow", "other", { inFlight: 1 })];
        client.send("{}");
        return client.untilResponses().then(() => (keyring.current = [key as Key]));
      },
    ],
  ];
  for (const [name, bytes, end] of ENDS) {
    test(`a request ${name} makes room when it has ended`, async (t) => {
      const guarded = await serveGuarded(t, { inFlight: 1 }, { maxBodyBytes: 100 });
      for (let i = 0; i < 3; i += 1) {
        const client = await open(guarded.service.port, bytes);
        const wasLimited = i > 0 && client.responses[0]?.status === 429;
        assert.equal(wasLimited, false);
        const { records, connections } = guarded.service;
        await until(() => connections.inFlight === 1 || records.length > i, "the request");
        await end(client, guarded);
        await until(() => records.length > i && connections.inFlight === 0, "its end");
      }
      assert.ok(guarded.service.records.every(({ status }) => status !== 429));
      assert.equal(await statusOf(guarded, getWith("/fast")), 200);
    });
  }
});

/** Starts the program with a keys file of this text. */
async function startWithKeys(t: TestContext, text: string, workers = "1"): Promise<Program> {
  const directory = tempDirectory(t, { "keys.txt": text });
  const file = join(directory, "keys.txt");
  return startProgram(t, { SERVICE_API_KEYS_FILE: file, WORKERS: workers }, { directory });
}

async function reload(program: Program, text: string): Promise<void> {
  const before = program.events("keys_reloaded").length;
  writeFileSync(join(program.directory, "keys.txt"), text);
  program.child.kill("SIGHUP");
  await program.untilEvent("keys_reloaded", before + 1);
}

function lineOf(name: string, key: string, options = ""): string {
  return `${name} sha256:${hash("sha256", key)} ${options}\n`;
}

describe("the program", () => {
  test("keeps the counts of names that stay when it reads the keys again", async (t) => {
    const task = (key: string): Buffer => post('{"status":"SUCCESS"}', [], { key });
    const program = await startWithKeys(t, lineOf("ci", LIMITED, "rate=1/m in_flight=5"));
    const status = async (key = LIMITED): Promise<number> =>
      (await request(program.port, task(key))).status;
    assert.deepEqual([await status(), await status()], [200, 429]);
    await reload(program, lineOf("ci", LIMITED, "rate=1/m") + lineOf("new", FREE, "rate=1/m"));
    assert.equal(await status(), 429, "the name has stayed");
    assert.deepEqual([await status(FREE), await status(FREE)], [200, 429]);
    await reload(program, lineOf("ci", LIMITED) + lineOf("new", FREE, "rate=1/m"));
    assert.deepEqual([await status(), await status(FREE)], [200, 429], "one has no limit now");
    const limited = (): LogLine[] => program.events("request").filter((line) => "limited" in line);
    await program.until(() => limited().length === 4, "four lines of requests past a limit");
    for (const line of limited()) {
      assert.deepEqual([line["level"], line["status"], line["limited"]], ["warn", 429, "rate"]);
    }
  });

  test("lets each worker's name do as much", async (t) => {
    const program = await startWithKeys(t, lineOf("ci", LIMITED, "rate=1/m"), "2");
    let accepted = 0;
    for (let i = 0; i < 40; i += 1) {
      const { status } = await request(program.port, post("{}", [], { key: LIMITED }));
      if (status !== 429) accepted += 1;
    }
    assert.ok(accepted >= 1 && accepted <= 2, `${accepted} in two processes`);
  });
});
