// npm run dotenv: makes .env in the working directory, with a fresh key and for its owner only. It
// makes none if the environment says which keys are valid, and never touches one that is there, not
// even a link that leads nowhere.
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";

const KEY_SETTINGS = ["SERVICE_API_KEY", "SERVICE_API_KEY_FILE", "SERVICE_API_KEYS_FILE"];

if (!KEY_SETTINGS.some((name) => process.env[name] !== undefined)) makeDotenv();

function makeDotenv() {
  const line = execFileSync(process.execPath, ["dist/src/main.js", "keygen"]);
  try {
    // "x" fails if the name is taken, at the very moment of making the file.
    writeFileSync(".env", line, { flag: "wx", mode: 0o600 });
    process.stderr.write("Made .env, with a fresh SERVICE_API_KEY in it\n");
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== "EEXIST") throw error;
  }
}
