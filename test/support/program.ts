import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import type { Certificate } from "./certificates.ts";
import { childrenOf, kill, killAtExit } from "./processes.ts";
import { KEY } from "./requests.ts";
import type { Scope } from "./scope.ts";
import { tempDirectory } from "./temp.ts";
import { testCertificate, USES_TLS } from "./transport.ts";
import { until } from "./wait.ts";

/** The path of the program: compiled for a compiled test, the source for a test run from source. */
export const PROGRAM: string = fileURLToPath(
  new URL(
    import.meta.url.endsWith(".ts") ? "../../src/main.ts" : "../../src/main.js",
    import.meta.url,
  ),
);

/** Environment variables; undefined leaves one out. */
export type Variables = Readonly<Record<string, string | undefined>>;

/** One line of the log. */
export type LogLine = Readonly<Record<string, unknown>>;

/** How to start the program. */
export interface ProgramOptions {
  readonly args?: readonly string[];
  /** The working directory; an empty one by default. */
  readonly directory?: string;
  /** Further options of Node. */
  readonly nodeOptions?: readonly string[];
}

/** A run of the program as a child process. The end of the test ends it and its workers. */
export class Program {
  readonly child: ChildProcess;
  /** Its working directory. */
  readonly directory: string;
  readonly #exit: Promise<number | string>;
  #stdout = "";
  #stderr = "";

  constructor(child: ChildProcess, directory: string) {
    this.child = child;
    this.directory = directory;
    child.stdout?.setEncoding("utf8").on("data", (text: string) => (this.#stdout += text));
    child.stderr?.setEncoding("utf8").on("data", (text: string) => (this.#stderr += text));
    this.#exit = new Promise((resolve) => {
      child.once("close", (code, signal) => resolve(code ?? signal ?? ""));
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** The port that it listens on, by its log or its hint; 0 until it says so. */
  get port(): number {
    const inLog = /"event":"listening",.*"port":(\d+)/.exec(this.#stdout);
    const inHint = /Listening on https?:\/\/[^ /]*:(\d+)/.exec(this.#stderr);
    return Number((inLog ?? inHint)?.[1] ?? 0);
  }

  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** All that it has written to stdout so far. */
  stdout(): string {
    return this.#stdout;
  }

  stderr(): string {
    return this.#stderr;
  }

  /** The lines of its log so far, or those of one event. */
  events(event?: string): LogLine[] {
    const lines = this.#stdout.split("\n").slice(0, -1);
    const parsed = lines.map((line) => JSON.parse(line) as LogLine);
    return event === undefined ? parsed : parsed.filter((line) => line["event"] === event);
  }

  /** Resolves when `condition` holds. Rejects with the end of its output after 20 s. */
  async until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
    try {
      await until(condition, what);
    } catch (error) {
      const output = `${this.#stdout.slice(-2000)}\n${this.#stderr.slice(-2000)}`;
      throw new Error(`${(error as Error).message}\n${output}`, { cause: error });
    }
  }

  /** Resolves when its log has `count` lines of an event, to the latest. */
  async untilEvent(event: string, count = 1): Promise<LogLine> {
    await this.until(() => this.events(event).length >= count, `event ${event}, ${count} times`);
    return this.events(event)[count - 1] ?? {};
  }

  /**
   * Resolves to its exit code, or to the signal that ended it. Kills it if it has not ended within
   * 20 s.
   */
  async exit(): Promise<number | string> {
    const timer = setTimeout(() => this.kill(), EXIT_LIMIT_MS);
    const code = await this.#exit;
    clearTimeout(timer);
    return code;
  }

  /** Sends SIGTERM, and resolves as `exit` does. */
  stop(): Promise<number | string> {
    if (!this.hasEnded) this.child.kill("SIGTERM");
    return this.exit();
  }

  /** Kills it and its workers. */
  kill(): void {
    if (this.hasEnded) return;
    for (const pid of [...childrenOf(this.pid), this.pid]) kill(pid, "SIGKILL");
  }
}

const EXIT_LIMIT_MS = 60_000;

/**
 * Starts the program with the contract's key on a free port, and waits until it listens. Throws if
 * it ends instead.
 */
export async function startProgram(
  scope: Scope,
  variables: Variables = {},
  options: ProgramOptions = {},
): Promise<Program> {
  const transport = transportVariables(scope);
  const defaults = { SERVICE_API_KEY: KEY, PORT: "0", PROCESS_DELAY_MS: "0", ...transport };
  const program = spawnProgram(scope, { ...defaults, ...variables }, options);
  await program.until(() => program.port !== 0 || program.hasEnded, "the program to listen");
  if (program.port === 0) throw new Error(`the program ended: ${program.stderr()}`);
  return program;
}

/** The settings for the transport that all tests of this process use. */
export function transportVariables(scope: Scope): Variables {
  return USES_TLS ? tlsVariables(scope, testCertificate()) : {};
}

/** Puts a certificate and its key into files. Returns the settings that name them. */
export function tlsVariables(scope: Scope, { cert, key }: Certificate): Variables {
  const directory = tempDirectory(scope, { "cert.pem": cert, "key.pem": key });
  return {
    TLS_CERT_FILE: join(directory, "cert.pem"),
    TLS_KEY_FILE: join(directory, "key.pem"),
  };
}

/** Starts the program with exactly these variables besides PATH, and does not wait. */
export function spawnProgram(
  scope: Scope,
  variables: Variables,
  { args = [], directory = tempDirectory(scope), nodeOptions = [] }: ProgramOptions = {},
): Program {
  // From 22.18 on, Node runs TypeScript as it is, and warns about it.
  const flags = PROGRAM.endsWith(".ts") ? ["--no-warnings"] : [];
  const env = { PATH: process.env["PATH"], ...variables };
  const child = spawn(process.execPath, [...flags, ...nodeOptions, PROGRAM, ...args], {
    cwd: directory,
    env: Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined)),
    stdio: ["ignore", "pipe", "pipe"],
  });
  killAtExit(child);
  const program = new Program(child, directory);
  scope.after(async () => {
    program.kill();
    await program.exit();
  });
  return program;
}
