import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  watch,
} from "node:fs";
import type { ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, beforeEach, describe, test } from "node:test";
import { promisify } from "node:util";

import type { OpenApiDocument } from "../../src/docs/document.ts";
import { KEY } from "../support/requests.ts";
import { root } from "../support/root.ts";
import { type Browser } from "../support/browser.ts";
import { type DocsPage, PARTS, startDocsPage } from "../support/docs-page.ts";
import { poison } from "../support/hostile.ts";
import { type Proxy, startProxy } from "../support/proxy.ts";
import { suiteScope } from "../support/scope.ts";

const run = promisify(execFile);

describe("the docs page in Chromium", { timeout: 240_000 }, () => {
  const suite = suiteScope();
  let page: DocsPage;
  let browser: Browser;
  let proxy: Proxy;

  before(async () => {
    page = await startDocsPage(suite);
    ({ browser, proxy } = page);
  });
  beforeEach(() => page.load());

  test("loads itself and three files, all from its own origin, without a violation", async () => {
    const files = ["/docs", "/docs/docs.css", "/docs/docs.js", "/docs/icon.svg"];
    await proxy.responded(files.length);
    await browser.run("return new Promise((resolve) => requestIdleCallback(resolve))");
    const requests = proxy.seen.map(({ url, status }) => `${url} ${status}`);
    assert.deepEqual(new Set(requests), new Set(files.map((path) => `${path} 200`)));
    assert.equal(requests.length, files.length);
    const addresses = await browser.run<string[]>(
      "return performance.getEntriesByType('resource').map((e) => e.name)",
    );
    assert.ok(addresses.length >= 2);
    for (const address of addresses) {
      assert.ok(address.startsWith(`${proxy.origin}/docs/`), address);
    }
    assert.deepEqual(await page.violations(), []);
  });

  test("has no long task while it loads", async () => {
    // Another process can cause a long task: the page is slow only if every load has one.
    const counts: number[] = [];
    for (let load = 0; load < 10 && counts.at(-1) !== 0; load++) {
      await browser.open(`${page.address}?${load}`);
      counts.push((await page.longTasks()).length);
    }
    assert.ok(counts.includes(0), counts.join());
  });

  test("sends the textarea's text, and shows status, meaning, time, headers and body", async () => {
    assert.equal(await page.textOf(PARTS.response), "No response yet.");
    await page.useKey(` ${KEY} `);
    await browser.click(PARTS.send);
    const response = await page.waitForText(/200 OK/);
    assert.match(response, /200 OK, \d+ msThe task was processed\./);
    assert.match(response, /\{\n {2}"status": "SUCCESS",\n {2}"id": "[0-9a-f-]{36}"\n\}/);
    assert.match(response, /\ncontent-type: application\/json\n/);
    assert.match(response, /\nx-request-id: /);
    assert.deepEqual(await page.violations(), []);
  });

  test("shows each kind of error with the problems that the service lists", async () => {
    await page.useKey(KEY);
    const problem = /422 Unprocessable Content, .*"loc": \[\n *"body",\n *"status"/s;
    assert.match(await page.send('{"status":1}', /422/), problem);
    assert.match(await page.send("{", /json_invalid/), /422.*"error": /s);
    const failure = await page.send('{"status":"x"}', /500/);
    assert.match(failure, /500 Internal Server Error, .*"Task processing failed"/s);
  });

  test("sends the key of the last entry, and none before the first", async () => {
    await browser.click(PARTS.send);
    const denial = await page.waitForText(/\d ms/);
    assert.match(denial, /^401 Unauthorized, \d+ msThe key is .*"Invalid or missing API Key"/s);
    await page.useKey("wrong");
    await browser.click(PARTS.send);
    await page.waitForText(/401 Unauthorized/);
    await page.useKey(KEY);
    await browser.click(PARTS.send);
    await page.waitForText(/200 OK/);
    const requests = proxy.seen.filter(({ url }) => url === "/process");
    const keys = requests.map(({ headers }) => headers["x-api-key"]);
    assert.deepEqual(keys, [undefined, "wrong", KEY]);
  });

  test("says beside Send if no key is set, and leads to its field", async () => {
    const isShown = (): Promise<boolean> =>
      browser.run("return document.querySelector(arguments[0]).checkVisibility()", PARTS.keyNote);
    assert.equal(await isShown(), true);
    assert.equal(await page.textOf(PARTS.keyNote), "No key is set");
    await browser.click(PARTS.keyNote);
    assert.equal(await browser.run("return document.activeElement.id"), "key");
    await page.useKey(KEY);
    assert.equal(await isShown(), false);
    await browser.click(PARTS.forget);
    assert.equal(await isShown(), true);
    const health = `document.querySelector('[data-path="/health"] [href="#key"]')`;
    assert.equal(await browser.run(`return ${health}`), null);
  });

  test("sends neither key nor body if an operation takes none", async () => {
    await page.useKey(KEY);
    await browser.click('[aria-label="Send GET /health"]');
    const response = '[data-path="/health"] [aria-live]';
    await page.waitForText(/200 OK, .*"status": "ok"/s, response);
    const { method, headers = {}, body } = proxy.seen.at(-1) ?? {};
    assert.deepEqual(
      [method, headers["x-api-key"], headers["content-type"], body],
      ["GET", undefined, undefined, ""],
    );
  });

  test("keeps the key out of document, address and stores, and loses it on reload", async () => {
    await page.useKey(KEY);
    await browser.click(PARTS.send);
    await page.waitForText(/200 OK/);
    const places = await browser.run<string>(ALL_PLACES);
    assert.ok(places.includes("$API_KEY"));
    assert.ok(!places.includes(KEY));
    await browser.run("location.reload()");
    await browser.click(PARTS.send);
    await page.waitForText(/401 Unauthorized/);
  });

  test("forgets the key on request", async () => {
    await page.useKey(KEY);
    assert.match(await page.textOf(PARTS.keyState), /^The key is sent /);
    await browser.type(PARTS.key, "half a key");
    await browser.click(PARTS.forget);
    assert.match(await page.textOf(PARTS.keyState), /^No key is set: it is forgotten/);
    assert.equal(await browser.run("return document.querySelector('input').value"), "");
    await browser.click(PARTS.send);
    await page.waitForText(/401 Unauthorized/);
    assert.equal(proxy.seen.at(-1)?.headers["x-api-key"], undefined);
  });

  test("forgets key and entry when it is left, also if it comes back as it was", async () => {
    await page.useKey(KEY);
    await browser.type(PARTS.key, "half a key");
    await browser.run("addEventListener('pageshow', (event) => (window.isBack = event.persisted))");
    await browser.click('[href="openapi.json"]');
    await browser.back();
    assert.equal(await browser.run("return window.isBack"), true, "the page was not kept");
    assert.equal(await browser.run("return document.querySelector('input').value"), "");
    assert.match(await page.textOf(PARTS.keyState), /^No key is set: you left/);
    await browser.click(PARTS.send);
    await page.waitForText(/401 Unauthorized/);
    assert.equal(proxy.seen.at(-1)?.headers["x-api-key"], undefined);
  });

  for (const key of ["", "  ", "clé", "a b", "“k”"]) {
    test(`refuses ${JSON.stringify(key)} as a key, and forgets the one before`, async () => {
      await page.useKey(KEY);
      await page.useKey(key);
      const reason = key.trim() === "" ? /^No key is set: enter / : /^No key is set: .* ASCII/;
      assert.match(await page.textOf(PARTS.keyState), reason);
      assert.equal(await browser.run("return document.querySelector('input').value"), "");
      await browser.click(PARTS.send);
      await page.waitForText(/401 Unauthorized/);
      assert.equal(proxy.seen.at(-1)?.headers["x-api-key"], undefined);
    });
  }

  test("shows a command with which sh sends the same bytes, whatever the body", async () => {
    await page.useKey(KEY);
    const special = `{"status":"it's $HOME \`id\` \\"\\\\\\" !! é 漢 %s"}`;
    const simple = '{"status":"SUCCESS"}';
    for (const body of [simple, special, "'", "''\\'", "@/etc/passwd", "", "{\n\n }\n"]) {
      proxy.seen.length = 0;
      await browser.run(SET_BODY, body);
      await browser.click(PARTS.send);
      await page.waitForText(/\d ms/);
      const command = await page.textOf(PARTS.command);
      assert.ok(command.includes("'X-API-Key: %s\\n' \"$API_KEY\" |"), command);
      assert.ok(command.includes("--data-raw "), command);
      const env = { PATH: "/usr/bin:/bin", API_KEY: KEY };
      await run("sh", ["-c", command], { env, timeout: 10_000 });
      const [fetched, curled] = proxy.seen.map(({ method, url, headers, body }) => ({
        method,
        url,
        body,
        key: headers["x-api-key"],
        type: headers["content-type"],
        length: headers["content-length"],
      }));
      assert.ok(fetched);
      assert.deepEqual(curled, fetched);
    }
  });

  test("shows a command that keeps the key out of the list of processes", async () => {
    const commandLines = new Promise<string>((resolve) => {
      proxy.handlers.set("/process", (_request, response) => {
        resolve(allCommandLines());
        response.end();
      });
    });
    const command = await page.textOf(PARTS.command);
    const env = { PATH: "/usr/bin:/bin", API_KEY: KEY };
    await run("sh", ["-c", command], { env, timeout: 10_000 });
    const shown = await commandLines;
    assert.ok(shown.includes(`${page.proxy.origin}/process`), "curl is not in the list");
    assert.ok(!shown.includes(KEY));
    assert.equal(proxy.seen.at(-1)?.headers["x-api-key"], KEY);
  });

  test("works behind a proxy that strips a prefix", async (t) => {
    const prefixed = await startProxy(t, page.service.port, "/svc");
    await browser.open(`${prefixed.origin}/svc/docs/?x#GET/health`);
    assert.equal(await browser.run("return location.pathname"), "/svc/docs");
    await page.useKey(KEY);
    await browser.click(PARTS.send);
    await page.waitForText(/200 OK/);
    const command = await page.textOf(PARTS.command);
    assert.ok(command.includes(`'${prefixed.origin}/svc/process'`));
    await browser.click('[href="openapi.json"]');
    assert.equal(await browser.run("return location.pathname"), "/svc/openapi.json");
    // The browser itself requests an icon for a JSON document.
    const requests = prefixed.seen.filter(({ url }) => url !== "/favicon.ico");
    const failed = requests.filter(({ status }) => status !== 200 && status !== 307);
    assert.deepEqual(failed, []);
  });

  test("says what the document says about a status, also of a shared response", async () => {
    for (const [status, meaning] of [
      [413, "413 Content Too Large, \\d+ msThe body is larger than the service accepts\\."],
      [418, "418 I'm a Teapot, \\d+ msThe document does not declare this status\\."],
    ] as const) {
      proxy.handlers.set("/process", (_request, response) => {
        response.writeHead(status).end("short and stout");
      });
      const response = await page.send("{}", new RegExp(`^${status} `));
      assert.match(response, new RegExp(`^${meaning}\\s*short and stout`));
    }
  });

  test("shows no body if the response has none", async () => {
    proxy.handlers.set("/process", (_request, response) => response.writeHead(204).end());
    await page.send("{}", /^204 No Content, \d+ ms.*\.Headers/);
  });

  test("says in plain words if no response comes, or only half of one", async () => {
    proxy.handlers.set("/process", (request) => request.socket.destroy());
    await page.send("{}", /^No response: .*connection broke\.$/);
    await browser.open(page.address);
    proxy.handlers.set("/process", (request, response) => {
      response.writeHead(200, { "Content-Length": 100 });
      response.write("half", () => request.socket.end());
    });
    await browser.click(PARTS.send);
    await page.waitForText(/^No response: /);
  });

  test("cancels a request when the next one is sent, and shows the later response", async () => {
    const held = new Promise<ServerResponse>((resolve) => {
      proxy.handlers.set("/process", (_request, response) => resolve(response));
    });
    await browser.click(PARTS.send);
    const first = await held;
    const closed = once(first, "close");
    proxy.handlers.set("/process", (_request, response) => void response.end("second"));
    await browser.click(PARTS.send);
    await page.waitForText(/second/);
    await closed;
    assert.equal(first.writableFinished, false);
    assert.match(await page.textOf(PARTS.response), /second/);
  });

  test("shows the beginning of a large response at once, and offers all of it", async (t) => {
    const text = "é".repeat(8) + "x".repeat(72);
    const items = Array.from({ length: 12_000 }, (_, id) => ({ id, text }));
    const large = JSON.stringify({ items });
    assert.ok(large.length > 1_200_000);
    proxy.handlers.set("/process", (_request, response) => {
      response.writeHead(200, { "Content-Type": "application/json" }).end(large);
    });
    const pretty = JSON.stringify(JSON.parse(large), null, 2);
    const note = new RegExp(`The first 20000 of ${pretty.length} characters\\.`);
    const longest: number[] = [];
    for (let tries = 0; tries < 5 && (longest.at(-1) ?? 999) > 200; tries++) {
      await page.longTasks();
      const response = await page.send("{}", note);
      assert.ok(response.includes(pretty.slice(0, 20_000)));
      assert.ok(response.length < 22_000);
      longest.push(Math.max(0, ...(await page.longTasks())));
    }
    assert.ok(Math.min(...longest) <= 200, `${longest.join()} ms`);

    assert.equal(await browser.label(await browser.find(`${PARTS.response} a`)), "Download");
    const directory = mkdtempSync(join(tmpdir(), "download-"));
    t.after(() => rmSync(directory, { recursive: true, force: true }));
    const behavior = { behavior: "allow", downloadPath: directory };
    await browser.devtools("Browser.setDownloadBehavior", behavior);
    const file = join(directory, "response.json");
    const saved = fileAppears(directory, file);
    await browser.click(`${PARTS.response} a`);
    await saved;
    assert.ok(readFileSync(file, "utf8") === large);
    assert.deepEqual(await page.violations(), []);
  });

  test("shows a hostile document's text as text, and runs none of it", async () => {
    const attack = '</script></textarea></title><img src=x onerror="window.hacked = 1">';
    const json = readFileSync(new URL("src/docs/openapi.json", root), "utf8");
    const document = JSON.parse(json) as OpenApiDocument;
    await page.show(poison(document, attack));
    assert.equal(await browser.run("return document.images.length"), 0);
    assert.equal(await browser.run("return typeof hacked"), "undefined");
    const text = await browser.run<string>("return document.body.innerText");
    assert.ok(text.includes(attack));
    const body = await browser.run<string>("return document.querySelector('textarea').value");
    assert.ok(body.includes("<img src=x"));
    assert.deepEqual(await page.violations(), []);
  });
});

/** The command lines of all processes, as `ps` shows them. */
function allCommandLines(): string {
  const ids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const lines = ids.map((id) => {
    try {
      return readFileSync(`/proc/${id}/cmdline`, "utf8");
    } catch {
      // The process has ended meanwhile.
      return "";
    }
  });
  return lines.join("\n");
}

/** Resolves when the file is in the directory. An empty one only reserves its name. */
function fileAppears(directory: string, file: string): Promise<void> {
  return new Promise((resolve) => {
    const watcher = watch(directory, () => {
      if (!existsSync(file) || statSync(file).size === 0) return;
      watcher.close();
      resolve();
    });
  });
}

/** Sets the text of the body, as if it had been typed. */
const SET_BODY = `
  const field = document.querySelector('${PARTS.body}');
  field.value = arguments[0];
  field.dispatchEvent(new Event("input", { bubbles: true }));
`;

/** Everything that a page can store text in, as one text. */
const ALL_PLACES = `
  const fields = [...document.querySelectorAll("input, textarea")].map(({ value }) => value);
  const globals = Object.getOwnPropertyNames(window)
    .filter((name) => typeof window[name] === "string")
    .map((name) => window[name]);
  return JSON.stringify([
    document.documentElement.outerHTML,
    fields,
    location.href,
    document.cookie,
    { ...localStorage },
    { ...sessionStorage },
    history.state,
    window.name,
    globals,
  ]);
`;
