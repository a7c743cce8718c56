import assert from "node:assert/strict";
import { test } from "node:test";

import { isLoopback, parseHost } from "../../src/config/host.ts";
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
  test(`HOST may be ${value}`, () => assert.equal(parseHost(value), host));
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
  "must be an IP address or a host name, without http:// and without a port; " +
  ":: listens on every address";

test("a bad HOST is one problem that says what a host is", (t) => {
  for (const value of ["*", "http://127.0.0.1", "127.0.0.1:80", "a b"]) {
    const problems = problemsOf(t, { SERVICE_API_KEY: STRONG, HOST: value });
    assert.deepEqual(problems, [`HOST (environment): ${RULE}`]);
  }
});

test("HOST is taken without its brackets", (t) => {
  assert.equal(configurationOf(t, { HOST: "[::1]" }).settings.host, "::1");
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
  test(`only this machine can reach ${host}`, () => assert.equal(isLoopback(host), true));
}

for (const host of NOT_LOOPBACK) {
  test(`others than this machine may reach ${host}`, () => assert.equal(isLoopback(host), false));
}
