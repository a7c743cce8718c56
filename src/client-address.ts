import { BlockList, isIPv4, isIPv6 } from "node:net";

/** Stands for every peer on a Unix socket in a list of proxies. */
export const UNIX_PEERS = "unix";

/** How many addresses' verdicts are kept. */
const MAX_VERDICTS = 1000;

/** An address in X-Forwarded-For, with a port or without: 192.0.2.1:80, [2001:db8::1]:80. */
const FORWARDED = /^(?:([\d.]+)|\[([\da-fA-F:.]+)\])(?::\d{1,5})?$/;

/** Finds the address of the client that a request came from, behind proxies that are trusted. */
export class ClientAddresses {
  readonly #proxies = new BlockList();
  readonly #trustsUnixPeers: boolean;
  /** Whether addresses are those of proxies. On Node 20 asking the list takes microseconds. */
  readonly #verdicts = new Map<string, boolean>();

  /**
   * `proxies` are trusted to add the address of their own peer to X-Forwarded-For: addresses, CIDR
   * ranges such as 10.0.0.0/8, and UNIX_PEERS. Throws if one is anything else.
   */
  constructor(proxies: readonly string[]) {
    this.#trustsUnixPeers = proxies.includes(UNIX_PEERS);
    for (const proxy of proxies) {
      if (proxy === UNIX_PEERS) continue;
      const [address = "", prefix] = proxy.split("/");
      const family = familyOf(address);
      if (prefix === undefined) this.#proxies.addAddress(address, family);
      else this.#proxies.addSubnet(address, Number(prefix), family);
    }
  }

  /**
   * Returns the right-most address in `forwardedFor` that is not a proxy's, starting from the
   * `peer`; undefined for a peer on a Unix socket that is not trusted, or sent no such address.
   * Each proxy adds its peer on the right, so all that a client can send itself stands to the left
   * of its own address, which ends the search. What is not an address ends it, too, at the last
   * address before.
   *
   * `forwardedFor` is the value of all X-Forwarded-For fields, joined with commas.
   */
  find(peer: string | undefined, forwardedFor = ""): string | undefined {
    let client = peer === undefined ? undefined : withoutMapping(peer);
    let isProxy = client === undefined ? this.#trustsUnixPeers : this.#isProxy(client);
    let end = forwardedFor.length;
    while (isProxy && end > 0) {
      const comma = forwardedFor.lastIndexOf(",", end - 1);
      const address = addressIn(forwardedFor.slice(comma + 1, end).trim());
      if (address === undefined) return client;
      client = address;
      isProxy = this.#isProxy(address);
      end = comma;
    }
    return client;
  }

  #isProxy(address: string): boolean {
    const known = this.#verdicts.get(address);
    if (known !== undefined) return known;
    if (this.#verdicts.size >= MAX_VERDICTS) this.#verdicts.clear();
    const [withoutZone = ""] = address.split("%");
    const verdict = this.#proxies.check(withoutZone, familyOf(address));
    this.#verdicts.set(address, verdict);
    return verdict;
  }
}

/** Writes an IPv4 address as such. A socket that listens on "::" has it mapped into IPv6. */
function withoutMapping(address: string): string {
  // Without dots, as in ::ffff:10, it is another address.
  const mapped = /^::ffff:(\d+\.[\d.]+)$/i.exec(address)?.[1];
  return mapped ?? address;
}

function familyOf(address: string): "ipv4" | "ipv6" {
  return isIPv4(address) ? "ipv4" : "ipv6";
}

/** The address in an element of X-Forwarded-For; undefined if it is none. */
function addressIn(element: string): string | undefined {
  const [, ipv4, ipv6 = element] = FORWARDED.exec(element) ?? [];
  if (ipv4 !== undefined) return isIPv4(ipv4) ? ipv4 : undefined;
  // A zone, as in fe80::1%eth0, makes sense only on the machine that wrote it.
  return isIPv6(ipv6) && !ipv6.includes("%") ? withoutMapping(ipv6) : undefined;
}
