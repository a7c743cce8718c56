/**
 * Says in one line why the service can't listen on an address, and the remedy. `code` is that of
 * node:net's error.
 *
 * @example
 *     describeListenError("EADDRINUSE", "::1", 8000);
 *     // "can't listen on [::1]:8000 (EADDRINUSE): another process uses this port: …"
 */
export function describeListenError(code: string | undefined, host: string, port: number): string {
  const explanation = EXPLANATIONS[code ?? ""] ?? "check HOST and PORT";
  return `can't listen on ${formatAddress(host, port)} (${code}): ${explanation}`;
}

/** Formats `address:port`, with brackets around an IPv6 address (RFC 3986 3.2.2). */
export function formatAddress(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

const UNKNOWN_NAME =
  "HOST is not an address, and no address is known for it as a name: check its spelling, " +
  "or write an address such as 127.0.0.1";

const EXPLANATIONS: Readonly<Record<string, string>> = {
  EADDRINUSE: "another process uses this port: stop it, or set PORT to a free one",
  EADDRNOTAVAIL:
    "this machine does not have this address: set HOST to one that it has, " +
    "or to 0.0.0.0 for all of them",
  EACCES: "this user may not use this port: set PORT to one above 1023",
  EAFNOSUPPORT: "this machine has no IPv6: set HOST to an IPv4 address",
  EINVAL: "this kind of address needs its network interface: write HOST as in fe80::1%eth0",
  ENOTFOUND: UNKNOWN_NAME,
  EAI_AGAIN: `${UNKNOWN_NAME}; the name server may be out of reach`,
};
