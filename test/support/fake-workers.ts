import cluster, { type Worker } from "node:cluster";
import { EventEmitter } from "node:events";
import type { TestContext } from "node:test";

import type { PrimaryMessage } from "../../src/process/messages.ts";

/** Stands in for a worker process. The test speaks for it, and ends it. */
export class FakeWorker extends EventEmitter {
  readonly id: number;
  readonly process: { readonly pid: number; readonly kill: (signal: string) => void };
  /** What differs in its environment from the primary's. */
  readonly env: unknown;
  /** The messages that it has got. */
  readonly got: PrimaryMessage[] = [];
  /** The signals that it has got. */
  readonly signals: string[] = [];
  #isDead = false;

  constructor(id: number, env: unknown) {
    super();
    this.id = id;
    this.env = env;
    this.process = { pid: 1000 + id, kill: (signal) => this.signals.push(signal) };
  }

  /** What node:cluster calls to send it a message. */
  send(message: PrimaryMessage): void {
    this.got.push(message);
  }

  isDead(): boolean {
    return this.#isDead;
  }

  /** Sends a message, or what is none, to the primary. */
  says(message: unknown): void {
    cluster.emit("message", this, message);
  }

  /** Says that it listens. */
  listens(address: object): void {
    cluster.emit("listening", this, address);
  }

  /** Ends with an exit code, or by a signal. */
  ends(code: number | null, signal: string | null = null): void {
    this.#isDead = true;
    delete cluster.workers?.[this.id];
    cluster.emit("exit", this, code, signal);
    this.emit("exit", code, signal);
  }
}

/** Has node:cluster start fake workers until the test ends. Returns those that it has started. */
export function useFakeWorkers(t: TestContext): readonly FakeWorker[] {
  const workers: FakeWorker[] = [];
  const { workers: before } = cluster;
  const live: Record<string, Worker> = {};
  Object.assign(cluster, { workers: live });
  t.mock.method(cluster, "fork", (env: unknown) => {
    const worker = new FakeWorker(workers.length + 1, env);
    workers.push(worker);
    live[worker.id] = worker as unknown as Worker;
    return worker;
  });
  t.mock.method(cluster, "setupPrimary", () => {});
  t.after(() => {
    Object.assign(cluster, { workers: before });
    for (const event of ["message", "exit", "listening"]) cluster.removeAllListeners(event);
  });
  return workers;
}
