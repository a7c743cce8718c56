import assert from "node:assert/strict";
import { before, beforeEach, describe, test } from "node:test";

import type { Browser } from "../support/browser.ts";
import { type DocsPage, PARTS, startDocsPage } from "../support/docs-page.ts";
import { suiteScope } from "../support/scope.ts";

describe("the copy buttons of the docs page in Chromium", { timeout: 240_000 }, () => {
  const suite = suiteScope();
  let page: DocsPage;
  let browser: Browser;

  before(async () => {
    page = await startDocsPage(suite);
    ({ browser } = page);
  });
  beforeEach(() => page.load());

  /** Puts `value`, an expression, in the place of the browser's clipboard. */
  const setClipboard = (value: string): Promise<unknown> => {
    const property = `{ value: ${value}, configurable: true }`;
    return browser.run(`Object.defineProperty(navigator, "clipboard", ${property})`);
  };

  const copied = (): Promise<string> => browser.run("return window.copied");

  const WORKING = "{ writeText: async (text) => (window.copied = text) }";
  const DENIED = "{ writeText: () => Promise.reject(new Error('denied')) }";

  test("copy the command", async () => {
    await setClipboard(WORKING);
    await browser.click(PARTS.copy);
    await page.waitForText(/^Copied\.$/, PARTS.copyState);
    assert.equal(await copied(), await page.textOf(PARTS.command));
  });

  test("copy each example of the reference", async () => {
    await setClipboard(WORKING);
    const texts = await browser.run<string[]>(CLICK_ALL);
    assert.ok(texts.length > 10);
    for (const text of texts) JSON.parse(text);
  });

  test("copy a response, all of what is shown", async () => {
    await setClipboard(WORKING);
    await browser.click(PARTS.send);
    await page.waitForText(/401/);
    await browser.click(`${PARTS.response} [aria-label="Copy response"]`);
    await page.waitForText(/^Copied\.$/, `${PARTS.response} [role=status]`);
    assert.equal(await copied(), '{\n  "detail": "Invalid or missing API Key"\n}');
  });

  for (const [name, clipboard] of [
    ["there is no clipboard", "undefined"],
    ["the clipboard is denied", DENIED],
  ] as const) {
    test(`select the text if ${name}`, async () => {
      await setClipboard(clipboard);
      await browser.click(PARTS.copy);
      await page.waitForText(/^Selected/, PARTS.copyState);
      const selected = await browser.run("return getSelection().toString()");
      assert.equal(selected, await page.textOf(PARTS.command));
    });
  }
});

/** Copies the examples one after the other, and returns what has been copied. */
const CLICK_ALL = `
  return (async () => {
    const texts = [];
    for (const button of document.querySelectorAll('[aria-label="Copy example"]')) {
      const example = button.parentElement.querySelector("pre").textContent;
      await button.onclick();
      if (window.copied !== example) throw new Error("not copied: " + example);
      texts.push(window.copied);
    }
    return texts;
  })();
`;
