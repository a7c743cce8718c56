import { isIP } from "node:net";
import { isDeepStrictEqual } from "node:util";

import { ClientAddresses } from "../../src/client-address.ts";
import * as models from "../../src/models/model.ts";
import type { Model } from "../../src/models/model.ts";
import { readParameters, sortParameters } from "../../src/models/parameters.ts";
import { decodeSegment } from "../../src/models/paths.ts";
import { Problems } from "../../src/models/problems.ts";
import { someJson } from "./json.ts";
import { mutate, type Random } from "./random.ts";
import { check, type Target } from "./target.ts";

/** Of X-Forwarded-For, the right-most address that is not a proxy's counts. */
export function forwardedTarget(
  create = (proxies: readonly string[]) => new ClientAddresses(proxies),
): Target {
  const addresses = create(["10.0.0.0/8", "::1", "192.0.2.1"]);
  return {
    name: "forwarded",
    work: { base: 100, perByte: 2, every: 64 },
    run: (random) => {
      const elements = random.list(8, () => random.pick(ELEMENTS));
      const field = elements.join(random.pick([",", ", ", " ,\t", ",,"]));
      const isSpoiled = random.oneIn(3);
      const text = isSpoiled ? mutate(random, Buffer.from(field)).toString("latin1") : field;
      const peer = random.pick(["10.0.0.1", "::ffff:10.0.0.2", "192.0.2.1", "198.51.100.1", "::1"]);
      const found = addresses.find(peer, text) ?? "";
      check(isIP(found) !== 0, () => `${found} for ${peer}, ${JSON.stringify(text)}`);
      const expected = isForeign(peer) ? peer : rightMost(text, peer);
      check(found === expected, () => `${found}, not ${expected}, for ${JSON.stringify(text)}`);
      return text.length;
    },
  };
}

const ELEMENTS = [
  ..."10.0.0.1 10.255.0.2 192.0.2.1 198.51.100.1 203.0.113.9:80 [2001:db8::1]:80 ::1".split(" "),
  ..."2001:db8::2 ::ffff:198.51.100.3 ::ffff:10.0.0.9 fe80::1%eth0 unknown _hidden 999.1.1.1".split(
    " ",
  ),
  '"',
  "",
];

function isForeign(address: string): boolean {
  return !/^(?:::ffff:)?(?:10\.|192\.0\.2\.1$)/.test(address) && address !== "::1";
}

/** A second reading: from right to left, until there is no address, or no proxy. */
function rightMost(text: string, peer: string): string {
  let client = peer.replace("::ffff:", "");
  if (text === "") return client;
  for (const element of text.split(",").reverse()) {
    const trimmed = element.trim();
    const withoutPort = trimmed.replace(/^(\[.*\]|[^:]*):\d{1,5}$/, "$1");
    const address = /^\[.*:.*\]$/.test(withoutPort) ? withoutPort.slice(1, -1) : withoutPort;
    if (isIP(address) === 0 || address.includes("%")) return client;
    client = /^::ffff:\d+\.[\d.]+$/i.test(address) ? address.slice(7) : address;
    if (isForeign(client)) return client;
  }
  return client;
}

/** A segment of a path is decoded once, or is none. */
export function segmentTarget(decode: typeof decodeSegment = decodeSegment): Target {
  return {
    name: "segment",
    work: { base: 50, perByte: 2, every: 64 },
    run: (random) => {
      const text = random.text(8, SEGMENT_PIECES);
      const found = decode(text);
      const expected = segmentOf(text);
      check(found === expected, () => `${JSON.stringify(found)} for ${JSON.stringify(text)}`);
      return text.length;
    },
  };
}

const SEGMENT_PIECES = [..."a.%#?: é", "%2f", "%2e", "%00", "%25", "%c3%a9", "%c3", "%ED%A0%80"];

