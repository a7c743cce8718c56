import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, existsSync, openSync, statSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { type AddressInfo, Server as NetServer } from "node:net";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";

import type { Host } from "../../src/config/host.ts";
import { Failure } from "../../src/process/exit.ts";
import { listen, prepareHost, restrictSocket } from "../../src/process/listen.ts";
import { tempDirectory } from "../support/temp.ts";

const LOCAL: Host = { kind: "address", address: "127.0.0.1" };

/** A server that the end of the test closes. */
function createTestServer(t: TestContext): Server {
  const server = createServer();
  t.after(() => server.close());
  return server;
}

/** The path of a Unix socket that is not there yet. */
function socketPath(t: TestContext): string {
  return join(tempDirectory(t), "s");
}

/** Checks that something fails with one line for the operator. */
async function assertFails(promise: Promise<unknown>, line: string | RegExp): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof Failure);
    if (typeof line === "string") assert.equal(error.message, line);
    else assert.match(error.message, line);
    return true;
  });
}

describe("listening", () => {
  test("on an address resolves to it, with the port that the system chose", async (t) => {
    const server = createTestServer(t);
    const address = await listen(server, { host: LOCAL, port: 0 });
    const { port } = server.address() as AddressInfo;
    assert.deepEqual(address, { ...LOCAL, port });
  });

  test("lets 4096 connections wait", async (t) => {
    const { mock } = t.mock.method(NetServer.prototype, "listen");
    await listen(createTestServer(t), { host: LOCAL, port: 0 });
    assert.equal((mock.calls[0]?.arguments[0] as { backlog?: number }).backlog, 4096);
  });

  test("on a Unix socket resolves to it", async (t) => {
    const host: Host = { kind: "unix", path: socketPath(t) };
    const server = createTestServer(t);
    assert.deepEqual(await listen(server, { host, port: 8000 }), host);
    assert.equal(server.address(), host.path);
  });

  test("on a port in use fails with the remedy", async (t) => {
    const taken = createTestServer(t);
    await listen(taken, { host: LOCAL, port: 0 });
    const { port } = taken.address() as AddressInfo;
    await assertFails(
      listen(createTestServer(t), { host: LOCAL, port }),
      `can't listen on 127.0.0.1:${port} (EADDRINUSE): another process uses this port: ` +
        "stop it, or set PORT to a free one",
    );
  });

  test("fails with any other error, too", async (t) => {
    const server = createTestServer(t);
    const listening = listen(server, { host: LOCAL, port: 0 });
    server.emit("error", new Error("not of the system"));
    await assertFails(
      listening,
      "can't listen on 127.0.0.1:0 (unknown error): check HOST and PORT",
    );
  });

  test("on a Unix socket in no directory fails with the remedy", async (t) => {
    const path = join(tempDirectory(t), "none/s");
    await assertFails(
      listen(createTestServer(t), { host: { kind: "unix", path }, port: 0 }),
      new RegExp(`^can't listen on unix:${path} \\((?:ENOENT|EACCES)\\): `),
    );
  });

  test("without IPv6 means every IPv4 address for ::, and fails for another one", async (t) => {
    failOnIPv6(t);
    const any: Host = { kind: "address", address: "::" };
    const { address } = (await listen(createTestServer(t), { host: any, port: 0 })) as {
      address: string;
    };
    assert.equal(address, "0.0.0.0");
    await assertFails(
      listen(createTestServer(t), { host: { kind: "address", address: "::1" }, port: 80 }),
      /^can't listen on \[::1\]:80 \(EAFNOSUPPORT\): /,
    );
  });

  test("on :: fails for any other reason: it does not fall back to IPv4", async (t) => {
    failOnIPv6(t, "EADDRINUSE");
    await assertFails(
      listen(createTestServer(t), { host: { kind: "address", address: "::" }, port: 80 }),
      /^can't listen on \[::\]:80 \(EADDRINUSE\): /,
    );
  });
});

/** Listening on an IPv6 address fails as on a machine without IPv6, or with another code. */
function failOnIPv6(t: TestContext, code = "EAFNOSUPPORT"): void {
  const original = NetServer.prototype.listen as (options: object) => NetServer;
  t.mock.method(
    NetServer.prototype,
    "listen",
    function (this: NetServer, options: { host: string }) {
      if (!options.host.includes(":")) return original.call(this, options);
      process.nextTick(() => this.emit("error", codeError(code)));
      return this;
    },
  );
}

function codeError(code: string): Error {
  return Object.assign(new Error(code), { code });
}

describe("preparing a host", () => {
  test("does nothing for an address, or where there is no Unix socket", async (t) => {
    await prepareHost(LOCAL);
    await prepareHost({ kind: "unix", path: socketPath(t) });
  });

  test("removes the Unix socket of a service that has died", async (t) => {
    const path = socketPath(t);
    const die = 'process.kill(process.pid, "SIGKILL")';
    const code = `require("net").createServer().listen(process.argv[1], () => ${die})`;
    assert.throws(() => execFileSync(process.execPath, ["-e", code, path]), { signal: "SIGKILL" });
    assert.ok(existsSync(path));
    await prepareHost({ kind: "unix", path });
    assert.ok(!existsSync(path));
  });

  test("leaves the Unix socket of a live service alone", async (t) => {
    const host: Host = { kind: "unix", path: socketPath(t) };
    await listen(createTestServer(t), { host, port: 0 });
    await assertFails(
      prepareHost(host),
      `can't listen on unix:${host.path} (EADDRINUSE): another process listens there: ` +
        "stop it, or set HOST to another path",
    );
    assert.ok(existsSync(host.path));
  });

  test("leaves a file that is no socket alone", async (t) => {
    const path = socketPath(t);
    writeFileSync(path, "");
    await assertFails(
      prepareHost({ kind: "unix", path }),
      `can't listen on unix:${path} (EEXIST): there is a file that is no socket: ` +
        "remove it, or set HOST to another path",
    );
    assert.ok(existsSync(path));
  });

  test("fails for a file descriptor that is no socket", async (t) => {
    const fd = openSync("/dev/null", "r");
    t.after(() => closeSync(fd));
    const line = new RegExp(
      `^can't listen on fd:${fd} \\(ENOTSOCK\\): it is no listening socket: `,
    );
    await assertFails(prepareHost({ kind: "fd", fd }), line);
  });
});

test("only the owner and the group of a Unix socket may connect", async (t) => {
  const host: Host = { kind: "unix", path: socketPath(t) };
  await listen(createTestServer(t), { host, port: 0 });
  restrictSocket(host);
  assert.equal(statSync(host.path).mode & 0o777, 0o660);
  restrictSocket(LOCAL);
});

test("a Unix socket that someone has removed is no mistake, any other failure is", (t) => {
  restrictSocket({ kind: "unix", path: socketPath(t) });
  const path = join(tempDirectory(t, { file: "" }), "file/s");
  assert.throws(() => restrictSocket({ kind: "unix", path }), { code: "ENOTDIR" });
});
