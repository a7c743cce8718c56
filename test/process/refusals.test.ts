import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { exchange, openMany, untilAnswered, untilClosed } from "../support/client.ts";
import { startWithLogFile } from "../support/log-file.ts";
import { type LogLine, startProgram } from "../support/program.ts";
import { get } from "../support/requests.ts";

describe("connections past MAX_CONNECTIONS", () => {
  test("are counted in a line a second, the first at once", async (t) => {
    const program = await startProgram(t, { MAX_CONNECTIONS: "5", LOG_LEVEL: "warn" }, HINT);
    await untilAnswered(await openMany(program.port, 5, get("/health")));
    const start = performance.now();
    let refused = 0;
    const refuse = async (count: number): Promise<void> => {
      refused += count;
      await untilClosed(await openMany(program.port, count, get("/health")));
    };
    const refusals = (): LogLine[] => program.events("warning").filter((line) => "count" in line);
    const counted = (): number =>
      refusals().reduce((total, line) => total + Number(line["count"]), 0);
    await refuse(1);
    await program.until(() => counted() === 1, "the first line");
    for (let i = 0; i < 5; i += 1) await refuse(100);
    await program.until(() => counted() === refused, "a count of all refusals");
    const seconds = Math.ceil((performance.now() - start) / 1000);
    const lines = refusals();
    assert.ok(lines.length <= seconds + 1, `${lines.length} lines in ${seconds} s`);
    for (const line of lines) {
      assert.equal(
        line["message"],
        "5 connections are open (MAX_CONNECTIONS): new ones are closed",
      );
      assert.equal(line["level"], "warn");
    }
  });
});

describe("connections for which there is no file handle", () => {
  test("are reported once a second, as long as it lasts", async (t) => {
    const program = await startWithLogFile(t, { prelude: "ulimit -n 100" });
    const warnings = (): LogLine[] =>
      program.events("warning").filter((line) => String(line["message"]).includes("(EMFILE)"));
    const isServed = async (): Promise<boolean> => {
      const { responses } = await exchange(program.port, get("/health"));
      return responses[0]?.status === 200;
    };
    assert.ok(await isServed());
    const clients = await openMany(program.port, 150);
    await program.until(() => warnings().length >= 2, "two warnings");
    const [first = 0, second = 0] = warnings().map((line) => Date.parse(String(line["time"])));
    assert.ok(second - first >= 900, `${second - first} ms between them`);
    for (const { socket } of clients) socket.destroy();
    await program.until(isServed, "a response");
    const before = warnings().length;
    // Long enough for two further warnings.
    await sleep(2500);
    assert.ok(warnings().length <= before + 1);
    assert.equal(await program.stop(), 0);
  });
});

const HINT = { args: ["--hints"] };
