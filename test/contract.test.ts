import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { before, describe, test } from "node:test";
import { isDeepStrictEqual } from "node:util";

import { type Client, open, type RawResponse } from "./support/client.ts";
import { type Program, startProgram } from "./support/program.ts";
import { get } from "./support/requests.ts";
import { root } from "./support/root.ts";
import { suiteScope } from "./support/scope.ts";

/** A response as cases.json describes it. */
interface Expected {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** The body's value, or "<openapi>" or "<detail>". */
  readonly json?: unknown;
}

/** One of the contract's cases; `about` in cases.json says what its members mean. */
interface Case {
  readonly name: string;
  readonly request: readonly (string | { readonly repeat: string; readonly times: number })[];
  readonly responses: readonly Expected[];
  /** Other responses that are as good. */
  readonly also?: readonly (readonly Expected[])[];
  readonly closed: boolean | null;
}

const { cases } = readJson("test/contract/cases.json") as { cases: Case[] };
const openapi = readJson("src/docs/openapi.json");

const UUID4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe("the contract", { concurrency: 32 }, () => {
  const suite = suiteScope();
  let program: Program;
  before(async () => {
    program = await startProgram(suite, { PROCESS_DELAY_MS: "50" });
  });

  for (const { name, request, responses: expected, also = [], closed } of cases) {
    test(`${name} gets the contract's responses`, async () => {
      const bytes = request.map(partToText).join("");
      const isHead = bytes.startsWith("HEAD ");
      const client = await open(program.port, bytes, { isHead });
      const responses = await finalResponses(client, expected.length);
      if (closed === true) await client.untilEnded();
      if (closed === false) await assertOpen(client);
      assert.equal(client.reset, false, "a reset");
      client.socket.destroy();
      const problems = [expected, ...also].map((one) => differences(responses, one));
      const hasMatch = problems.some((list) => list.length === 0);
      assert.ok(hasMatch, problems[0]?.join("\n"));
      for (const response of responses) assert.deepEqual(brokenRules(response, isHead), []);
    });
  }
});

/** Waits for so many final responses, or for the end, and returns all that have arrived by then. */
async function finalResponses(client: Client, count: number): Promise<RawResponse[]> {
  const isDone = (): boolean =>
    client.closed || client.responses.filter(({ status }) => status >= 200).length >= count;
  await client.until(isDone, `${count} final responses`);
  return [...client.responses];
}

/** A connection that is open has room for another request. */
async function assertOpen(client: Client): Promise<void> {
  const count = client.responses.length;
  client.send(get("/health"));
  await client.until(() => client.responses.length > count || client.closed, "one more response");
  const statuses = client.responses.slice(count).map(({ status }) => status);
  assert.deepEqual(statuses, [200], "the connection is still open");
}

/** How the responses differ from those of the contract. */
function differences(responses: readonly RawResponse[], expected: readonly Expected[]): string[] {
  if (responses.length !== expected.length) {
    return [`${responses.length} responses instead of ${expected.length}`];
  }
  return expected.flatMap((one, index) => differencesOf(responses[index] as RawResponse, one));
}

function differencesOf({ status, headers, body }: RawResponse, expected: Expected): string[] {
  const problems: string[] = [];
  if (status !== expected.status) problems.push(`${status} instead of ${expected.status}: ${body}`);
  for (const [name, value] of Object.entries(expected.headers)) {
    if (isSameField(name, headers[name], value)) continue;
    problems.push(`${name}: ${headers[name]} instead of ${value}`);
  }
  if (expected.json !== undefined && !isExpectedJson(body, expected.json)) {
    problems.push(`body ${body}`);
  }
  return problems;
}

function isSameField(name: string, value: string | undefined, expected: string): boolean {
  if (value === undefined) return false;
  if (name === "content-type") return value.split(";")[0] === expected.split(";")[0];
  if (name === "allow") return isDeepStrictEqual(toSet(value), toSet(expected));
  return value === expected;
}

function toSet(list: string): Set<string> {
  return new Set(list.split(", "));
}

function isExpectedJson(body: string, expected: unknown): boolean {
  const value: unknown = JSON.parse(body);
  if (expected === "<openapi>") return isSameJson(value, openapi);
  const { id, detail, ...others } = value as Record<string, unknown>;
  if (expected === "<detail>") {
    const hasOthers = id !== undefined || Object.keys(others).length > 0;
    return typeof detail === "string" && detail !== "" && !hasOthers;
  }
  if ((expected as Record<string, unknown>)["id"] !== "<uuid4>") return isSameJson(value, expected);
  const isUuid = typeof id === "string" && UUID4.test(id);
  return isUuid && isSameJson({ ...others, detail, id: "<uuid4>" }, expected);
}

/** Whether two values are the same as JSON, where -0 is 0. */
function isSameJson(value: unknown, expected: unknown): boolean {
  return isDeepStrictEqual(JSON.parse(JSON.stringify(value)), JSON.parse(JSON.stringify(expected)));
}

/** The rules for every response that this one breaks. */
function brokenRules({ status, headers, body }: RawResponse, isHead: boolean): string[] {
  const broken: string[] = [];
  const check = (name: string, pattern: RegExp): void => {
    if (!pattern.test(headers[name] ?? "")) broken.push(`${name}: ${headers[name]}`);
  };
  // The docs are the only responses of 200 without a status: caches may keep them.
  const isDocs = status === 200 && !body.includes('"status":"');
  check("date", /^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/);
  check("x-request-id", /^[\x21-\x7e]{1,128}$/);
  check("x-content-type-options", /^nosniff$/);
  check("content-security-policy", /(?:^|; )frame-ancestors 'none'(?:;|$)/);
  check("content-type", /^(?:application\/json|text\/html; charset=utf-8)$/);
  check("content-length", /^\d+$/);
  check("cache-control", isDocs ? /^no-/ : /^no-store$/);
  if ("server" in headers) broken.push("Server");
  if (!isHead && body === "") broken.push("no body");
  return broken;
}

function partToText(part: Case["request"][number]): string {
  return typeof part === "string" ? part : part.repeat.repeat(part.times);
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(new URL(path, root), "utf8"));
}
