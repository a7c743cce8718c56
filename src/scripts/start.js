// The end of npm start and of npm run sandboxed: runs the built service, and exits as it does. To
// the service itself SIGHUP means to reload keys. If the terminal is closed, that signal comes
// here, and the service gets SIGTERM.
import { spawn, spawnSync } from "node:child_process";

const PROGRAM = "dist/src/main.js";

if (process.argv.includes("--sandboxed")) runSandboxed();
else run(["--hints"]);

/**
 * @param {readonly string[]} args
 * @param {NodeJS.ProcessEnv} [env]
 */
function run(args, env = process.env) {
  const service = spawn(process.execPath, [PROGRAM, ...args], { env, stdio: "inherit" });
  process.on("SIGINT", () => service.kill("SIGINT"));
  process.on("SIGTERM", () => service.kill("SIGTERM"));
  process.on("SIGHUP", () => service.kill("SIGTERM"));
  service.on("exit", (code, signal) => {
    if (signal === null) process.exit(code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

/** Workers need the options of the sandbox, too, so they are added to the caller's NODE_OPTIONS. */
function runSandboxed() {
  const { status, stdout } = spawnSync(process.execPath, [PROGRAM, "sandbox"], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (status !== 0) process.exit(status ?? 1);
  const { NODE_OPTIONS = "" } = process.env;
  run([], { ...process.env, NODE_OPTIONS: `${NODE_OPTIONS} ${stdout}`.trim() });
}
