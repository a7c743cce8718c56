import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { chmodSync } from "node:fs";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";

import { DAY_MS } from "../../src/config/expiry.ts";
import { type Configuration, readConfiguration, SettingsError } from "../../src/config/settings.ts";
import {
  type Certificate,
  KEY_OPTIONS,
  makeCertificate,
  openssl,
} from "../support/certificates.ts";
import { STRONG } from "../support/settings.ts";
import { tempDirectory } from "../support/temp.ts";

/** Files by name, in a directory of their own. */
type Files = Readonly<Record<string, string | Buffer>>;

const ENV = { SERVICE_API_KEY: STRONG, TLS_CERT_FILE: "cert", TLS_KEY_FILE: "key" };

const ec = makeCertificate({ days: 100 });
const rsa = makeCertificate({ keyOptions: KEY_OPTIONS.rsa, days: 100 });
const root = makeCertificate({ isIssuer: true, days: 1000, name: "root" });
const middle = makeCertificate({ isIssuer: true, days: 500, name: "middle", issuer: root });
const leaf = makeCertificate({ days: 100, issuer: middle });

function read(
  t: TestContext,
  files: Files,
  env: NodeJS.ProcessEnv = ENV,
  now = Date.now(),
): Configuration {
  return readConfiguration(env, tempDirectory(t, files), now);
}

/** The lines of the problems, with the directory left out. */
function problems(
  t: TestContext,
  files: Files,
  env: NodeJS.ProcessEnv = ENV,
  now = Date.now(),
): string[] {
  const directory = tempDirectory(t, files);
  try {
    readConfiguration(env, directory, now);
    return [];
  } catch (error) {
    assert.ok(error instanceof SettingsError, String(error));
    return error.message.replaceAll(`${directory}/`, "").split("\n");
  }
}

/** An RSA key, or an EC key on one of three curves. */
const GOOD: Readonly<Record<string, Certificate>> = {
  "an EC key on P-256": ec,
  "an EC key on P-384": makeCertificate({ keyOptions: KEY_OPTIONS.ec384 }),
  "an EC key on P-521": makeCertificate({ keyOptions: KEY_OPTIONS.ec521 }),
  "an RSA key of 2048 bits": rsa,
  "an EC key as openssl ecparam writes it": asOldEc(ec),
  "an RSA key as openssl genrsa -traditional writes it": {
    cert: rsa.cert,
    key: openssl(["rsa", "-traditional"], rsa.key),
  },
  "line ends of Windows": { cert: crlf(rsa.cert), key: crlf(rsa.key) },
  "text around the blocks": { cert: `a\n${ec.cert}b\n`, key: `a\n${ec.key}b\n` },
  "text on encryption": { cert: ec.cert, key: `Not Proc-Type: 4,ENCRYPTED\n${ec.key}` },
  "certificate and key in both files": { cert: ec.key + ec.cert, key: ec.cert + ec.key },
  "a chain": { cert: leaf.cert + middle.cert + root.cert, key: leaf.key },
};

describe("a pair of files", () => {
  for (const [what, { cert, key }] of Object.entries(GOOD)) {
    test(`with ${what} is taken, without a warning`, (t) => {
      const { secrets, warnings } = read(t, { cert, key });
      assert.deepEqual(warnings, []);
      assert.match(secrets.tls?.privateKey ?? "", /^-----BEGIN PRIVATE KEY-----\n/);
      const { validTo } = new X509Certificate(cert.slice(cert.indexOf("-----BEGIN CERT")));
      assert.equal(secrets.tls?.expires, Date.parse(validTo));
    });
  }

  test("has the whole chain in its order, and nothing else", (t) => {
    const { cert, key } = GOOD["a chain"] as Certificate;
    assert.equal(read(t, { cert: `${key}${cert}x`, key }).secrets.tls?.certificates, cert);
  });

  test("expires when the first of its certificates does", (t) => {
    const short = makeCertificate({ isIssuer: true, days: 50, issuer: root });
    const long = makeCertificate({ days: 100, issuer: short });
    const { secrets } = read(t, { cert: long.cert + short.cert, key: long.key });
    assert.equal(secrets.tls?.expires, Date.parse(new X509Certificate(short.cert).validTo));
  });

  test("is in the grants of the sandbox", (t) => {
    const { sandboxGrants } = read(t, { cert: ec.cert, key: ec.key });
    const names = sandboxGrants.files.map((path) => path.split("/").at(-1));
    assert.deepEqual(names, [".env", "cert", "key"]);
  });

  test("lowers the default of MAX_CONNECTIONS, and nothing that is set", (t) => {
    const files = { cert: ec.cert, key: ec.key };
    assert.equal(read(t, files).settings.maxConnections, 1500);
    const env = { ...ENV, MAX_CONNECTIONS: "2500" };
    assert.equal(read(t, files, env).settings.maxConnections, 2500);
  });

  test("is not read if neither is set", (t) => {
    assert.equal(read(t, {}, { SERVICE_API_KEY: STRONG }).secrets.tls, undefined);
  });
});

