import assert from "node:assert/strict";
import { after, describe, test } from "node:test";

import { parseKeysFile } from "../../src/config/keys-file.ts";
import { ClientAddresses } from "../../src/client-address.ts";
import type { parsePrivateKey } from "../../src/config/certificates.ts";
import { readDotenv } from "../../src/config/dotenv.ts";
import { readConfiguration } from "../../src/config/settings.ts";
import { renderPage } from "../../src/docs/page.ts";
import { parseBody } from "../../src/http/body.ts";
import { locateJsonError } from "../../src/http/json.ts";
import { json } from "../../src/http/reply.ts";
import type { Route } from "../../src/http/route.ts";
import { createRouter, type Router } from "../../src/http/router.ts";
import { responseLine } from "../../src/log-line.ts";
import type { Model } from "../../src/models/model.ts";
import { readParameters } from "../../src/models/parameters.ts";
import { decodeSegment } from "../../src/models/paths.ts";
import { docsRoutes } from "../../src/routes/docs.ts";
import { dotenvTarget, keysFileTarget, settingsTarget } from "./files.ts";
import { appRoutes, pipelineTarget, requestTarget } from "./http.ts";
import { forwardedTarget, modelTarget, queryTarget, segmentTarget } from "./inputs.ts";
import { bodyTarget, jsonTarget } from "./json.ts";
import { entityTagTarget, logTarget, pageTarget, routeTarget } from "./pages.ts";
import { pemTarget } from "./pem.ts";
import { Random } from "./random.ts";
import { FuzzFailure, runCase, type Target } from "./target.ts";
import { createTargets } from "./targets.ts";
import { WorkCounter } from "./work.ts";

// Before any function of src/ has run.
const counter = new WorkCounter();
after(() => counter.close());

/** So many cases notice each fault. */
const MOST_CASES = 1000;

/** Targets with something wrong in what they test, and what they say. */
const FAULTS: readonly (readonly [fault: string, target: () => Target, message: RegExp])[] = [
  ["a response too many", () => pipelineTarget(appRoutes, twice), /on the wire/],
  ["a response too few", () => pipelineTarget(appRoutes, () => Buffer.alloc(0)), /in the log/],
  ["a wrong length", () => pipelineTarget(appRoutes, swap("Length: ", "Length: 9")), /shorter/],
  ["a handler that throws", () => pipelineTarget(() => withHandler(fail)), /planted fault/],
  ["a field doubled", () => requestTarget(appRoutes, swap("Date: ", "X-Request-Id: ")), /field/],
  ["a field missing", () => requestTarget(appRoutes, swap("Date: ", "Dote: ")), /without date/],
  ["a status line broken", () => requestTarget(appRoutes, swap("/1.1 4", "/1.2 4")), /status line/],
  ["a 500", () => requestTarget(() => withHandler(() => json(500, ""))), /500 for/],
  ["a response less", () => requestTarget(appRoutes, () => Buffer.alloc(0)), /in the log/],
  ["bytes that are not UTF-8", () => bodyTarget(() => parseBody(Buffer.from("1"))), /for/],
  [
    "a position moved",
    () => jsonTarget((text) => ({ ...locateJsonError(text), position: 0 })),
    /for/,
  ],
  [
    "two slashes taken for one",
    () => routeTarget((routes) => withOneSlash(createRouter(routes))),
    /for/,
  ],
  [
    "a weak comparison",
    () => entityTagTarget((read) => docsRoutes(read).map(withoutWeakness)),
    /for/,
  ],
  [
    "a lost quote",
    () => dotenvTarget((bytes, env) => readDotenv(withoutEscapes(bytes), env)),
    /became|line 1/,
  ],
  ["a key in a problem", () => keysFileTarget(quotingKeys), /a key is in the output/],
  ["a key in a warning", () => settingsTarget(quotingSettings), /a key is in the output/],
  [
    "a key in a path",
    () => logTarget((level, record) => responseLine(level, record) + record.requestId),
    /one line|log: /,
  ],
  ["a tag unescaped", () => pageTarget((document) => unescapeTags(renderPage(document))), /a tag/],
  ["the left-most address", () => forwardedTarget(leftMost), /, not /],
  [
    "a segment decoded twice",
    () => segmentTarget((text) => decodeSegment(twiceDecoded(text))),
    /for/,
  ],
  ["a query that keeps +", () => queryTarget(keepingPlus), /for/],
  ["a model that changes its values", () => modelTarget(changing), /not accepted again/],
  ["a private key in a problem", () => pemTarget(quotingPem), /a key is in the output|one line/],
  ["work that grows with the square", () => jsonTarget(locateInEachPart), /blocks ran/],
];

