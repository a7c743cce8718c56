import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";

import { LOG_LEVELS, type LogLevel } from "../src/log.ts";
import { exchange, statusOf } from "./support/client.ts";
import { type Program, startProgram } from "./support/program.ts";
import { get, KEY, post, postHead } from "./support/requests.ts";

const WRONG = "wrong-key-MaRkEr-0123456789";
const BODY_MARK = "BoDyMaRkEr";
const QUERY_MARK = "QuErYmArKeR";

/** Requests with keys, bodies and queries in every place. */
function requestsWithSecrets(): (string | Buffer)[] {
  const body = JSON.stringify({ status: "SUCCESS", note: `${BODY_MARK} ${KEY} ${WRONG}` });
  return [
    post(body),
    post(JSON.stringify({ status: `${BODY_MARK} ${KEY}` })),
    post(`{"status": ${BODY_MARK} ${WRONG}`),
    post(`{"status": {"${BODY_MARK}": "${KEY}"}}`),
    post(`\xff${BODY_MARK}`),
    post(body, [], { key: WRONG }),
    post(body, [`X-API-Key: ${KEY}`]),
    post(body, [`X-API-Key: ${WRONG}`], { key: "" }),
    post(body, [`api-key: ${KEY}`, `Authorization: Bearer ${WRONG}`, `Cookie: key=${KEY}`], {
      key: "",
    }),
    post(body, [`Referer: http://x/?${QUERY_MARK}=${KEY}`, `User-Agent: ${WRONG}`]),
    post(body, [], { type: `text/plain; ${BODY_MARK}=${KEY}` }),
    post(body, [`Content-Encoding: ${WRONG}`]),
    post(body, [`Expect: ${WRONG}`]),
    post("x".repeat(2_000_000), [`X-Note: ${KEY}`]),
    get(`/process?api_key=${KEY}&${QUERY_MARK}=1`),
    get(`/health?api_key=${WRONG}&${QUERY_MARK}`),
    get(`/nope?${QUERY_MARK}=${KEY}`, [`X-API-Key: ${KEY}`]),
    get(`/process/?${QUERY_MARK}=${WRONG}`),
    get(`http://${WRONG}:${KEY}@x/nope?${QUERY_MARK}`),
    get("/health", [`Host: ${WRONG}`]),
    `${KEY} / HTTP/1.1\r\nX-API-Key: ${WRONG}\r\n\r\n`,
    `GET / HTTP/1.1\r\nHost: x\r\nX-API-Key : ${KEY}\r\n\r\n`,
    `POST /process HTTP/1.1\r\nHost: x\r\nX-API-Key: ${KEY}\r\nContent-Length: ${WRONG}\r\n\r\n`,
    Buffer.concat([postHead(["Transfer-Encoding: chunked"]), Buffer.from(`${WRONG}\r\n`)]),
    `GET /${"a".repeat(20_000)}${KEY} HTTP/1.1\r\nHost: x\r\nX-API-Key: ${WRONG}\r\n\r\n`,
    `CONNECT ${WRONG}:1 HTTP/1.1\r\nHost: x\r\nX-API-Key: ${KEY}\r\n\r\n`,
  ];
}

const SECRETS = [KEY, KEY.slice(4, 14), WRONG, WRONG.slice(0, 12), BODY_MARK, QUERY_MARK];

/** How many of these requests have a line at least. */
const LEAST_LINES: Readonly<Record<LogLevel, number>> = {
  silent: 0,
  error: 1,
  warn: 4,
  info: 25,
  debug: 26,
};

for (const level of LOG_LEVELS) {
  test(`no secret is in the output of the log level ${level}`, async (t) => {
    const program = await runWithSecrets(t, level);
    if (level === "silent") assert.equal(program.stdout(), "");
    assert.ok(program.events("request").length >= LEAST_LINES[level]);
  });
}

test("no secret is in the output of workers", async (t) => {
  const program = await runWithSecrets(t, "info", "2");
  assert.ok(program.events("request").length >= LEAST_LINES.info);
});

/** Runs the program, sends it the requests, and looks for secrets in its output. */
async function runWithSecrets(t: TestContext, level: LogLevel, WORKERS = "1"): Promise<Program> {
  const variables = { LOG_LEVEL: level, WORKERS };
  // The hint says where it listens, at any level of its log.
  const program = await startProgram(t, variables, { args: ["--hints"] });
  for (const request of requestsWithSecrets()) await exchange(program.port, request);
  program.child.kill("SIGHUP");
  assert.equal(await statusOf(program.port, post("{}")), 422);
  await program.stop();
  const output = program.stdout() + program.stderr();
  for (const secret of SECRETS) {
    assert.ok(!output.includes(secret), `${secret.length} characters of a secret`);
  }
  return program;
}
