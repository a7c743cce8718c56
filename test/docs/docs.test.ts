import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { promisify } from "node:util";

import type { OpenApiDocument } from "../../src/docs/document.ts";
import { renderPage } from "../../src/docs/page.ts";
import { root } from "../root.ts";
import { KEY, type Service, startService } from "../service.ts";
import { type Browser, type Element, KEYS, launch, noBrowser } from "./browser.ts";
import { poison } from "./hostile.ts";
import { type Proxy, startProxy } from "./proxy.ts";

const run = promisify(execFile);

const FIELD = "input[type=password]";
const AUTHORIZE = "form:not([data-path]) button";
const FORGET = "form:not([data-path]) button[type=button]";
const SEND = '[aria-label="Send POST /process"]';
const COPY = '[aria-label="Copy cURL for POST /process"]';
const ANSWER = '[data-path="/process"] [aria-live]';
const COMMAND = '[data-path="/process"] > pre';

describe("the docs page in Chromium", { skip: noBrowser, timeout: 240_000 }, () => {
  let service: Service;
  let proxy: Proxy;
  let browser: Browser;

  before(async () => {
    service = await startService();
    proxy = await startProxy(service.port);
    browser = await launch();
    await browser.devtools("Page.addScriptToEvaluateOnNewDocument", { source: OBSERVE });
  });

  after(async () => {
    await browser?.close();
    await proxy?.stop();
    await service?.stop();
  });

  beforeEach(async () => {
    proxy.answers.clear();
    proxy.seen.length = 0;
    await screen(1280, 900);
    await browser.open(`${proxy.origin}/docs`);
  });

  const screen = (width: number, height: number): Promise<unknown> =>
    browser.devtools("Emulation.setDeviceMetricsOverride", {
      width,
      height,
      deviceScaleFactor: 1,
      mobile: false,
    });
  const textOf = (selector: string): Promise<string> =>
    browser.run("return document.querySelector(arguments[0]).textContent", selector);
  const authorize = async (key: string): Promise<void> => {
    await browser.type(FIELD, key);
    await browser.click(AUTHORIZE);
  };
  const answered = async (pattern: RegExp, selector = ANSWER): Promise<string> => {
    for (let tries = 0; tries < 400; tries++) {
      const text = await textOf(selector);
      if (pattern.test(text)) return text;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    return assert.fail(`no ${pattern} in ${await textOf(selector)}`);
  };
  const send = async (body: string, pattern: RegExp): Promise<string> => {
    await browser.clear("textarea");
    await browser.type("textarea", body);
    await browser.click(SEND);
    return answered(pattern);
  };
  const violations = (): Promise<string[]> => browser.run("return observed.violations");

  test("loads with at most four requests, to its own origin, none failing, and no policy violation", async () => {
    await new Promise((resolve) => setTimeout(resolve, 300));
    const paths = proxy.seen.map(({ url }) => url);
    assert.ok(paths.length <= 4, paths.join());
    assert.deepEqual(
      proxy.seen.filter(({ status }) => status !== 200 && status !== 304),
      [],
    );
    const addresses = await browser.run<string[]>(
      "return performance.getEntriesByType('resource').map((e) => e.name)",
    );
    assert.ok(addresses.length >= 2);
    for (const address of addresses)
      assert.ok(address.startsWith(`${proxy.origin}/docs/`), address);
    assert.deepEqual(await violations(), []);
  });

  test("has no long task while it loads", async () => {
    // A long task may be another process's doing on a busy machine: the page is to blame if every load has one.
    const counts: number[] = [];
    for (let load = 0; load < 10 && counts.at(-1) !== 0; load++) {
      await browser.open(`${proxy.origin}/docs?${load}`);
      await new Promise((resolve) => setTimeout(resolve, 200));
      counts.push((await browser.run<number[]>("return observed.longTasks")).length);
    }
    assert.ok(counts.includes(0), counts.join());
  });

  test("names its controls so that a person and a program find them", async () => {
    const labels = async (selector: string): Promise<string[]> => {
      const elements = await browser.run<Element[]>(
        "return [...document.querySelectorAll(arguments[0])]",
        selector,
      );
      return Promise.all(elements.map((element) => browser.label(element)));
    };
    assert.deepEqual(await labels("input"), ["X-API-Key"]);
    assert.deepEqual(await labels("textarea"), ["Body"]);
    assert.deepEqual(await labels("button"), [
      "Authorize",
      "Forget",
      "Send POST /process",
      "Copy cURL for POST /process",
      "Send GET /health",
      "Copy cURL for GET /health",
    ]);
    assert.equal(await browser.role(await browser.find("main")), "main");
    assert.equal(await browser.run(VISIBLE, "[role=status], [aria-live]"), 5);
  });

  test("sends what the textarea holds with the key, and shows status, meaning, time, header and body", async () => {
    assert.match(await textOf(ANSWER), /^No answer yet\.$/);
    await browser.click(SEND);
    assert.match(
      await answered(/\d ms/),
      /^401 Unauthorized, \d+ msThe key is .*"Invalid or missing API Key"/s,
    );
    await authorize("wrong");
    await browser.click(SEND);
    await answered(/401 Unauthorized/);
    await authorize(` ${KEY} `);
    await browser.click(SEND);
    const answer = await answered(/200 OK/);
    assert.match(answer, /200 OK, \d+ msThe task was processed\./);
    assert.match(answer, /\{\n {2}"status": "SUCCESS",\n {2}"id": "[0-9a-f-]{36}"\n\}/);
    assert.match(answer, /\ncontent-type: application\/json\n/);
    assert.match(answer, /\nx-request-id: /);
    assert.match(
      await send('{"status":1}', /422/),
      /422 Unprocessable \w+, .*"loc": \[\n *"body",\n *"status"/s,
    );
    assert.match(await send("{", /json_invalid/), /422.*"error": /s);
    assert.match(
      await send('{"status":"x"}', /500/),
      /500 Internal Server Error, .*"Task processing failed"/s,
    );
    assert.deepEqual(
      proxy.seen.filter(({ url }) => url === "/process").map(({ headers }) => headers["x-api-key"]),
      [undefined, "wrong", KEY, KEY, KEY, KEY],
    );
    assert.deepEqual(await violations(), []);
  });

  test("sends nothing but the request where an operation has no body and needs no key", async () => {
    await authorize(KEY);
    await browser.click('[aria-label="Send GET /health"]');
    await answered(/200 OK, .*"status": "ok"/s, '[data-path="/health"] [aria-live]');
    const { method, headers = {}, body } = proxy.seen.at(-1) ?? {};
    assert.deepEqual(
      [method, headers["x-api-key"], headers["content-type"], body],
      ["GET", undefined, undefined, ""],
    );
  });

  test("keeps the key in memory only: not in document, address, stores or command, and gone on reload", async () => {
    await authorize(KEY);
    await browser.click(SEND);
    await answered(/200 OK/);
    const places = await browser.run<string>(`return JSON.stringify([
      document.documentElement.outerHTML,
      [...document.querySelectorAll("input, textarea")].map(({ value }) => value),
      location.href, document.cookie, { ...localStorage }, { ...sessionStorage }, history.state, window.name,
      Object.getOwnPropertyNames(window).map((name) => typeof window[name] === "string" ? window[name] : ""),
    ])`);
    assert.ok(places.includes("$API_KEY"));
    assert.ok(!places.includes(KEY));
    await browser.run("location.reload()");
    await browser.click(SEND);
    await answered(/401 Unauthorized/);
  });

  test("forgets the key on request", async () => {
    const state = "form:not([data-path]) [role=status]";
    await authorize(KEY);
    assert.match(await textOf(state), /^Authorized/);
    await browser.type(FIELD, "half a key");
    await browser.click(FORGET);
    assert.match(await textOf(state), /^Not authorized/);
    assert.equal(await browser.run("return document.querySelector('input').value"), "");
    await browser.click(SEND);
    await answered(/401 Unauthorized/);
    assert.equal(proxy.seen.at(-1)?.headers["x-api-key"], undefined);
  });

  test("says what is wrong with a key that no header can carry, and keeps the one before", async () => {
    const state = "form:not([data-path]) [role=status]";
    await authorize(KEY);
    for (const key of ["", "  ", "clé", "a b", "“k”"]) {
      await authorize(key);
      assert.match(await textOf(state), key.trim() === "" ? /^Enter a key/ : /visible ASCII/);
      assert.equal(await browser.run("return document.querySelector('input').value"), "");
    }
    await browser.click(SEND);
    await answered(/200 OK/);
  });

  test("is worked with the keyboard alone: at most 15 Tabs to an answer, with the focus in sight at each", async () => {
    let tabs = 0;
    const tabTo = async (selector: string): Promise<void> => {
      for (;;) {
        await browser.press(KEYS.tab);
        assert.ok(++tabs <= 15, `${tabs} Tabs`);
        const stop = await browser.run<{ found: boolean; seen: boolean; text: string }>(
          FOCUS,
          selector,
        );
        assert.ok(stop.seen, `the focus on ${stop.text} can't be seen`);
        if (stop.found) return;
      }
    };
    await tabTo(FIELD);
    await browser.press(KEY);
    await tabTo(AUTHORIZE);
    await browser.press(KEYS.enter);
    await tabTo("textarea");
    await tabTo(SEND);
    await browser.press(KEYS.space);
    await answered(/200 OK/);
    await tabTo(`${ANSWER} pre`);
    assert.ok(tabs <= 10, `${tabs} Tabs`);
  });

  test("shows a command that sh runs to send the same bytes, whatever the body", async () => {
    await authorize(KEY);
    const odd = `{"status":"it's $HOME \`id\` \\"\\\\\\" !! é 漢 %s"}`;
    for (const body of [
      '{"status":"SUCCESS"}',
      odd,
      "'",
      "''\\'",
      "@/etc/passwd",
      "",
      "{\n\n }\n",
    ]) {
      proxy.seen.length = 0;
      await browser.run("document.querySelector('textarea').value = arguments[0]", body);
      await browser.run(
        "document.querySelector('textarea').dispatchEvent(new Event('input', { bubbles: true }))",
      );
      await browser.click(SEND);
      await answered(/\d ms/);
      const command = await textOf(COMMAND);
      assert.ok(
        command.includes('"X-API-Key: $API_KEY"') && command.includes("--data-raw "),
        command,
      );
      await run("sh", ["-c", command], {
        env: { PATH: "/usr/bin:/bin", API_KEY: KEY },
        timeout: 10_000,
      });
      const [fetched, curled] = proxy.seen.map(({ method, url, headers, body }) => [
        ...[
          method,
          url,
          body,
          headers["x-api-key"],
          headers["content-type"],
          headers["content-length"],
        ],
      ]);
      assert.deepEqual(curled, fetched);
    }
  });

  test("copies the command, or selects it where there is no clipboard", async () => {
    const state = '[data-path="/process"] [role=status]';
    const setClipboard = (value: string): Promise<unknown> =>
      browser.run(
        `Object.defineProperty(navigator, "clipboard", { value: ${value}, configurable: true })`,
      );
    await setClipboard("{ writeText: async (text) => (window.copied = text) }");
    await browser.click(COPY);
    assert.equal(await textOf(state), "Copied.");
    assert.equal(await browser.run("return copied"), await textOf(COMMAND));
    for (const clipboard of [
      "undefined",
      "{ writeText: () => Promise.reject(new Error('denied')) }",
    ]) {
      await browser.run("getSelection().empty()");
      await setClipboard(clipboard);
      await browser.click(COPY);
      assert.match(await textOf(state), /^Selected/);
      assert.equal(await browser.run("return getSelection().toString()"), await textOf(COMMAND));
    }
  });

  test("works behind a proxy that strips a prefix", async () => {
    const prefixed = await startProxy(service.port, "/svc");
    try {
      await browser.open(`${prefixed.origin}/svc/docs/?x#GET/health`);
      assert.equal(await browser.run("return location.pathname"), "/svc/docs");
      await authorize(KEY);
      await browser.click(SEND);
      await answered(/200 OK/);
      assert.ok((await textOf(COMMAND)).includes(`'${prefixed.origin}/svc/process'`));
      await browser.click('[href="openapi.json"]');
      assert.equal(await browser.run("return location.pathname"), "/svc/openapi.json");
      // The browser itself asks for an icon of a JSON document.
      const asked = prefixed.seen.filter(({ url }) => url !== "/favicon.ico");
      assert.deepEqual(
        asked.filter(({ status }) => status !== 200 && status !== 307),
        [],
      );
    } finally {
      await prefixed.stop();
    }
  });

  test("says when a status is not in the document", async () => {
    proxy.answers.set("/process", (_request, response) =>
      response.writeHead(418).end("short and stout"),
    );
    const answer = await send("{}", /418/);
    assert.match(
      answer,
      /^418 I'm a Teapot, \d+ msThe document does not declare this status\.short and stout/,
    );
  });

  test("says in plain words when no answer comes, or only half of one", async () => {
    proxy.answers.set("/process", (request) => request.socket.destroy());
    await send("{}", /^No answer: .*connection broke\.$/);
    await browser.open(`${proxy.origin}/docs`);
    proxy.answers.set("/process", (request, response) => {
      response.writeHead(200, { "Content-Length": 100 }).write("half");
      setTimeout(() => request.socket.destroy(), 50);
    });
    await browser.click(SEND);
    await answered(/^No answer: /);
  });

  test("shows the latest of two answers", async () => {
    let first = true;
    proxy.answers.set("/process", (_request, response) => {
      setTimeout(() => response.end(first ? "first" : "second"), first ? 400 : 0);
      first = false;
    });
    await browser.click(SEND);
    for (let tries = 0; tries < 100 && first; tries++)
      await new Promise((resolve) => setTimeout(resolve, 10));
    await browser.click(SEND);
    await answered(/second/);
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.match(await textOf(ANSWER), /second/);
  });

  test("shows the beginning of a large answer without freezing, and offers the whole", async () => {
    const items = Array.from({ length: 12_000 }, (_, id) => ({
      id,
      text: "é".repeat(8) + "x".repeat(72),
    }));
    const large = JSON.stringify({ items });
    assert.ok(large.length > 1_200_000);
    proxy.answers.set("/process", (_request, response) => void response.end(large));
    const pretty = JSON.stringify(JSON.parse(large), null, 2);
    const longest: number[] = [];
    for (let tries = 0; tries < 5 && (longest.at(-1) ?? 999) > 200; tries++) {
      await browser.run("observed.longTasks.length = 0");
      const answer = await send(
        "{}",
        new RegExp(`The first 20000 of ${pretty.length} characters\\.`),
      );
      assert.ok(answer.includes(pretty.slice(0, 20_000)) && answer.length < 22_000);
      await new Promise((resolve) => setTimeout(resolve, 200));
      longest.push(Math.max(0, ...(await browser.run<number[]>("return observed.longTasks"))));
    }
    assert.ok(Math.min(...longest) <= 200, `${longest.join()} ms`);
    assert.equal(await browser.label(await browser.find(`${ANSWER} a`)), "Download");
    const directory = mkdtempSync(join(tmpdir(), "download-"));
    try {
      await browser.devtools("Browser.setDownloadBehavior", {
        behavior: "allow",
        downloadPath: directory,
      });
      await browser.click(`${ANSWER} a`);
      for (let tries = 0; tries < 200 && !readdirSync(directory).includes("answer.json"); tries++) {
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
      assert.equal(readFileSync(join(directory, "answer.json"), "utf8"), large);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
    assert.deepEqual(await violations(), []);
  });

  test("is not wider than a small screen, nor than the window when the text is twice as large", async () => {
    const excess = "return [document.documentElement.scrollWidth, innerWidth]";
    for (const [width, size] of [
      [320, "100%"],
      [1280, "200%"],
      [960, "200%"],
      [640, "200%"],
    ] as const) {
      await screen(width, 800);
      await browser.open(`${proxy.origin}/docs`);
      await browser.run("document.documentElement.style.fontSize = arguments[0]", size);
      const before = await browser.run<[number, number]>(excess);
      assert.ok(before[0] <= width, `${before} at ${width}, ${size}`);
      await authorize(KEY);
      await send(`{"status":["${"x".repeat(300)}"]}`, /422/);
      const after = await browser.run<[number, number]>(excess);
      assert.ok(after[0] <= width, `${after} at ${width}, ${size}, with an answer`);
    }
  });

  test("follows the system to dark and back, with enough contrast in both", async () => {
    for (const scheme of ["light", "dark"]) {
      const features = [{ name: "prefers-color-scheme", value: scheme }];
      await browser.devtools("Emulation.setEmulatedMedia", { features });
      await browser.open(`${proxy.origin}/docs`);
      const colors = await browser.run<Record<string, [string, string]>>(COLORS);
      const ground = luminance((colors["p"] as [string, string])[1]);
      assert.ok(scheme === "dark" ? ground < 0.05 : ground > 0.9, `${scheme}: ${ground}`);
      for (const [name, [front, back]] of Object.entries(colors)) {
        const [low, high] = [luminance(front), luminance(back)].sort((a, b) => a - b) as [
          number,
          number,
        ];
        const contrast = (high + 0.05) / (low + 0.05);
        assert.ok(
          contrast >= (name.startsWith("border") ? 3 : 4.5),
          `${scheme} ${name}: ${contrast}`,
        );
      }
    }
    await browser.devtools("Emulation.setEmulatedMedia", { features: [] });
  });

  test("is a whole reference without script, with no control to be seen", async () => {
    await browser.devtools("Emulation.setScriptExecutionDisabled", { value: true });
    try {
      await browser.open(`${proxy.origin}/docs`);
      assert.equal(await browser.run(VISIBLE, "form, input, textarea, button"), 0);
      assert.ok((await browser.run<number>(VISIBLE, "h4")) > 15);
      assert.equal(
        await browser.run(VISIBLE, "h1, h2, h3, h4, table, section > div"),
        await browser.run(
          "return document.querySelectorAll('h1, h2, h3:not(form *), h4:not(form *), table, section > div').length",
        ),
      );
    } finally {
      await browser.devtools("Emulation.setScriptExecutionDisabled", { value: false });
    }
  });

  test("prints as a reference without controls", async () => {
    await browser.devtools("Emulation.setEmulatedMedia", { media: "print" });
    assert.equal(await browser.run(VISIBLE, "form, input, textarea, button, nav"), 0);
    assert.ok((await browser.run<number>(VISIBLE, "h4, table")) > 20);
    await browser.devtools("Emulation.setEmulatedMedia", { media: "" });
    const { data } = await browser.devtools<{ data: string }>("Page.printToPDF");
    assert.equal(Buffer.from(data, "base64").toString("latin1", 0, 5), "%PDF-");
  });

  test("shows a hostile document's text as text, and runs none of it", async () => {
    const attack = '</script></textarea></title><img src=x onerror="window.hacked = 1">';
    const document = JSON.parse(
      readFileSync(new URL("src/docs/openapi.json", root), "utf8"),
    ) as OpenApiDocument;
    const { headers } = await fetch(`http://127.0.0.1:${service.port}/docs`);
    const policy = headers.get("content-security-policy") ?? "";
    proxy.answers.set("/docs", (_request, response) => {
      response.writeHead(200, {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": policy,
      });
      response.end(renderPage(poison(document, attack)));
    });
    await browser.open(`${proxy.origin}/docs`);
    assert.equal(await browser.run("return document.images.length"), 0);
    assert.equal(await browser.run("return typeof hacked"), "undefined");
    assert.ok((await browser.run<string>("return document.body.innerText")).includes(attack));
    assert.ok(
      (await browser.run<string>("return document.querySelector('textarea').value")).includes(
        "<img src=x",
      ),
    );
    assert.deepEqual(await violations(), []);
  });
});

/** Runs before the page's own script: what the browser reports meanwhile. */
const OBSERVE = `
  window.observed = { violations: [], longTasks: [] };
  addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) =>
    observed.violations.push(violatedDirective + " " + blockedURI));
  new PerformanceObserver((list) => observed.longTasks.push(...list.getEntries().map(({ duration }) => duration)))
    .observe({ type: "longtask", buffered: true });
`;

/** How many elements that match are to be seen. */
const VISIBLE = `
  const elements = [...document.querySelectorAll(arguments[0])];
  return elements.filter((e) => e.checkVisibility() && e.offsetHeight > 0 && e.offsetWidth > 0).length;
`;

/** What has the focus: whether it matches, and whether it is in the window with an outline around it. */
const FOCUS = `
  const element = document.activeElement;
  const { outlineStyle, outlineWidth } = getComputedStyle(element);
  const { top, bottom, left, right } = element.getBoundingClientRect();
  const inWindow = bottom > 0 && top < innerHeight && right > 0 && left < innerWidth;
  return {
    found: element.matches(arguments[0]),
    seen: element.matches(":focus-visible") && outlineStyle === "solid" && parseFloat(outlineWidth) >= 2 && inWindow,
    text: element.outerHTML.slice(0, 80),
  };
`;

/** The colors of text, and of the borders of controls, with what is behind them. */
const COLORS = `
  const behind = (element) => {
    for (; element; element = element.parentElement) {
      const { backgroundColor } = getComputedStyle(element);
      if (backgroundColor !== "rgba(0, 0, 0, 0)") return backgroundColor;
    }
  };
  const colors = {};
  for (const selector of ["p", "p + p", "small", "em", "a", "h4[data-status^='2']", "h4[data-status^='4']",
    "h4[data-status^='5']", "pre", "form p", "form a", "form small", "button", "button[type]", "input", "textarea"]) {
    const element = document.querySelector(selector);
    if (element) colors[selector] = [getComputedStyle(element).color, behind(element)];
  }
  for (const selector of ["input", "textarea", "button[type]"]) {
    const element = document.querySelector(selector);
    colors["border of " + selector] = [getComputedStyle(element).borderTopColor, behind(element.parentElement)];
    colors["border in " + selector] = [getComputedStyle(element).borderTopColor, behind(element)];
  }
  return colors;
`;

/** The relative luminance of an `rgb(…)` color, WCAG 2.2. */
function luminance(color: string): number {
  const channels = (color.match(/[\d.]+/g) ?? []).slice(0, 3).map((text) => Number(text) / 255);
  const linear = channels.map((value) =>
    value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4,
  );
  return [0.2126, 0.7152, 0.0722].reduce(
    (sum, weight, index) => sum + weight * (linear[index] ?? NaN),
    0,
  );
}
