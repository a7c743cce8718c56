import { createRoutes } from "../../src/app.ts";
import { keySetOf } from "../../src/auth/keys.ts";
import type { Route } from "../../src/http/route.ts";
import { responseLevel, responseLine } from "../../src/log-line.ts";
import { withScope } from "../support/scope.ts";
import { serveFor, type TestService } from "../support/server.ts";
import { Random } from "./random.ts";
import { type KnownRequest, knownRequest, spoiledRequests } from "./requests.ts";
import { check, checkSecrets, quote, type Target } from "./target.ts";
import { converse, readResponses, type WireResponse } from "./wire.ts";

/** The one key that the service accepts. */
const KEY = new Random("the key of the fuzzer").key();

/** What the program serves, without a delay. */
export function appRoutes(): Route[] {
  const keyring = { current: keySetOf({ default: KEY }) };
  return createRoutes({ keyring, isDraining: () => false, processDelayMs: 0, docs: true });
}

/** Sends bytes to a service, which starts with the first case. */
type Send = (pieces: readonly Buffer[]) => Promise<Buffer>;

/** What targets need of a service. */
interface Wire {
  readonly service: () => Promise<TestService>;
  readonly send: Send;
  readonly stop: () => Promise<void>;
}

/**
 * Pipelines of valid requests: each has its response, in order, and nothing in a body is taken for
 * a request. `distort` is for tests: it changes what comes back.
 */
export function pipelineTarget(routes = appRoutes, distort?: (bytes: Buffer) => Buffer): Target {
  const wire = createWire(routes, distort);
  return {
    name: "pipeline",
    work: { base: 20_000, perByte: 5, every: 16 },
    run: async (random) => {
      const count = 1 + random.below(6);
      const requests = Array.from({ length: count }, (_, i) => knownRequest(random, `r${i}`, KEY));
      const bytes = Buffer.concat(requests.map((one) => one.bytes));
      const mayBeHead = requests.some(({ method }) => method === "HEAD");
      const { responses } = await exchange(wire, cut(random, bytes), mayBeHead);
      checkPipeline(requests, responses, bytes);
      return bytes.length;
    },
    start: wire.service,
    stop: wire.stop,
  };
}

function checkPipeline(
  requests: readonly KnownRequest[],
  responses: readonly WireResponse[],
  bytes: Buffer,
): void {
  for (const [index, { status, headers }] of responses.entries()) {
    const { id, statuses } = requests[index] as KnownRequest;
    const isRight = headers.get("x-request-id") === id && statuses.includes(status);
    check(isRight, () => `${status} for request ${index} of ${quote(bytes)}`);
  }
  const isWhole = responses.length === requests.length;
  const isClosed = responses.at(-1)?.headers.get("connection") === "close";
  check(isWhole || isClosed, () => `${responses.length} responses to ${quote(bytes)}`);
}

/**
 * Spoiled requests: whatever the bytes, responses are well-formed, the log has a line for each, and
 * no other status is over 500 than those that are declared. However the bytes are cut, the statuses
 * are the same.
 */
export function requestTarget(routes = appRoutes, distort?: (bytes: Buffer) => Buffer): Target {
  const wire = createWire(routes, distort);
  return {
    name: "request",
    work: { base: 20_000, perByte: 5, every: 16 },
    run: async (random) => {
      const bytes = spoiledRequests(random, KEY);
      const mayBeHead = bytes.includes("HEAD");
      const whole = await exchange(wire, [bytes], mayBeHead);
      const pieces = cut(random, bytes);
      const inPieces = await exchange(wire, pieces, mayBeHead);
      const isLong = bytes.length > MAX_HEADER_BYTES;
      const [one, other] = [statusesOf(whole, isLong), statusesOf(inPieces, isLong)];
      const cuts = pieces.map((piece) => piece.length).join();
      check(one === other, () => `${one} at once, ${other} in ${cuts}: ${quote(bytes)}`);
      const isAnswered = whole.responses.length + whole.abandoned > 0 || isEmpty(bytes);
      check(isAnswered, () => `no response to ${quote(bytes)}`);
      return 2 * bytes.length;
    },
    start: wire.service,
    stop: wire.stop,
  };
}

