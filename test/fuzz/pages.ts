import { readFileSync } from "node:fs";

import type { RequestRecord } from "../../src/http/exchange.ts";
import { splitTarget } from "../../src/http/head.ts";
import { HttpError, json } from "../../src/http/reply.ts";
import { type Route, route } from "../../src/http/route.ts";
import { createRouter } from "../../src/http/router.ts";
import { describeError, eventLine, responseLevel, responseLine } from "../../src/log-line.ts";
import { renderPage } from "../../src/docs/page.ts";
import { docsRoutes } from "../../src/routes/docs.ts";
import { root } from "../support/root.ts";
import { mutate, type Random } from "./random.ts";
import { check, checkSecrets, quote, type Target } from "./target.ts";

/** What would be a tag or an attribute of its own if it were not escaped. */
const ATTACK = `"'><i onx=1>&lt;`;

/** Whatever an OpenAPI document has in it, the page has no tag of it. */
export function pageTarget(render: typeof renderPage = renderPage): Target {
  const document: object = JSON.parse(readDocsFile("openapi.json"));
  return {
    name: "page",
    work: { base: 20_000, perByte: 1, every: 32 },
    run: (random) => {
      const members = Object.entries(document).map(([name, value]) => [name, spoil(random, value)]);
      const spoiled = Object.fromEntries(members) as Parameters<typeof renderPage>[0];
      const size = JSON.stringify(spoiled).length;
      try {
        const page = render(spoiled);
        check(!/<i[ >]|=1>/.test(page), () => `a tag of the document is in the page: ${page}`);
      } catch (error) {
        // The one error that is documented: a reference that leads nowhere.
        if (!String(error).startsWith("Error: The OpenAPI document has no ")) throw error;
      }
      return size;
    },
  };
}

/** A copy of a document with attacks, or values of other types, in place of some of its values. */
function spoil(random: Random, value: unknown): unknown {
  if (random.oneIn(300)) return random.pick([ATTACK, 1e400, null, [], {}, -0, true, [ATTACK]]);
  if (typeof value === "string") return random.oneIn(4) ? value + ATTACK : value;
  if (Array.isArray(value)) return value.map((item) => spoil(random, item));
  if (typeof value !== "object" || value === null) return value;
  const members = Object.entries(value).map(([name, member]): [string, unknown] => {
    const newName = random.oneIn(50) ? random.pick([ATTACK, "__proto__", "$ref", "type"]) : name;
    return [newName, spoil(random, member)];
  });
  return Object.fromEntries(members);
}

/** A line of the log is one line of printable ASCII, JSON, and without a key. */
export function logTarget(line: typeof responseLine = responseLine): Target {
  return {
    name: "log",
    work: { base: 200, perByte: 1, every: 64 },
    run: (random) => {
      const key = random.key();
      const text = (): string => hideKey(random, key);
      const record: RequestRecord = {
        requestId: text(),
        remote: random.pick(["::ffff:127.0.0.1", "::1", undefined]),
        method: random.pick(["GET", "M-SEARCH", undefined]),
        path: text(),
        denied: random.pick(["missing", undefined]),
        status: random.pick([200, 401, 503, null]),
        durationMs: random.below(10_000) / 7,
      };
      const { requestId, path = "" } = record;
      const ofResponse = line(responseLevel(record), record);
      const ofEvent = eventLine("warn", "warning", { message: path, error: describeError(path) });
      for (const one of [ofResponse, ofEvent]) {
        check(/^[\x20-\x7e]+$/.test(one), () => `not one line of ASCII: ${one}`);
        JSON.parse(`{${one}`);
        checkSecrets([decodeAll(one)], [key]);
      }
      return requestId.length + 2 * path.length;
    },
  };
}

/** A text with a key somewhere, as it is or percent-encoded. */
function hideKey(random: Random, key: string): string {
  const pieces = [..."/?#@: \n\u202e\u2028\0", "http://", "%", "%25", "é", "/process", "a@"];
  const encoded = key.replace(/./g, (character) => {
    if (!random.oneIn(3)) return character;
    const hex = character.charCodeAt(0).toString(16);
    return random.pick(["%", "%25", "%2525"]) + random.pick([hex, hex.toUpperCase()]);
  });
  const [before, after] = [random.text(6, pieces), random.text(6, pieces)];
  return before + random.pick([key, encoded, ""]) + after;
}

