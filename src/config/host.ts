import { isIPv4, isIPv6 } from "node:net";

import { readValue, type SettingsReader } from "./reader.ts";

const RULE =
  "an IP address or a host name, without http:// and without a port; " +
  ":: listens on every address";

// RFC 1123 section 2.1, and "_", which names of containers may have.
const LABEL = "[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?";
const NAME = new RegExp(`^${LABEL}(?:\\.${LABEL})*\\.?$`);

/** The longest host name, in characters. */
const MAX_NAME_LENGTH = 253;

/** Reads HOST: what to listen on. A value that is no host is a problem. */
export function readHost(reader: SettingsReader): string {
  return readValue(reader, { name: "HOST", fallback: "127.0.0.1", rule: RULE, parse: parseHost });
}

/**
 * Returns the address or name to listen on; undefined if the text is neither. An IPv6 address may
 * stand in brackets.
 *
 * @example
 * parseHost("[::1]") // "::1"
 */
export function parseHost(text: string): string | undefined {
  const inBrackets = /^\[(.*)\]$/.exec(text)?.[1];
  if (inBrackets !== undefined) return isIPv6(inBrackets) ? inBrackets : undefined;
  const isName = text.length <= MAX_NAME_LENGTH && NAME.test(text);
  return isName || isIPv6(text) ? text : undefined;
}

/** Tells whether only this machine can reach a service that listens on `host`. */
export function isLoopback(host: string): boolean {
  if (isIPv4(host)) return host.startsWith("127.");
  return host === "::1" || host.toLowerCase() === "localhost";
}
