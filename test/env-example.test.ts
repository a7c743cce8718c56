import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";

import { PLACEHOLDER_KEY } from "../src/auth/keys.ts";
import { parseDotenv } from "../src/config/dotenv.ts";
import { type Configuration, readConfiguration, SettingsError } from "../src/config/settings.ts";
import { root } from "./root.ts";

const example = readFileSync(new URL(".env.example", root), "utf8");
const uncommented = example.replace(/^#(?=[A-Z])/gm, "");
const KEY = "0123456789-abcdefghijklmnopqrstuvwxyz";

describe(".env.example", () => {
  test("sets nothing but the key, to the placeholder", () => {
    assert.deepEqual(
      [...parseDotenv(Buffer.from(example))],
      [["SERVICE_API_KEY", PLACEHOLDER_KEY]],
    );
  });

  test("as .env lets the service start on this machine, with a warning, and nowhere else", () => {
    assert.match(configure(example).warnings.join("\n"), /placeholder/);
    assert.throws(() => configure(example, { HOST: "0.0.0.0" }), SettingsError);
  });

  test("names exactly the variables that the program asks for", () => {
    const asked = new Set<string>();
    const env = new Proxy(
      {},
      {
        getOwnPropertyDescriptor(_target: object, name: string | symbol): undefined {
          asked.add(String(name));
        },
      },
    );
    assert.throws(() => configure("", env), SettingsError);
    assert.deepEqual([...parseDotenv(Buffer.from(uncommented)).keys()].sort(), [...asked].sort());
  });

  test("has the defaults in its comments", () => {
    const withoutKeys = uncommented.replace(/^SERVICE_API_KEY.*$/gm, "");
    const { settings } = configure(withoutKeys, { SERVICE_API_KEY: KEY });
    assert.deepEqual(settings, configure("", { SERVICE_API_KEY: KEY }).settings);
    const other = withoutKeys.replace("PORT=8000", "PORT=8001");
    assert.notDeepEqual(configure(other, { SERVICE_API_KEY: KEY }).settings, settings);
  });

  test("has the default for a weak key in its comments", () => {
    assert.equal(parseDotenv(Buffer.from(uncommented)).get("SERVICE_ALLOW_WEAK_KEY"), "0");
  });
});

/** What the program makes of a `.env` with this text. */
function configure(text: string, env: NodeJS.ProcessEnv = {}): Configuration {
  const directory = mkdtempSync(join(tmpdir(), "example-"));
  try {
    writeFileSync(join(directory, ".env"), text, { mode: 0o600 });
    return readConfiguration(env, directory, Date.now());
  } finally {
    rmSync(directory, { recursive: true });
  }
}
