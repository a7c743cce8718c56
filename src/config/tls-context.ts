import { constants } from "node:crypto";
import type { SecureContextOptions, TlsOptions } from "node:tls";

/** What a server proves its identity with. Both texts are PEM. */
export interface TlsPair {
  /** The server's certificate, then those of its issuers. */
  readonly certificates: string;
  /** The private key of the first certificate, without a passphrase. */
  readonly privateKey: string;
}

/**
 * What a server agrees on with its clients: TLS 1.2 or 1.3, with forward secrecy and authenticated
 * encryption (RFC 9325 4.2), and without renegotiation.
 */
export function secureContextOptions({ certificates, privateKey }: TlsPair): SecureContextOptions {
  return {
    cert: certificates,
    key: privateKey,
    minVersion: "TLSv1.2",
    maxVersion: "TLSv1.3",
    ciphers: CIPHERS.join(":"),
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  };
}

/** The options of a server. A handshake may take `timeoutMs`. */
export function tlsServerOptions(pair: TlsPair, timeoutMs: number): TlsOptions {
  const options = { ALPNProtocols: ["http/1.1"], handshakeTimeout: timeoutMs };
  return { ...secureContextOptions(pair), ...options };
}

/** The first three are those of TLS 1.3. */
const CIPHERS = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
];
