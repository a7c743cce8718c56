import assert from "node:assert/strict";
import { chmodSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { test, type TestContext } from "node:test";

import { createService } from "../src/http/server.ts";
import { createLog } from "../src/log.ts";
import { createStreamSink } from "../src/process/log-sink.ts";
import { healthRoute } from "../src/routes/health.ts";
import { type Balancer, nginxConf, startBalancer } from "./support/balancers.ts";
import { LogStream, untilWritten } from "./support/log-stream.ts";
import { freePorts } from "./support/processes.ts";
import { type Program, startProgram } from "./support/program.ts";
import { LIMITS } from "./support/server.ts";
import { tempDirectory } from "./support/temp.ts";

// Every address of 127.0.0.0/8 is this machine, so each party can have one of its own.
const CLIENT = "127.0.0.2";
const HAPROXY = "127.0.0.3";
const NGINX = "127.0.0.4";

/** What a client writes to be taken for another. */
const LIES: readonly (readonly string[])[] = [
  [],
  ["198.51.100.1"],
  ["198.51.100.1", "198.51.100.2"],
  [NGINX],
  [HAPROXY, NGINX],
  ["198.51.100.1, 127.0.0.4"],
  ["unknown"],
  [""],
  [","],
  ["198.51.100.1, "],
  ["a".repeat(4000)],
  ["198.51.100.1,".repeat(300)],
];

test("behind nginx, behind HAProxy and behind both, the log has the client", async (t) => {
  const program = await startProgram(t, { TRUSTED_PROXIES: `${NGINX}, ${HAPROXY}` });
  const nginx = await startNginx(t, `127.0.0.1:${program.port}`);
  const haproxy = await startHaproxy(t, program.port);
  const both = await startHaproxy(t, nginx);
  for (const [name, front] of Object.entries({ nginx, haproxy, both })) {
    for (const lie of LIES) {
      assert.equal(await remoteOf(program, front, lie), CLIENT, `${name}: ${JSON.stringify(lie)}`);
    }
  }
});

test("an address that is not trusted ends the search, be it a proxy's or the peer's", async (t) => {
  const rows: readonly (readonly [proxies: string, remote: string])[] = [
    ["", NGINX],
    [HAPROXY, NGINX],
    [NGINX, HAPROXY],
    ["127.0.0.0/8", "198.51.100.1"],
  ];
  for (const [proxies, remote] of rows) {
    const program = await startProgram(t, { TRUSTED_PROXIES: proxies });
    const front = await startHaproxy(t, await startNginx(t, `127.0.0.1:${program.port}`));
    assert.equal(await remoteOf(program, front, ["198.51.100.1"]), remote);
  }
});

test("with workers, the log has the client, too", async (t) => {
  const program = await startProgram(t, { TRUSTED_PROXIES: NGINX, WORKERS: "2" });
  const nginx = await startNginx(t, `127.0.0.1:${program.port}`);
  assert.equal(await remoteOf(program, nginx, ["198.51.100.1"]), CLIENT);
});

for (const [proxies, remote] of [
  [["unix"], CLIENT],
  [["127.0.0.4"], undefined],
] as const) {
  test(`on a Unix socket, with the proxies ${proxies}, the client is ${remote}`, async (t) => {
    const stream = new LogStream();
    const path = await listenOnUnixSocket(t, stream, proxies);
    const nginx = await startNginx(t, `unix:${path}`);
    await send(nginx, ["198.51.100.1"]);
    await untilWritten();
    assert.equal(stream.lines.at(-1)?.["remote"], remote);
  });
}

/** Starts nginx with its address in front of a server. It adds its peer to X-Forwarded-For. */
async function startNginx(t: TestContext, upstream: string): Promise<number> {
  const [port = 0] = await freePorts(1);
  const bind = upstream.startsWith("unix:") ? "" : `proxy_bind ${NGINX};`;
  const content = `server {
    listen 127.0.0.1:${port};
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    location / { ${bind} proxy_pass http://${upstream}; }
  }`;
  const balancer: Balancer = {
    name: "nginx",
    port,
    args: (directory) => ["-p", directory, "-c", "nginx.conf", "-e", "stderr"],
    files: { "nginx.conf": nginxConf(content) },
  };
  await startBalancer(t, balancer);
  return port;
}

/** Starts HAProxy with its address in front of a port. It adds a field of its own. */
async function startHaproxy(t: TestContext, upstreamPort: number): Promise<number> {
  const [port = 0] = await freePorts(1);
  const conf = `defaults
    mode http
    timeout connect 9s
    timeout client 9s
    timeout server 9s
frontend front
    bind 127.0.0.1:${port}
    option forwardfor
    default_backend back
backend back
    source ${HAPROXY}
    server one 127.0.0.1:${upstreamPort}
`;
  const balancer: Balancer = {
    name: "haproxy",
    port,
    args: (directory) => ["-db", "-q", "-f", join(directory, "haproxy.cfg")],
    files: { "haproxy.cfg": conf },
  };
  await startBalancer(t, balancer);
  return port;
}

/** Serves `/health` on a Unix socket, with a log. Returns its path. */
async function listenOnUnixSocket(
  t: TestContext,
  stream: LogStream,
  trustedProxies: readonly string[],
): Promise<string> {
  const directory = tempDirectory(t);
  // Started by root, nginx has workers of another user.
  chmodSync(directory, 0o755);
  const path = join(directory, "api.sock");
  const log = createLog("debug", createStreamSink(stream), { trustedProxies });
  const { server } = createService([healthRoute(() => false)], LIMITS, log);
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  await new Promise<void>((resolve) => server.listen({ path, writableAll: true }, resolve));
  return path;
}

let count = 0;

/** Sends a request from CLIENT through a proxy, and returns its address in the log. */
async function remoteOf(program: Program, port: number, lie: readonly string[]): Promise<unknown> {
  const id = await send(port, lie);
  const find = (): unknown => program.events("request").find((line) => line["request_id"] === id);
  await program.until(() => find() !== undefined, "the log to have the request");
  return (find() as { readonly remote?: unknown }).remote;
}

/** Requests an unknown path, since a probe is not logged. Returns the request's id. */
function send(port: number, lie: readonly string[]): Promise<string> {
  count += 1;
  const id = `sent-${count}`;
  const headers = { "X-Request-Id": id, "X-Forwarded-For": [...lie] };
  return new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port, path: "/nope", headers, localAddress: CLIENT };
    const sent = request({ ...options, agent: false }, (response) => {
      assert.equal(response.statusCode, 404);
      response.resume();
      response.on("end", () => resolve(id));
    });
    sent.on("error", reject);
    sent.end();
  });
}
