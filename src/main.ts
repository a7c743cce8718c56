import { nodeVersionProblem } from "./process/node-version.ts";
import { disableDebugger } from "./process/signals.ts";

disableDebugger();
const problem = nodeVersionProblem(process.versions.node);
if (problem?.isFatal === true) {
  console.error(problem.message);
  process.exitCode = 1;
} else {
  // Not imported before: an old Node lacks functions that the other files import from it, and would
  // end with a stack trace instead of the line above.
  const { runCommandLine } = await import("./process/commands.ts");
  void runCommandLine(process.argv.slice(2));
}
