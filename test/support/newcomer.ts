import assert from "node:assert/strict";

import { copyRepository, type RunningShell, Terminal } from "./checkout.ts";
import { freePorts } from "./processes.ts";
import type { Scope } from "./scope.ts";
import { tempDirectory } from "./temp.ts";
import { until } from "./wait.ts";

/** How long a block of commands may take, in ms: a bound, not a measurement. */
const LIMIT_MS = 120_000;

/** Somebody who types the commands of a document into a fresh clone, in their order. */
export class Newcomer {
  readonly #terminal: Terminal;
  #service: RunningShell | undefined;
  /** What a block needs from those before it is missing after one that failed. */
  #hasFailed = false;

  /** All that the commands have started ends with the scope. */
  constructor(scope: Scope) {
    const clone = tempDirectory(scope);
    copyRepository(clone);
    this.#terminal = new Terminal(scope, clone);
  }

  /** Runs one block. If it calls the service, then that of `npm start` is running. */
  async run(block: string): Promise<void> {
    assert.ok(!this.#hasFailed, "a block above has failed");
    this.#hasFailed = true;
    await this.#type(block);
    this.#hasFailed = false;
  }

  async #type(block: string): Promise<void> {
    // The packages are there, and without a network npm ci could not fetch them.
    const script = block.replace(/^npm ci && /, "");
    if (script === "npm start" || block.includes("127.0.0.1:8000")) await this.#startService();
    else await this.#stopService();
    if (script === "npm start") return;
    const port = await this.#choosePort();
    const ownScript = script.replaceAll("127.0.0.1:8000", `127.0.0.1:${port}`);
    const { output, exit } = await this.#terminal.run(ownScript, LIMIT_MS);
    assert.equal(exit, 0, output);
    assertPrinted(output, block);
  }

  /** The documents name port 8000. Here each clone has a port of its own. */
  async #choosePort(): Promise<string> {
    const { variables } = this.#terminal;
    variables["PORT"] ??= String((await freePorts(1))[0]);
    return variables["PORT"];
  }

  async #startService(): Promise<void> {
    if (this.#service !== undefined) return;
    await this.#choosePort();
    const service = this.#terminal.start("exec npm start");
    this.#service = service;
    const isReady = (): boolean => service.output().includes('"listening"');
    await until(() => isReady() || service.hasEnded(), "npm start to listen", LIMIT_MS);
    assert.ok(isReady(), service.output());
  }

  /** Presses Ctrl-C: a signal to npm and to what it has started. */
  async #stopService(): Promise<void> {
    if (this.#service === undefined) return;
    this.#service.kill("SIGINT");
    await this.#service.exit;
    this.#service = undefined;
  }
}

/** The lines after "# " of a block are what its commands print, in this order, but for UUIDs. */
function assertPrinted(output: string, block: string): void {
  const withoutUuids = (text: string): string => text.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, "UUID");
  let rest = withoutUuids(output);
  for (const line of block.split("\n").filter((one) => one.startsWith("# "))) {
    const expected = withoutUuids(line.slice(2));
    const at = rest.indexOf(expected);
    assert.notEqual(at, -1, `${expected} is missing in:\n${output.slice(0, 2000)}`);
    rest = rest.slice(at + expected.length);
  }
}
