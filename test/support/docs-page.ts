import type { OpenApiDocument } from "../../src/docs/document.ts";
import { renderPage } from "../../src/docs/page.ts";
import { type Browser, launch } from "./browser.ts";
import { type Program, startProgram } from "./program.ts";
import { type Proxy, startProxy } from "./proxy.ts";
import type { Scope } from "./scope.ts";

/** Selectors of the page's parts; those of an operation are of `POST /process`. */
export const PARTS = {
  key: "#key",
  useKey: "form:not([data-path]) button:not([type])",
  forget: "[name=forget]",
  keyState: "[name=state]",
  body: '[data-path="/process"] [name=body]',
  send: '[aria-label="Send POST /process"]',
  keyNote: '[data-path="/process"] [href="#key"]',
  response: '[data-path="/process"] [aria-live]',
  command: '[data-path="/process"] > figure > pre',
  copy: '[aria-label="Copy cURL for POST /process"]',
  copyState: '[data-path="/process"] > figure > [role=status]',
} as const;

/** Counts the elements that match and are visible. */
export const COUNT_VISIBLE = `
  return [...document.querySelectorAll(arguments[0])]
    .filter((e) => e.checkVisibility() && e.offsetHeight > 0 && e.offsetWidth > 0)
    .length;
`;

/** The docs page of a service, in a browser, behind a proxy that sees the page's requests. */
export class DocsPage {
  readonly service: Program;
  readonly proxy: Proxy;
  readonly browser: Browser;

  constructor(service: Program, proxy: Proxy, browser: Browser) {
    this.service = service;
    this.proxy = proxy;
    this.browser = browser;
  }

  get address(): string {
    return `${this.proxy.origin}/docs`;
  }

  /** Loads the page in a window of the usual size, with nothing left of the test before. */
  async load(): Promise<void> {
    this.proxy.handlers.clear();
    this.proxy.seen.length = 0;
    await this.resize(1280, 900);
    await this.browser.open(this.address);
  }

  /** Loads the page of another document, with the service's own header fields. */
  async show(document: OpenApiDocument): Promise<void> {
    const { headers } = await fetch(`http://127.0.0.1:${this.service.port}/docs`);
    const fields = {
      "Content-Type": "text/html; charset=utf-8",
      "Content-Security-Policy": headers.get("content-security-policy") ?? "",
    };
    this.proxy.handlers.set("/docs", (_request, response) => {
      response.writeHead(200, fields).end(renderPage(document));
    });
    await this.browser.open(this.address);
  }

  async resize(width: number, height: number): Promise<void> {
    const size = { width, height, deviceScaleFactor: 1, mobile: false };
    await this.browser.devtools("Emulation.setDeviceMetricsOverride", size);
  }

  textOf(selector: string): Promise<string> {
    return this.browser.run("return document.querySelector(arguments[0]).textContent", selector);
  }

  /** Waits until the text of an element matches, and returns it. Fails after 20 s. */
  waitForText(pattern: RegExp, selector: string = PARTS.response): Promise<string> {
    return this.browser.run(WAIT_FOR_TEXT, selector, pattern.source, pattern.flags);
  }

  async useKey(key: string): Promise<void> {
    await this.browser.type(PARTS.key, key);
    await this.browser.click(PARTS.useKey);
  }

  /** Sends `body` to `POST /process`, and waits for a response that matches. */
  async send(body: string, pattern: RegExp): Promise<string> {
    await this.browser.clear(PARTS.body);
    await this.browser.type(PARTS.body, body);
    await this.browser.click(PARTS.send);
    return this.waitForText(pattern);
  }

  /** The violations of the page's policy since it was loaded. */
  violations(): Promise<string[]> {
    return this.browser.run("return observed.violations");
  }

  /** How many ms each long task since the last call took. */
  longTasks(): Promise<number[]> {
    return this.browser.run("return observed.takeLongTasks()");
  }
}

/** Starts a service, a proxy in front of it, and a browser. All end with the scope. */
export async function startDocsPage(scope: Scope): Promise<DocsPage> {
  const service = await startProgram(scope);
  const proxy = await startProxy(scope, service.port);
  const browser = await launch(scope);
  await browser.devtools("Page.addScriptToEvaluateOnNewDocument", { source: OBSERVE });
  return new DocsPage(service, proxy, browser);
}

/** Runs before the page's own script, and collects the browser's reports. */
const OBSERVE = `
  const violations = [];
  addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
    violations.push(violatedDirective + " " + blockedURI);
  });
  const durations = [];
  const take = (entries) => durations.push(...entries.map(({ duration }) => duration));
  const observer = new PerformanceObserver((list) => take(list.getEntries()));
  observer.observe({ type: "longtask", buffered: true });
  const takeLongTasks = async () => {
    await new Promise((resolve) => requestIdleCallback(resolve));
    take(observer.takeRecords());
    return durations.splice(0);
  };
  window.observed = { violations, takeLongTasks };
`;

const WAIT_FOR_TEXT = `
  const [selector, source, flags] = arguments;
  const pattern = new RegExp(source, flags);
  return new Promise((resolve) => {
    const observer = new MutationObserver(check);
    observer.observe(document, { subtree: true, childList: true, characterData: true });
    check();
    function check() {
      const text = document.querySelector(selector).textContent;
      if (!pattern.test(text)) return;
      observer.disconnect();
      resolve(text);
    }
  });
`;
