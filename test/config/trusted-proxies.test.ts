import assert from "node:assert/strict";
import { test } from "node:test";

import { ClientAddresses } from "../../src/client-address.ts";
import { parseProxies } from "../../src/config/trusted-proxies.ts";
import { problemsOf, STRONG } from "../support/settings.ts";

const GOOD: readonly (readonly [value: string, proxies: readonly string[]])[] = [
  ["", []],
  ["10.0.0.1", ["10.0.0.1"]],
  ["10.0.0.0/8", ["10.0.0.0/8"]],
  ["10.0.0.1/8", ["10.0.0.1/8"]],
  ["192.0.2.1/32", ["192.0.2.1/32"]],
  ["128.0.0.0/1", ["128.0.0.0/1"]],
  ["::1", ["::1"]],
  ["2001:DB8::/32", ["2001:DB8::/32"]],
  ["fd00::/8", ["fd00::/8"]],
  ["::1/128", ["::1/128"]],
  ["64:ff9b::192.0.2.1", ["64:ff9b::192.0.2.1"]],
  ["::fffe:a00:1", ["::fffe:a00:1"]],
  ["unix", ["unix"]],
  ["10.0.0.0/8,unix,::1", ["10.0.0.0/8", "unix", "::1"]],
  [" 10.0.0.0/8 ,\t127.0.0.1 ", ["10.0.0.0/8", "127.0.0.1"]],
  ["10.0.0.1,10.0.0.1", ["10.0.0.1", "10.0.0.1"]],
];

for (const [value, proxies] of GOOD) {
  test(`TRUSTED_PROXIES may be ${JSON.stringify(value)}`, () => {
    assert.deepEqual(parseProxies(value), proxies);
    new ClientAddresses(proxies);
  });
}

const BAD: readonly string[] = [
  " ",
  ",",
  "10.0.0.1,",
  ",10.0.0.1",
  "10.0.0.1,,10.0.0.2",
  "10.0.0.1 10.0.0.2",
  "10.0.0.1;10.0.0.2",
  "10.0.0",
  "10.0.0.1.1",
  "10.0.0.256",
  "010.0.0.1",
  "0x0a.0.0.1",
  "167772161",
  "10.0.0.*",
  "10.0.0.1-10.0.0.9",
  "10.0.0.1:80",
  "[::1]",
  "[::1]:80",
  "::1%lo",
  "fe80::/10%eth0",
  ":::",
  "2001:db8",
  "::g",
  "10.0.0.0/",
  "10.0.0.0/0",
  "0.0.0.0/0",
  "::/0",
  "::/1",
  "::1/64",
  "::/80",
  "::fffe:0:0/95",
  "10.0.0.0/08",
  "10.0.0.0/33",
  "10.0.0.0/128",
  "10.0.0.0/255.0.0.0",
  "10.0.0.0/-8",
  "10.0.0.0/+8",
  "10.0.0.0/8.0",
  "10.0.0.0/8/8",
  "10.0.0.0 /8",
  "::1/129",
  "::1/999",
  "::1/1280",
  `::1/${"9".repeat(400)}`,
  "/8",
  "::ffff:10.0.0.1",
  "::ffff:192.0.2.1",
  "::FFFF:a00:1",
  "0:0:0:0:0:ffff:10.0.0.0/104",
  "*",
  "all",
  "true",
  "1",
  "Unix",
  "unix:",
  "unix:/run/api.sock",
  "/run/api.sock",
  "localhost",
  "proxy.example.com",
  "http://10.0.0.1",
  "10.0.0.1\0",
  "１０.0.0.1",
  "svk_secret",
];

const PROBLEM =
  "TRUSTED_PROXIES (environment): must be addresses and CIDR ranges such as 10.0.0.0/8, or unix, " +
  "with commas between them; no IPv4 in IPv6 form, no zones, and no range of all addresses";

for (const value of BAD) {
  test(`TRUSTED_PROXIES=${JSON.stringify(value)} is a problem of one line, without it`, (t) => {
    const problems = problemsOf(t, { SERVICE_API_KEY: STRONG, TRUSTED_PROXIES: value });
    assert.deepEqual(problems, [PROBLEM]);
  });
}
