import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { before, describe, test } from "node:test";

import { json } from "../../src/http/reply.ts";
import { route } from "../../src/http/route.ts";
import { type Client, exchange, open } from "../support/client.ts";
import { get, lines, postEcho } from "../support/requests.ts";
import { suiteScope } from "../support/scope.ts";
import { echo, serveFor, type TestService } from "../support/server.ts";
import { CONNECTION } from "../support/transport.ts";
import { until } from "../support/wait.ts";

/** Request lines and the status of the response. */
const REQUEST_LINES: readonly (readonly [line: string, status: number])[] = [
  ["FOO / HTTP/1.1", 501],
  ["FOO / HTTP/1.0", 501],
  ["foo / HTTP/1.1", 501],
  ["F / HTTP/1.1", 501],
  ["GETX / HTTP/1.1", 501],
  ["POSTS / HTTP/1.1", 501],
  ["GE / HTTP/1.1", 501],
  ["BREW / HTTP/1.1", 501],
  ["FOO * HTTP/1.1", 501],
  ["FOO http://x/ HTTP/1.1", 501],
  ["!#$%&'*+-.^_`|~09AZaz / HTTP/1.1", 501],
  [`${"A".repeat(1000)} / HTTP/1.1`, 501],
  ["FOO / HTTP/2.0", 505],
  ["FOO / HTTP/1.2", 505],
  ["GET / HTTP/1.2", 505],
  ["GET / HTTP/1.9", 505],
  // The parser goes no further than the version.
  ["GET / HTTP/1.20", 505],
  ["GET / HTTP/1.2x", 505],
  ["GET / HTTP/2.0", 505],
  ["GET / HTTP/2.1", 505],
  ["GET / HTTP/3.0", 505],
  ["GET / HTTP/0.9", 505],
  ["GET / HTTP/0.0", 505],
  ["GET / HTTP/9.9", 505],
  ["GET /", 505],
  ["post /echo HTTP/1.1", 400],
  ["Post /echo HTTP/1.1", 400],
  ["gET / HTTP/1.1", 400],
  ["F@O / HTTP/1.1", 400],
  ["G@T / HTTP/1.1", 400],
  ["FOO/BAR / HTTP/1.1", 400],
  ["FOO: / HTTP/1.1", 400],
  ["GET, / HTTP/1.1", 400],
  ["F\xd6O / HTTP/1.1", 400],
  ["FOO\t/ HTTP/1.1", 400],
  [" FOO / HTTP/1.1", 400],
  [" GET / HTTP/1.1", 400],
  ["FOO", 400],
  ["FOO /", 400],
  ["FOO / HTTP/1", 400],
  ["FOO / HTTP/1.10", 400],
  ["FOO / http/1.1", 400],
  ["FOO  / HTTP/1.1", 400],
  ["FOO / a HTTP/1.1", 400],
  ["GET / HTP/1.1", 400],
  ["GET / HTTP/1", 400],
  ["GET / HTTP/2", 400],
  ["GET / HTTP/1.", 400],
  ["GET / HTTP/.1", 400],
  ["GET / HTTP/1.10", 400],
  ["GET / HTTP/11", 400],
  ["GET / HTTP/11.1", 400],
  ["GET / HTTP/01.1", 400],
  ["GET / HTTP/1,1", 400],
  ["GET / HTTP/1.x", 400],
  ["GET / HTTP/x.1", 400],
  ["GET / HTTP/-1.1", 400],
  ["GET / HTTP/1.1x", 400],
  ["GET / HTTP/1.1 ", 400],
  ["GET / http/1.1", 400],
  ["GET / HTTPS/1.1", 400],
  ["GET / ICE/1.0", 400],
  ["GET /x HTTP/1.1.json HTTP/1.1", 400],
  ["GET /x HTTP/1.1 HTTP/1.1", 400],
];

/** Sends each part when the service has read the one before. */
async function sendInParts(
  { server, port }: TestService,
  parts: readonly (string | Buffer)[],
): Promise<Client> {
  const accepted = new Promise<Socket>((resolve) => server.once(CONNECTION, resolve));
  const client = await open(port);
  client.socket.setNoDelay(true);
  const socket = await accepted;
  let sent = 0;
  for (const part of parts) {
    client.send(part);
    sent += part.length;
    await until(() => socket.bytesRead === sent || client.ended, "the part to be read");
  }
  return client;
}

