import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectTcp } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";
import { connect, type ConnectionOptions, type TLSSocket } from "node:tls";

import { type Certificate, KEY_OPTIONS, makeCertificate } from "../support/certificates.ts";
import { type Program, spawnProgram, startProgram, tlsVariables } from "../support/program.ts";
import { get, KEY, postHead } from "../support/requests.ts";
import { tempDirectory } from "../support/temp.ts";
import { findTool } from "../support/tools.ts";
import { until } from "../support/wait.ts";

const first = makeCertificate();
const second = makeCertificate({ keyOptions: KEY_OPTIONS.rsa });

/** A program with the first certificate in files of its working directory. */
async function start(t: TestContext, variables: NodeJS.ProcessEnv = {}): Promise<Program> {
  const directory = tempDirectory(t, { cert: first.cert, key: first.key });
  const tls = { TLS_CERT_FILE: "cert", TLS_KEY_FILE: "key" };
  return startProgram(t, { ...tls, ...variables }, { directory });
}

function write({ directory }: Program, { cert, key }: Certificate): void {
  writeFileSync(join(directory, "cert"), cert);
  writeFileSync(join(directory, "key"), key);
}

/** A connection whose handshake has succeeded with one of these certificates. */
function handshake(
  port: number,
  options: ConnectionOptions = {},
  trusted: readonly Certificate[] = [first, second],
): Promise<TLSSocket> {
  const ca = trusted.map(({ cert }) => cert);
  return new Promise((resolve, reject) => {
    const all = { port, host: "127.0.0.1", servername: "localhost", ca, ...options };
    const socket = connect(all, () => resolve(socket));
    socket.on("error", reject);
  });
}

/** Sends a request and resolves to its status and header section. */
function respond(socket: TLSSocket): Promise<string> {
  socket.write(get("/health"));
  return new Promise((resolve) => socket.once("data", (bytes: Buffer) => resolve(String(bytes))));
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}

