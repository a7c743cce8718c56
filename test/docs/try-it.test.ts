import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { before, beforeEach, describe, test } from "node:test";
import { promisify } from "node:util";

import { KEY } from "../support/requests.ts";
import type { Browser } from "../support/browser.ts";
import { type DocsPage, startDocsPage } from "../support/docs-page.ts";
import { suiteScope } from "../support/scope.ts";
import { jobs } from "../support/jobs.ts";
import type { Proxy } from "../support/proxy.ts";

const run = promisify(execFile);

const PUT = "[data-method=PUT]";
const ID = "5f0c6b0e-3d2a-4b8f-9c1d-7e6a5b4c3d2e";

/** What the fields send when nothing but `id` is filled in. */
const START = `/queues/mail/jobs/${ID}?level=1&force=false`;

describe("the parameters of the docs page in Chromium", { timeout: 240_000 }, () => {
  const suite = suiteScope();
  let page: DocsPage;
  let browser: Browser;
  let proxy: Proxy;

  before(async () => {
    page = await startDocsPage(suite);
    ({ browser, proxy } = page);
  });
  beforeEach(async () => {
    await page.load();
    await page.show(jobs);
    await browser.type(field("id"), ID);
  });

  const field = (name: string): string => `${PUT} [data-name=${name}]`;

  const command = (): Promise<string> => page.textOf(`${PUT} > figure > pre`);

  /** Sends the request, and returns its target. */
  const send = async (): Promise<string> => {
    await browser.click(`${PUT} button:not([type])`);
    await page.waitForText(/\d ms/, `${PUT} [aria-live]`);
    return proxy.seen.at(-1)?.url ?? "";
  };

  test("are sent only if they are required or filled in", async () => {
    assert.equal(await send(), START);
  });

  const entries: readonly [name: string, text: string, added: string][] = [
    ["priority", "9", "&priority=9"],
    ["priority", "-1.5", "&priority=-1.5"],
    ["ratio", "0.5", "&ratio=0.5"],
    ["note", "a b&c=d/é?#+%", "&note=a+b%26c%3Dd%2F%C3%A9%3F%23%2B%25"],
    ["notify", "a@b\n\nc d\n", "&notify=a%40b&notify=c+d"],
    ["mode", "fast", "&mode=fast"],
    ["flag", "b", "&flag=b"],
  ];
  for (const [name, text, added] of entries) {
    test(`send ${JSON.stringify(text)} for ${name} as ${added}`, async () => {
      await browser.type(field(name), text);
      assert.deepEqual(parametersIn(await send()), parametersIn(START + added));
      assert.ok((await command()).includes(added.slice(1)), await command());
    });
  }

  for (const [name, sent] of [
    ["dry", "true"],
    ["wait", "false"],
    ["force", "true"],
  ] as const) {
    test(`send ${name} as ${sent} when it is clicked`, async () => {
      await browser.click(field(name));
      assert.equal(parametersIn(await send()).get(name), sent);
      await browser.click(field(name));
      assert.equal(parametersIn(await send()).get(name), name === "force" ? "false" : null);
    });
  }

  test("send each option of a list that is chosen", async () => {
    await browser.run(CHOOSE, field("flag"), ["a", "c"]);
    assert.deepEqual(parametersIn(await send()).getAll("flag"), ["a", "c"]);
  });

  test("are encoded in the path, so that they stay one segment", async () => {
    await browser.clear(field("queue"));
    await browser.type(field("queue"), "a/b?c#d%é {id}$&");
    const expected = "/queues/a%2Fb%3Fc%23d%25%C3%A9%20%7Bid%7D%24%26/jobs/";
    assert.ok((await send()).startsWith(expected), proxy.seen.at(-1)?.url);
  });

  for (const [text, refused] of [
    ["", true],
    [".", true],
    ["..", true],
    ["...", false],
    ["a", false],
  ] as const) {
    test(`of the path ${refused ? "can't" : "can"} be ${JSON.stringify(text)}`, async () => {
      await browser.run(
        "document.querySelector(arguments[0]).value = arguments[1]",
        field("id"),
        text,
      );
      proxy.seen.length = 0;
      await browser.click(`${PUT} button:not([type])`);
      if (refused) {
        assert.equal(await browser.run("return document.activeElement.dataset.name"), "id");
        await browser.clear(field("id"));
        await browser.type(field("id"), "x");
      }
      await send();
      assert.equal(proxy.seen[0]?.url, START.replace(ID, refused ? "x" : text));
    });
  }

  test("are in the command as they are in the request, with key and body", async () => {
    await page.useKey(KEY);
    await browser.type(field("note"), `it's "$HOME" \`id\` \\ !`);
    await browser.type(field("notify"), "a\nb");
    await send();
    const env = { PATH: "/usr/bin:/bin", API_KEY: KEY };
    await run("sh", ["-c", await command()], { env, timeout: 10_000 });
    const [fetched, curled] = proxy.seen.slice(-2).map(({ method, url, headers, body }) => ({
      method,
      url,
      body,
      key: headers["x-api-key"],
      type: headers["content-type"],
    }));
    assert.equal(fetched?.method, "PUT");
    assert.equal(fetched?.key, KEY);
    assert.deepEqual(JSON.parse(fetched?.body ?? "").options, { dry_run: false, timeout_s: 1 });
    assert.deepEqual(curled, fetched);
  });

  test("have labels for people and for programs", async () => {
    const labels = await Promise.all(
      ["queue", "priority", "mode", "dry", "notify", "flag"].map(async (name) =>
        browser.label(await browser.find(field(name))),
      ),
    );
    assert.deepEqual(labels, [
      "queue required",
      "priority",
      "mode",
      "dry",
      "notify, one per line",
      "flag",
    ]);
    assert.deepEqual(await page.violations(), []);
  });
});

/** The parameters of a request target's query. */
function parametersIn(target: string): URLSearchParams {
  return new URL(target, "http://x").searchParams;
}

/** Chooses options of a list, as a person does. */
const CHOOSE = `
  const [selector, values] = arguments;
  const list = document.querySelector(selector);
  for (const option of list.options) option.selected = values.includes(option.value);
  list.dispatchEvent(new Event("input", { bubbles: true }));
`;
