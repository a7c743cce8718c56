// npm run dev: builds and runs the service, and does so again when a file in src/, in test/ or .env
// has changed. If the build fails, the service from before goes on.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";

import { compile } from "./compile.js";
import { watch } from "./watch.js";

/** How long the service may finish responses before a second signal ends it at once. */
const PATIENCE_MS = 1000;

/** @type {import("node:child_process").ChildProcess | undefined} */
let service;

// SIGHUP says that the terminal has been closed.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, end);
// However this process ends: no service stays behind.
process.on("exit", () => service?.kill());

await watch(["src", "test", "tsconfig.json", ".env"], restart);

async function restart() {
  if (!compile()) return;
  await stop("SIGTERM");
  spawnSync(process.execPath, ["src/scripts/dotenv.js"], { stdio: "inherit" });
  service = spawn(process.execPath, ["dist/src/main.js", "--hints"], { stdio: "inherit" });
}

/** @param {NodeJS.Signals} signal */
async function stop(signal) {
  if (service === undefined || service.exitCode !== null || service.signalCode !== null) return;
  const exit = once(service, "exit");
  service.kill(signal);
  const timer = setInterval(() => service?.kill("SIGTERM"), PATIENCE_MS);
  await exit;
  clearInterval(timer);
}

/**
 * On Ctrl-C the terminal has sent SIGINT to the service, too: another SIGINT is a repeat, but any
 * other signal would end it at once.
 *
 * @param {NodeJS.Signals} signal
 */
async function end(signal) {
  await stop(signal === "SIGINT" ? "SIGINT" : "SIGTERM");
  process.exit();
}
