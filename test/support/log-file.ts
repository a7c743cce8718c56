import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { killAtExit } from "./processes.ts";
import { type LogLine, Program, PROGRAM, type Variables } from "./program.ts";
import { KEY } from "./requests.ts";
import type { Scope } from "./scope.ts";
import { tempDirectory } from "./temp.ts";

/** A run of the program whose stdout is a file. */
export class FileProgram extends Program {
  /** The path of the file. */
  readonly path: string;

  constructor(child: ConstructorParameters<typeof Program>[0], directory: string, path: string) {
    super(child, directory);
    this.path = path;
  }

  /** What the file holds. */
  override stdout(): string {
    return readFileSync(this.path, "utf8");
  }

  override events(event?: string): LogLine[] {
    const lines = this.stdout().split("\n").slice(0, -1);
    const parsed = lines.map((line) => JSON.parse(line) as LogLine);
    return event === undefined ? parsed : parsed.filter((line) => line["event"] === event);
  }
}

/** How to start the program with its log in a file. */
export interface FileProgramOptions {
  readonly variables?: Variables;
  /** The file, which is appended to. A new one by default. */
  readonly path?: string;
  /** What the shell does first, such as `ulimit -f 8`. */
  readonly prelude?: string;
}

/** Starts the program with a file as its stdout, and waits until its hint says that it listens. */
export async function startWithLogFile(
  scope: Scope,
  { variables = {}, path, prelude = ":" }: FileProgramOptions = {},
): Promise<FileProgram> {
  const directory = tempDirectory(scope);
  const logPath = path ?? join(directory, "log");
  const log = openSync(logPath, "a");
  const { PATH } = process.env;
  const defaults = { PATH, SERVICE_API_KEY: KEY, PORT: "0", PROCESS_DELAY_MS: "0" };
  const script = `${prelude}; exec "$@" --hints`;
  const child = spawn("sh", ["-c", script, "sh", process.execPath, "--no-warnings", PROGRAM], {
    cwd: directory,
    env: { ...defaults, ...variables },
    stdio: ["ignore", log, "pipe"],
  });
  closeSync(log);
  killAtExit(child);
  const program = new FileProgram(child, directory, logPath);
  scope.after(async () => {
    program.kill();
    await program.exit();
  });
  await program.until(() => program.port !== 0, "the program to listen");
  return program;
}
