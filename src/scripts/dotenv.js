// npm run dotenv: makes .env in the working directory, with a fresh key and for its owner only. It
// makes none if the environment says which keys are valid, and never touches one that is there, not
// even a link that leads nowhere.
import { spawnSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";

const KEY_SETTINGS = ["SERVICE_API_KEY", "SERVICE_API_KEY_FILE", "SERVICE_API_KEYS_FILE"];

const isConfigured = KEY_SETTINGS.some((name) => process.env[name] !== undefined);
if (!isConfigured) makeDotenv();

function makeDotenv() {
  const { status, stdout } = spawnSync(process.execPath, ["dist/src/main.js", "keygen"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (status === 0) write(stdout);
  else process.exitCode = 1;
}

/** @param {Buffer} line */
function write(line) {
  try {
    // "x" fails if the name is taken, at the very moment of making the file.
    writeFileSync(".env", line, { flag: "wx", mode: 0o600 });
    process.stderr.write("Made .env, with a fresh SERVICE_API_KEY in it\n");
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error);
    if (code === "EEXIST") return;
    rmSync(".env", { force: true });
    process.stderr.write(`.env can't be made (${code})\n`);
    process.exitCode = 1;
  }
}
