import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import type { IncomingMessage } from "node:http";
import { before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";

import { checkBodyFields, parseBody, readBody } from "../../src/http/body.ts";
import { MemoryBudget } from "../../src/http/budget.ts";
import { declaredLength } from "../../src/http/head.ts";
import { HttpError, json } from "../../src/http/reply.ts";
import type { Exchange } from "../../src/http/exchange.ts";
import { object, string } from "../../src/http/model.ts";
import { route } from "../../src/http/route.ts";
import { exchange, open } from "../support/client.ts";
import { lines, postChunks, postEcho } from "../support/requests.ts";
import { suiteScope } from "../support/scope.ts";
import { anything, echo, serveFor, type TestService } from "../support/server.ts";
import { until } from "../support/wait.ts";

const LIMIT = 100;

/** A request of which only the header fields are looked at. */
function withFields(headers: Readonly<Record<string, string>>): IncomingMessage {
  return { headers } as unknown as IncomingMessage;
}

/** The answer for the client, if it is one. */
function refusal(action: () => unknown): HttpError | undefined {
  const result = action();
  return result instanceof HttpError ? result : undefined;
}

const NO_BODY =
  '{"detail":[{"type":"missing","loc":["body"],"msg":"Field required","input":null}]}';

test("a body has its Content-Length, that of chunks is unknown, and without either there is none", () => {
  const rows: readonly (readonly [Record<string, string>, number | undefined])[] = [
    [{}, 0],
    [{ "content-length": "0" }, 0],
    [{ "content-length": "00" }, 0],
    [{ "content-length": "1" }, 1],
    [{ "content-length": "0010" }, 10],
    [{ "content-length": "1048577" }, 1_048_577],
    [{ "transfer-encoding": "chunked" }, undefined],
    [{ "content-type": "application/json" }, 0],
  ];
  for (const [headers, length] of rows) assert.equal(declaredLength(withFields(headers)), length);
});

const TYPES = [
  "application/json",
  "APPLICATION/JSON",
  "Application/Json",
  "application/json;charset=UTF-8",
  "application/json; charset=latin-1",
  'application/json ; Charset="utf-8"',
  "application/json ;",
  "application/json;",
  "application/json\t;x",
  "application/json ",
  "application/json;charset=utf-16",
  "application/vnd.x+json",
  "application/problem+json",
  "application/ld+json;a=b",
  "application/VND.X+JSON",
  "application/a+b+json",
  "application/vnd.api-v1.2_x+json",
  "application/json;,",
];
for (const type of TYPES) {
  test(`a body of the type ${JSON.stringify(type)} is read`, () => {
    const headers = { "content-length": "1", "content-type": type };
    assert.equal(
      refusal(() => checkBodyFields(withFields(headers), LIMIT)),
      undefined,
    );
  });
}

const OTHER_TYPES = [
  undefined,
  "",
  " ",
  "json",
  "text/json",
  "text/plain",
  "text/plain; application/json",
  "application/x-www-form-urlencoded",
  "multipart/form-data; boundary=x",
  "application/octet-stream",
  "application/jsonx",
  "application/json-seq",
  "application/jsonp",
  "xapplication/json",
  "application/xjson",
  "application/+json",
  "application/json+xml",
  "application/json, application/json",
  "application/json charset=utf8",
  "application/json,",
  "application/json/x",
  "application//json",
  "application/ json",
  "application /json",
  "application/vnd.x+jsonx",
  "application/vnd x+json",
  "application/a/b+json",
  "application/vnd.é+json",
  "*/*",
  "application/*",
  "application/*;json",
  "application/javascript",
  '"application/json"',
  "application%2Fjson",
  "application/json\n",
];
for (const type of OTHER_TYPES) {
  test(`a body of the type ${JSON.stringify(type)} is 415, with a word on what to send`, () => {
    const headers = {
      "content-length": "1",
      ...(type === undefined ? {} : { "content-type": type }),
    };
    const error = refusal(() => checkBodyFields(withFields(headers), LIMIT));
    assert.equal(error?.status, 415);
    assert.match(error?.body ?? "", /^\{"detail":"[^"]*application\/json"\}$/);
  });
}

const CODINGS = [
  "gzip",
  "GZIP",
  "deflate",
  "br",
  "zstd",
  "x-gzip",
  "compress",
  "identity, gzip",
  "gzip, identity",
  "gzip;q=0",
  "x",
  "utf-8",
];
for (const coding of CODINGS) {
  test(`a body with Content-Encoding: ${coding} is 415, which says that none is accepted`, () => {
    const headers = {
      "content-length": "1",
      "content-type": "application/json",
      "content-encoding": coding,
    };
    const error = refusal(() => checkBodyFields(withFields(headers), LIMIT));
    assert.equal(error?.status, 415);
    // RFC 9110 15.5.16
    assert.deepEqual(error?.headers.slice(-2), ["Accept-Encoding", "identity"]);
  });
}

test("Content-Encoding: identity is none, in any case", () => {
  for (const coding of ["identity", "Identity", "IDENTITY"]) {
    const headers = {
      "content-length": "1",
      "content-type": "application/json",
      "content-encoding": coding,
    };
    assert.equal(
      refusal(() => checkBodyFields(withFields(headers), LIMIT)),
      undefined,
    );
  }
});

test("the fields are checked in this order: no body, type, coding, size", () => {
  const rows: readonly (readonly [Record<string, string>, number])[] = [
    [{ "content-type": "text/plain", "content-encoding": "gzip" }, 422],
    [{ "content-length": "0", "content-type": "text/plain" }, 422],
    [{ "content-length": "101", "content-type": "text/plain", "content-encoding": "gzip" }, 415],
    [
      { "content-length": "101", "content-type": "application/json", "content-encoding": "gzip" },
      415,
    ],
    [{ "content-length": "101", "content-type": "application/json" }, 413],
    [{ "content-length": "100", "content-type": "application/json" }, 0],
    [{ "transfer-encoding": "chunked", "content-type": "application/json" }, 0],
  ];
  for (const [headers, status] of rows) {
    assert.equal(
      refusal(() => checkBodyFields(withFields(headers), LIMIT))?.status ?? 0,
      status,
      JSON.stringify(headers),
    );
  }
});

test("no body needs no type: it is 422, in FastAPI's words", () => {
  assert.equal(refusal(() => checkBodyFields(withFields({}), LIMIT))?.body, NO_BODY);
  assert.equal(refusal(() => parseBody(Buffer.alloc(0), anything))?.body, NO_BODY);
});

const BOM = [0xef, 0xbb, 0xbf];
const bytes = (...parts: readonly (string | readonly number[])[]): Buffer =>
  Buffer.concat(
    parts.map((part) => (typeof part === "string" ? Buffer.from(part) : Buffer.from(part))),
  );

test("one byte order mark is not part of the text", () => {
  assert.deepEqual(parseBody(bytes(BOM, '{"a":1}'), anything), { a: 1 });
  assert.deepEqual(parseBody(bytes('{"a":"\ufeff"}'), anything), { a: "\ufeff" });
});

const NO_JSON: readonly (readonly [string, Buffer, number])[] = [
  ["two byte order marks", bytes(BOM, BOM, '{"a":1}'), 0],
  ["a byte order mark alone", bytes(BOM), 0],
  ["a byte order mark after a blank", bytes(" ", BOM, "1"), 1],
  ["a no-break space", bytes("\u00a0{}"), 0],
  ["UTF-16 without a byte order mark", Buffer.from('{"a":1}', "utf16le"), 1],
  ["a lone brace", bytes("{"), 1],
  ["text after the value", bytes("1 2"), 2],
  ["an astral character, which counts once", bytes('"😀" x'), 4],
  ["NaN", bytes("NaN"), 0],
  ["Infinity", bytes("[Infinity]"), 1],
  ["blanks alone", bytes(" \t\r\n"), 4],
  ["a NUL", bytes("\0"), 0],
];
for (const [what, body, position] of NO_JSON) {
  test(`${what}: 422 json_invalid with the place, and nothing of what was sent`, () => {
    const error = refusal(() => parseBody(body, anything));
    assert.equal(error?.status, 422);
    const { detail } = JSON.parse(error?.body ?? "") as { detail: Record<string, unknown>[] };
    assert.equal(detail.length, 1);
    assert.deepEqual(
      { ...detail[0], ctx: undefined },
      {
        type: "json_invalid",
        loc: ["body", position],
        msg: "JSON decode error",
        input: {},
        ctx: undefined,
      },
    );
    assert.match(JSON.stringify(detail[0]?.["ctx"]), /^\{"error":"[^"]+"\}$/);
  });
}

const NOT_UTF8: readonly (readonly [string, Buffer])[] = [
  ["the byte FF in a string", bytes('{"status":"', [0xff], '"}')],
  ["a sequence cut short", bytes('{"status":"', [0xc3], '"}')],
  ["a sequence cut short at the end", bytes("1", [0xe2, 0x82])],
  ["a lone continuation byte", bytes('"', [0x80], '"')],
  ["an overlong slash", bytes('"', [0xc0, 0xaf], '"')],
  ["a surrogate in UTF-8", bytes('"', [0xed, 0xa0, 0x80], '"')],
  ["a code point past 10FFFF", bytes('"', [0xf4, 0x90, 0x80, 0x80], '"')],
  ["a Latin-1 letter", bytes('{"caf', [0xe9], '":1}')],
  ["a bad byte after the end of the value", bytes("1 ", [0xfe])],
  ["UTF-16 with its byte order mark", bytes([0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00])],
];
for (const [what, body] of NOT_UTF8) {
  test(`${what} is 400, never a replacement character`, () => {
    const error = refusal(() => parseBody(body, anything));
    assert.deepEqual(
      [error?.status, error?.body],
      [400, '{"detail":"There was an error parsing the body"}'],
    );
  });
}

test("the model's faults are one 422, and its value is returned when there are none", () => {
  const model = object({ a: string(), b: string() });
  const error = refusal(() => parseBody(Buffer.from('{"a":1}'), model));
  const { detail } = JSON.parse(error?.body ?? "") as { detail: { type: string }[] };
  assert.deepEqual(
    [error?.status, detail.map(({ type }) => type)],
    [422, ["string_type", "missing"]],
  );
  assert.deepEqual(parseBody(Buffer.from('{"b":"2","a":"1","c":3}'), model), { a: "1", b: "2" });
});

/** A body that arrives as a test says. */
function arriving(bodyError?: HttpError): { request: EventEmitter; exchange: Exchange } {
  const request = Object.assign(new EventEmitter(), {
    read: () => null,
    headers: { "transfer-encoding": "chunked" },
  });
  return {
    request,
    exchange: { request, bodyError, bodyReader: undefined } as unknown as Exchange,
  };
}

/** All that readBody() says of a body. */
function reading(exchange: Exchange, maxBytes: number): (Buffer | HttpError)[] {
  const outcomes: (Buffer | HttpError)[] = [];
  readBody(exchange, { maxBytes, budget: new MemoryBudget(1_000_000) }, (outcome) =>
    outcomes.push(outcome),
  );
  return outcomes;
}

test("a body is what its chunks make together, whatever their sizes, and no chunk is changed", () => {
  for (const sizes of [
    [],
    [5],
    [1, 1, 1],
    [3, 1],
    [1, 7, 0, 2, 30, 1],
    Array<number>(50).fill(1),
  ]) {
    const { request, exchange } = arriving();
    const outcomes = reading(exchange, LIMIT);
    const chunks = sizes.map((size, index) => Buffer.alloc(size, 65 + index));
    for (const chunk of chunks) request.emit("data", Buffer.from(chunk));
    request.emit("end");
    assert.deepEqual(outcomes, [Buffer.concat(chunks)]);
    assert.deepEqual(
      [request.eventNames(), exchange.bodyReader],
      [[], undefined],
      "nothing holds on to it",
    );
  }
});

test("a body that fails, before or while it is read, is refused for that reason first", () => {
  const reason = new HttpError(408, "late");
  assert.deepEqual(reading(arriving(reason).exchange, LIMIT), [reason]);
  const { request, exchange } = arriving();
  const outcomes = reading(exchange, LIMIT);
  request.emit("data", Buffer.from("{"));
  exchange.bodyReader?.fail(reason);
  assert.deepEqual(outcomes, [reason]);
});

test("the body's limit counts bytes, however they are cut: the limit is taken, one more is 413, once", () => {
  for (const size of [1, 7, 99, 100, 101]) {
    for (const total of [LIMIT, LIMIT + 1, 10 * LIMIT]) {
      const { request, exchange } = arriving();
      const outcomes = reading(exchange, LIMIT);
      for (let at = 0; at < total; at += size)
        request.emit("data", Buffer.alloc(Math.min(size, total - at)));
      request.emit("end");
      const [outcome] = outcomes;
      assert.equal(outcomes.length, 1);
      if (outcome instanceof HttpError)
        assert.match(`${outcome.status} ${outcome.body}`, new RegExp(`^413 .*${LIMIT} bytes`));
      assert.equal(outcome instanceof HttpError, total > LIMIT);
      if (outcome instanceof Buffer) assert.equal(outcome.length, LIMIT);
    }
  }
});

/** The shortest of several CPU times of reading `count` chunks of one byte. */
function readingTime(count: number): number {
  const chunk = Buffer.from("a");
  let best = Infinity;
  for (let round = 0; round < 5; round++) {
    const { request, exchange } = arriving();
    const start = process.cpuUsage();
    const outcomes = reading(exchange, count);
    for (let i = 0; i < count; i++) request.emit("data", chunk);
    request.emit("end");
    assert.deepEqual(
      outcomes.map((outcome) => outcome instanceof Buffer && outcome.length),
      [count],
    );
    const { user, system } = process.cpuUsage(start);
    best = Math.min(best, user + system);
  }
  return best;
}

test("chunks of one byte cost time in proportion to their number", () => {
  readingTime(100_000);
  const ratio = readingTime(800_000) / readingTime(200_000);
  assert.ok(ratio < 12, `four times the chunks took ${ratio} times as long`);
});

test("a handler never sees a body that was refused, even if the rest of it arrives", async (t) => {
  const bodies: unknown[] = [];
  const count = route({
    method: "POST",
    path: "/echo",
    body: anything,
    handler: (body) => json(200, bodies.push(body)),
  });
  const service = await serveFor(t, [count], { maxBodyBytes: LIMIT });
  for (const size of [1, LIMIT, 4 * LIMIT]) {
    const { responses } = await exchange(
      service.port,
      postChunks(`[${" ".repeat(2 * LIMIT)}]`, size),
    );
    assert.deepEqual(
      responses.map(({ status }) => status),
      [413],
    );
  }
  const { responses } = await exchange(service.port, postChunks("[]", 1));
  assert.deepEqual([responses[0]?.body, bodies], ["1", [[]]]);
  // While draining, a body that takes more than a second is refused: the rest comes after the 408.
  const late = await open(service.port, "", { allowHalfOpen: true });
  const body = postChunks("[]", 1);
  late.send(body.subarray(0, -1));
  await until(() => service.connections.inFlight === 1, "the request");
  await service.connections.drain(service.server);
  late.socket.end(body.subarray(-1));
  await until(() => late.closed, "the connection to be closed");
  assert.deepEqual([late.responses.map(({ status }) => status), bodies.length], [[408], 1]);
});

describe("bodies on the wire", { concurrency: 8 }, () => {
  const suite = suiteScope();
  let service: TestService;
  before(async () => {
    service = await serveFor(suite, [echo], { maxBodyBytes: LIMIT });
  });

  /** The statuses of the final responses to these bytes. */
  async function statuses(request: Buffer, limitMs = 3000): Promise<number[]> {
    return (await exchange(service.port, request, { limitMs })).responses.map(
      ({ status }) => status,
    );
  }

  test("exactly the limit is read, one byte more is 413, with a length or in chunks of any size", async () => {
    const text = (size: number): string => JSON.stringify("a".repeat(size - 2));
    assert.deepEqual(await statuses(postEcho(text(LIMIT))), [200]);
    assert.deepEqual(await statuses(postEcho(text(LIMIT + 1))), [413]);
    for (const size of [1, 7, 100, 1000]) {
      assert.deepEqual(await statuses(postChunks(text(LIMIT), size)), [200], `${size}`);
      assert.deepEqual(await statuses(postChunks(text(LIMIT + 1), size)), [413], `${size}`);
    }
  });

  test("a length past the limit is 413 at once, without waiting for a byte of the body", async () => {
    for (const length of ["101", "10485760", "1073741824", "9007199254740993"]) {
      const head = lines(
        "POST /echo HTTP/1.1",
        "Host: x",
        "Content-Type: application/json",
        `Content-Length: ${length}`,
      );
      assert.deepEqual(await statuses(Buffer.from(head)), [413], length);
    }
  });

  test("chunks past the limit are 413 before the last one has come, and the connection closes", async () => {
    const client = await open(service.port);
    client.send(postChunks("1".repeat(50), 10).subarray(0, -5));
    assert.equal(client.responses.length, 0);
    client.send(`64\r\n${"1".repeat(100)}\r\n`);
    const [answer] = await client.untilResponses(1);
    assert.deepEqual([answer?.status, answer?.headers["connection"]], [413, "close"]);
    await client.untilEnded();
    assert.equal(client.reset, false);
  });

  test("a body in two reads, in the middle of a letter, is put together", async () => {
    const client = await open(service.port);
    const request = postEcho('"é"');
    client.send(request.subarray(0, -2));
    await new Promise((resolve) => setTimeout(resolve, 20));
    client.send(request.subarray(-2));
    const [answer] = await client.untilResponses(1);
    assert.deepEqual([answer?.status, answer?.body], [200, '"é"']);
  });

  test("an empty chunked body is no body: 422 missing", async () => {
    const { responses } = await exchange(service.port, postChunks("", 1));
    assert.deepEqual(
      responses.map(({ status, body }) => [status, body]),
      [[422, NO_BODY]],
    );
  });

  test("an empty chunked body is of a type: 415 before 422", async () => {
    const head = lines("POST /echo HTTP/1.1", "Host: x", "Transfer-Encoding: chunked");
    assert.deepEqual(await statuses(Buffer.from(`${head}0\r\n\r\n`)), [415]);
  });

  test("chunk extensions and trailer fields are read and ignored", async () => {
    const head = lines(
      "POST /echo HTTP/1.1",
      "Host: x",
      "Content-Type: application/json",
      "Transfer-Encoding: chunked",
    );
    assert.deepEqual(
      await statuses(
        Buffer.from(`${head}3;a=b;c="d"\r\n[1]\r\n0;x\r\nContent-Type: text/plain\r\nA: b\r\n\r\n`),
      ),
      [200],
    );
  });

  const broken: readonly (readonly [string, string])[] = [
    ["a chunk's size that is no number", "x\r\n1\r\n0\r\n\r\n"],
    ["a negative size", "-1\r\n1\r\n0\r\n\r\n"],
    ["a size with 0x", "0x1\r\n1\r\n0\r\n\r\n"],
    ["a chunk longer than its size", "1\r\n12\r\n0\r\n\r\n"],
    ["no line end after a chunk", "1\r\n10\r\n\r\n"],
    ["a size past 64 bits", "ffffffffffffffffff\r\n1\r\n0\r\n\r\n"],
  ];
  for (const [what, chunks] of broken) {
    test(`${what} is one 400, and the connection closes`, async () => {
      const head = lines(
        "POST /echo HTTP/1.1",
        "Host: x",
        "Content-Type: application/json",
        "Transfer-Encoding: chunked",
      );
      const { responses, closed, reset } = await exchange(service.port, `${head}${chunks}`, {
        close: true,
      });
      assert.deepEqual(
        responses.map(({ status, headers }) => [status, headers["connection"]]),
        [[400, "close"]],
      );
      assert.deepEqual([closed, reset], [true, false]);
    });
  }

  test("compressed bodies, honest, lying or bombs, are 415 and never inflated", async () => {
    const fields = "Content-Encoding: gzip";
    for (const body of [
      gzipSync("[1]"),
      Buffer.from("[1]"),
      gzipSync(Buffer.alloc(30_000)).subarray(0, 90),
    ]) {
      const { responses } = await exchange(service.port, postEcho(body, fields));
      assert.deepEqual(
        responses.map(({ status, headers }) => [status, headers["accept-encoding"]]),
        [[415, "identity"]],
      );
    }
    assert.deepEqual(await statuses(postEcho("[1]", "Content-Encoding: identity")), [200]);
    assert.deepEqual(
      await statuses(postEcho("[1]", "Content-Encoding: identity", "Content-Encoding: gzip")),
      [415],
    );
  });

  test("body bytes never become a request", async () => {
    const smuggled = lines("GET /smuggled HTTP/1.1", "Host: x");
    const text = `${postEcho(smuggled).toString("latin1")}${postEcho("[1]").toString("latin1")}`;
    const { responses } = await exchange(service.port, text, { count: 2 });
    assert.deepEqual(
      responses.map(({ status }) => status),
      [422, 200],
    );
  });
});