describe("a bad request line", () => {
  const scope = suiteScope();
  let service: TestService;
  before(async () => {
    service = await serveFor(scope, [
      echo,
      route({ method: "GET", path: "/", handler: () => json(200, "ok") }),
    ]);
  });

  for (const [line, status] of REQUEST_LINES) {
    const name = JSON.stringify(line.slice(0, 40));
    test(`${name} is ${status}, and nothing after it is read`, async () => {
      const before = service.records.length;
      const bytes = `${lines(line, "Host: x")}${get("/")}`;
      const { responses, reset } = await exchange(service.port, bytes, { close: true });
      const [response] = responses;
      assert.deepEqual(
        [responses.length, response?.status, response?.headers["connection"], reset],
        [1, status, "close", false],
      );
      assert.match(response?.body ?? "", /^\{"detail":"[^"]+"\}$/);
      assert.deepEqual(
        service.records.slice(before).map((record) => record.status),
        [status],
      );
    });
  }

  test("RTSP/1.0 is taken for HTTP/1.0, since node:http hides the difference", async () => {
    const { responses } = await exchange(service.port, lines("GET / RTSP/1.0"));
    assert.deepEqual(
      responses.map(({ status, headers }) => [status, headers["connection"]]),
      [[200, "close"]],
    );
  });

  // Behind a body, no line end precedes the request line.
  const leaders: readonly (readonly [what: string, bytes: string | Buffer])[] = [
    ["a GET", get("/")],
    ["a body of JSON", postEcho('{"a":[1]}')],
    ["a body that ends in a digit", postEcho("17")],
    ["a body that ends in a line end", postEcho("1\n")],
  ];
  const followers = [
    ["FOO / HTTP/1.1", 501],
    ["GETX / HTTP/1.1", 501],
    ["GET / HTTP/1.2", 505],
    ["FOO / HTTP/1.2", 505],
    ["F@O / HTTP/1.1", 400],
    ["GET / HTP/1.1", 400],
  ] as const;
  for (const [what, leader] of leaders) {
    for (const [line, status] of followers) {
      test(`${line} behind ${what} is ${status}, after the first response`, async () => {
        const bytes = Buffer.concat([Buffer.from(leader), Buffer.from(lines(line, "Host: x"))]);
        const { responses, reset } = await exchange(service.port, bytes, { close: true });
        assert.deepEqual([responses.map((one) => one.status), reset], [[200, status], false]);
      });
    }
  }

  const cuttable = [
    ["FOO / HTTP/1.1", 501],
    ["GETX / HTTP/1.1", 501],
    ["GET / HTTP/1.2", 505],
    ["GET / HTTP/1.20", 505],
    ["GET / HTTP/2.0", 505],
    ["GET / HTTP/9.9", 505],
    ["GET / HTP/1.1", 400],
    ["GET / HTTP/1.x", 400],
    ["GET / HTTP/1.10", 400],
    ["GET /x HTTP/1.1.json HTTP/1.1", 400],
    ["F@O / HTTP/1.1", 400],
  ] as const;
  for (const [line, status] of cuttable) {
    test(`${line} is ${status}, wherever two reads cut it`, async () => {
      const bytes = lines(line, "Host: x");
      for (let cut = 1; cut < bytes.length; cut += 1) {
        const client = await sendInParts(service, [bytes.slice(0, cut), bytes.slice(cut)]);
        await client.untilEnded();
        const statuses = client.responses.map((response) => response.status);
        client.socket.destroy();
        // Without the blank behind it, a method can't be told from any other bytes.
        const isMethodCut = status === 501 && cut > line.search(/O|X/) && cut <= line.indexOf(" ");
        assert.deepEqual(statuses, [isMethodCut ? 400 : status], `cut at ${cut}`);
      }
    });
  }

  test("and bytes that follow it get no second response, and are not read for ever", async () => {
    const before = service.records.length;
    const accepted = new Promise<Socket>((resolve) => {
      service.server.once(CONNECTION, resolve);
    });
    const client = await open(service.port, "F@O\r\n", { allowHalfOpen: true });
    const socket = await accepted;
    await client.untilEnded();
    const garbage = Buffer.alloc(1_000_000, "garbage\r\n");
    for (let index = 0; index < 20; index += 1) client.send(garbage);
    await client.untilClosed();
    assert.equal(client.responses.length, 1);
    assert.equal(service.records.length, before + 1);
    // The last read may go a little past 3 MiB.
    assert.ok(socket.bytesRead > 3_000_000 && socket.bytesRead < 4_000_000, `${socket.bytesRead}`);
  });
});
