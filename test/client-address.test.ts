import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

import { ClientAddresses } from "../src/client-address.ts";

const PROXIES = ["127.0.0.1", "10.0.0.0/8", "::1", "fd00::/8", "fe80::/10"];
const PEER = "127.0.0.1";

describe("without trusted proxies, the client is the peer", () => {
  const addresses = new ClientAddresses([]);
  for (const [peer, client] of [
    ["127.0.0.1", "127.0.0.1"],
    ["192.0.2.1", "192.0.2.1"],
    ["::1", "::1"],
    ["::ffff:127.0.0.1", "127.0.0.1"],
    ["::FFFF:192.0.2.255", "192.0.2.255"],
    ["::fffe:1:2", "::fffe:1:2"],
    ["2001:db8::ffff:1", "2001:db8::ffff:1"],
    ["64:ff9b::ffff:192.0.2.1", "64:ff9b::ffff:192.0.2.1"],
    ["fe80::1%eth0", "fe80::1%eth0"],
    [undefined, undefined],
  ] as const) {
    test(`${peer}`, () => {
      assert.equal(addresses.find(peer), client);
      assert.equal(addresses.find(peer, "198.51.100.1"), client);
    });
  }
});

/** What X-Forwarded-For holds behind the peer 127.0.0.1, and the client. */
const FORWARDED: readonly (readonly [field: string, client: string])[] = [
  // The field is missing, empty, or begins with garbage on the right.
  ["", PEER],
  [" ", PEER],
  [",", PEER],
  ["192.0.2.1,", PEER],
  ["192.0.2.1, ", PEER],
  ["192.0.2.1, unknown", PEER],
  ["192.0.2.1, _hidden", PEER],
  ["192.0.2.1, localhost", PEER],
  ["192.0.2.1, 1.2.3", PEER],
  ["192.0.2.1, 1.2.3.4.5", PEER],
  ["192.0.2.1, 1.2.3.256", PEER],
  ["192.0.2.1, 01.2.3.4", PEER],
  ["192.0.2.1, 0x1.2.3.4", PEER],
  ["192.0.2.1, 1.2.3.4/8", PEER],
  ["192.0.2.1, 1.2.3.4:", PEER],
  ["192.0.2.1, 1.2.3.4:port", PEER],
  ["192.0.2.1, 1.2.3.4:123456", PEER],
  ["192.0.2.1, 1.2.3.4:80:80", PEER],
  ["192.0.2.1, [1.2.3.4]", PEER],
  ["192.0.2.1, [1.2.3.4]:80", PEER],
  ["192.0.2.1, [::1", PEER],
  ["192.0.2.1, ::1]", PEER],
  ["192.0.2.1, [::1]:", PEER],
  ["192.0.2.1, [::1]:123456", PEER],
  ["192.0.2.1, [::1]80", PEER],
  ["192.0.2.1, [[::1]]", PEER],
  ["192.0.2.1, []", PEER],
  ["192.0.2.1, [:]", PEER],
  ["192.0.2.1, [fe80::1%eth0]", PEER],
  ["192.0.2.1, fe80::1%eth0", PEER],
  ["192.0.2.1, fe80::1%\u2028", PEER],
  ["192.0.2.1, ::1::", PEER],
  ["192.0.2.1, ::g", PEER],
  ['192.0.2.1, "1.2.3.4"', PEER],
  ["192.0.2.1, for=1.2.3.4", PEER],
  ["192.0.2.1; 1.2.3.4", PEER],
  ["192.0.2.1 1.2.3.4", PEER],
  ["192.0.2.1, 1.2.3.4\0", PEER],
  ["192.0.2.1, 1.2.3.4\x7f", PEER],
  ['192.0.2.1, 1.2.3.4","status":200,"x":"', PEER],
  ["192.0.2.1, svk_secret", PEER],
  ["192.0.2.1, -", PEER],
  // One address.
  ["192.0.2.1", "192.0.2.1"],
  [" \t192.0.2.1\t ", "192.0.2.1"],
  ["192.0.2.1:4711", "192.0.2.1"],
  ["1.2.3.4:5", "1.2.3.4"],
  ["255.255.255.255:65535", "255.255.255.255"],
  ["2001:db8::1", "2001:db8::1"],
  ["2001:DB8::1", "2001:DB8::1"],
  ["[2001:db8::1]", "2001:db8::1"],
  ["[2001:db8::1]:443", "2001:db8::1"],
  ["[2001:DB8::1]:5", "2001:DB8::1"],
  ["[::]:65535", "::"],
  [`[${"ABCD:".repeat(6)}255.255.255.255]:80`, `${"ABCD:".repeat(6)}255.255.255.255`],
  ["::ffff:192.0.2.1", "192.0.2.1"],
  ["::ffff:10", "::ffff:10"],
  ["[::ffff:192.0.2.1]:80", "192.0.2.1"],
  ["255.255.255.255", "255.255.255.255"],
  ["::", "::"],
  // The client has sent the field itself: it stands to the left of what proxies have added.
  ["198.51.100.1, 192.0.2.1", "192.0.2.1"],
  ["127.0.0.1, 192.0.2.1", "192.0.2.1"],
  ["unknown, 192.0.2.1", "192.0.2.1"],
  [", 192.0.2.1", "192.0.2.1"],
  ["198.51.100.1,198.51.100.2,192.0.2.1", "192.0.2.1"],
  // Through more than one proxy.
  ["192.0.2.1, 10.0.0.1", "192.0.2.1"],
  ["192.0.2.1, 10.0.0.1:80, 127.0.0.1", "192.0.2.1"],
  ["192.0.2.1, fd00::1, [fd00::2]:80", "192.0.2.1"],
  ["192.0.2.1, ::ffff:10.0.0.1", "192.0.2.1"],
  ["198.51.100.1, 192.0.2.1, 10.255.255.255, ::1", "192.0.2.1"],
  ["192.0.2.1, 11.0.0.1, 10.0.0.1", "11.0.0.1"],
  ["192.0.2.1, fc00::1, 10.0.0.1", "fc00::1"],
  // Garbage ends the search at the last good address, even if that is a proxy's.
  ["192.0.2.1, unknown, 10.0.0.1", "10.0.0.1"],
  ["192.0.2.1, , 10.0.0.1", "10.0.0.1"],
  [", 10.0.0.1", "10.0.0.1"],
  ["192.0.2.1, nonsense, 10.0.0.2, 10.0.0.1", "10.0.0.2"],
  // All are proxies: the first one made the request.
  ["10.0.0.1", "10.0.0.1"],
  ["10.0.0.3, 10.0.0.2, 10.0.0.1", "10.0.0.3"],
];