const CERT = "TLS_CERT_FILE (environment)";
const KEY = "TLS_KEY_FILE (environment)";
const BOTH = `${CERT}, ${KEY}`;
const DAMAGED = "holds a certificate that is damaged, number";
const NO_CERTIFICATE = "holds no certificate in PEM (-----BEGIN CERTIFICATE-----)";
const EMPTY_BLOCK = "-----BEGIN CERTIFICATE----------END CERTIFICATE-----";
const NO_KEY = "holds no private key in PEM";
const ENCRYPTED = "holds an encrypted key: write it without a passphrase, with openssl pkey";
const UNSUITABLE =
  "holds a key that clients don't accept: make an EC key on P-256, P-384 or P-521, " +
  "or an RSA key of 2048 bits or more";

const RSA_2047 = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2047"];

/** Files that are no pair, each with its one problem. */
const BAD: readonly (readonly [what: string, cert: string | Buffer, key: string, line: string])[] =
  [
    ["an empty certificate file", "", ec.key, `${CERT}: ${NO_CERTIFICATE}`],
    [
      "a certificate in DER",
      new X509Certificate(ec.cert).raw,
      ec.key,
      `${CERT}: ${NO_CERTIFICATE}`,
    ],
    ["a key instead of a certificate", ec.key, ec.key, `${CERT}: ${NO_CERTIFICATE}`],
    ["text instead of a certificate", "x".repeat(5000), ec.key, `${CERT}: ${NO_CERTIFICATE}`],
    ["a certificate that is cut off", ec.cert.slice(0, -60), ec.key, `${CERT}: ${DAMAGED} 1`],
    ["a certificate without its end", ec.cert.slice(0, -30), ec.key, `${CERT}: ${DAMAGED} 1`],
    ["a certificate of zeros", pem("CERTIFICATE", "A".repeat(64)), ec.key, `${CERT}: ${DAMAGED} 1`],
    ["an empty block", pem("CERTIFICATE", ""), ec.key, `${CERT}: ${DAMAGED} 1`],
    ["nothing in a block", `${EMPTY_BLOCK}\n${ec.cert}`, ec.key, `${CERT}: ${DAMAGED} 1`],
    [
      "a second one that is cut off",
      leaf.cert + root.cert.slice(0, 300),
      leaf.key,
      `${CERT}: ${DAMAGED} 2`,
    ],
    ["an empty key file", ec.cert, "", `${KEY}: ${NO_KEY}`],
    ["a certificate instead of a key", ec.cert, ec.cert, `${KEY}: ${NO_KEY}`],
    ["a public key", ec.cert, openssl(["pkey", "-pubout"], ec.key), `${KEY}: ${NO_KEY}`],
    [
      "a key that is cut off",
      ec.cert,
      ec.key.slice(0, -40),
      `${KEY}: holds a private key that is damaged`,
    ],
    [
      "a key of zeros",
      ec.cert,
      pem("PRIVATE KEY", "A".repeat(64)),
      `${KEY}: holds a private key that is damaged`,
    ],
    ["an encrypted key", ec.cert, encrypted(ec.key, []), `${KEY}: ${ENCRYPTED}`],
    [
      "an old encrypted key",
      rsa.cert,
      encrypted(rsa.key, ["-traditional"]),
      `${KEY}: ${ENCRYPTED}`,
    ],
    ["a short RSA key", ...pairOf(KEY_OPTIONS.shortRsa), `${KEY}: ${UNSUITABLE}`],
    ["an RSA key of 2047 bits", ...pairOf(RSA_2047), `${KEY}: ${UNSUITABLE}`],
    ["a key on another curve", ...pairOf(KEY_OPTIONS.secp256k1), `${KEY}: ${UNSUITABLE}`],
    ["an Ed25519 key", ...pairOf(KEY_OPTIONS.ed25519), `${KEY}: ${UNSUITABLE}`],
    [
      "the key of another certificate",
      ec.cert,
      leaf.key,
      `${BOTH}: the key is not that of the certificate: they are not a pair`,
    ],
    [
      "a key of another kind",
      ec.cert,
      rsa.key,
      `${BOTH}: the key is not that of the certificate: they are not a pair`,
    ],
    [
      "the issuer first",
      middle.cert + leaf.cert,
      leaf.key,
      `${BOTH}: the key is that of certificate 2 of the file: put that certificate first`,
    ],
  ];

