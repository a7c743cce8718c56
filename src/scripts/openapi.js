// npm run openapi: writes src/docs/openapi.json, as the routes declare it.
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";

const { status, stdout } = spawnSync(process.execPath, ["dist/src/main.js", "openapi"], {
  stdio: ["ignore", "pipe", "inherit"],
});
if (status === 0) writeFileSync("src/docs/openapi.json", stdout);
else process.exitCode = 1;
