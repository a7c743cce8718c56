import assert from "node:assert/strict";
import { test } from "node:test";

import { DAY_MS } from "../../src/config/expiry.ts";
import { readConfiguration } from "../../src/config/settings.ts";
import { certificateWarnings, formatCertificate, type TlsIdentity } from "../../src/config/tls.ts";
import { makeCertificate } from "../support/certificates.ts";
import { configurationOf, STRONG } from "../support/settings.ts";
import { tempDirectory } from "../support/temp.ts";

const END = Date.parse("2027-01-15T12:00:00Z");
const IDENTITY: TlsIdentity = { certificates: "", privateKey: "", expires: END };

const EXPIRES = "the certificate expires at 2027-01-15T12:00:00Z: renew it, and send SIGHUP";
const EXPIRED = "the certificate expired at 2027-01-15T12:00:00Z: renew it, and send SIGHUP";

/** How long before its end a certificate is looked at, in ms, and the warnings. */
const WARNINGS: readonly (readonly [left: number, warnings: readonly string[]])[] = [
  [14 * DAY_MS + 1, []],
  [14 * DAY_MS, [EXPIRES]],
  [1, [EXPIRES]],
  [0, [EXPIRED]],
  [-1, [EXPIRED]],
];

for (const [left, warnings] of WARNINGS) {
  test(`${left} ms before its end, a certificate has ${warnings.length} warnings`, () => {
    assert.deepEqual(certificateWarnings(IDENTITY, END - left), warnings);
  });
}

test("without a certificate there is no warning of its end", () => {
  assert.deepEqual(certificateWarnings(undefined, END), []);
});

test("formatCertificate says when the certificate expires, and how many days are left", () => {
  for (const [left, days] of [
    [DAY_MS + 1, 2],
    [DAY_MS, 1],
    [-1, 0],
  ] as const) {
    const line = `certificate: expires at 2027-01-15T12:00:00Z, days left: ${days}\n`;
    assert.equal(formatCertificate(IDENTITY, END - left), line);
  }
});

test("the warning of plain HTTP says who can listen, and what to do", (t) => {
  assert.deepEqual(configurationOf(t, { HOST: "0.0.0.0" }).warnings, [
    "HOST (environment): is not a loopback address, and whoever listens in gets the key: " +
      "set TLS_CERT_FILE and TLS_KEY_FILE, or put a proxy with TLS in front",
  ]);
});

test("a pair that OpenSSL refuses is a problem at the start, not of each handshake", (t) => {
  const keyOptions = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:512"];
  const weak = makeCertificate({ keyOptions, isIssuer: true, name: "weak" });
  const { cert, key } = makeCertificate({ issuer: weak });
  const directory = tempDirectory(t, { cert: cert + weak.cert, key });
  const env = { SERVICE_API_KEY: STRONG, TLS_CERT_FILE: "cert", TLS_KEY_FILE: "key" };
  const message =
    "TLS_CERT_FILE (environment), TLS_KEY_FILE (environment): " +
    "OpenSSL refuses them (ERR_SSL_CA_KEY_TOO_SMALL): make new ones";
  assert.throws(() => readConfiguration(env, directory, Date.now()), { message });
});
