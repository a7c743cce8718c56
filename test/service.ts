import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The program, as this test runs: compiled beside compiled tests, from source beside sources. */
export const program: string = fileURLToPath(
  new URL(import.meta.url.endsWith(".ts") ? "../src/main.ts" : "../src/main.js", import.meta.url),
);

/** The key of the contract's cases. */
export const KEY = "test-key-1234567890";

/** Variables of the program: undefined leaves one out. */
export type Variables = Readonly<Record<string, string | undefined>>;

/** A running service, or one that has ended. */
export interface Service {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly port: number;
  /** Its working directory; removed by stop(). */
  readonly directory: string;
  /** All that it has written so far. */
  stdout(): string;
  stderr(): string;
  /** The log's lines so far, or those of one event. */
  events(event?: string): Record<string, unknown>[];
  /** Resolves when `condition` holds; rejects after 20 s. */
  until(condition: () => boolean, what: string): Promise<void>;
  /** Its exit code, or the signal that ended it. */
  readonly exit: Promise<number | string>;
  /** Ends it, with SIGKILL if it is still there after 15 s. */
  stop(): Promise<number | string>;
}

/** Starts the program in an empty directory of its own, on a free port, and waits until it listens. */
export async function startService(
  variables: Variables = {},
  args: readonly string[] = [],
): Promise<Service> {
  const service = spawnService(
    { SERVICE_API_KEY: KEY, PORT: "0", PROCESS_DELAY_MS: "0", ...variables },
    args,
  );
  await service.until(
    () => service.port !== 0 || service.child.exitCode !== null,
    "the service to listen",
  );
  if (service.port === 0) throw new Error(`the service ended: ${service.stderr()}`);
  return service;
}

const running = new Set<ChildProcess>();
process.once("exit", () => running.forEach((child) => child.kill("SIGKILL")));

/** Kills a child that is still there when this process ends, as when a test has failed before its stop(). */
export function killAtExit(child: ChildProcess): void {
  running.add(child);
  child.once("exit", () => running.delete(child));
}

/** Starts the program with exactly these variables besides PATH, and doesn't wait. */
export function spawnService(
  variables: Variables,
  args: readonly string[] = [],
  directory: string = mkdtempSync(join(tmpdir(), "service-")),
): Service {
  const env = Object.fromEntries(
    Object.entries({ PATH: process.env["PATH"], ...variables }).filter(
      ([, value]) => value !== undefined,
    ),
  );
  const child = spawn(process.execPath, [...nodeFlags(), program, ...args], {
    cwd: directory,
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const exit = new Promise<number | string>((resolve) =>
    child.once("close", (code, signal) => resolve(code ?? signal ?? "")),
  );
  killAtExit(child);
  // Nor does such a test wait for it.
  child.unref();
  for (const pipe of [child.stdout, child.stderr]) (pipe as Socket).unref();
  const service: Service = {
    child,
    pid: child.pid ?? 0,
    directory,
    exit,
    stdout: () => stdout,
    stderr: () => stderr,
    get port(): number {
      return Number(this.events("listening")[0]?.["port"] ?? 0);
    },
    events(event?: string): Record<string, unknown>[] {
      const lines = stdout
        .split("\n")
        .slice(0, -1)
        .map((line) => JSON.parse(line) as Record<string, unknown>);
      return event === undefined ? lines : lines.filter((line) => line["event"] === event);
    },
    until: (condition, what) =>
      until(condition, `${what}\n${stdout.slice(-2000)}\n${stderr.slice(-2000)}`),
    async stop(): Promise<number | string> {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), 15_000);
      const code = await exit;
      clearTimeout(timer);
      rmSync(directory, { recursive: true, force: true });
      return code;
    },
  };
  return service;
}

/** Resolves when `condition` holds; rejects after `limitMs`: a bound, not a measurement. */
export async function until(
  condition: () => boolean,
  what: string,
  limitMs = 20_000,
): Promise<void> {
  const end = Date.now() + limitMs;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`waited too long for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** What came back on one connection. */
export interface Raw {
  readonly answers: readonly Answer[];
  /** Whether the service closed the connection. */
  readonly closed: boolean;
  /** Whether it was reset. */
  readonly reset: boolean;
}

/** One parsed answer; header names in lower case. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/**
 * Sends bytes on a connection of its own and collects answers until `count` final ones are there and, with `close`,
 * the service has closed; gives up after `limitMs`. `isHead`: answers have no body.
 */
export function exchange(
  port: number,
  bytes: string | Buffer,
  { count = 1, close = false, isHead = false, limitMs = 10_000 } = {},
): Promise<Raw> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    let received = Buffer.alloc(0);
    let closed = false;
    let reset = false;
    const finish = (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ answers: parseAnswers(received, isHead), closed, reset });
    };
    const timer = setTimeout(finish, limitMs);
    const check = (): void => {
      const finals = parseAnswers(received, isHead).filter(({ status }) => status >= 200);
      if (finals.length >= count && (closed || !close)) finish();
    };
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      check();
    });
    socket.on("end", () => {
      closed = true;
      check();
    });
    socket.on("error", () => (reset = true));
    socket.on("close", () => {
      closed = true;
      finish();
    });
    socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  });
}

/** The whole answers at the start of `bytes`. */
export function parseAnswers(bytes: Buffer, isHead = false): Answer[] {
  const answers: Answer[] = [];
  let at = 0;
  for (;;) {
    const end = bytes.indexOf("\r\n\r\n", at);
    if (end === -1) return answers;
    const [statusLine = "", ...lines] = bytes.toString("latin1", at, end).split("\r\n");
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(statusLine)?.[1] ?? NaN);
    const headers: Record<string, string> = {};
    for (const line of lines) {
      const colon = line.indexOf(":");
      const name = line.slice(0, colon).toLowerCase();
      // Twice the same field would hide from a plain record: it becomes a list.
      headers[name] =
        name in headers
          ? `${headers[name]}, ${line.slice(colon + 1).trim()}`
          : line.slice(colon + 1).trim();
    }
    const hasNoBody = isHead || status < 200 || status === 204 || status === 304;
    const length = hasNoBody ? 0 : Number(headers["content-length"] ?? 0);
    if (bytes.length < end + 4 + length) return answers;
    answers.push({ status, headers, body: bytes.toString("utf8", end + 4, end + 4 + length) });
    at = end + 4 + length;
  }
}

/** A request of POST /process with the contract's key; `fields` are further header lines. */
export function post(
  body: string | Buffer,
  fields: readonly string[] = [],
  { key = KEY, type = "application/json" } = {},
): Buffer {
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  const head = [
    "POST /process HTTP/1.1",
    "Host: x",
    ...(key === "" ? [] : [`X-API-Key: ${key}`]),
    ...(type === "" ? [] : [`Content-Type: ${type}`]),
    `Content-Length: ${bytes.length}`,
    ...fields,
  ];
  return Buffer.concat([Buffer.from(`${head.join("\r\n")}\r\n\r\n`, "latin1"), bytes]);
}

/** A GET request. */
export function get(target: string, fields: readonly string[] = [], method = "GET"): string {
  return [`${method} ${target} HTTP/1.1`, "Host: x", ...fields, "", ""].join("\r\n");
}

/** What Node needs to run the program: from 22.18 on it takes types as they are. */
function nodeFlags(): string[] {
  return program.endsWith(".ts") ? ["--no-warnings"] : [];
}
