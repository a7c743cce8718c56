import assert from "node:assert/strict";
import { describe, test } from "node:test";

import {
  describeListenError,
  describeSocketError,
  formatAddress,
  formatHost,
} from "../../src/process/listen-error.ts";

describe("why an address can't be listened on is said with the remedy for", () => {
  const UNKNOWN_NAME =
    "HOST is not an address, and no address is known for it as a name: check its spelling, " +
    "or write an address such as 127.0.0.1";
  const explanations: Readonly<Record<string, string>> = {
    EADDRINUSE: "another process uses this port: stop it, or set PORT to a free one",
    EADDRNOTAVAIL:
      "this machine does not have this address: set HOST to one that it has, " +
      "or to 0.0.0.0 for all of them",
    EACCES: "this user may not use this port: set PORT to one above 1023",
    EAFNOSUPPORT: "this machine has no IPv6: set HOST to an IPv4 address",
    EINVAL: "this kind of address needs its network interface: write HOST as in fe80::1%eth0",
    ENOTFOUND: UNKNOWN_NAME,
    EAI_AGAIN: `${UNKNOWN_NAME}; the name server may be out of reach`,
    EOTHER: "check HOST and PORT",
  };
  for (const [code, explanation] of Object.entries(explanations)) {
    test(code, () => {
      const line = describeListenError(code, "::1", 80);
      assert.equal(line, `can't listen on [::1]:80 (${code}): ${explanation}`);
    });
  }
});

describe("why a Unix socket can't be listened on is said with the remedy for", () => {
  const explanations: Readonly<Record<string, string>> = {
    EADDRINUSE: "another process listens there: stop it, or set HOST to another path",
    EEXIST: "there is a file that is no socket: remove it, or set HOST to another path",
    EACCES: "this user may not make a file there: use a directory that it can write to",
    EPERM: "this user may not remove the socket that is there: remove it",
    ENOENT: "there is no such directory: make it",
    ERR_ACCESS_DENIED: "the sandbox does not allow it: start it again with npm run sandboxed",
    EOTHER: "check HOST",
  };
  for (const [code, explanation] of Object.entries(explanations)) {
    test(code, () => {
      const line = describeSocketError(code, { kind: "unix", path: "/run/api.sock" });
      assert.equal(line, `can't listen on unix:/run/api.sock (${code}): ${explanation}`);
    });
  }
});

test("a file descriptor that can't be listened on is no listening socket", () => {
  for (const code of ["ENOTSOCK", "EINVAL", "EBADF"]) {
    assert.equal(
      describeSocketError(code, { kind: "fd", fd: 3 }),
      `can't listen on fd:3 (${code}): it is no listening socket: ` +
        "HOST=fd: takes a socket from whoever starts the service, such as systemd",
    );
  }
});

test("what a service listens on is written as HOST has it", () => {
  assert.equal(formatHost({ kind: "address", address: "::1" }), "::1");
  assert.equal(formatHost({ kind: "unix", path: "/run/api.sock" }), "unix:/run/api.sock");
  assert.equal(formatHost({ kind: "fd", fd: 3 }), "fd:3");
});

test("an IPv6 address has brackets before its port", () => {
  assert.equal(formatAddress("::1", 8000), "[::1]:8000");
  assert.equal(formatAddress("127.0.0.1", 8000), "127.0.0.1:8000");
  assert.equal(formatAddress("localhost", 8000), "localhost:8000");
});
