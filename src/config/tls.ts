import type { KeyObject } from "node:crypto";

import { loadTls } from "../http/node-modules.ts";
import {
  type Chain,
  expiryOf,
  orderProblems,
  pairProblem,
  parseCertificates,
  parsePrivateKey,
  validityProblems,
} from "./certificates.ts";
import { daysLeft, EXPIRY_WARNING_MS, formatDate } from "./expiry.ts";
import { type NamedFileOptions, readNamedFile } from "./named-file.ts";
import { placeOf, placeOrDefault, type SettingsReader, type Variable } from "./reader.ts";
import type { Result } from "./result.ts";
import { secureContextOptions, type TlsPair } from "./tls-context.ts";

/** A pair, and how long it is good for. */
export interface TlsIdentity extends TlsPair {
  /** When the first of its certificates expires, in ms since the epoch. */
  readonly expires: number;
}

/** The two files. */
interface TlsFiles {
  readonly certificates: Variable;
  readonly privateKey: Variable;
}

const CERTIFICATE_FILE: NamedFileOptions = {
  secretMessage: "names no file that can be read: set it to the path of the file, not its content",
  isPublic: true,
};
const PRIVATE_KEY_FILE: NamedFileOptions = { ...CERTIFICATE_FILE, isPublic: false };

/**
 * Reads TLS_CERT_FILE and TLS_KEY_FILE: undefined if neither is set. Certificates and key are
 * checked together. Adds to the reader's problems and warnings; never throws.
 */
export function readTls(reader: SettingsReader): TlsIdentity | undefined {
  const files = findFiles(reader);
  if (files === undefined) return undefined;
  const certificates = readCertificates(reader, files.certificates);
  const privateKey = readPrivateKey(reader, files.privateKey);
  if (certificates === undefined || privateKey === undefined) return undefined;
  const pair: TlsPair = {
    certificates: certificates.map(String).join(""),
    privateKey: String(privateKey.export({ type: "pkcs8", format: "pem" })),
  };
  const message = pairProblem(certificates, privateKey) ?? contextProblem(pair);
  if (message !== undefined) {
    const place = `${placeOf(files.certificates)}, ${placeOf(files.privateKey)}`;
    reader.problems.push({ place, message });
    return undefined;
  }
  return { ...pair, expires: expiryOf(certificates) };
}

/** Warns if a certificate expires within 14 days of `now`, in ms since the epoch, or has. */
export function certificateWarnings(tls: TlsIdentity | undefined, now: number): string[] {
  if (tls === undefined || tls.expires - now > EXPIRY_WARNING_MS) return [];
  const date = formatDate(tls.expires);
  const event = tls.expires <= now ? "expired" : "expires";
  return [`the certificate ${event} at ${date}: renew it, and send SIGHUP`];
}

/** Warns that the service speaks plain HTTP where others than this machine can reach it. */
export function warnOfPlaintext(reader: SettingsReader): void {
  const place = placeOrDefault(reader, "HOST");
  const remedy = "set TLS_CERT_FILE and TLS_KEY_FILE, or put a proxy with TLS in front";
  const danger = "is not a loopback address, and whoever listens in gets the key";
  reader.warnings.push(`${place}: ${danger}: ${remedy}`);
}

/** Says how long the certificate is valid, in whole days, rounded up. */
export function formatCertificate({ expires }: TlsIdentity, now: number): string {
  return `certificate: expires at ${formatDate(expires)}, days left: ${daysLeft(expires, now)}\n`;
}

/** Both variables, or neither: one alone is a problem. */
function findFiles(reader: SettingsReader): TlsFiles | undefined {
  const certificates = reader.lookup("TLS_CERT_FILE");
  const privateKey = reader.lookup("TLS_KEY_FILE");
  if (certificates !== undefined && privateKey !== undefined) return { certificates, privateKey };
  const [single, other] = certificates === undefined ? [privateKey, "CERT"] : [certificates, "KEY"];
  if (single === undefined) return undefined;
  const message = `is set, but TLS_${other}_FILE is not: set both, or neither`;
  reader.problems.push({ place: placeOf(single), message });
  return undefined;
}

function readCertificates(reader: SettingsReader, variable: Variable): Chain | undefined {
  const bytes = readNamedFile(reader, variable, CERTIFICATE_FILE);
  const chain = bytes && valueOf(reader, variable, parseCertificates(bytes));
  if (chain === undefined) return undefined;
  const place = placeOf(variable);
  const messages = validityProblems(chain, reader.now);
  reader.problems.push(...messages.map((message) => ({ place, message })));
  reader.warnings.push(...orderProblems(chain).map((message) => `${place}: ${message}`));
  return chain;
}

function readPrivateKey(reader: SettingsReader, variable: Variable): KeyObject | undefined {
  const bytes = readNamedFile(reader, variable, PRIVATE_KEY_FILE);
  return bytes && valueOf(reader, variable, parsePrivateKey(bytes));
}

function valueOf<Value>(
  reader: SettingsReader,
  variable: Variable,
  result: Result<Value>,
): Value | undefined {
  if (result.ok) return result.value;
  reader.problems.push({ place: placeOf(variable), message: result.problem });
  return undefined;
}

/** Whether OpenSSL takes a pair depends on its version: better now than at the first handshake. */
function contextProblem(pair: TlsPair): string | undefined {
  try {
    loadTls().createSecureContext(secureContextOptions(pair));
    return undefined;
  } catch (error) {
    return `OpenSSL refuses them (${(error as NodeJS.ErrnoException).code}): make new ones`;
  }
}