function segmentOf(text: string): string | undefined {
  if (text === "" || /[^!-~]|#/.test(text) || /%(?![0-9a-f]{2})/i.test(text)) return undefined;
  const bytes = text.replace(/%(..)/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
  const decoded = Buffer.from(bytes, "latin1").toString();
  const isNone = decoded.includes("\ufffd") || /[/\0]|^\.{1,2}$/.test(decoded);
  return isNone ? undefined : decoded;
}

/** The texts of a query are those that URLSearchParams finds. */
export function queryTarget(read: typeof readParameters = readParameters): Target {
  const text = models.optional(models.string());
  const list = models.optional(models.array(models.string()), []);
  const sets = sortParameters("/", { a: text, "a b": text, list });
  return {
    name: "query",
    work: { base: 100, perByte: 3, every: 64 },
    run: (random) => {
      const query = `?${random.text(12, QUERY_PIECES)}`;
      const values: Record<string, unknown> = {};
      const problems = new Problems();
      read(sets, [], query, values, problems);
      const params = new URLSearchParams(query.replaceAll("#", "%23"));
      const isRight =
        problems.isEmpty &&
        values["a"] === params.getAll("a").at(-1) &&
        values["a b"] === params.getAll("a b").at(-1) &&
        isDeepStrictEqual(values["list"], params.getAll("list"));
      check(isRight, () => `${JSON.stringify(values)} for ${JSON.stringify(query)}`);
      return query.length;
    },
  };
}

const QUERY_PIECES = [
  ..."a&=+%;?/#",
  "a=",
  "&a",
  "list=",
  "&list=",
  "a%20b=",
  "a+b=",
  "%c3%a9",
  "%ff",
];

/** What a model accepts it accepts again; what it does not is listed in problems that are JSON. */
export function modelTarget(distort = (model: Model<unknown>) => model): Target {
  return {
    name: "model",
    work: { base: 3000, perByte: 50, every: 64 },
    run: (random) => {
      const model = distort(someModel(random, 3));
      const input = someValue(random);
      const problems = new Problems();
      const value = model.check(input, ["body"], problems);
      const shown = (): string => `${JSON.stringify(input)} for ${JSON.stringify(model.schema)}`;
      if (problems.isEmpty) {
        const again = new Problems();
        const isSame = isDeepStrictEqual(model.check(value, ["body"], again), value);
        check(isSame && again.isEmpty, () => `not accepted again: ${shown()}`);
      } else {
        for (const { loc, msg, type } of problems.list) {
          check(loc[0] === "body" && msg !== "" && /^[a-z_]+$/.test(type), shown);
        }
        check(problems.list.length <= 100, shown);
        JSON.parse(JSON.stringify(problems.list));
      }
      return JSON.stringify(input)?.length ?? 1;
    },
  };
}

function someModel(random: Random, depth: number): Model<unknown> {
  const scalar = random.pick([
    models.string({ minLength: 1, maxLength: 3 }),
    models.string({ format: random.pick(["uuid", "uri", "date-time", "date"]) }),
    models.string({ pattern: "^a+$" }),
    models.integer({ minimum: 0, exclusiveMaximum: 10 }),
    models.number({ multipleOf: 0.5 }),
    models.boolean(),
    models.literal("a", 1, true),
  ]);
  if (depth === 0 || random.oneIn(4)) return scalar;
  const inner = (): Model<unknown> => someModel(random, depth - 1);
  const members = { a: inner(), b: models.optional(inner()) };
  const isClosed = random.oneIn(2);
  return random.pick<() => Model<unknown>>([
    () => models.object(members, isClosed ? { additionalProperties: false } : {}),
    () => models.array(inner(), { maxItems: 3 }),
    () => models.nullable(inner()),
    () => models.union(inner(), inner()),
  ])();
}

const DATES = [
  "2027-01-31",
  "2027-02-30T00:00:00Z",
  "2027-01-31T12:00:00Z",
  "a",
  "aaaa",
  "http://a",
];

function someValue(random: Random): unknown {
  try {
    return JSON.parse(someJson(random).toString());
  } catch {
    return random.pick<unknown>([...DATES, 0.5, 1e400, "\ud800", [], { a: 1, __proto__: 2 }]);
  }
}