describe("a pair of files that the service can't use is one problem:", () => {
  for (const [what, cert, key, line] of BAD) {
    test(what, (t) => {
      const lines = problems(t, { cert, key });
      assert.deepEqual(lines, [line]);
      assertNoSecret(lines, key);
    });
  }

  test("a certificate that has expired, to the second", (t) => {
    const files = { cert: ec.cert, key: ec.key };
    const end = Date.parse(new X509Certificate(ec.cert).validTo);
    assert.deepEqual(problems(t, files, ENV, end - 1), []);
    const [line = "", ...more] = problems(t, files, ENV, end);
    assert.match(
      line,
      /^TLS_CERT_FILE \(environment\): certificate 1 of the file expired at [\dTZ:-]+: renew it$/,
    );
    assert.deepEqual(more, []);
  });

  test("a certificate that is not valid yet", (t) => {
    const start = Date.parse(new X509Certificate(ec.cert).validFrom);
    const files = { cert: ec.cert, key: ec.key };
    assert.deepEqual(problems(t, files, ENV, start), []);
    const [line = "", ...more] = problems(t, files, ENV, start - 1);
    assert.match(line, /: certificate 1 of the file is not valid before [\dTZ:-]+: is the clock /);
    assert.deepEqual(more, []);
  });

  test("an issuer that has expired", (t) => {
    const files = { cert: leaf.cert + middle.cert, key: leaf.key };
    const lines = problems(t, files, ENV, Date.parse(new X509Certificate(middle.cert).validTo));
    assert.match(lines.join("\n"), /certificate 1 .* expired[^]*certificate 2 .* expired/);
  });

  test("both files wrong are two problems", (t) => {
    const lines = problems(t, { cert: "x", key: "x" });
    assert.deepEqual(lines, [`${CERT}: ${NO_CERTIFICATE}`, `${KEY}: ${NO_KEY}`]);
  });
});

/** Values of the two variables that name no pair, each with its one problem. */
const BAD_VALUES: readonly (readonly [NodeJS.ProcessEnv, string])[] = [
  [{ TLS_KEY_FILE: undefined }, `${CERT}: is set, but TLS_KEY_FILE is not: set both, or neither`],
  [{ TLS_CERT_FILE: undefined }, `${KEY}: is set, but TLS_CERT_FILE is not: set both, or neither`],
  [{ TLS_CERT_FILE: "" }, `${CERT}: is empty: set it to the path of a file, or unset it`],
  [{ TLS_KEY_FILE: "" }, `${KEY}: is empty: set it to the path of a file, or unset it`],
  [{ TLS_CERT_FILE: "none" }, `${CERT}: the file none can't be read (ENOENT)`],
  [{ TLS_KEY_FILE: "none" }, `${KEY}: the file none can't be read (ENOENT)`],
  [{ TLS_KEY_FILE: "/dev/zero" }, `${KEY}: the file /dev/zero is not a regular file`],
  [{ TLS_CERT_FILE: "/dev" }, `${CERT}: the file /dev is not a regular file`],
  [{ TLS_CERT_FILE: ec.cert }, `${CERT}: ${asPath()}`],
  [{ TLS_KEY_FILE: ec.key }, `${KEY}: ${asPath()}`],
  [{ TLS_KEY_FILE: Buffer.from(ec.key).toString("base64") }, `${KEY}: ${asPath()}`],
];

describe("a variable that names no file is one problem:", () => {
  for (const [env, line] of BAD_VALUES) {
    test(line, (t) => {
      const lines = problems(t, { cert: ec.cert, key: ec.key }, { ...ENV, ...env });
      assert.deepEqual(lines, [line]);
      assertNoSecret(lines, ec.key);
    });
  }
});

