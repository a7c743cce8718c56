import type { Host } from "../config/host.ts";

/**
 * Says in one line why the service can't listen on an address, and the remedy. `code` is that of
 * node:net's error.
 *
 * @example
 *     describeListenError("EADDRINUSE", "::1", 8000);
 *     // "can't listen on [::1]:8000 (EADDRINUSE): another process uses this port: …"
 */
export function describeListenError(code: string, host: string, port: number): string {
  const explanation = EXPLANATIONS[code] ?? "check HOST and PORT";
  return `can't listen on ${formatAddress(host, port)} (${code}): ${explanation}`;
}

/** Says in one line why the service can't listen on a Unix socket or a file descriptor. */
export function describeSocketError(code: string, host: Host): string {
  if (host.kind === "fd") {
    return `can't listen on fd:${host.fd} (${code}): it is no listening socket: ${HANDED_OVER}`;
  }
  const explanation = SOCKET_EXPLANATIONS[code] ?? "check HOST";
  return `can't listen on ${formatHost(host)} (${code}): ${explanation}`;
}

/** Formats what a service listens on as HOST has it. */
export function formatHost(host: Host): string {
  if (host.kind === "address") return host.address;
  return host.kind === "unix" ? `unix:${host.path}` : `fd:${host.fd}`;
}

/** Formats `address:port`, with brackets around an IPv6 address (RFC 3986 3.2.2). */
export function formatAddress(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

const UNKNOWN_NAME =
  "HOST is not an address, and no address is known for it as a name: check its spelling, " +
  "or write an address such as 127.0.0.1";

const HANDED_OVER = "HOST=fd: takes a socket from whoever starts the service, such as systemd";

const SOCKET_EXPLANATIONS: Readonly<Record<string, string>> = {
  EADDRINUSE: "another process listens there: stop it, or set HOST to another path",
  EEXIST: "there is a file that is no socket: remove it, or set HOST to another path",
  EACCES: "this user may not make a file there: use a directory that it can write to",
  EPERM: "this user may not remove the socket that is there: remove it",
  ENOENT: "there is no such directory: make it",
  ERR_ACCESS_DENIED: "the sandbox does not allow it: start it again with npm run sandboxed",
};

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
