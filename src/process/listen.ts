import { chmodSync, fstatSync, lstatSync, unlinkSync } from "node:fs";
import type { Server } from "node:http";
import { type AddressInfo, connect, type ListenOptions } from "node:net";

import type { Host } from "../config/host.ts";
import type { Settings } from "../config/settings.ts";
import { Failure } from "./exit.ts";
import { describeListenError, describeSocketError } from "./listen-error.ts";

/** Where a service listens. */
export type ListenAddress =
  | { readonly kind: "address"; readonly address: string; readonly port: number }
  | Exclude<Host, { readonly kind: "address" }>;

/** How many connections may wait to be accepted. The kernel may allow fewer. */
const BACKLOG = 4096;

/** The owner and the group of a Unix socket may connect. */
const SOCKET_MODE = 0o660;

/**
 * Makes sure that a host can be listened on, before any process does: removes the Unix socket of a
 * service that has died. Rejects with a Failure if the path is another file's, or a live
 * service's, or if the file descriptor is no socket.
 */
export async function prepareHost(host: Host): Promise<void> {
  try {
    if (host.kind === "unix") await removeStaleSocket(host.path);
    if (host.kind === "fd" && !fstatSync(host.fd).isSocket()) throw codeError("ENOTSOCK");
  } catch (error) {
    throw new Failure(describeSocketError(codeOf(error), host));
  }
}

/** Starts listening. Rejects with a Failure if the server can't. */
export function listen(
  server: Server,
  { host, port }: Pick<Settings, "host" | "port">,
): Promise<ListenAddress> {
  return new Promise((resolve, reject) => {
    server.once("listening", () => resolve(addressOf(server, host)));
    server.once("error", (error) => {
      const code = codeOf(error);
      // Without IPv6, "::" means every IPv4 address.
      const isWithoutIPv6 = code === "EAFNOSUPPORT" && host.kind === "address";
      if (isWithoutIPv6 && host.address === "::") {
        resolve(listen(server, { host: { kind: "address", address: "0.0.0.0" }, port }));
      } else if (host.kind === "address") {
        reject(new Failure(describeListenError(code, host.address, port)));
      } else {
        reject(new Failure(describeSocketError(code, host)));
      }
    });
    server.listen({ ...listenOptions(host, port), backlog: BACKLOG });
  });
}

/**
 * Lets only the owner and the group of a Unix socket connect. Other hosts stay as they are, and so
 * does a socket that someone has removed: no one can connect to it.
 */
export function restrictSocket(host: Host): void {
  if (host.kind !== "unix") return;
  try {
    chmodSync(host.path, SOCKET_MODE);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
  }
}

function listenOptions(host: Host, port: number): ListenOptions & { readonly fd?: number } {
  switch (host.kind) {
    case "address":
      return { host: host.address, port };
    case "unix":
      return { path: host.path };
    case "fd":
      return { fd: host.fd };
  }
}

function addressOf(server: Server, host: Host): ListenAddress {
  if (host.kind !== "address") return host;
  const { address, port } = server.address() as AddressInfo;
  return { kind: "address", address, port };
}

async function removeStaleSocket(path: string): Promise<void> {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return;
  if (!stats.isSocket()) throw codeError("EEXIST");
  const code = await connectError(path);
  if (code !== "ECONNREFUSED") throw codeError(code ?? "EADDRINUSE");
  unlinkSync(path);
}

/** The code of the error with which connecting fails; undefined if someone listens. */
function connectError(path: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(undefined);
    });
    socket.on("error", ({ code = "" }: NodeJS.ErrnoException) => resolve(code));
  });
}

/** The code of an error of the system, or what stands for it in a message. */
function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? "unknown error";
}

function codeError(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(code), { code });
}