describe("a warning", () => {
  for (const [mode, name, count] of [
    [0o644, "key", 1],
    [0o640, "key", 1],
    [0o602, "key", 1],
    [0o644, "cert", 0],
    [0o664, "cert", 1],
  ] as const) {
    test(`is given ${count} times for mode ${mode.toString(8)} of ${name}`, (t) => {
      const directory = tempDirectory(t, { cert: ec.cert, key: ec.key });
      chmodSync(join(directory, name), mode);
      const { warnings } = readConfiguration(ENV, directory, Date.now());
      assert.equal(warnings.length, count);
      for (const warning of warnings) assert.match(warning, /^TLS_\w+ .*: chmod 600 it$/);
    });
  }

  test("is given from 14 days before the end, and not before", (t) => {
    const files = { cert: ec.cert, key: ec.key };
    const end = Date.parse(new X509Certificate(ec.cert).validTo);
    assert.deepEqual(read(t, files, ENV, end - 14 * DAY_MS - 1).warnings, []);
    const [warning = "", ...more] = read(t, files, ENV, end - 14 * DAY_MS).warnings;
    assert.match(warning, /^the certificate expires at [\dTZ:-]+: renew it, and send SIGHUP$/);
    assert.deepEqual(more, []);
  });

  for (const [what, cert] of [
    ["an issuer is missing in between", leaf.cert + root.cert],
    ["the issuers are in another order", leaf.cert + root.cert + middle.cert],
    ["another certificate follows", leaf.cert + ec.cert],
  ] as const) {
    test(`is given if ${what}`, (t) => {
      const { warnings } = read(t, { cert, key: leaf.key });
      assert.equal(
        warnings[0],
        `${CERT}: certificate 2 of the file did not issue the one before it: ` +
          "the server's own comes first, and each is followed by its issuer",
      );
    });
  }

  for (const [host, count] of [
    ["0.0.0.0", 1],
    ["::", 1],
    ["example.com", 1],
    ["127.0.0.1", 0],
    ["::1", 0],
    ["localhost", 0],
  ] as const) {
    test(`is given ${count} times for HOST=${host} without TLS, and never with it`, (t) => {
      const env = { SERVICE_API_KEY: STRONG, HOST: host };
      assert.equal(read(t, {}, env).warnings.length, count);
      const files = { cert: ec.cert, key: ec.key };
      assert.deepEqual(read(t, files, { ...ENV, HOST: host }).warnings, []);
    });
  }
});

function asPath(): string {
  return "names no file that can be read: set it to the path of the file, not its content";
}

/** No line of a key's file may be in what is printed. */
function assertNoSecret(lines: readonly string[], key: string): void {
  const secrets = key.split("\n").filter((line) => /^[\w+/]{16,}/.test(line));
  for (const secret of secrets) assert.ok(!lines.join("\n").includes(secret));
}

function pairOf(keyOptions: readonly string[]): [cert: string, key: string] {
  const { cert, key } = makeCertificate({ keyOptions });
  return [cert, key];
}

function asOldEc({ cert, key }: Certificate): Certificate {
  const parameters = openssl(["ecparam", "-name", "prime256v1"]);
  return { cert, key: parameters + openssl(["ec"], key) };
}

function crlf(text: string): string {
  return text.replaceAll("\n", "\r\n");
}

function pem(label: string, base64: string): string {
  return `-----BEGIN ${label}-----\n${base64}\n-----END ${label}-----\n`;
}

function encrypted(key: string, args: readonly string[]): string {
  return openssl(["pkey", "-aes128", "-passout", "pass:secret", ...args], key);
}

describe("a certificate with a damaged date", () => {
  for (const [index, what] of ["beginning", "end"].entries()) {
    test(`is one line if the date is that of its ${what}`, (t) => {
      const files = { cert: withDamagedDate(ec.cert, index), key: ec.key };
      assert.deepEqual(problems(t, files), [
        `${CERT}: certificate 1 of the file has a damaged date: make a new one`,
      ]);
    });
  }
});

/** Puts a letter into one of a certificate's two dates. OpenSSL does not check the signature. */
function withDamagedDate(pem: string, index: number): string {
  const bytes = Buffer.from(pem.replace(/-----[^-]+-----/g, ""), "base64");
  // UTCTime (X.690 8.25): the tag and the length, then 13 characters.
  let start = bytes.indexOf("170d", 0, "hex");
  if (index === 1) start = bytes.indexOf("170d", start + 15, "hex");
  bytes.write("x", start + 2);
  const lines = bytes.toString("base64").replace(/.{64}/g, "$&\n");
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}
