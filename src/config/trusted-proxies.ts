import { BlockList, isIPv4, isIPv6 } from "node:net";

import { UNIX_PEERS } from "../client-address.ts";
import { readValue, type SettingsReader } from "./reader.ts";

const RULE =
  "addresses and CIDR ranges such as 10.0.0.0/8, or unix, with commas between them; " +
  "no IPv4 in IPv6 form, no zones, and no range of all addresses";

/** IPv4 addresses that are written as IPv6. They would never match, since peers are not. */
const MAPPED = new BlockList();
MAPPED.addSubnet("::ffff:0:0", 96, "ipv6");

/** One of them: a range that holds it holds every IPv4 address, which BlockList takes for it. */
const ONE_MAPPED = "::ffff:0:0";

/** Reads TRUSTED_PROXIES: whose X-Forwarded-For is believed. Blanks may stand around commas. */
export function readTrustedProxies(reader: SettingsReader): readonly string[] {
  return readValue(reader, {
    name: "TRUSTED_PROXIES",
    fallback: [],
    rule: RULE,
    parse: parseProxies,
  });
}

/**
 * Returns the proxies that a text lists; undefined if it holds anything else. An empty text lists
 * none.
 */
export function parseProxies(text: string): readonly string[] | undefined {
  if (text === "") return [];
  const proxies = text.split(",").map((proxy) => proxy.trim());
  return proxies.every(isProxy) ? proxies : undefined;
}

function isProxy(text: string): boolean {
  if (text === UNIX_PEERS) return true;
  const [, address = "", prefix = ""] = /^([\da-fA-F:.]+)(?:\/([1-9]\d*))?$/.exec(text) ?? [];
  // 0 without a prefix.
  const bits = Number(prefix);
  if (isIPv4(address)) return bits <= 32;
  if (!isIPv6(address) || bits > 128 || MAPPED.check(address, "ipv6")) return false;
  return bits === 0 || !holdsMapped(address, bits);
}

function holdsMapped(address: string, bits: number): boolean {
  const range = new BlockList();
  range.addSubnet(address, bits, "ipv6");
  return range.check(ONE_MAPPED, "ipv6");
}
