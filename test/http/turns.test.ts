import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, test } from "node:test";

import { Turns } from "../../src/http/turns.ts";
import { openMany } from "../support/client.ts";
import { get } from "../support/requests.ts";
import { echo, serveFor } from "../support/server.ts";

/** Adds tasks that note their numbers. */
function addNumbered(turns: Turns, count: number): number[] {
  const done: number[] = [];
  for (let number = 0; number < count; number += 1) turns.add(() => done.push(number));
  return done;
}

const FIRST_10 = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

describe("turns", () => {
  test("run nothing at once", async () => {
    const done = addNumbered(new Turns(), 1);
    assert.deepEqual(done, []);
    await nextTurn();
    assert.deepEqual(done, [0]);
  });

  test("run 4 tasks each, in the order in which they were added", async () => {
    const done = addNumbered(new Turns(), 10);
    for (const count of [4, 8, 10, 10]) {
      await nextTurn();
      assert.deepEqual(done, FIRST_10.slice(0, count));
    }
  });

  test("run what a task adds in a later turn, behind those that wait", async () => {
    const turns = new Turns();
    const done: string[] = [];
    turns.add(() => {
      done.push("first");
      turns.add(() => done.push("third"));
    });
    turns.add(() => done.push("second"));
    await nextTurn();
    assert.deepEqual(done, ["first", "second"]);
    await nextTurn();
    assert.deepEqual(done, ["first", "second", "third"]);
  });

  test("run 4 each, too, if every task adds another", async () => {
    const turns = new Turns();
    let done = 0;
    const repeat = (): void => {
      done += 1;
      if (done < 40) turns.add(repeat);
    };
    for (let index = 0; index < 10; index += 1) turns.add(repeat);
    for (let turn = 1; turn <= 5; turn += 1) {
      await nextTurn();
      assert.equal(done, turn * 4);
    }
    for (let turn = 0; turn < 20; turn += 1) await nextTurn();
    assert.equal(done, 49, "40, and what was added before");
  });

  test("begin again after they have been idle", async () => {
    const turns = new Turns();
    for (let round = 0; round < 3; round += 1) {
      const done = addNumbered(turns, 1);
      await nextTurn();
      assert.deepEqual(done, [0]);
      await nextTurn();
    }
  });
});

describe("requests that are pipelined", () => {
  test("few of all connections are served in a turn, once all have been read", async (t) => {
    const sockets = new Set<Socket>();
    const counts: number[] = [0];
    const service = await serveFor(t, [echo]);
    service.server.on("request", ({ socket }) => {
      sockets.add(socket);
      counts.push((counts.pop() ?? 0) + 1);
    });
    const clients = await openMany(service.port, 50, get("/nowhere").repeat(60));
    const isOver = (): boolean => clients.every(({ responses }) => responses.length === 60);
    let firstTurn = Infinity;
    while (!isOver()) {
      await nextTurn();
      if (sockets.size === 50) firstTurn = Math.min(firstTurn, counts.length);
      counts.push(0);
    }
    const later = counts.slice(firstTurn);
    assert.ok(later.length > 50, `${later.length} turns`);
    // 4 of each of 4 connections, twice between two turns of this test. Otherwise it is 4 of each.
    assert.ok(Math.max(...later) <= 32, `${Math.max(...later)} in one turn`);
  });
});