function decodeAll(text: string): string {
  let decoded = text;
  for (let count = 0; count < 4; count += 1) {
    decoded = decoded.replace(/%([0-9a-f]{2})/gi, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    );
  }
  return decoded;
}

/** A target is routed as its path is written, and a redirect leads to a route. */
export function routeTarget(createOne: typeof createRouter = createRouter): Target {
  const paths = ["/", "/a", "/a/b", "/process", "/a.b~c"];
  const routes = paths.map((path) => route({ method: "GET", path, handler: () => json(200, 0) }));
  const find = createOne(routes);
  return {
    name: "route",
    work: { base: 50, perByte: 2, every: 64 },
    run: (random) => {
      const prefix = random.pick(["", "", "http://h", "HTTPS://u@h:1"]);
      const written = random.pick(paths) + random.text(3, ROUTE_PIECES);
      const target = random.oneIn(3) ? written : mutate(random, Buffer.from(written)).toString();
      const { path, query } = splitTarget(prefix + target);
      check(path + query === target || prefix === "" || target[0] !== "/", () => target);
      const method = random.pick(["GET", "HEAD", "POST"]);
      const found = find(method, path, query);
      const expected = expectedOf(paths, method, path);
      const status = found instanceof HttpError ? found.status : 200;
      check(status === expected, () => `${status} for ${method} ${JSON.stringify(target)}`);
      if (found instanceof HttpError && status === 307) checkRedirect(found, path, query);
      return target.length;
    },
  };
}

const ROUTE_PIECES = ["/", "//", "?", "#", "%2f", "%2e%2e", "..", ".", "a", "?a=b", ";", "\\", " "];

function expectedOf(paths: readonly string[], method: string, path: string): number {
  if (paths.includes(path)) return method === "POST" ? 405 : 200;
  return paths.some((one) => `${one}/` === path) ? 307 : 404;
}

/** The location, from where the path is, is that path without its slash. */
function checkRedirect({ headers }: HttpError, path: string, query: string): void {
  const location = String(headers[headers.indexOf("Location") + 1]);
  const { pathname } = new URL(
    location.slice(0, location.length - query.length),
    `http://x${path}`,
  );
  const isRight = pathname === path.slice(0, -1) && location.endsWith(query);
  check(isRight, () => `${path} leads to ${location}`);
}

/** If-None-Match and If-Match are evaluated as RFC 9110 13.1 says. */
export function entityTagTarget(routesOf: typeof docsRoutes = docsRoutes): Target {
  const icon = routesOf(readDocsFile).find(({ path }) => path === "/docs/icon.svg") as Route;
  const tag = entityTagOf(call(icon, {}).headers);
  return {
    name: "entity-tag",
    work: { base: 50, perByte: 2, every: 64 },
    run: (random) => {
      const tags = [tag, `W/${tag}`, '"x,y"', 'W/""', '"x', '"', tag.slice(1), `"${tag}"`];
      const list = random.list(6, () => random.pick(tags));
      const field = random.oneIn(20) ? " * " : list.join(random.pick([",", ", ", " ,\t", ",,"]));
      const isSpoiled = random.oneIn(4);
      const value = isSpoiled ? mutate(random, Buffer.from(field)).toString("latin1") : field;
      const names = (wanted: readonly string[]): boolean =>
        field === " * " || list.some((one) => wanted.includes(one));
      const ifNone = call(icon, { "if-none-match": value }).status;
      const ifMatch = call(icon, { "if-match": value }).status;
      const isKnown = [200, 304].includes(ifNone) && [200, 412].includes(ifMatch);
      check(isKnown, () => `${ifNone} and ${ifMatch} for ${value}`);
      if (isSpoiled) return value.length;
      const isRight = (ifNone === 304) === names([tag, `W/${tag}`]);
      const isStrong = (ifMatch === 200) === names([tag]);
      check(isRight && isStrong, () => `${ifNone} and ${ifMatch} for ${quote(Buffer.from(value))}`);
      return value.length;
    },
  };
}

interface Outcome {
  readonly status: number;
  readonly headers: readonly string[];
}

function call({ handler }: Route, headers: Readonly<Record<string, string>>): Outcome {
  const context = { request: { headers } } as unknown as Parameters<Route["handler"]>[1];
  return handler({}, context) as Outcome;
}

function entityTagOf(headers: readonly string[]): string {
  return String(headers[headers.indexOf("ETag") + 1]);
}

function readDocsFile(name: string): string {
  return readFileSync(new URL(`src/docs/${name}`, root), "utf8");
}
