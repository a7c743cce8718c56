import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";

import { keySetOf } from "../../src/auth/keys.ts";
import type { Configuration } from "../../src/config/settings.ts";
import { startupHint } from "../../src/process/hint.ts";
import type { ListenAddress } from "../../src/process/listen.ts";
import { tempDirectory } from "../support/temp.ts";

const KEY = "svk_hint-0123456789-abcdefghijklmnopqrstuvwxyz";
const LOCAL: ListenAddress = { kind: "address", address: "127.0.0.1", port: 8000 };

/** What differs from a service without TLS, docs and files. */
interface Options {
  readonly files?: readonly string[];
  readonly docs?: boolean;
  readonly isTls?: boolean;
}

function hintOf(listenAddress: ListenAddress, options: Options = {}): string {
  const { files = [], docs = false, isTls = false } = options;
  const configuration = {
    settings: { docs },
    secrets: { keys: keySetOf({ default: KEY }), tls: isTls ? {} : undefined },
    sandboxGrants: { files },
  } as unknown as Configuration;
  return startupHint(listenAddress, configuration, 0);
}

/** The command that prints the key of a file; undefined if the hint has none. */
function keyCommandOf(t: TestContext, text: string, name = "file"): string | undefined {
  const path = join(tempDirectory(t, { [name]: text }), name);
  const hint = hintOf(LOCAL, { files: ["/no/such/file", path] });
  return /^ {2}(.*) \| curl/m.exec(hint)?.[1]?.replace(path, "PATH");
}

describe("the hint", () => {
  test("names a Unix socket or a file descriptor, which needs no command", () => {
    const socket: ListenAddress = { kind: "unix", path: "/run/api.sock" };
    assert.equal(hintOf(socket), "\n  Listening on unix:/run/api.sock.\n\n");
    assert.equal(hintOf({ kind: "fd", fd: 3 }), "\n  Listening on fd:3.\n\n");
  });

  test("says where to send a key if no file has it", () => {
    assert.equal(
      hintOf(LOCAL),
      "\n  Listening on http://127.0.0.1:8000.\n" +
        "  To try it, call http://127.0.0.1:8000/process with a key in the header field " +
        "X-API-Key.\n\n",
    );
  });

  test("is a whole command line if a file has a key", (t) => {
    const path = join(tempDirectory(t, { ".env": `SERVICE_API_KEY=${KEY}\n` }), ".env");
    assert.equal(
      hintOf(LOCAL, { files: [path] }),
      "\n  Listening on http://127.0.0.1:8000. Try it:\n\n" +
        `  sed -n 's/^SERVICE_API_KEY=/X-API-Key: /p' ${path} | ` +
        "curl -H @- -H 'Content-Type: application/json' -d '{\"status\":\"SUCCESS\"}' " +
        "http://127.0.0.1:8000/process\n\n",
    );
  });

  test("names the docs page, and https with TLS", () => {
    const hint = hintOf(LOCAL, { docs: true, isTls: true });
    const [, first] = hint.split("\n");
    const docs = "https://127.0.0.1:8000/docs";
    assert.equal(
      first,
      `  Listening on https://127.0.0.1:8000, with its documentation at ${docs}.`,
    );
  });

  for (const [address, shown] of [
    ["0.0.0.0", "127.0.0.1"],
    ["::", "127.0.0.1"],
    ["::1", "[::1]"],
    ["192.0.2.1", "192.0.2.1"],
  ] as const) {
    test(`has http://${shown} for the address ${address}`, () => {
      const hint = hintOf({ kind: "address", address, port: 80 });
      assert.ok(hint.startsWith(`\n  Listening on http://${shown}:80.\n`), hint);
    });
  }
});

describe("the command that prints a key", () => {
  const SED_LINE = "sed -n 's/^SERVICE_API_KEY=/X-API-Key: /p' PATH";
  const NODE = `node --env-file=PATH -p '"X-API-Key: " + process.env.SERVICE_API_KEY'`;
  const SED_FILE = "sed 's/^/X-API-Key: /' PATH";
  const OTHER = "SERVICE_API_KEY=another\n";
  for (const [what, text, expected] of [
    ["takes a plain line as it is", `LOG_LEVEL=info\nSERVICE_API_KEY=${KEY}\n`, SED_LINE],
    ["has Node read what stands in quotes", `SERVICE_API_KEY="${KEY}"\n`, NODE],
    ["has Node find the last of two lines", `${OTHER}SERVICE_API_KEY=${KEY}\n`, NODE],
    ["takes a file that is the key", KEY, SED_FILE],
    ["takes a file that is the key and a line end", `${KEY}\n`, SED_FILE],
    ["is left out for two lines with the valid one first", `SERVICE_API_KEY=${KEY}\n${OTHER}`],
    ["is left out for a file with two line ends", `${KEY}\n\n`],
    ["is left out for a file that begins with a line end", `\n${KEY}`],
    ["is left out for a key that is not valid", OTHER],
    ["is left out for a file without a key", ""],
  ] as const) {
    test(what, (t) => assert.equal(keyCommandOf(t, text), expected));
  }

  test("is left out for a path that can't be printed", (t) => {
    assert.equal(keyCommandOf(t, KEY, "a\u001bfile"), undefined);
  });
});