describe("a service with TLS", () => {
  test("speaks TLS 1.2 and 1.3 with HTTP/1.1, and no other", async (t) => {
    const { port } = await start(t);
    for (const version of ["tls1_2", "tls1_3"]) {
      const { stdout } = sClient(port, [`-${version}`, "-alpn", "h2,http/1.1"]);
      assert.match(stdout, /Verify return code: 0 \(ok\)/);
      assert.match(stdout, /ALPN protocol: http\/1\.1/);
      assert.match(stdout, version === "tls1_2" ? /New, TLSv1\.2/ : /New, TLSv1\.3/);
    }
    for (const version of ["tls1", "tls1_1"]) {
      const { stdout } = sClient(port, [`-${version}`, "-cipher", "ALL:@SECLEVEL=0"]);
      assert.match(stdout, /New, \(NONE\)/, version);
    }
    const http2 = sClient(port, ["-alpn", "h2"]);
    assert.match(http2.stdout + http2.stderr, /no application protocol|New, \(NONE\)/);
    for (const cipher of ["AES128-SHA", "ECDHE-ECDSA-AES128-SHA", "AES128-GCM-SHA256"]) {
      const { stdout } = sClient(port, ["-tls1_2", "-cipher", `${cipher}:@SECLEVEL=0`]);
      assert.match(stdout, /New, \(NONE\)/, cipher);
    }
  });

  test("does not renegotiate", async (t) => {
    const { port } = await start(t);
    // s_client takes a line of R as a command.
    const { stdout, stderr } = sClient(port, ["-tls1_2"], "R\n");
    assert.match(stdout + stderr, /RENEGOTIATING/);
    assert.match(stdout + stderr, /no renegotiation/);
  });

  test("says in every response that browsers should use HTTPS only", async (t) => {
    const { port } = await start(t);
    for (const bytes of [get("/health"), get("/nope"), "garbage\r\n\r\n", get("/docs")]) {
      const socket = await handshake(port);
      socket.write(bytes);
      const text = await new Promise<string>((resolve) => {
        socket.once("data", (chunk: Buffer) => resolve(String(chunk)));
      });
      assert.match(text, /\r\nStrict-Transport-Security: max-age=31536000\r\n/);
      socket.destroy();
    }
  });

  test("closes plain HTTP, and goes on", async (t) => {
    const program = await start(t);
    for (const bytes of [get("/health"), "x", "\0".repeat(100), "\x16\x03\x01\x00"]) {
      const socket = connectTcp(program.port, "127.0.0.1");
      socket.on("error", () => {});
      socket.end(bytes);
      const chunks: Buffer[] = [];
      socket.on("data", (chunk: Buffer) => chunks.push(chunk));
      await new Promise((resolve) => socket.once("close", resolve));
      assert.ok(!Buffer.concat(chunks).toString().includes("HTTP"));
    }
    const line = await program.untilEvent("handshake_failed");
    assert.deepEqual([line["code"], line["level"]], ["ERR_SSL_HTTP_REQUEST", "info"]);
    (await handshake(program.port)).destroy();
    assert.equal(await program.stop(), 0);
  });

  test("gives a handshake as long as a header section, however busy its client is", async (t) => {
    const { port } = await start(t, { HEADERS_TIMEOUT_MS: "500" });
    const socket = connectTcp(port, "127.0.0.1");
    socket.on("error", () => {});
    socket.write(Buffer.from("16030100f8010000f40303", "hex"));
    const drip = setInterval(() => socket.write("\0"), 50);
    t.after(() => clearInterval(drip));
    socket.resume();
    await until(() => socket.closed, "the end of the handshake");
  });

  test("counts handshakes as connections, and forgets clients that vanish in one", async (t) => {
    const { port } = await start(t, { MAX_CONNECTIONS: "5" });
    for (let round = 0; round < 3; round += 1) {
      const sockets = Array.from({ length: 5 }, () => connectTcp(port, "127.0.0.1"));
      for (const socket of sockets) socket.write(Buffer.from("1603010200", "hex"));
      const isRefused = (): Promise<boolean> =>
        handshake(port).then(
          (socket) => {
            socket.destroy();
            return false;
          },
          () => true,
        );
      await until(isRefused, "the limit");
      for (const [index, socket] of sockets.entries()) {
        if (index % 2 === 0) socket.resetAndDestroy();
        else socket.end();
      }
      await until(async () => !(await isRefused()), "a free place");
    }
  });

  test("stops at once although handshakes are going on", async (t) => {
    const program = await start(t);
    const socket = connectTcp(program.port, "127.0.0.1");
    socket.on("error", () => {});
    socket.write(Buffer.from("1603010200", "hex"));
    const idle = await handshake(program.port);
    idle.resume();
    assert.equal(await program.stop(), 0);
    await until(() => socket.closed && idle.closed, "the end of the connections");
  });

  test("lets a client read its response to an upload that is too large", async (t) => {
    const { port } = await start(t);
    const socket = await handshake(port);
    let text = "";
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => (text += String(chunk)));
    socket.write(postHead(["Content-Length: 3000000"]));
    for (let i = 0; i < 30; i += 1) socket.write(Buffer.alloc(100_000));
    await until(() => text.includes("\r\n\r\n"), "the response");
    assert.match(text, /^HTTP\/1\.1 413 /);
  });

  test("holds idle connections, and serves beside them", async (t) => {
    const { port } = await start(t, { MAX_CONNECTIONS: "400" });
    const idle = await Promise.all(Array.from({ length: 300 }, () => handshake(port)));
    assert.match(await respond(await handshake(port)), /^HTTP\/1\.1 200 /);
    assert.ok(idle.every(({ closed }) => !closed));
    for (const socket of idle) socket.destroy();
  });
});

