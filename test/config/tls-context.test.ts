import assert from "node:assert/strict";
import { get as httpsGet } from "node:https";
import { connect as connectTcp } from "node:net";
import { describe, test } from "node:test";
import tls, { connect, type ConnectionOptions } from "node:tls";

import { secureContextOptions, tlsServerOptions } from "../../src/config/tls-context.ts";
import { KEY_OPTIONS, makeCertificate } from "../support/certificates.ts";
import type { Scope } from "../support/scope.ts";
import { echo, serveFor } from "../support/server.ts";
import { testCertificate } from "../support/transport.ts";

async function serveTls(scope: Scope, { cert, key } = testCertificate()): Promise<number> {
  const options = tlsServerOptions({ certificates: cert, privateKey: key }, 10_000);
  const { port } = await serveFor(scope, [echo], {}, { tls: options });
  return port;
}

/** The protocol and cipher that client and service agree on, or the code of the error. */
function handshake(port: number, options: ConnectionOptions): Promise<string> {
  return new Promise((resolve) => {
    const ca = testCertificate().cert;
    const socket = connect({ port, host: "127.0.0.1", servername: "localhost", ca, ...options });
    socket.on("error", ({ code }: NodeJS.ErrnoException) => resolve(String(code)));
    socket.on("secureConnect", () => {
      resolve(`${socket.getProtocol()} ${socket.getCipher().name}`);
      socket.destroy();
    });
  });
}

/** The ciphers of a version, and the kind of key that the service has. */
const CIPHERS: readonly (readonly [
  version: "TLSv1.2" | "TLSv1.3",
  kind: "ec" | "rsa",
  ciphers: readonly string[],
])[] = [
  [
    "TLSv1.3",
    "ec",
    ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"],
  ],
  [
    "TLSv1.2",
    "ec",
    [
      "ECDHE-ECDSA-AES128-GCM-SHA256",
      "ECDHE-ECDSA-AES256-GCM-SHA384",
      "ECDHE-ECDSA-CHACHA20-POLY1305",
    ],
  ],
  [
    "TLSv1.2",
    "rsa",
    ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305"],
  ],
];

describe("over TLS", () => {
  for (const [version, kind, ciphers] of CIPHERS) {
    test(`a client may have one cipher of ${version} only, if the key is ${kind}`, async (t) => {
      const pair = makeCertificate({ keyOptions: KEY_OPTIONS[kind] });
      const port = await serveTls(t, pair);
      const versions = { minVersion: version, maxVersion: version };
      for (const cipher of ciphers) {
        const agreed = await handshake(port, { ...versions, ciphers: cipher, ca: pair.cert });
        assert.equal(agreed, `${version} ${cipher}`);
      }
    });
  }

  test("the versions are the same whatever Node is told to use by default", async (t) => {
    const { DEFAULT_MIN_VERSION, DEFAULT_MAX_VERSION } = tls;
    t.after(() => Object.assign(tls, { DEFAULT_MIN_VERSION, DEFAULT_MAX_VERSION }));
    tls.DEFAULT_MIN_VERSION = "TLSv1";
    tls.DEFAULT_MAX_VERSION = "TLSv1.2";
    const port = await serveTls(t);
    const versions = { minVersion: "TLSv1.3", maxVersion: "TLSv1.3" } as const;
    assert.match(await handshake(port, versions), /^TLSv1\.3 /);
    // No handshake shows the least version: the ciphers are too new for older ones.
    const { minVersion } = secureContextOptions({ certificates: "", privateKey: "" });
    assert.equal(minVersion, "TLSv1.2");
  });

  for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
    test(`${version} is spoken, with forward secrecy and authenticated encryption`, async (t) => {
      const port = await serveTls(t);
      const agreed = await handshake(port, { minVersion: version, maxVersion: version });
      assert.match(agreed, new RegExp(`^${version} (?:ECDHE-ECDSA|TLS_).*(?:GCM|POLY1305)`));
    });
  }

  for (const [name, options] of [
    ["TLS 1.0", { minVersion: "TLSv1", maxVersion: "TLSv1" }],
    ["TLS 1.1", { minVersion: "TLSv1.1", maxVersion: "TLSv1.1" }],
    ["a CBC cipher", { maxVersion: "TLSv1.2", ciphers: "ECDHE-ECDSA-AES128-SHA256" }],
    ["a cipher without forward secrecy", { maxVersion: "TLSv1.2", ciphers: "AES128-GCM-SHA256" }],
  ] as const) {
    test(`${name} is refused`, async (t) => {
      const port = await serveTls(t);
      const ciphers = "ciphers" in options ? options.ciphers : "DEFAULT";
      const weak = { ...options, ciphers: `${ciphers}:@SECLEVEL=0` };
      assert.match(await handshake(port, weak), /^(?:ERR_SSL_|ECONNRESET|EPROTO)/);
    });
  }

  test("each response has Strict-Transport-Security", async (t) => {
    const port = await serveTls(t);
    const { cert: ca } = testCertificate();
    const headers = await new Promise<NodeJS.Dict<string | string[]>>((resolve, reject) => {
      const options = { port, host: "127.0.0.1", servername: "localhost", path: "/none", ca };
      httpsGet(options, (response) => resolve(response.resume().headers)).on("error", reject);
    });
    assert.equal(headers["strict-transport-security"], "max-age=31536000");
  });

  test("plain HTTP is closed without a response", async (t) => {
    const port = await serveTls(t);
    const received = await new Promise<string>((resolve) => {
      const socket = connectTcp({ port, host: "127.0.0.1" });
      let text = "";
      socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
      socket.on("error", () => {});
      socket.on("close", () => resolve(text));
      socket.end("GET /none HTTP/1.1\r\nHost: x\r\n\r\n");
    });
    assert.doesNotMatch(received, /HTTP/);
  });
});
