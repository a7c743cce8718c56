import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Why there is nothing to test the page with; false when there is. For the `skip` option of a test. */
export const noBrowser: string | false = ["chromium", "chromedriver", "curl"].every((name) =>
  existsSync(`/usr/bin/${name}`),
)
  ? false
  : "needs Debian's packages chromium, chromium-driver and curl";

/** A page's element, as WebDriver names it. */
export type Element = Readonly<Record<string, string>>;

/** A Chromium of the test's own, driven over WebDriver (https://www.w3.org/TR/webdriver2/). */
export interface Browser {
  open(url: string): Promise<void>;
  /** Runs the body of a function in the page; what it returns, also as a promise, comes back. */
  run<T = unknown>(script: string, ...args: unknown[]): Promise<T>;
  find(selector: string): Promise<Element>;
  click(selector: string): Promise<void>;
  /** Types into an element, after what is there. */
  type(selector: string, text: string): Promise<void>;
  clear(selector: string): Promise<void>;
  /** Types to whatever has the focus. */
  press(keys: string): Promise<void>;
  /** The element's name as assistive technology hears it. */
  label(element: Element): Promise<string>;
  role(element: Element): Promise<string>;
  screenshot(): Promise<Buffer>;
  /** A command of the DevTools protocol. */
  devtools<T = unknown>(cmd: string, params?: object): Promise<T>;
  close(): Promise<void>;
}

/** The names that WebDriver gives to keys without a character. */
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
];

/** Starts chromedriver and one Chromium with a profile that is deleted at the end. */
export async function launch(...flags: string[]): Promise<Browser> {
  const profile = mkdtempSync(join(tmpdir(), "docs-test-"));
  const driver = spawn("/usr/bin/chromedriver", ["--port=0"], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  const base = `http://127.0.0.1:${await portOf(driver)}/session`;
  const args = [...FLAGS, `--user-data-dir=${profile}`, "--window-size=1280,900", ...flags];
  const capabilities = {
    alwaysMatch: { "goog:chromeOptions": { args }, timeouts: { script: 20_000 } },
  };
  const { sessionId } = (await call("POST", base, { capabilities })) as { sessionId: string };
  return commands(`${base}/${sessionId}`, async () => {
    const ended = new Promise((resolve) => driver.once("exit", resolve));
    driver.kill();
    await ended;
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  });
}

function commands(session: string, end: () => Promise<void>): Browser {
  const post = (path: string, body: object): Promise<unknown> => call("POST", session + path, body);
  const get = (path: string): Promise<unknown> => call("GET", session + path);
  const find = (value: string): Promise<Element> =>
    post("/element", { using: "css selector", value }) as Promise<Element>;
  const element = async (selector: string): Promise<string> =>
    `/element/${idOf(await find(selector))}`;
  return {
    open: async (url) => void (await post("/url", { url })),
    run: <T>(script: string, ...args: unknown[]) =>
      post("/execute/sync", { script, args }) as Promise<T>,
    find,
    click: async (selector) => void (await post(`${await element(selector)}/click`, {})),
    type: async (selector, text) => void (await post(`${await element(selector)}/value`, { text })),
    clear: async (selector) => void (await post(`${await element(selector)}/clear`, {})),
    press: async (keys) => {
      const actions = [...keys].flatMap((value) =>
        ["keyDown", "keyUp"].map((type) => ({ type, value })),
      );
      await post("/actions", { actions: [{ type: "key", id: "keyboard", actions }] });
    },
    label: (found) => get(`/element/${idOf(found)}/computedlabel`) as Promise<string>,
    role: (found) => get(`/element/${idOf(found)}/computedrole`) as Promise<string>,
    screenshot: async () => Buffer.from((await get("/screenshot")) as string, "base64"),
    devtools: <T>(cmd: string, params: object = {}) =>
      post("/goog/cdp/execute", { cmd, params }) as Promise<T>,
    close: async () => {
      await call("DELETE", session).finally(end);
    },
  };
}

function idOf(element: Element): string {
  return Object.values(element)[0] ?? "";
}

async function call(method: string, url: string, body?: object): Promise<unknown> {
  const response = await fetch(url, { method, ...(body && { body: JSON.stringify(body) }) });
  const { value } = (await response.json()) as {
    value: { error?: string; message?: string } | null;
  };
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
