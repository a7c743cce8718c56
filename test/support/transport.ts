import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls, type ConnectionOptions } from "node:tls";

import { type Certificate, makeCertificate } from "./certificates.ts";

/**
 * Whether services of tests use TLS, and their clients. test/encrypted.test.ts runs other tests
 * once more with this variable.
 */
export const USES_TLS: boolean = process.env["TEST_TRANSPORT"] === "tls";

/** The event of a server that has the socket of a connection. */
export const CONNECTION: "connection" = (
  USES_TLS ? "secureConnection" : "connection"
) as "connection";

let certificate: Certificate | undefined;

/** The certificate of all services of this process. */
export function testCertificate(): Certificate {
  certificate ??= makeCertificate();
  return certificate;
}

/** How a client connects. */
export interface ConnectOptions {
  readonly port: number;
  /** The client's side stays open when the service closes its own. */
  readonly allowHalfOpen?: boolean;
}

/** Connects to a port of 127.0.0.1. `onConnect` is called when the connection can be used. */
export function connect(options: ConnectOptions, onConnect: () => void = () => {}): Socket {
  const address = { host: "127.0.0.1", ...options };
  if (!USES_TLS) return connectTcp(address, onConnect);
  const raw = connectTcp(address);
  const { cert: ca } = testCertificate();
  const tls: ConnectionOptions = { socket: raw, ca, servername: "localhost" };
  const socket = connectTls({ ...options, ...tls }, onConnect);
  // A TLS socket can't be reset by itself.
  socket.resetAndDestroy = () => {
    raw.resetAndDestroy();
    return socket;
  };
  return socket;
}