for (const WORKERS of ["1", "2"]) {
  describe(`a reload of the certificate with WORKERS=${WORKERS}`, () => {
    test("is for new connections, while open ones go on; and no handshake fails", async (t) => {
      const program = await start(t, { WORKERS });
      const open = await handshake(program.port, {}, [first]);
      let isStopped = false;
      const failures: string[] = [];
      let count = 0;
      const load = async (): Promise<void> => {
        while (!isStopped) {
          const socket = await handshake(program.port).catch((error: unknown) => codeOf(error));
          count += 1;
          if (typeof socket === "string") failures.push(socket);
          else if (!(await respond(socket)).startsWith("HTTP/1.1 200 ")) failures.push("status");
          if (typeof socket !== "string") socket.destroy();
        }
      };
      const clients = Promise.all([load(), load(), load(), load()]);
      for (let round = 1; round <= 6; round += 1) {
        write(program, round % 2 === 1 ? second : first);
        program.child.kill("SIGHUP");
        await program.untilEvent("keys_reloaded", round);
        const trusted = round % 2 === 1 ? [second] : [first];
        for (let i = 0; i < 4; i += 1) (await handshake(program.port, {}, trusted)).destroy();
      }
      isStopped = true;
      await clients;
      assert.deepEqual(failures, []);
      assert.match(await respond(open), /^HTTP\/1\.1 200 /);
      t.diagnostic(`failed 0 of ${count} handshakes in 6 reloads`);
      open.destroy();
      assert.equal(await program.stop(), 0);
    });

    test("keeps the old one if anything is wrong", async (t) => {
      const program = await start(t, { WORKERS });
      const wrong = [
        { cert: second.cert, key: first.key },
        { cert: "", key: second.key },
        { cert: second.cert, key: "" },
        { cert: second.cert.slice(0, 200), key: second.key },
      ];
      for (const [index, pair] of wrong.entries()) {
        write(program, pair);
        program.child.kill("SIGHUP");
        const { problems } = await program.untilEvent("keys_reload_failed", index + 1);
        assert.match(String(problems), /^TLS_(?:CERT|KEY)_FILE /);
        (await handshake(program.port, {}, [first])).destroy();
      }
      assert.equal(program.events("keys_reloaded").length, 0);
    });
  });
}

test("SIGHUP switches TLS neither on nor off", async (t) => {
  const directory = tempDirectory(t, { cert: first.cert, key: first.key, ".env": "" });
  const program = await startProgram(t, {}, { directory });
  writeFileSync(join(directory, ".env"), "TLS_CERT_FILE=cert\nTLS_KEY_FILE=key\n");
  program.child.kill("SIGHUP");
  const { problems } = await program.untilEvent("keys_reload_failed");
  assert.match(String(problems), /^TLS_CERT_FILE, TLS_KEY_FILE: restart the service to switch /);
});

test("npm run keys says when the certificate expires", async (t) => {
  const variables = { SERVICE_API_KEY: KEY, ...tlsVariables(t, first) };
  const program = spawnProgram(t, variables, { args: ["keys"] });
  assert.equal(await program.exit(), 0);
  assert.match(program.stdout(), /^certificate: expires at \d{4}-\S+Z, days left: 30$/m);
});

test("a wrong pair ends the program with 78 and one line, without the key", async (t) => {
  const variables = { SERVICE_API_KEY: KEY, ...tlsVariables(t, { ...second, key: first.key }) };
  const program = spawnProgram(t, variables);
  assert.equal(await program.exit(), 78);
  assert.match(program.stderr(), /^TLS_CERT_FILE [^\n]*: they are not a pair\n$/);
});

interface Output {
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `openssl s_client`, which trusts the first certificate, with this input. */
function sClient(port: number, options: readonly string[], input = ""): Output {
  const directory = mkdtempSync(join(tmpdir(), "api-test-"));
  const ca = join(directory, "ca");
  writeFileSync(ca, first.cert);
  const address = ["-connect", `127.0.0.1:${port}`, "-servername", "localhost", "-CAfile", ca];
  const args = ["s_client", ...address, ...options];
  try {
    return spawnSync(findTool("openssl"), args, { input, encoding: "utf8", timeout: 20_000 });
  } finally {
    rmSync(directory, { recursive: true });
  }
}
