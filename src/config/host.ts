import { isIPv4, isIPv6 } from "node:net";

import { placeOf, readValue, type SettingsReader } from "./reader.ts";

/** What to listen on. */
export type Host =
  /** An IP address without brackets, or a name. */
  | { readonly kind: "address"; readonly address: string }
  /** A Unix socket to be made at this path. */
  | { readonly kind: "unix"; readonly path: string }
  /** A listening socket that this process was started with. */
  | { readonly kind: "fd"; readonly fd: number };

const RULE =
  "an IP address or a host name, without http:// and without a port; :: listens on every " +
  "address; or unix: and an absolute path of at most 107 bytes; or fd: and a number from 3 to 255";

// The first three are the standard streams.
const FD = /^fd:([3-9]|[1-9]\d|1\d\d|2[0-4]\d|25[0-5])$/;

/** The longest path of a Unix socket, in bytes: sun_path of unix(7), without its end. */
const MAX_PATH_BYTES = 107;

// RFC 1123 section 2.1, and "_", which names of containers may have.
const LABEL = "[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?";
const NAME = new RegExp(`^${LABEL}(?:\\.${LABEL})*\\.?$`);

/** The longest host name, in characters. */
const MAX_NAME_LENGTH = 253;

/** Reads HOST: what to listen on. A value that is no host is a problem. */
export function readHost(reader: SettingsReader): Host {
  const fallback: Host = { kind: "address", address: "127.0.0.1" };
  const host = readValue(reader, { name: "HOST", fallback, rule: RULE, parse: parseHost });
  const port = reader.lookup("PORT");
  if (host.kind !== "address" && port !== undefined) {
    reader.warnings.push(`${placeOf(port)}: is not used with HOST=${host.kind}:`);
  }
  return host;
}

/**
 * Returns what to listen on; undefined if the text is not valid. An IPv6 address may stand in
 * brackets.
 *
 * @example
 * parseHost("[::1]") // { kind: "address", address: "::1" }
 */
export function parseHost(text: string): Host | undefined {
  if (text.startsWith("unix:")) return parsePath(text.slice("unix:".length));
  const fd = FD.exec(text)?.[1];
  if (fd !== undefined) return { kind: "fd", fd: Number(fd) };
  const address = parseAddress(text);
  return address === undefined ? undefined : { kind: "address", address };
}

/** Tells whether only this machine can reach a service that listens on `host`. */
export function isLocal(host: Host): boolean {
  if (host.kind === "unix") return true;
  return host.kind === "address" && isLoopback(host.address);
}

function parsePath(path: string): Host | undefined {
  const isAbsolute = path.startsWith("/") && !path.endsWith("/");
  if (!isAbsolute || path.includes("\0")) return undefined;
  return Buffer.byteLength(path) <= MAX_PATH_BYTES ? { kind: "unix", path } : undefined;
}

function parseAddress(text: string): string | undefined {
  const inBrackets = /^\[(.*)\]$/.exec(text)?.[1];
  if (inBrackets !== undefined) return isIPv6(inBrackets) ? inBrackets : undefined;
  const isName = text.length <= MAX_NAME_LENGTH && NAME.test(text);
  return isName || isIPv6(text) ? text : undefined;
}

function isLoopback(host: string): boolean {
  if (isIPv4(host)) return host.startsWith("127.");
  return host === "::1" || host.toLowerCase() === "localhost";
}
