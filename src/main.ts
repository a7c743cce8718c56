import { formatKeyTable, keygen } from "./auth/keygen.ts";
import { isWorker } from "./process/cluster.ts";
import { EXIT_USAGE, exitWithMessage, exitWithOutput, Failure } from "./process/exit.ts";
import { configure, serve } from "./process/lifecycle.ts";
import { sandboxOptions } from "./process/sandbox.ts";
import { disableDebugger } from "./process/signals.ts";
import { runWorker } from "./process/worker.ts";

const USAGE = "usage: main.js [--hints] | keygen [NAME [--days N]] | keys | sandbox";

disableDebugger();
if (isWorker) runWorker();
else void main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<void> {
  try {
    await runCommand(args);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    await exitWithMessage(error.message, error.exitCode);
  }
}

async function runCommand([command, ...args]: readonly string[]): Promise<void> {
  const now = Date.now();
  if (command === "keygen") await exitWithOutput(keygen(args, now));
  if (args.length > 0) throw new Failure(USAGE, EXIT_USAGE);
  switch (command) {
    case undefined:
      return serve(false);
    case "--hints":
      return serve(true);
    case "keys":
      return exitWithResult(formatKeyTable(configure(now).keys, now));
    case "sandbox":
      return exitWithResult(`${nodeOptions()}\n`);
    default:
      throw new Failure(USAGE, EXIT_USAGE);
  }
}

function exitWithResult(stdout: string): Promise<never> {
  return exitWithOutput({ stdout, stderr: "", exitCode: 0 });
}

/** The NODE_OPTIONS of the sandbox. */
function nodeOptions(): string {
  const { argv, allowedNodeEnvironmentFlags } = process;
  return sandboxOptions(allowedNodeEnvironmentFlags, configure(Date.now()).sandboxGrants, argv[1]);
}
