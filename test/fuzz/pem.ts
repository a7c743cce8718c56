import { createECDH, createPrivateKey } from "node:crypto";

import {
  expiryOf,
  orderProblems,
  pairProblem,
  parseCertificates,
  parsePrivateKey,
  validityProblems,
} from "../../src/config/certificates.ts";
import { mutate, type Random } from "./random.ts";
import { check, checkSecrets, quote, type Target } from "./target.ts";

/** Files of certificates and keys give what they have, or a problem without any of their text. */
export function pemTarget(parseKey: typeof parsePrivateKey = parsePrivateKey): Target {
  const key = somePrivateKey();
  const secret = key.split("\n")[1] ?? "";
  return {
    name: "pem",
    work: { base: 300, perByte: 1, every: 64 },
    run: (random) => {
      const bytes = somePem(random, key);
      const certificates = parseCertificates(bytes);
      const privateKey = parseKey(bytes);
      const messages = [certificates, privateKey].flatMap((result) =>
        result.ok ? [] : [result.problem],
      );
      if (certificates.ok) {
        const chain = certificates.value;
        const begun = bytes.toString("latin1").split("-----BEGIN CERTIFICATE-----").length - 1;
        check(chain.length === begun, () => `${chain.length} certificates in ${quote(bytes)}`);
        check(!Number.isNaN(expiryOf(chain)), () => `no date in ${quote(bytes)}`);
        messages.push(
          ...validityProblems(chain, Date.parse("2030-01-01")),
          ...orderProblems(chain),
        );
        if (privateKey.ok) messages.push(pairProblem(chain, privateKey.value) ?? "");
      }
      checkSecrets(messages, [secret]);
      for (const one of messages) check(/^[\x20-\x7e]*$/.test(one), () => `not one line: ${one}`);
      return bytes.length;
    },
  };
}

/** A key on P-256 of a number that everyone can read here: it protects nothing. */
function somePrivateKey(): string {
  const curve = createECDH("prime256v1");
  curve.setPrivateKey(Buffer.alloc(32, 7));
  const point = curve.getPublicKey();
  const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((part) =>
    part.toString("base64url"),
  );
  const d = curve.getPrivateKey("base64url");
  const jwk = { kty: "EC", crv: "P-256", x: String(x), y: String(y), d };
  return String(
    createPrivateKey({ key: jwk, format: "jwk" }).export({ type: "pkcs8", format: "pem" }),
  );
}

const CERTIFICATE = [
  "-----BEGIN CERTIFICATE-----",
  "MIIBfzCCASWgAwIBAgIUQYBLx+pLOnxmALEmv7lvsQO8lxIwCgYIKoZIzj0EAwIw",
  "FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyOTA4MTQxMVoYDzIxMjYxMTA1",
  "MDgxNDExWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO",
  "PQMBBwNCAAR459pVZRAdjJp4MXTfRB/d8JCuIdviVWSWL4nTMKPlAG2DYep5kuRE",
  "STj+yTODZ5/ez2XzB3XvRkZSMp7rW1Hjo1MwUTAdBgNVHQ4EFgQUjcONZSLlhNI5",
  "ytWDD1eAZYzhqgQwHwYDVR0jBBgwFoAUjcONZSLlhNI5ytWDD1eAZYzhqgQwDwYD",
  "VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBFAiB5CUw1pGKSHVJW0UH+4Nqr",
  "TF9UhF3Oq31zbS1UZfFZ3AIhALtzhmjSC98OdqUiK1866pWMm4I2LzOjA1Fn8Vgc",
  "t6Uj",
  "-----END CERTIFICATE-----",
  "",
].join("\n");

const PEM_PIECES = [
  "-----BEGIN CERTIFICATE-----",
  "-----END CERTIFICATE-----",
  "-----BEGIN PRIVATE KEY-----",
  "-----BEGIN ENCRYPTED PRIVATE KEY-----",
  "-----END PRIVATE KEY-----",
  "Proc-Type: 4,ENCRYPTED\n",
  "-----",
  "====",
  "\r\n",
];

function somePem(random: Random, key: string): Buffer {
  const parts = [CERTIFICATE, CERTIFICATE, key, "# a comment\n", ""];
  const text = Buffer.from(random.text(4, parts));
  return random.oneIn(4) ? text : mutate(random, text, PEM_PIECES);
}
