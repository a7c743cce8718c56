import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test, type TestContext } from "node:test";

import { PLACEHOLDER_KEY } from "../src/config/plaintext-key.ts";
import { parseDotenv } from "../src/config/dotenv.ts";
import { type Configuration, readConfiguration, SettingsError } from "../src/config/settings.ts";
import { root } from "./support/root.ts";
import { tempDirectory } from "./support/temp.ts";

const example = readFileSync(new URL(".env.example", root), "utf8");
const uncommented = example.replace(/^#(?=[A-Z])/gm, "");
const KEY = "0123456789-abcdefghijklmnopqrstuvwxyz";

/** Reads the configuration of a `.env` with this text. */
function configure(t: TestContext, envFile: string, env: NodeJS.ProcessEnv = {}): Configuration {
  return readConfiguration(env, tempDirectory(t, { ".env": envFile }), Date.now());
}

describe(".env.example", () => {
  test("sets nothing but the key, to the placeholder", () => {
    const pairs = [...parseDotenv(Buffer.from(example))];
    assert.deepEqual(pairs, [["SERVICE_API_KEY", PLACEHOLDER_KEY]]);
  });

  test("as .env lets the service start on this machine, with a warning, and nowhere else", (t) => {
    assert.match(configure(t, example).warnings.join("\n"), /placeholder/);
    assert.throws(() => configure(t, example, { HOST: "0.0.0.0" }), SettingsError);
  });

  test("names exactly the variables that the program asks for", (t) => {
    const asked = new Set<string>();
    const env = new Proxy(
      {},
      {
        getOwnPropertyDescriptor(_target: object, name: string | symbol): undefined {
          asked.add(String(name));
        },
      },
    );
    assert.throws(() => configure(t, "", env), SettingsError);
    assert.deepEqual([...parseDotenv(Buffer.from(uncommented)).keys()].sort(), [...asked].sort());
  });

  test("has the defaults in its comments", (t) => {
    const withoutFiles = uncommented.replace(/^(?:SERVICE_API_KEY|TLS_).*$/gm, "");
    const env = { SERVICE_API_KEY: KEY };
    const { settings } = configure(t, withoutFiles, env);
    assert.deepEqual(settings, configure(t, "", env).settings);
    const other = withoutFiles.replace("PORT=8000", "PORT=8001");
    assert.notDeepEqual(configure(t, other, env).settings, settings);
  });

  test("has the default for a weak key in its comments", () => {
    assert.equal(parseDotenv(Buffer.from(uncommented)).get("SERVICE_ALLOW_WEAK_KEY"), "0");
  });
});
