import { openApiText } from "../app.ts";
import { formatKeyTable, keygen } from "../config/keygen.ts";
import { isAppendedTo } from "../config/file.ts";
import type { Secrets } from "../config/settings.ts";
import { formatCertificate } from "../config/tls.ts";
import { isWorker } from "./cluster.ts";
import { textForOperator, EXIT_USAGE, exitWithMessage, exitWithOutput, Failure } from "./exit.ts";
import { configure, serve } from "./lifecycle.ts";
import { sandboxOptions } from "./sandbox.ts";
import { runWorker } from "./worker.ts";

const USAGE = "usage: main.js [--hints] | keygen [NAME [--days N]] | keys | openapi | sandbox";

/** The file descriptor of stdout. */
const STDOUT = 1;

/**
 * Runs the command that the arguments name; without any, the service. Whatever ends the program is
 * printed here. A process that a pool has started becomes a worker instead.
 */
export async function runCommandLine(args: readonly string[]): Promise<void> {
  if (isWorker) {
    runWorker();
    return;
  }
  try {
    await runCommand(args);
  } catch (error) {
    const exitCode = error instanceof Failure ? error.exitCode : 1;
    await exitWithMessage(textForOperator(error), exitCode);
  }
}

async function runCommand([command, ...args]: readonly string[]): Promise<void> {
  const now = Date.now();
  if (command === "keygen") await exitWithOutput(keygen(args, now, isAppendedTo(STDOUT)));
  if (args.length > 0) throw new Failure(USAGE, EXIT_USAGE);
  switch (command) {
    case undefined:
      return serve(false);
    case "--hints":
      return serve(true);
    case "keys":
      return exitWithResult(formatDates(configure(now).secrets, now));
    case "openapi":
      return exitWithResult(openApiText());
    case "sandbox":
      return exitWithResult(`${nodeOptions()}\n`);
    default:
      throw new Failure(USAGE, EXIT_USAGE);
  }
}

/** Says what the keys are and how long they are valid, and the certificate. */
function formatDates({ keys, tls }: Secrets, now: number): string {
  const table = formatKeyTable(keys, now);
  return tls === undefined ? table : `${table}\n${formatCertificate(tls, now)}`;
}

function exitWithResult(stdout: string): Promise<never> {
  return exitWithOutput({ stdout, stderr: "", exitCode: 0 });
}

/** The NODE_OPTIONS of the sandbox. */
function nodeOptions(): string {
  const { argv, allowedNodeEnvironmentFlags } = process;
  return sandboxOptions(allowedNodeEnvironmentFlags, configure(Date.now()).sandboxGrants, argv[1]);
}