/** RFC 9112 2.2: empty lines before a request are ignored. */
function isEmpty(bytes: Buffer): boolean {
  return /^[\r\n]*$/.test(bytes.toString("latin1"));
}

/** Past this, a header section is 431. */
const MAX_HEADER_BYTES = 16_384;

/**
 * The statuses, with 400 for all that may depend on how bytes arrive that are no request: 501, 505,
 * and, if they may be too long as well as malformed, 431.
 */
function statusesOf({ responses }: Outcome, isLong: boolean): string {
  const alike = isLong ? [431, 501, 505] : [501, 505];
  return responses.map(({ status }) => (alike.includes(status) ? 400 : status)).join();
}

/** What a service made of some bytes. */
interface Outcome {
  readonly responses: readonly WireResponse[];
  /** How many requests have no response, since the client was gone. */
  readonly abandoned: number;
}

/** Sends bytes, and checks what holds for any bytes. */
async function exchange(
  wire: Wire,
  pieces: readonly Buffer[],
  mayBeHead: boolean,
): Promise<Outcome> {
  const { records, failures, connections } = await wire.service();
  const bytes = Buffer.concat(pieces);
  const received = await wire.send(pieces).catch((error: unknown) => {
    throw new Error(`${String(error)} for ${quote(bytes)}`);
  });
  const lines = records.splice(0);
  const responses = readResponses(received, mayBeHead).filter(({ status }) => status >= 200);
  check(failures.length === 0, () => `${String(failures[0]?.error)} for ${quote(bytes)}`);
  for (const { status, body } of responses) {
    const isDeclared = status < 500 || [501, 503, 505].includes(status) || isTaskFailure(body);
    check(isDeclared, () => `${status} for ${quote(bytes)}`);
  }
  const answered = lines.filter(({ status }) => status !== null);
  const ids = (list: readonly (string | undefined)[]): string => [...list].sort().join();
  const inLog = ids(answered.map(({ requestId, status }) => `${requestId} ${status}`));
  const onWire = ids(responses.map((one) => `${one.headers.get("x-request-id")} ${one.status}`));
  check(inLog === onWire, () => `${onWire} on the wire, ${inLog} in the log: ${quote(bytes)}`);
  check(connections.inFlight === 0, () => `a request is still in flight: ${quote(bytes)}`);
  checkSecrets(
    lines.map((record) => responseLine(responseLevel(record), record)),
    [KEY],
  );
  return { responses, abandoned: lines.length - answered.length };
}

function isTaskFailure(body: string): boolean {
  return body === '{"detail":"Task processing failed"}';
}

/** Cuts bytes into up to five pieces, often within a line end. */
function cut(random: Random, bytes: Buffer): Buffer[] {
  const place = (): number => {
    const at = random.below(bytes.length + 1);
    const lineEnd = random.oneIn(2) ? bytes.indexOf("\n", at) : -1;
    return lineEnd === -1 ? at : lineEnd + random.below(2);
  };
  const places = random.list(4, place).sort((a, b) => a - b);
  return [...places, bytes.length]
    .map((end, index) => bytes.subarray(places[index - 1] ?? 0, end))
    .filter((piece) => piece.length > 0);
}

function createWire(routes: () => Route[], distort = (bytes: Buffer): Buffer => bytes): Wire {
  let started: Promise<TestService> | undefined;
  let end: () => void = () => {};
  const service = (): Promise<TestService> => {
    started ??= new Promise((resolve, reject) => {
      withScope(async (scope) => {
        resolve(await serveFor(scope, routes()));
        await new Promise<void>((stop) => (end = stop));
      }).catch(reject);
    });
    return started;
  };
  return {
    service,
    send: async (pieces) => distort(await converse(await service(), pieces)),
    stop: async () => end(),
  };
}
