import assert from "node:assert/strict";
import { test } from "node:test";

import { isLocal, parseHost } from "../../src/config/host.ts";
import { configurationOf, problemsOf, STRONG } from "../support/settings.ts";

/** 253 characters, in labels of at most 63. */
const LONGEST_NAME = `${"a.".repeat(126)}b`;

/** Hosts, and what the service listens on. */
const HOSTS: readonly (readonly [value: string, host: string])[] = [
  ["127.0.0.1", "127.0.0.1"],
  ["0.0.0.0", "0.0.0.0"],
  ["::", "::"],
  ["::1", "::1"],
  ["[::]", "::"],
  ["[::1]", "::1"],
  ["[2001:DB8::1]", "2001:DB8::1"],
  ["::ffff:127.0.0.1", "::ffff:127.0.0.1"],
  ["fe80::1%eth0", "fe80::1%eth0"],
  ["localhost", "localhost"],
  ["LocalHost", "LocalHost"],
  ["a", "a"],
  ["example.com", "example.com"],
  ["example.com.", "example.com."],
  ["my_service-1.internal", "my_service-1.internal"],
  ["xn--hst-sna.example", "xn--hst-sna.example"],
  ["127.1", "127.1"],
  ["a".repeat(63), "a".repeat(63)],
  [LONGEST_NAME, LONGEST_NAME],
];

for (const [value, host] of HOSTS) {
  test(`HOST may be ${value}`, () => {
    assert.deepEqual(parseHost(value), { kind: "address", address: host });
  });
}

const LETTERS_AND_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";

for (const [place, before, after, others] of [
  ["alone", "", "", ""],
  ["at the start", "", "a", ""],
  ["within a label", "a", "a", "-."],
  ["before the end", "aa", "a", "-."],
  ["at the end", "a", "", "."],
  ["at the start of another label", "a.", "a", ""],
  ["at the end of a label", "a", ".a", ""],
] as const) {
  test(`every character of HOST ${place} is that of a host name`, () => {
    const every = Array.from({ length: 0x181 }, (_, code) => String.fromCharCode(code));
    const isAccepted = (character: string): boolean =>
      parseHost(before + character + after) !== undefined;
    const expected = [...LETTERS_AND_DIGITS, ...others].sort().join("");
    assert.equal(every.filter(isAccepted).join(""), expected);
  });
}

const BAD_HOSTS: readonly string[] = [
  "",
  " ",
  "127.0.0.1 ",
  " ::1",
  "a b",
  "a\n",
  "a\0",
  "a\tb",
  "höst",
  "*",
  "*.example.com",
  "http://127.0.0.1",
  "https://example.com",
  "//127.0.0.1",
  "127.0.0.1/",
  "127.0.0.1:80",
  "localhost:8000",
  ":8000",
  "[::1]:8000",
  "[::1",
  "x[::1]",
  "[::1]x",
  `${LONGEST_NAME}b`,
  "::1]",
  "[]",
  "[[::1]]",
  "[127.0.0.1]",
  "[localhost]",
  "[::1]]",
  ":::",
  "1::2::3",
  "::12345",
  "127..0.1",
  ".",
  "..",
  ".example.com",
  "example..com",
  "example.com..",
  "-a",
  "a-",
  "a.-b",
  "a".repeat(64),
  `${"a.".repeat(127)}a`,
  "user@example.com",
  "a,b",
  "127.0.0.1,::1",
  "'127.0.0.1'",
];

for (const value of BAD_HOSTS) {
  test(`HOST may not be ${JSON.stringify(value.slice(0, 40))}`, () => {
    assert.equal(parseHost(value), undefined);
  });
}

test("a host name has letters, digits, _ and - of ASCII, and no other visible character", () => {
  for (let code = 0; code <= 0xff; code += 1) {
    const character = String.fromCharCode(code);
    const isAllowed = /[A-Za-z0-9_.-]/.test(character);
    assert.equal(parseHost(`a${character}a`) !== undefined, isAllowed, `code ${code}`);
  }
});

const RULE =
  "must be an IP address or a host name, without http:// and without a port; :: listens on every " +
  "address; or unix: and an absolute path of at most 107 bytes; or fd: and a number from 3 to 255";

test("a bad HOST is one problem that says what a host is", (t) => {
  for (const value of ["*", "http://127.0.0.1", "127.0.0.1:80", "a b"]) {
    const problems = problemsOf(t, { SERVICE_API_KEY: STRONG, HOST: value });
    assert.deepEqual(problems, [`HOST (environment): ${RULE}`]);
  }
});

