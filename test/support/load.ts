import { Agent, request } from "node:http";

import { KEY } from "./requests.ts";

/** Requests that go on until stop(). */
export interface Load {
  /** How many have their response or have failed. */
  readonly done: number;
  /** How many responses there were of each status. */
  readonly statuses: Readonly<Record<string, number>>;
  /** How many requests got no response, by the code of the error. */
  readonly errors: Readonly<Record<string, number>>;
  /** Resolves after the last response. */
  stop(): Promise<Load>;
}

/** How a load is put on a service. */
export interface LoadOptions {
  /** How many clients there are. */
  readonly connections?: number;
  /** How long a client waits after each response, in ms. */
  readonly pauseMs?: number;
}

/** Each client sends one `POST /process` after the other, as ordinary HTTP clients do. */
export function startLoad(port: number, { connections = 8, pauseMs = 0 }: LoadOptions = {}): Load {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const statuses: Record<string, number> = {};
  const errors: Record<string, number> = {};
  let isStopped = false;
  const load = {
    done: 0,
    statuses,
    errors,
    async stop(): Promise<Load> {
      isStopped = true;
      await clients;
      agent.destroy();
      return load;
    },
  };
  const run = async (): Promise<void> => {
    while (!isStopped) {
      const outcome = await sendTask(port, agent);
      if ("status" in outcome) count(statuses, outcome.status);
      else count(errors, outcome.errorCode);
      load.done += 1;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  };
  const clients = Promise.all(Array.from({ length: connections }, run));
  return load;
}

const TASK = '{"status":"SUCCESS"}';

type Outcome = { readonly status: number } | { readonly errorCode: string };

function sendTask(port: number, agent: Agent): Promise<Outcome> {
  const headers = {
    "X-API-Key": KEY,
    "Content-Type": "application/json",
    "Content-Length": TASK.length,
  };
  const options = { port, host: "127.0.0.1", method: "POST", path: "/process", agent, headers };
  return new Promise((resolve) => {
    const fail = ({ code, message }: NodeJS.ErrnoException): void => {
      resolve({ errorCode: code ?? message });
    };
    const task = request(options, (response) => {
      response.resume();
      response.on("error", fail);
      response.on("end", () => resolve({ status: response.statusCode ?? 0 }));
    });
    task.on("error", fail);
    task.end(TASK);
  });
}

function count(counts: Record<string, number>, name: string | number): void {
  counts[name] = (counts[name] ?? 0) + 1;
}
