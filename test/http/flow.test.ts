import assert from "node:assert/strict";
import { before, describe, test } from "node:test";

import { HttpError, json } from "../../src/http/reply.ts";
import { type Context, type Rejection, type Route, route } from "../../src/http/route.ts";
import { exchange, open } from "../support/client.ts";
import { lines } from "../support/requests.ts";
import { suiteScope } from "../support/scope.ts";
import { anything, serveFor, type TestService } from "../support/server.ts";
import { until } from "../support/wait.ts";

/** What can be wrong with a request, in the order of the checks, and the status that it gets. */
const MISTAKES = {
  "another version": 505,
  "too many fields": 431,
  "no Host": 400,
  "an unknown coding": 501,
  "an unknown expectation": 417,
  "an unknown path": 404,
  "another method": 405,
  "a trailing slash": 307,
  "no key": 401,
  "no body": 422,
  "another type": 415,
  "a content coding": 415,
  "a long body": 413,
  "no capacity": 503,
  "a malformed body": 422,
} as const;

type Mistake = keyof typeof MISTAKES;

/** Pairs that one request can't have: there is one path, one body, one framing. */
const EXCLUSIVE: readonly (readonly [Mistake, Mistake])[] = [
  ["an unknown path", "another method"],
  ["an unknown path", "a trailing slash"],
  ["another method", "a trailing slash"],
  ["no body", "a content coding"],
  ["no body", "a long body"],
  ["no body", "a malformed body"],
  ["an unknown coding", "no body"],
  ["an unknown coding", "a long body"],
  ["a long body", "a malformed body"],
];

const MAX_BODY_BYTES = 100;

/** A request in its two parts. */
interface Parts {
  readonly head: readonly string[];
  readonly body: string;
}

/** A request with these mistakes and no others. */
function partsWith(...mistakes: readonly Mistake[]): Parts {
  const has = (mistake: Mistake): boolean => mistakes.includes(mistake);
  const head = [requestLineWith(has)];
  if (!has("no Host")) head.push("Host: x");
  if (!has("no key")) head.push("X-API-Key: k");
  head.push(`Content-Type: ${has("another type") ? "text/plain" : "application/json"}`);
  if (has("a content coding")) head.push("Content-Encoding: gzip");
  if (has("an unknown expectation")) head.push("Expect: foo");
  const { framing, body } = bodyWith(has);
  if (framing !== "") head.push(framing);
  // Newer versions of Node themselves reject more than 101 fields.
  if (has("too many fields")) while (head.length < 102) head.push("A: b");
  return { head, body };
}

function requestLineWith(has: (mistake: Mistake) => boolean): string {
  const method = has("another method") ? "DELETE" : "POST";
  const version = has("another version") ? "HTTP/2.0" : "HTTP/1.1";
  let path = "/guarded";
  if (has("an unknown path")) path = "/nope";
  if (has("a trailing slash")) path = "/guarded/";
  return `${method} ${path} ${version}`;
}

function bodyWith(has: (mistake: Mistake) => boolean): { framing: string; body: string } {
  if (has("an unknown coding")) {
    return { framing: "Transfer-Encoding: gzip, chunked", body: "1\r\n1\r\n0\r\n\r\n" };
  }
  if (has("no body")) return { framing: "", body: "" };
  if (has("a long body")) return { framing: `Content-Length: ${MAX_BODY_BYTES + 1}`, body: "1" };
  return { framing: "Content-Length: 1", body: has("a malformed body") ? "{" : "1" };
}

function requestWith(...mistakes: readonly Mistake[]): string {
  const { head, body } = partsWith(...mistakes);
  return lines(...head) + body;
}

/** Only the header section, of a client that waits for 100 Continue before it sends its body. */
function waitingHeadWith(...mistakes: readonly Mistake[]): string {
  return lines(...partsWith(...mistakes).head, "Expect: 100-continue");
}

const DENIED = new HttpError(401, "denied");

function guard({ request }: Context): Rejection {
  return request.headers["x-api-key"] === "k" ? undefined : DENIED;
}

