import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";

import { formatDate } from "./expiry.ts";
import { failure, type Result } from "./result.ts";

/** Certificates in the order of their file: the server's own comes first. */
export type Chain = readonly X509Certificate[];

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** Parses all certificates of a PEM file. Whatever else it holds is skipped. */
export function parseCertificates(bytes: Buffer): Result<Chain> {
  const text = bytes.toString("latin1");
  const begun = text.split("-----BEGIN CERTIFICATE-----").length - 1;
  if (begun === 0) return failure("holds no certificate in PEM (-----BEGIN CERTIFICATE-----)");
  const chain: X509Certificate[] = [];
  for (const [pem] of text.matchAll(CERTIFICATE)) {
    const certificate = tryTo(() => new X509Certificate(pem));
    const number = chain.length + 1;
    if (certificate === undefined) return damaged(number);
    if (!hasDates(certificate)) {
      return failure(`certificate ${number} of the file has a damaged date: make a new one`);
    }
    chain.push(certificate);
  }
  // The end of one is missing.
  if (chain.length < begun) return damaged(chain.length + 1);
  return { ok: true, value: chain };
}

/** OpenSSL takes a certificate whose dates it can't read. */
function hasDates({ validFrom, validTo }: X509Certificate): boolean {
  return !Number.isNaN(Date.parse(validFrom) + Date.parse(validTo));
}

/** Parses the private key of a PEM file, RSA or EC. */
export function parsePrivateKey(bytes: Buffer): Result<KeyObject> {
  const text = bytes.toString("latin1");
  if (!PRIVATE_KEY.test(text)) return failure("holds no private key in PEM");
  if (ENCRYPTED.test(text)) {
    return failure("holds an encrypted key: write it without a passphrase, with openssl pkey");
  }
  const key = tryTo(() => createPrivateKey(bytes));
  if (key === undefined) return failure("holds a private key that is damaged");
  return isSuitable(key) ? { ok: true, value: key } : failure(UNSUITABLE);
}

/** Says which certificates are not valid at `now`, in ms since the epoch. */
export function validityProblems(chain: Chain, now: number): string[] {
  return chain.flatMap(({ validFrom, validTo }, index) => {
    const name = `certificate ${index + 1} of the file`;
    const begins = Date.parse(validFrom);
    const expires = Date.parse(validTo);
    if (expires <= now) return [`${name} expired at ${formatDate(expires)}: renew it`];
    if (begins <= now) return [];
    return [
      `${name} is not valid before ${formatDate(begins)}: is the clock of this machine right?`,
    ];
  });
}

/** Says why a private key is not that of the first certificate; undefined if it is. */
export function pairProblem(chain: Chain, key: KeyObject): string | undefined {
  const index = chain.findIndex((certificate) => certificate.checkPrivateKey(key));
  if (index === 0) return undefined;
  if (index === -1) return "the key is not that of the certificate: they are not a pair";
  return `the key is that of certificate ${index + 1} of the file: put that certificate first`;
}

/** Says which certificates are not followed by their issuer. */
export function orderProblems(chain: Chain): string[] {
  return chain.slice(1).flatMap((issuer, index) => {
    if (chain[index]?.checkIssued(issuer) === true) return [];
    const order = "the server's own comes first, and each is followed by its issuer";
    return [`certificate ${index + 2} of the file did not issue the one before it: ${order}`];
  });
}

/** When the first of these certificates expires, in ms since the epoch. */
export function expiryOf(chain: Chain): number {
  return Math.min(...chain.map(({ validTo }) => Date.parse(validTo)));
}

const PRIVATE_KEY = /-----BEGIN [A-Z ]*PRIVATE KEY-----/;
const ENCRYPTED = /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m;

const UNSUITABLE =
  "holds a key that clients don't accept: make an EC key on P-256, P-384 or P-521, " +
  "or an RSA key of 2048 bits or more";

const MIN_RSA_BITS = 2048;
const CURVES = ["prime256v1", "secp384r1", "secp521r1"];

function isSuitable({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): boolean {
  const { modulusLength = 0, namedCurve = "" } = asymmetricKeyDetails ?? {};
  if (asymmetricKeyType === "rsa") return modulusLength >= MIN_RSA_BITS;
  return asymmetricKeyType === "ec" && CURVES.includes(namedCurve);
}

function damaged(number: number): Result<never> {
  return failure(`holds a certificate that is damaged, number ${number}`);
}

/** Returns undefined instead of throwing: OpenSSL's errors mean nothing to an operator. */
function tryTo<Value>(action: () => Value): Value | undefined {
  try {
    return action();
  } catch {
    return undefined;
  }
}
