import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";

import { createKey, type KeySet, keySetOf } from "../../src/auth/keys.ts";
import { createGuard, type Keyring } from "../../src/auth/security.ts";
import { json } from "../../src/http/reply.ts";
import { route } from "../../src/http/route.ts";
import { hash } from "node:crypto";
import { type Client, open } from "../support/client.ts";
import { KEY, postHead } from "../support/requests.ts";
import { anything, serveFor, type TestService } from "../support/server.ts";
import { until } from "../support/wait.ts";

interface Guarded {
  readonly service: TestService;
  readonly keyring: Keyring;
  /** How often the handler was called. */
  readonly calls: () => number;
}

/** Serves `POST /process` behind a guard with these keys. */
async function serveGuarded(t: TestContext, keys: KeySet): Promise<Guarded> {
  const keyring = { current: keys };
  let calls = 0;
  const guarded = route({
    method: "POST",
    path: "/process",
    dependencies: [createGuard(keyring)],
    body: anything,
    handler: () => {
      calls += 1;
      return json(200, "done");
    },
  });
  const service = await serveFor(t, [guarded]);
  return { service, keyring, calls: () => calls };
}

/** Sends a request without the last byte of its body, and waits until the service has it. */
async function sendAllButTheLastByte({ service }: Guarded): Promise<Client> {
  const client = await open(service.port, `${postHead(["Content-Length: 2"])}{`);
  await until(() => service.connections.inFlight === 1, "the request");
  return client;
}

async function statusAfterLastByte(client: Client): Promise<number | undefined> {
  client.send("}");
  const [response] = await client.untilResponses();
  return response?.status;
}

const VALID = keySetOf({ default: KEY });

describe("a request whose body arrives after a reload", () => {
  test("is denied if its key was revoked, and the handler is not called", async (t) => {
    const guarded = await serveGuarded(t, VALID);
    const client = await sendAllButTheLastByte(guarded);
    guarded.keyring.current = keySetOf({ default: `${KEY}-new` });
    assert.equal(await statusAfterLastByte(client), 401);
    assert.equal(guarded.calls(), 0);
    const [record] = guarded.service.records;
    assert.deepEqual([record?.status, record?.denied, record?.key], [401, "unknown", undefined]);
  });

  test("is denied if no key is left", async (t) => {
    const guarded = await serveGuarded(t, VALID);
    const client = await sendAllButTheLastByte(guarded);
    guarded.keyring.current = [];
    assert.equal(await statusAfterLastByte(client), 401);
  });

  test("passes if the new set has its key, and the log has the new name", async (t) => {
    const guarded = await serveGuarded(t, VALID);
    const client = await sendAllButTheLastByte(guarded);
    guarded.keyring.current = keySetOf({ other: "x", renamed: KEY });
    assert.equal(await statusAfterLastByte(client), 200);
    assert.equal(guarded.calls(), 1);
    assert.equal(guarded.service.records[0]?.key, "renamed");
  });

  test("gets 401 even if its body is no JSON", async (t) => {
    const guarded = await serveGuarded(t, VALID);
    const client = await sendAllButTheLastByte(guarded);
    guarded.keyring.current = [];
    client.send("]");
    const [response] = await client.untilResponses();
    assert.equal(response?.status, 401);
  });

  test("gets the same 401 as any other denial", async (t) => {
    const guarded = await serveGuarded(t, VALID);
    const client = await sendAllButTheLastByte(guarded);
    guarded.keyring.current = [];
    client.send("}");
    const [late] = await client.untilResponses();
    client.send(`${postHead(["Content-Length: 2"])}{}`);
    const [, soon] = await client.untilResponses(2);
    assert.deepEqual([late?.status, late?.body], [soon?.status, soon?.body]);
  });
});

test("a request whose key expires while its body arrives is denied", async (t) => {
  const digest = hash("sha256", KEY);
  const expires = Date.now() + 3_600_000;
  const guarded = await serveGuarded(t, [createKey("ci", digest, { expires })]);
  const client = await sendAllButTheLastByte(guarded);
  t.mock.method(Date, "now", () => expires);
  assert.equal(await statusAfterLastByte(client), 401);
  const [record] = guarded.service.records;
  assert.deepEqual([record?.status, record?.denied, record?.key], [401, "expired", "ci"]);
});

test("without a reload a body that takes its time passes", async (t) => {
  const guarded = await serveGuarded(t, VALID);
  const client = await sendAllButTheLastByte(guarded);
  assert.equal(await statusAfterLastByte(client), 200);
  assert.equal(guarded.service.records[0]?.key, "default");
});
