import { formatKeyTable, keygen, type Output } from "./auth/keygen.ts";
import { isWorker } from "./process/cluster.ts";
import { exitWithMessage } from "./process/exit.ts";
import { configure, serve } from "./process/lifecycle.ts";
import { sandboxOptions } from "./process/sandbox.ts";
import { runWorker } from "./process/worker.ts";

const USAGE = "usage: main.js [--hints] | keygen [NAME [--days N]] | keys | sandbox";

// sysexits.h: EX_USAGE.
const EXIT_USAGE = 64;

if (isWorker) runWorker();
else runCommand(process.argv.slice(2));

function runCommand([command, ...args]: string[]): void {
  if (command === "keygen") {
    print(keygen(args, Date.now()));
    return;
  }
  if (args.length > 0) exitWithMessage(USAGE, EXIT_USAGE);
  switch (command) {
    case undefined:
      void serve(false);
      break;
    case "--hints":
      void serve(true);
      break;
    case "keys":
      process.stdout.write(formatKeyTable(configure().keys, Date.now()));
      break;
    case "sandbox":
      console.log(sandboxOptions(process.allowedNodeEnvironmentFlags, configure().sandboxGrants));
      break;
    default:
      exitWithMessage(USAGE, EXIT_USAGE);
  }
}

function print({ stdout, stderr, exitCode }: Output): void {
  process.stderr.write(stderr);
  process.stdout.write(stdout);
  process.exitCode = exitCode;
}
