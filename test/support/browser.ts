import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { Scope } from "./scope.ts";
import { findTool } from "./tools.ts";

/** An element of the page, as WebDriver names it. */
export type Element = Readonly<Record<string, string>>;

/** The characters that WebDriver has for keys without one. */
export const KEYS = { tab: "\uE004", enter: "\uE007", space: " " } as const;

const FLAGS = [
  "--headless=new",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--window-size=1280,900",
];

/**
 * A Chromium with a profile of its own, driven over WebDriver
 * (https://www.w3.org/TR/webdriver2/).
 */
export class Browser {
  readonly #session: string;
  readonly #driver: ChildProcess;
  readonly #profile: string;
  readonly #processId: number;

  /** `processId` is the browser's own; the driver has another one. */
  constructor(session: string, driver: ChildProcess, profile: string, processId: number) {
    this.#session = session;
    this.#driver = driver;
    this.#profile = profile;
    this.#processId = processId;
    process.once("exit", this.#kill);
  }

  /** Goes to an address, and waits until it is loaded. */
  async open(url: string): Promise<void> {
    await this.#post("/url", { url });
  }

  /** Goes back in the history, and waits until the page is loaded. */
  async back(): Promise<void> {
    await this.#post("/back", {});
  }

  /** Runs the body of a function in the page, and returns its result; of a promise, its value. */
  async run<T = unknown>(script: string, ...args: unknown[]): Promise<T> {
    return (await this.#post("/execute/sync", { script, args })) as T;
  }

  async find(selector: string): Promise<Element> {
    const query = { using: "css selector", value: selector };
    return (await this.#post("/element", query)) as Element;
  }

  async click(selector: string): Promise<void> {
    await this.#post(`${await this.#pathOf(selector)}/click`, {});
  }

  /** Types into an element, after the text that it has. */
  async type(selector: string, text: string): Promise<void> {
    await this.#post(`${await this.#pathOf(selector)}/value`, { text });
  }

  async clear(selector: string): Promise<void> {
    await this.#post(`${await this.#pathOf(selector)}/clear`, {});
  }

  /** Types into the element that has the focus. */
  async press(keys: string): Promise<void> {
    const actions = [...keys].flatMap((value) => [
      { type: "keyDown", value },
      { type: "keyUp", value },
    ]);
    await this.#post("/actions", { actions: [{ type: "key", id: "keyboard", actions }] });
  }

  /** The name that assistive technology has for the element. */
  async label(element: Element): Promise<string> {
    return (await this.#get(`/element/${idOf(element)}/computedlabel`)) as string;
  }

  /** The role that assistive technology has for the element. */
  async role(element: Element): Promise<string> {
    return (await this.#get(`/element/${idOf(element)}/computedrole`)) as string;
  }

  /** A picture of the window, as PNG. */
  async screenshot(): Promise<Buffer> {
    return Buffer.from((await this.#get("/screenshot")) as string, "base64");
  }

  /** Runs a command of the DevTools protocol. */
  async devtools<T = unknown>(cmd: string, params: object = {}): Promise<T> {
    return (await this.#post("/goog/cdp/execute", { cmd, params })) as T;
  }

  /** Ends the browser, and deletes its profile. */
  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#driver.once("exit", resolve));
    try {
      await call("DELETE", this.#session);
      process.off("exit", this.#kill);
    } finally {
      this.#driver.kill();
      await ended;
      rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5 });
    }
  }

  /** For the end of a test that did not come to close(): the browser outlives its driver. */
  readonly #kill = (): void => {
    process.kill(this.#processId);
  };

  async #pathOf(selector: string): Promise<string> {
    return `/element/${idOf(await this.find(selector))}`;
  }

  #post(path: string, body: object): Promise<unknown> {
    return call("POST", this.#session + path, body);
  }

  #get(path: string): Promise<unknown> {
    return call("GET", this.#session + path);
  }
}

/** Starts chromedriver and a Chromium, until the scope ends. */
export async function launch(scope: Scope): Promise<Browser> {
  const profile = mkdtempSync(join(tmpdir(), "docs-test-"));
  const driver = spawn(findTool("chromedriver", "chromium-driver"), ["--port=0"], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  process.once("exit", () => driver.kill());
  const sessions = `http://127.0.0.1:${await portOf(driver)}/session`;
  const args = [...FLAGS, `--user-data-dir=${profile}`];
  const capabilities = {
    alwaysMatch: {
      "goog:chromeOptions": { args, binary: findTool("chromium") },
      timeouts: { script: 60_000 },
    },
  };
  const session = (await call("POST", sessions, { capabilities })) as Session;
  const processId = session.capabilities["goog:processID"];
  const browser = new Browser(`${sessions}/${session.sessionId}`, driver, profile, processId);
  scope.after(() => browser.close());
  return browser;
}

/** What chromedriver responds with, when it has started a browser. */
interface Session {
  readonly sessionId: string;
  readonly capabilities: { readonly "goog:processID": number };
}

function idOf(element: Element): string {
  return Object.values(element)[0] ?? "";
}

/** What chromedriver responds with, if a command fails. */
interface Failure {
  readonly error?: string;
  readonly message?: string;
}

async function call(method: string, url: string, body?: object): Promise<unknown> {
  const response = await fetch(url, { method, ...(body && { body: JSON.stringify(body) }) });
  const { value } = (await response.json()) as { value: Failure | null };
  if (!response.ok) throw new Error(`${value?.error}: ${value?.message?.split("\n")[0]}`);
  return value;
}

function portOf(driver: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = "";
    driver.stdout?.on("data", (chunk: Buffer) => {
      output += chunk.toString();
      const port = /started successfully on port (\d+)/.exec(output)?.[1];
      if (port !== undefined) resolve(port);
    });
    driver.once("error", reject);
    driver.once("exit", (code) => reject(new Error(`chromedriver ended with ${code}: ${output}`)));
  });
}
