import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { findTool } from "./tools.ts";

/** A certificate for localhost and its private key, in PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** What to make. */
export interface CertificateOptions {
  /** The options of `openssl genpkey` that say which kind of key; EC on P-256 by default. */
  readonly keyOptions?: readonly string[];
  /** For how many days from now on it is valid; 30 by default. */
  readonly days?: number;
  /** Its common name; localhost by default. */
  readonly name?: string;
  /** Who signs it; itself by default. */
  readonly issuer?: Certificate;
  /** Whether it may sign others. */
  readonly isIssuer?: boolean;
}

/** Options of `openssl genpkey` by the kind of key. */
export const KEY_OPTIONS = {
  ec: ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
  ec384: ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
  ec521: ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
  secp256k1: ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"],
  rsa: ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
  shortRsa: ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"],
  ed25519: ["-algorithm", "ED25519"],
} as const;

/** Makes a certificate and its key with openssl. */
export function makeCertificate({
  keyOptions = KEY_OPTIONS.ec,
  days = 30,
  name = "localhost",
  issuer,
  isIssuer = false,
}: CertificateOptions = {}): Certificate {
  return inDirectory((directory) => {
    const path = (file: string): string => join(directory, file);
    openssl(["genpkey", ...keyOptions, "-out", path("key")]);
    const extensions = [
      "subjectAltName=DNS:localhost,IP:127.0.0.1",
      `basicConstraints=critical,CA:${isIssuer ? "TRUE" : "FALSE"}`,
    ];
    const args = ["req", "-x509", "-new", "-key", path("key"), "-out", path("cert")];
    args.push("-days", String(days), "-subj", `/CN=${name}`);
    args.push(...extensions.flatMap((extension) => ["-addext", extension]));
    if (issuer !== undefined) {
      writeFileSync(path("ca"), issuer.cert);
      writeFileSync(path("ca-key"), issuer.key);
      args.push("-CA", path("ca"), "-CAkey", path("ca-key"));
    }
    openssl(args);
    return { cert: readFileSync(path("cert"), "utf8"), key: readFileSync(path("key"), "utf8") };
  });
}

/** Runs openssl. Returns what it prints. */
export function openssl(args: readonly string[], input = ""): string {
  const stdio = ["pipe", "pipe", "ignore"] as const;
  return execFileSync(findTool("openssl"), args, { input, encoding: "utf8", stdio: [...stdio] });
}

function inDirectory<T>(action: (directory: string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), "api-test-"));
  try {
    return action(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
