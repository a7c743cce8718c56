import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { root } from "./root.ts";
import { exchange, get, type Service, until } from "./service.ts";
import { startLoad } from "./support/load.ts";
import { exitOf, freePorts, startFor } from "./support/processes.ts";

/** How long a stopping copy goes on, and how long until the proxy has looked away from it, and looks again. */
const SHUTDOWN_DELAY_MS = 1500;
const LOOK_AGAIN_MS = 3000;

/** A real proxy in front of ports 8001 and 8002, on 8080, as the README configures it. */
interface Proxy {
  readonly file: string;
  /** What makes it quick, for the test. */
  readonly quicker: readonly [string, string];
  /** The command line for a configuration in `directory`. */
  readonly command: (directory: string) => readonly string[];
  /** What it needs around the README's part. */
  readonly frame?: (directory: string) => string;
}

const NGINX_FRAME = `daemon off; pid nginx.pid; error_log stderr crit; worker_processes 2; events {}
http { access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
uwsgi_temp_path uwsgi; scgi_temp_path scgi; include api.conf; }
`;

const PROXIES: Readonly<Record<string, Proxy>> = {
  nginx: {
    file: "nginx.conf",
    quicker: ["fail_timeout=10s", "fail_timeout=2s"],
    command: (directory) => ["-p", directory, "-c", "frame.conf", "-e", "stderr"],
    frame: () => NGINX_FRAME,
  },
  haproxy: {
    file: "haproxy.cfg",
    quicker: ["inter 1s", "inter 100ms"],
    command: (directory) => ["-db", "-q", "-f", join(directory, "api.conf")],
  },
};

describe(
  "two copies behind a proxy, restarted one after the other under load",
  { concurrency: true },
  () => {
    for (const [name, proxy] of Object.entries(PROXIES)) {
      test(`${name}: no request fails`, async (t) => {
        if (spawnSync(name, ["-v"]).error !== undefined) {
          t.skip(`${name} is not installed`);
          return;
        }
        const [front = 0, ...ports] = await freePorts(3);
        const copies = await Promise.all(ports.map((port) => startCopy(t, port)));
        startProxy(t, name, proxy, front, ports);
        const probe = setInterval(() => void exchange(front, get("/health")), 100);
        t.after(() => clearInterval(probe));
        await untilServing(front);
        const load = startLoad(front, { connections: 16, pauseMs: 5 });
        for (const [i, port] of ports.entries()) {
          await sleep(500);
          copies[i]?.child.kill("SIGTERM");
          assert.equal(await exitOf(copies[i] as Service), 0);
          copies[i] = await startCopy(t, port);
          await sleep(LOOK_AGAIN_MS);
        }
        const { errors, statuses, done } = await load.stop();
        assert.deepEqual({ errors, statuses }, { errors: {}, statuses: { 200: done } });
        for (const copy of copies) assert.ok(tasksOf(copy) > 0, "each new copy has had its share");
      });
    }
  },
);

function startCopy(t: TestContext, port: number): Promise<Service> {
  return startFor(t, {
    PORT: String(port),
    PROCESS_DELAY_MS: "10",
    SHUTDOWN_DELAY_MS: String(SHUTDOWN_DELAY_MS),
  });
}

function tasksOf(copy: Service): number {
  return copy.events("request").filter(({ path }) => path === "/process").length;
}

function startProxy(
  t: TestContext,
  name: string,
  proxy: Proxy,
  front: number,
  ports: readonly number[],
): void {
  const directory = mkdtempSync(join(tmpdir(), "proxy-"));
  let text = readFileSync(new URL(`test/support/${proxy.file}`, root), "utf8");
  const places = [
    ["8001", `${ports[0]}`],
    ["8002", `${ports[1]}`],
    ["8080", `${front}`],
    proxy.quicker,
  ] as const;
  for (const [from, to] of places) {
    assert.ok(text.includes(from), `${proxy.file} has ${from}`);
    text = text.replaceAll(from, to);
  }
  writeFileSync(join(directory, "api.conf"), text);
  if (proxy.frame !== undefined)
    writeFileSync(join(directory, "frame.conf"), proxy.frame(directory));
  const child = spawn(name, proxy.command(directory), { stdio: ["ignore", "inherit", "inherit"] });
  t.after(() => stopProxy(child, directory));
}

/** SIGTERM: nginx and HAProxy end at once, with their workers. */
async function stopProxy(child: ChildProcess, directory: string): Promise<void> {
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  if (!hasEnded()) child.kill("SIGTERM");
  await until(hasEnded, "the proxy to end");
  rmSync(directory, { recursive: true, force: true });
}

async function untilServing(port: number): Promise<void> {
  const end = Date.now() + 20_000;
  while ((await exchange(port, get("/health"))).answers[0]?.status !== 200) {
    assert.ok(Date.now() < end, "the proxy serves");
    await sleep(50);
  }
}
