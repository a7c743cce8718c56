import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

import { repository } from "./checkout.ts";
import { killAtExit } from "./processes.ts";
import type { Scope } from "./scope.ts";
import { tempDirectory } from "./temp.ts";
import { findTool } from "./tools.ts";
import { until } from "./wait.ts";

/** A balancer with its configuration. */
export interface Balancer {
  /** Its program, and the package that has it. */
  readonly name: "nginx" | "haproxy";
  /** The port that its configuration listens on. */
  readonly port: number;
  /** Its arguments, for a directory of its own. */
  readonly args: (directory: string) => readonly string[];
  /** Files that it needs in this directory, by their names. */
  readonly files: Readonly<Record<string, string>>;
}

/** The ports of the two copies in both configurations. */
export const COPY_PORTS: readonly number[] = [8001, 8002];

const EXAMPLES = join(repository, "src/process/examples");

/** What the configuration of a distribution has around the files of conf.d. */
export function nginxConf(content: string): string {
  return `daemon off;
pid nginx.pid;
error_log stderr crit;
worker_processes 2;
events {}
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  ${content}
}
`;
}

/** nginx and HAProxy, each with its file in src/process/examples/ as it is. */
export const BALANCERS: readonly Balancer[] = [
  {
    name: "nginx",
    port: 8080,
    args: (directory) => ["-p", directory, "-c", "nginx.conf", "-e", "stderr"],
    files: { "nginx.conf": nginxConf(`include "${join(EXAMPLES, "nginx.conf")}";`) },
  },
  {
    name: "haproxy",
    port: 8081,
    args: () => ["-db", "-q", "-f", join(EXAMPLES, "haproxy.cfg")],
    files: {},
  },
];

/** Starts a balancer that ends with the test, and waits until it gets a response from a copy. */
export async function startBalancer(scope: Scope, balancer: Balancer): Promise<void> {
  const program = findTool(balancer.name);
  let child: ChildProcess | undefined;
  // Before the directory is removed, since nginx has its pid file there.
  scope.after(() => stop(child));
  child = spawn(program, balancer.args(tempDirectory(scope, balancer.files)), {
    stdio: ["ignore", "inherit", "inherit"],
  });
  killAtExit(child);
  const isServing = async (): Promise<boolean> => (await healthStatus(balancer.port)) === 200;
  await until(isServing, `${balancer.name} to serve`);
}

/** Ends a balancer and its workers at once. */
async function stop(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGTERM");
  await once(child, "exit");
}

/** The status of GET /health, or undefined without a response. */
export async function healthStatus(port: number): Promise<number | undefined> {
  try {
    const { status } = await fetch(`http://127.0.0.1:${port}/health`);
    return status;
  } catch {
    return undefined;
  }
}