/** `POST /guarded`, whose handler waits for `gate`. */
function guarded(gate: Promise<void>): Route {
  return route({
    method: "POST",
    path: "/guarded",
    dependencies: [guard],
    body: anything,
    handler: async (body) => {
      await gate;
      return json(200, body ?? null);
    },
  });
}

describe("the order of the checks", { concurrency: 4 }, () => {
  const suite = suiteScope();
  let service: TestService;
  let busyService: TestService;
  before(async () => {
    const limits = { maxBodyBytes: MAX_BODY_BYTES };
    service = await serveFor(suite, [guarded(Promise.resolve())], limits);
    const never = new Promise<void>(() => {});
    busyService = await serveFor(suite, [guarded(never)], { ...limits, maxInFlight: 1 });
    await open(busyService.port, requestWith());
    await until(() => busyService.connections.inFlight === 1, "a request in progress");
  });

  /** The statuses of the responses, interim ones too. */
  async function statusesOf(bytes: string, isBusy = false): Promise<number[]> {
    const { port } = isBusy ? busyService : service;
    const { responses } = await exchange(port, bytes);
    return responses.map(({ status }) => status);
  }

  test("a request without a mistake gets 200", async () => {
    assert.deepEqual(await statusesOf(requestWith()), [200]);
  });

  const mistakes = Object.keys(MISTAKES) as Mistake[];
  for (const mistake of mistakes) {
    test(`a request with ${mistake} gets ${MISTAKES[mistake]}`, async () => {
      const isBusy = mistake === "no capacity";
      assert.deepEqual(await statusesOf(requestWith(mistake), isBusy), [MISTAKES[mistake]]);
    });
  }

  test("a request without capacity learns why, and when to try again", async () => {
    const { responses } = await exchange(busyService.port, requestWith());
    const [response] = responses;
    assert.equal(response?.headers["retry-after"], "1");
    assert.deepEqual(JSON.parse(response?.body ?? ""), {
      detail: "Service Unavailable: too many requests are in flight",
    });
  });

  for (const [index, earlier] of mistakes.entries()) {
    for (const later of mistakes.slice(index + 1)) {
      if (EXCLUSIVE.some(([a, b]) => a === earlier && b === later)) continue;
      test(`a request with ${earlier} and ${later} gets ${MISTAKES[earlier]}`, async () => {
        const isBusy = earlier === "no capacity" || later === "no capacity";
        const statuses = await statusesOf(requestWith(earlier, later), isBusy);
        assert.deepEqual(statuses, [MISTAKES[earlier]]);
      });
    }
  }

  test("a request with every mistake gets 505", async () => {
    assert.deepEqual(await statusesOf(requestWith(...mistakes), true), [505]);
  });

  // A client that waits for 100 Continue has no other expectation, and has sent no body.
  const early = mistakes.filter(
    (mistake) => mistake !== "an unknown expectation" && mistake !== "a malformed body",
  );
  for (const mistake of early) {
    const status = MISTAKES[mistake];
    test(`a client that waits for 100, with ${mistake}, gets ${status} and no 100`, async () => {
      const isBusy = mistake === "no capacity";
      assert.deepEqual(await statusesOf(waitingHeadWith(mistake), isBusy), [status]);
    });
  }

  for (const [body, status] of [
    ["1", 200],
    ["{", 422],
  ] as const) {
    test(`a client that waits gets 100, then ${status} for the body ${body}`, async () => {
      const client = await open(service.port, waitingHeadWith());
      const [interim] = await client.untilResponses(1);
      assert.equal(interim?.status, 100);
      client.send(body);
      const [, response] = await client.untilResponses(2);
      assert.deepEqual([response?.status, response?.headers["connection"]], [status, "keep-alive"]);
    });
  }

  test("a client that sends its body without waiting for 100 is served", async () => {
    assert.deepEqual(await statusesOf(`${waitingHeadWith()}1`), [100, 200]);
  });

  test("a denied client that waits gets its connection closed: a body may follow", async () => {
    const { responses, closed } = await exchange(service.port, waitingHeadWith("no key"), {
      close: true,
    });
    const [response] = responses;
    assert.deepEqual(
      [response?.status, response?.headers["connection"], closed],
      [401, "close", true],
    );
  });
});