describe("a planted fault is noticed:", () => {
  for (const [fault, create, message] of FAULTS) {
    test(fault, async () => {
      const error = await firstFailure(create());
      assert.match(error.message, message);
      assert.match(error.message, /npm run fuzz -- --seed 1 --case [a-z-]+:\d+$/);
    });
  }

  test("in each target", () => {
    const noticing = new Set(FAULTS.map(([, create]) => create().name));
    assert.deepEqual(
      createTargets().filter(({ name }) => !noticing.has(name)),
      [],
    );
  });
});

describe("without a fault", () => {
  for (const target of createTargets()) {
    test(`100 cases of ${target.name} hold`, async (t) => {
      t.after(() => target.stop?.());
      for (let number = 0; number < 100; number += 1) await runCase(target, 1, number, counter);
    });
  }
});

test("the same seed makes the same choices, and another one others", () => {
  const choices = (seed: string): string => {
    const random = new Random(seed);
    return random.bytes(100).toString("hex") + random.key() + random.text(9, ["a", "b"]);
  };
  assert.equal(choices("1 json 1"), choices("1 json 1"));
  assert.notEqual(choices("1 json 1"), choices("1 json 2"));
});

test("a counter counts the blocks that run, and the same blocks each time", () => {
  const work = (text: string): number => {
    counter.reset();
    locateJsonError(text);
    return counter.take();
  };
  const few = work("[".repeat(10));
  assert.equal(work("[".repeat(10)), few);
  const more = work("[".repeat(20)) - few;
  assert.ok(more > 0);
  assert.equal(work("[".repeat(1010)), few + 100 * more);
});

function leftMost(proxies: readonly string[]): ClientAddresses {
  const addresses = new ClientAddresses(proxies);
  return {
    find: (peer: string, text: string) => addresses.find(peer, text.split(",").reverse().join(",")),
  } as ClientAddresses;
}

function twiceDecoded(text: string): string {
  return text.replaceAll("%25", "%");
}

const keepingPlus: typeof readParameters = (sets, texts, query, values, problems) => {
  readParameters(sets, texts, query.replaceAll("+", "%2b"), values, problems);
};

function changing({ schema, check }: Model<unknown>): Model<unknown> {
  return { schema, check: (...input) => [check(...input)] };
}

function twice(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, bytes]);
}

function swap(text: string, other: string): (bytes: Buffer) => Buffer {
  return (bytes) => Buffer.from(bytes.toString("latin1").replaceAll(text, other), "latin1");
}

/** The program's routes, with another handler of /health. */
function withHandler(handler: Route["handler"]): Route[] {
  return appRoutes().map((one) => (one.path === "/health" ? { ...one, handler } : one));
}

function fail(): never {
  throw new Error("a planted fault");
}

function withOneSlash(find: Router): Router {
  return (method, path, query) => find(method, path.replaceAll("//", "/"), query);
}

/** A route that compares weakly where it should compare strongly. */
function withoutWeakness(one: Route): Route {
  return {
    ...one,
    handler: (body, context) => {
      const { headers } = context.request;
      const ifMatch = headers["if-match"]?.replaceAll("W/", "");
      const request = { headers: { ...headers, "if-match": ifMatch } } as typeof context.request;
      return one.handler(body, { ...context, request });
    },
  };
}

function withoutEscapes(bytes: Uint8Array): Buffer {
  return Buffer.from(Buffer.from(bytes).toString().replaceAll("\\\\", "\\"));
}

const quotingKeys: typeof parseKeysFile = (bytes) => {
  const { keys, problems } = parseKeysFile(bytes);
  const message = bytes.toString();
  return { keys, problems: problems.map((problem) => ({ ...problem, message })) };
};

const quotingSettings: typeof readConfiguration = (env, directory, now) => {
  const configuration = readConfiguration(env, directory, now);
  return { ...configuration, warnings: [JSON.stringify(env)] };
};

const quotingPem: typeof parsePrivateKey = (bytes) => {
  return { ok: false, problem: bytes.toString("latin1").replaceAll("\n", " ") };
};

function unescapeTags(page: string): string {
  return page.replaceAll("&#60;i", "<i");
}

function locateInEachPart(text: string): ReturnType<typeof locateJsonError> {
  for (let end = 0; end < text.length; end += 1) locateJsonError(text.slice(0, end));
  return locateJsonError(text);
}

async function firstFailure(target: Target): Promise<Error> {
  try {
    for (let number = 0; number < MOST_CASES; number += 1)
      await runCase(target, 1, number, counter);
  } catch (error) {
    assert.ok(error instanceof FuzzFailure, String(error));
    return error;
  } finally {
    await target.stop?.();
  }
  throw new Error(`${MOST_CASES} cases of ${target.name} hold`);
}
