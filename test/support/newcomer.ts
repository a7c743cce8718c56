import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { copyRepository, killGroup, type RunningShell, Terminal } from "./checkout.ts";
import { freePorts } from "./processes.ts";
import { until } from "./wait.ts";

/** How long a block of commands may take, in ms: a bound, not a measurement. */
const LIMIT_MS = 120_000;

/** Somebody who types the commands of a document into a fresh clone, in their order. */
export class Newcomer {
  readonly #clone: string;
  readonly #port: Promise<number>;
  #terminal: Terminal | undefined;
  #service: RunningShell | undefined;

  constructor() {
    this.#clone = mkdtempSync(join(tmpdir(), "document-"));
    this.#port = freePorts(1).then(([port = 0]) => port);
    copyRepository(this.#clone);
  }

  /** Runs one block. If it calls the service, then that of `npm start` is running. */
  async run(block: string): Promise<void> {
    const terminal = await this.#openTerminal();
    // The packages are there, and without a network npm ci could not fetch them.
    const script = block.replace(/^npm ci && /, "");
    if (script === "npm start" || block.includes("127.0.0.1:8000")) await this.#startService();
    else await this.#stopService();
    if (script === "npm start") return;
    const port = await this.#port;
    const ownScript = script.replaceAll("127.0.0.1:8000", `127.0.0.1:${port}`);
    const { output, exit } = await terminal.run(ownScript, LIMIT_MS);
    assert.equal(exit, 0, output);
    assertPrinted(output, block);
  }

  /** Stops all that the commands have started, and removes the clone. */
  async leave(): Promise<void> {
    await this.#stopService();
    this.#terminal?.close();
    rmSync(this.#clone, { recursive: true, force: true });
  }

  async #openTerminal(): Promise<Terminal> {
    this.#terminal ??= new Terminal(this.#clone, { PORT: String(await this.#port) });
    return this.#terminal;
  }

  async #startService(): Promise<void> {
    if (this.#service !== undefined) return;
    const service = (await this.#openTerminal()).start("exec npm start");
    this.#service = service;
    const isReady = (): boolean => /"listening"/.test(service.output());
    await until(() => isReady() || service.exitCode !== null, "npm start to listen", LIMIT_MS);
    assert.ok(isReady(), service.output());
  }

  /** Presses Ctrl-C: a signal to npm and to what it has started. */
  async #stopService(): Promise<void> {
    if (this.#service === undefined) return;
    killGroup(this.#service, "SIGINT");
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
