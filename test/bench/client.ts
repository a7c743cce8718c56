// The client's process, load.ts, and the programs beside this one.
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

import type { Command, Reply, Result } from "./load.ts";

/** Gives the client's process one command. Rejects if it could not be done. */
export type Ask = (command: Command) => Promise<Result>;

/** Starts the client. It ends with this process, or when `stop` is called. */
export function startClient(): { readonly ask: Ask; readonly stop: () => void } {
  const client = fork(siblingPath("./load"));
  const ask: Ask = async (command) => {
    client.send(command);
    const [reply] = (await once(client, "message")) as [Reply];
    if (reply.kind === "error") throw new Error(`${command.do} ${command.pool}: ${reply.message}`);
    return reply.result;
  };
  return { ask, stop: () => client.disconnect() };
}

/** The path of another program: compiled if this one is compiled, else its source. */
export function siblingPath(path: string): string {
  const extension = import.meta.url.endsWith(".ts") ? ".ts" : ".js";
  return fileURLToPath(new URL(`${path}${extension}`, import.meta.url));
}
