import assert from "node:assert/strict";
import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import { Writable } from "node:stream";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";

import { ENDS_IN_TWO_WRITES, loadHttps, loadTls } from "../../src/http/node-modules.ts";

test("a response ends in two writes on the versions of Node of which it is said", async () => {
  const response = new ServerResponse(new IncomingMessage(new Socket()));
  const writes: number[] = [];
  const socket = new Writable({
    write: (_chunk, _encoding, done) => {
      writes.push(1);
      done();
    },
    writev: (chunks, done) => {
      writes.push(chunks.length);
      done();
    },
  });
  response.assignSocket(socket as Socket);
  response.writeHead(200, ["Content-Length", "2"]);
  response.end("ab", "latin1");
  await nextTurn();
  assert.deepEqual(writes, [ENDS_IN_TWO_WRITES ? 2 : 1]);
});

test("the modules for TLS are loaded when they are asked for", () => {
  assert.equal(typeof loadHttps().createServer, "function");
  assert.equal(typeof loadTls().createSecureContext, "function");
});
