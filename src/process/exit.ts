/** Ends this process with a message on stderr. */
export function exitWithMessage(message: string, exitCode = 1): never {
  process.stderr.write(`${message}\n`);
  process.exit(exitCode);
}
