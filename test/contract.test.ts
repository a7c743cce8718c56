import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { isDeepStrictEqual } from "node:util";

import { root } from "./root.ts";
import { type Answer, exchange, type Service, startService } from "./service.ts";

interface Expected {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly json?: unknown;
}

interface Case {
  readonly name: string;
  readonly request: readonly (string | { readonly repeat: string; readonly times: number })[];
  readonly responses: readonly Expected[];
  readonly also?: readonly (readonly Expected[])[];
  readonly closed: boolean | null;
}

const { cases } = JSON.parse(readFileSync(new URL("test/contract/cases.json", root), "utf8")) as {
  cases: Case[];
};
const openapi: unknown = JSON.parse(readFileSync(new URL("src/docs/openapi.json", root), "utf8"));

const UUID4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe("the contract", { concurrency: 32 }, () => {
  let service: Service;
  before(async () => {
    service = await startService({ PROCESS_DELAY_MS: "50" });
  });
  after(() => service.stop());

  for (const { name, request, responses, also = [], closed } of cases) {
    test(`${name} gets the contract's answer`, async () => {
      const text = request
        .map((part) => (typeof part === "string" ? part : part.repeat.repeat(part.times)))
        .join("");
      const isHead = text.startsWith("HEAD ");
      const count = responses.length;
      // Where the connection must stay open, a closing within 300 ms would show.
      const limitMs = closed === false ? 300 : 10_000;
      const raw = await exchange(service.port, text, {
        count,
        close: closed !== null,
        isHead,
        limitMs,
      });
      if (closed !== null) assert.equal(raw.closed, closed, "whether the connection is closed");
      assert.equal(raw.reset, false, "no reset");
      const faults = [responses, ...also].map((expected) => differences(raw.answers, expected));
      assert.ok(
        faults.some((list) => list.length === 0),
        faults[0]?.join("\n"),
      );
      raw.answers.forEach((answer) => assert.deepEqual(ruleBreaks(answer, isHead), []));
    });
  }
});

/** In what the answers differ from those of the contract. */
function differences(answers: readonly Answer[], expected: readonly Expected[]): string[] {
  if (answers.length !== expected.length)
    return [`${answers.length} answers instead of ${expected.length}`];
  return expected.flatMap((one, index) => {
    const answer = answers[index] as Answer;
    const faults =
      answer.status === one.status
        ? []
        : [`status ${answer.status} instead of ${one.status}: ${answer.body}`];
    for (const [name, value] of Object.entries(one.headers)) {
      if (!sameField(name, answer.headers[name], value))
        faults.push(`${name}: ${answer.headers[name]} not ${value}`);
    }
    if (one.json !== undefined && !sameJson(answer.body, one.json))
      faults.push(`body ${answer.body}`);
    return faults;
  });
}

function sameField(name: string, value: string | undefined, expected: string): boolean {
  if (value === undefined) return false;
  if (name === "content-type") return value.split(";")[0] === expected.split(";")[0];
  if (name === "allow")
    return value.split(", ").sort().join() === expected.split(", ").sort().join();
  return value === expected;
}

function sameJson(body: string, expected: unknown): boolean {
  const value: unknown = JSON.parse(body);
  if (expected === "<openapi>") return isSameJson(value, openapi);
  if (expected === "<detail>") {
    const { detail, ...others } = value as Record<string, unknown>;
    return typeof detail === "string" && detail !== "" && Object.keys(others).length === 0;
  }
  const { id, ...others } = value as Record<string, unknown>;
  if ((expected as Record<string, unknown>)["id"] !== "<uuid4>") return isSameJson(value, expected);
  return (
    typeof id === "string" && UUID4.test(id) && isSameJson({ ...others, id: "<uuid4>" }, expected)
  );
}

/** Whether two values are the same JSON: -0 is 0 there. */
function isSameJson(value: unknown, expected: unknown): boolean {
  return isDeepStrictEqual(JSON.parse(JSON.stringify(value)), JSON.parse(JSON.stringify(expected)));
}

/** What every answer has, whatever it answers (design: D6 and below the table). */
function ruleBreaks({ status, headers, body }: Answer, isHead: boolean): string[] {
  const breaks: string[] = [];
  const expect = (name: string, pattern: RegExp): void => {
    if (!pattern.test(headers[name] ?? "")) breaks.push(`${name}: ${headers[name]}`);
  };
  expect("date", /^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/);
  expect("x-request-id", /^[\x21-\x7e]{1,128}$/);
  expect("x-content-type-options", /^nosniff$/);
  expect("content-type", /^(?:application\/json|text\/html; charset=utf-8)$/);
  expect("content-length", /^\d+$/);
  expect("cache-control", status === 200 && !body.includes('"status":"') ? /^no-/ : /^no-store$/);
  if ("server" in headers) breaks.push("Server");
  if (!isHead && body === "") breaks.push("no body");
  return breaks;
}
