import { Agent, request } from "node:http";

import { KEY } from "../service.ts";

/** Requests that go on until stop(). */
export interface Load {
  /** How many have been answered or have failed. */
  readonly done: number;
  /** How many answers there were of each status. */
  readonly statuses: Readonly<Record<string, number>>;
  /** How many requests had no answer, by the code of the error. */
  readonly errors: Readonly<Record<string, number>>;
  /** Resolves when the last answer is in. */
  stop(): Promise<Load>;
}

/** Each of `connections` clients sends one `POST /process` after the other, as an ordinary HTTP client does. */
export function startLoad(port: number, { connections = 8, pauseMs = 0 } = {}): Load {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const statuses: Record<string, number> = {};
  const errors: Record<string, number> = {};
  let stopped = false;
  const load = {
    done: 0,
    statuses,
    errors,
    async stop(): Promise<Load> {
      stopped = true;
      await clients;
      agent.destroy();
      return load;
    },
  };
  const client = async (): Promise<void> => {
    while (!stopped) {
      const { status, code } = await sendTask(port, agent);
      if (status === undefined) errors[code] = (errors[code] ?? 0) + 1;
      else statuses[status] = (statuses[status] ?? 0) + 1;
      load.done += 1;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  };
  const clients = Promise.all(Array.from({ length: connections }, client));
  return load;
}

const TASK = '{"status":"SUCCESS"}';

/** The status of the answer, or the code of the error instead of one. */
function sendTask(port: number, agent: Agent): Promise<{ status?: number; code: string }> {
  const headers = {
    "X-API-Key": KEY,
    "Content-Type": "application/json",
    "Content-Length": TASK.length,
  };
  return new Promise((resolve) => {
    const fail = ({ code, message }: NodeJS.ErrnoException): void =>
      resolve({ code: code ?? message });
    const task = request(
      { port, host: "127.0.0.1", method: "POST", path: "/process", agent, headers },
      (answer) => {
        answer.resume();
        answer.on("error", fail);
        answer.on("end", () => resolve({ status: answer.statusCode ?? 0, code: "" }));
      },
    );
    task.on("error", fail);
    task.end(TASK);
  });
}