describe("behind a trusted proxy,", () => {
  const addresses = new ClientAddresses(PROXIES);
  for (const [field, client] of FORWARDED) {
    test(`the client of ${JSON.stringify(field)} is ${client}`, () => {
      assert.equal(addresses.find(PEER, field), client);
      assert.equal(addresses.find("192.0.2.9", field), "192.0.2.9", "the peer is no proxy");
    });
  }

  test("the proxy may be any of those that are listed, and no other", () => {
    const rows: readonly (readonly [peer: string, client: string])[] = [
      ["10.255.255.255", "192.0.2.1"],
      ["::ffff:10.0.0.1", "192.0.2.1"],
      ["::1", "192.0.2.1"],
      ["fd12:3456::1", "192.0.2.1"],
      ["fe80::1%eth0", "192.0.2.1"],
      ["11.0.0.1", "11.0.0.1"],
      ["127.0.0.2", "127.0.0.2"],
      ["::2", "::2"],
      ["fc00::1", "fc00::1"],
    ];
    for (const [peer, client] of rows) assert.equal(addresses.find(peer, "192.0.2.1"), client);
  });
});

test("a peer on a Unix socket is a proxy if unix is listed", () => {
  const listed = new ClientAddresses(["unix", "10.0.0.1"]);
  assert.equal(listed.find(undefined, "192.0.2.1"), "192.0.2.1");
  assert.equal(listed.find(undefined, "192.0.2.1, 10.0.0.1"), "192.0.2.1");
  assert.equal(listed.find(undefined, "198.51.100.1, 192.0.2.1"), "192.0.2.1");
  assert.equal(listed.find(undefined, "unix"), undefined);
  assert.equal(listed.find(undefined), undefined);
  assert.equal(listed.find("127.0.0.1", "192.0.2.1"), "127.0.0.1");
  const unlisted = new ClientAddresses(["10.0.0.1"]);
  assert.equal(unlisted.find(undefined, "192.0.2.1"), undefined);
});

test("what is known of an address stays right, however many there are", () => {
  const addresses = new ClientAddresses(["10.0.0.0/16"]);
  for (let i = 0; i < 5000; i += 1) {
    const [high, low] = [(i >> 8) & 1, i & 0xff];
    const address = `10.${high}.0.${low}`;
    const client = addresses.find(address, "192.0.2.1");
    assert.equal(client, high === 0 ? "192.0.2.1" : address);
  }
});

test("what is known of addresses takes bounded memory, however many strangers come", () => {
  setFlagsFromString("--expose-gc");
  const collectGarbage = runInNewContext("gc") as () => void;
  const heapUsed = (): number => {
    collectGarbage();
    return process.memoryUsage().heapUsed;
  };
  const addresses = new ClientAddresses(PROXIES);
  const before = heapUsed();
  for (let i = 0; i < 50_000; i += 1) addresses.find(`2001:db8::${i.toString(16)}`);
  const growth = heapUsed() - before;
  // Each takes about 80 bytes, and at most 1,000 are kept.
  assert.ok(growth < 1_000_000, `${growth} bytes`);
  assert.equal(addresses.find(PEER, "192.0.2.1"), "192.0.2.1");
});

test("a long field takes linear time", () => {
  const addresses = new ClientAddresses(PROXIES);
  const units = [",", " ", ", ", "1", ":", "::1,", "10.0.0.1,", "[", "[::1]:80,", "1.", "a", "%"];
  for (const unit of units) {
    // Sixteen times as long as a header section: quadratic time would be minutes.
    const field = unit.repeat(262_144 / unit.length);
    for (const text of [field, `x${field}`, `${field}x`]) {
      const start = process.cpuUsage();
      addresses.find(PEER, text);
      const { user, system } = process.cpuUsage(start);
      assert.ok(user + system < 1_000_000, `${unit}: ${user + system} µs`);
    }
  }
});