test("HOST is taken without its brackets", (t) => {
  const { host } = configurationOf(t, { HOST: "[::1]" }).settings;
  assert.deepEqual(host, { kind: "address", address: "::1" });
});

/** Paths of Unix sockets. */
const PATHS = [
  "/run/api.sock",
  "/a",
  "/with blank",
  "/ünïcode",
  "/a:b",
  "/.x",
  "//a/../b",
  `/${"a".repeat(106)}`,
  `/${"é".repeat(53)}`,
];

for (const path of PATHS) {
  test(`HOST may be unix:${path}`, () => {
    assert.deepEqual(parseHost(`unix:${path}`), { kind: "unix", path });
    assert.equal(isLocal({ kind: "unix", path }), true);
  });
}

for (const fd of [3, 9, 10, 42, 99, 100, 199, 200, 249, 250, 255]) {
  test(`HOST may be fd:${fd}, which anyone may be able to reach`, () => {
    assert.deepEqual(parseHost(`fd:${fd}`), { kind: "fd", fd });
    assert.equal(isLocal({ kind: "fd", fd }), false);
  });
}

/** What is neither a path nor a file descriptor. */
const BAD_SOCKETS = [
  "unix:",
  "unix:/",
  "unix:a",
  "unix:./a",
  "unix:a/b",
  "unix:/a/",
  "unix:/a\0b",
  "unix:\0abstract",
  "unix:@abstract",
  "unix: /a",
  "UNIX:/a",
  "unix//a",
  "http+unix:/a",
  `unix:/${"a".repeat(107)}`,
  `unix:/${"é".repeat(54)}`,
  "fd:",
  "fd:0",
  "fd:1",
  "fd:2",
  "fd:03",
  "fd:-3",
  "fd:+3",
  "fd: 3",
  "fd:3 ",
  "fd:3.0",
  "fd:3,4",
  "fd:0x3",
  "fd:1e1",
  "fd:256",
  "fd:1000",
  "fd:99999999999",
  "FD:3",
  "xfd:3",
  "fd:api",
];

for (const value of BAD_SOCKETS) {
  test(`HOST=${JSON.stringify(value.slice(0, 40))} is one problem that does not show it`, (t) => {
    assert.equal(parseHost(value), undefined);
    const [problem, ...more] = problemsOf(t, { SERVICE_API_KEY: STRONG, HOST: value });
    assert.deepEqual([problem, more], [`HOST (environment): ${RULE}`, []]);
  });
}

test("PORT is not used with a socket, and a warning says so", (t) => {
  for (const [HOST, kind] of [
    ["unix:/run/api", "unix"],
    ["fd:3", "fd"],
  ] as const) {
    const { warnings } = configurationOf(t, { HOST, PORT: "8000" });
    assert.equal(warnings[0], `PORT (environment): is not used with HOST=${kind}:`);
  }
  assert.deepEqual(configurationOf(t, { HOST: "unix:/run/api" }).warnings, []);
});

test("a weak key is allowed on a Unix socket, and not on a file descriptor", (t) => {
  const weak = { SERVICE_API_KEY: "weak" };
  assert.equal(configurationOf(t, { ...weak, HOST: "unix:/run/api" }).warnings.length, 1);
  assert.equal(problemsOf(t, { ...weak, HOST: "fd:3" }).length, 1);
});

test("the sandbox is granted the path of a Unix socket", (t) => {
  const { sandboxGrants } = configurationOf(t, { HOST: "unix:/run/api" });
  assert.equal(sandboxGrants.socket, "/run/api");
});

const LOOPBACK = ["127.0.0.1", "127.1.2.3", "127.10.0.1", "127.255.255.254", "::1", "localhost"];

const NOT_LOOPBACK = [
  "0.0.0.0",
  "::",
  "10.0.0.1",
  "126.0.0.1",
  "128.0.0.1",
  "12.7.0.1",
  "127..0.1",
  "127.0.0",
  "127.0.0.256",
  "127.0.0.0.1",
  "1127.0.0.1",
  "127.0.0.1.example.com",
  "127.example.com",
  "localhost.example.com",
  "localhost.",
  "alocalhost",
  "::2",
  "::1%eth0",
];

for (const host of [...LOOPBACK, "LOCALHOST"]) {
  test(`only this machine can reach ${host}`, () =>
    assert.equal(isLocal({ kind: "address", address: host }), true));
}

for (const host of NOT_LOOPBACK) {
  test(`others than this machine may reach ${host}`, () =>
    assert.equal(isLocal({ kind: "address", address: host }), false));
}
