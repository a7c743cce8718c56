import assert from "node:assert/strict";
import { before, beforeEach, describe, test } from "node:test";

import { KEY } from "../support/requests.ts";
import { type Browser, type Element, KEYS } from "../support/browser.ts";
import { jobs } from "../support/jobs.ts";
import { COUNT_VISIBLE, type DocsPage, PARTS, startDocsPage } from "../support/docs-page.ts";
import { suiteScope } from "../support/scope.ts";

describe("the look of the docs page in Chromium", { timeout: 240_000 }, () => {
  const suite = suiteScope();
  let page: DocsPage;
  let browser: Browser;

  before(async () => {
    page = await startDocsPage(suite);
    ({ browser } = page);
  });
  beforeEach(() => page.load());

  test("names its controls for people and for programs", async () => {
    const labels = async (selector: string): Promise<string[]> => {
      const script = "return [...document.querySelectorAll(arguments[0])]";
      const elements = await browser.run<Element[]>(script, selector);
      return Promise.all(elements.map((element) => browser.label(element)));
    };
    assert.deepEqual(await labels("#key"), ["X-API-Key"]);
    assert.deepEqual(await labels("form:not([data-path]) button"), ["Use key", "Forget"]);
    const process = "[data-path='/process']";
    assert.deepEqual(await labels(`${process} textarea`), ["Body"]);
    const buttons = ["Send POST /process", "Copy cURL for POST /process"];
    assert.deepEqual(await labels(`${process} button`), buttons);
    const examples = await labels("div figure > button");
    assert.ok(examples.length > 10);
    assert.deepEqual(new Set(examples), new Set(["Copy example"]));
    assert.equal(await browser.role(await browser.find("main")), "main");
    assert.equal(await browser.run(COUNT_VISIBLE, `output, ${PARTS.response}`), 2);
  });

  test("keeps the contents in view, and no link leads below them", async () => {
    const script = `
      const nav = document.querySelector("nav").getBoundingClientRect();
      const target = document.getElementById(location.hash.slice(1)).getBoundingClientRect();
      return { top: nav.top, isClear: target.top >= nav.bottom, scrolled: scrollY };
    `;
    await browser.click('nav [href="#schemas"]');
    const { top, isClear, scrolled } = await browser.run<Record<string, unknown>>(script);
    assert.equal(top, 0);
    assert.equal(isClear, true);
    assert.ok(Number(scrolled) > 900);
    await browser.click('nav [href="#POST/process"]');
    assert.equal((await browser.run<Record<string, unknown>>(script))["isClear"], true);
  });

  test("scrolls its forms with the page", async () => {
    await page.resize(1280, 300);
    await browser.click(PARTS.send);
    await page.waitForText(/401/);
    const boxes = await browser.run(`
      return [...document.forms].filter((form) => form.scrollHeight > form.clientHeight + 1).length;
    `);
    assert.equal(boxes, 0);
  });

  test("works with the keyboard alone, and always shows where the focus is", async () => {
    const stops = await browser.run<number>(COUNT_STOPS, PARTS.send);
    let tabs = 0;
    const tabTo = async (selector: string): Promise<void> => {
      for (;;) {
        await browser.press(KEYS.tab);
        tabs += 1;
        assert.ok(tabs <= stops + 2, `${tabs} Tabs`);
        const { isFound, isVisible, text } = await browser.run<Focus>(FOCUS, selector);
        assert.ok(isVisible, `the focus on ${text} is not visible`);
        if (isFound) return;
      }
    };
    await tabTo(PARTS.key);
    await browser.press(KEY);
    await tabTo(PARTS.useKey);
    await browser.press(KEYS.enter);
    await tabTo(PARTS.body);
    await tabTo(PARTS.send);
    await browser.press(KEYS.space);
    await page.waitForText(/200 OK/);
    await tabTo(`${PARTS.response} pre`);
  });

  const windows = [
    [320, "100%"],
    [1280, "200%"],
    [960, "200%"],
    [640, "200%"],
  ] as const;
  for (const [width, size] of windows) {
    test(`shows parameters in a window of ${width} pixels with text of ${size}`, async () => {
      await page.resize(width, 800);
      await page.show(jobs);
      await browser.run("document.documentElement.style.fontSize = arguments[0]", size);
      assert.ok((await browser.run<number>(WIDTH)) <= width);
      assert.deepEqual(await browser.run(UNREACHABLE), []);
      const outside = await browser.run(`
        return [...document.querySelectorAll("form [data-in]")]
          .filter((field) => field.getBoundingClientRect().right > innerWidth).length;
      `);
      assert.equal(outside, 0);
    });

    test(`is not wider than a window of ${width} pixels with text of ${size}`, async () => {
      await page.resize(width, 800);
      await browser.open(page.address);
      await browser.run("document.documentElement.style.fontSize = arguments[0]", size);
      assert.ok((await browser.run<number>(WIDTH)) <= width);
      await page.useKey(KEY);
      await page.send(`{"status":["${"x".repeat(300)}"]}`, /422/);
      assert.deepEqual(await browser.run(UNREACHABLE), []);
      assert.ok((await browser.run<number>(WIDTH)) <= width);
    });
  }

  for (const scheme of ["light", "dark"]) {
    test(`is ${scheme} if the system is, with enough contrast`, async (t) => {
      t.after(() => browser.devtools("Emulation.setEmulatedMedia", { features: [] }));
      const features = [{ name: "prefers-color-scheme", value: scheme }];
      await browser.devtools("Emulation.setEmulatedMedia", { features });
      await browser.open(page.address);
      const colors = await browser.run<Record<string, [string, string]>>(COLORS);
      const ground = luminance(colors["p"]?.[1]);
      assert.ok(scheme === "dark" ? ground < 0.05 : ground > 0.9, `${ground}`);
      for (const [name, [front, back]] of Object.entries(colors)) {
        const contrast = contrastOf(luminance(front), luminance(back));
        const least = name.startsWith("border") ? 3 : 4.5;
        assert.ok(contrast >= least, `${name}: ${contrast}`);
      }
    });
  }

  test("is a complete reference without its script, and shows no control", async (t) => {
    const disable = (value: boolean): Promise<unknown> =>
      browser.devtools("Emulation.setScriptExecutionDisabled", { value });
    t.after(() => disable(false));
    await disable(true);
    await browser.open(page.address);
    assert.equal(await browser.run(COUNT_VISIBLE, "form, input, textarea, button"), 0);
    assert.ok((await browser.run<number>(COUNT_VISIBLE, "[data-status]")) > 10);
    const reference =
      "h1, h2, h3:not(form *), h4:not(form *), table, pre:not(form *), section > div";
    const count = "return document.querySelectorAll(arguments[0]).length";
    assert.equal(await browser.run(COUNT_VISIBLE, reference), await browser.run(count, reference));
  });

  test("prints as a reference without controls", async (t) => {
    t.after(() => browser.devtools("Emulation.setEmulatedMedia", { media: "" }));
    await browser.devtools("Emulation.setEmulatedMedia", { media: "print" });
    assert.equal(await browser.run(COUNT_VISIBLE, "form, input, textarea, button, nav"), 0);
    assert.ok((await browser.run<number>(COUNT_VISIBLE, "[data-status], table")) > 20);
    const { data } = await browser.devtools<{ data: string }>("Page.printToPDF");
    assert.equal(Buffer.from(data, "base64").toString("latin1", 0, 5), "%PDF-");
  });
});

const WIDTH = "return document.documentElement.scrollWidth";

/** The boxes that scroll, and that the keyboard does not reach. */
const UNREACHABLE = `
  const isScrolled = (each) => {
    const { overflowX, overflowY } = getComputedStyle(each);
    const isWide = each.scrollWidth > each.clientWidth && overflowX !== "visible";
    const isHigh = each.scrollHeight > each.clientHeight && overflowY !== "visible";
    return isWide || isHigh;
  };
  return [...document.querySelectorAll("body *")]
    .filter((each) => each.checkVisibility() && isScrolled(each))
    .filter((each) => each.tabIndex < 0 && !each.querySelector("a, button"))
    .map((each) => each.outerHTML.slice(0, 80));
`;

/** Counts the controls and links up to an element, in the document's order. */
const COUNT_STOPS = `
  const last = document.querySelector(arguments[0]);
  return [...document.querySelectorAll("a, button, input, select, textarea, [tabindex]")]
    .filter((each) => each.checkVisibility())
    .findIndex((each) => each === last) + 1;
`;

/** The element that has the focus. */
interface Focus {
  /** Whether it is the one that was looked for. */
  readonly isFound: boolean;
  /** Whether it is in the window, with an outline around it. */
  readonly isVisible: boolean;
  /** The beginning of its HTML. */
  readonly text: string;
}

/** Returns a Focus. */
const FOCUS = `
  const element = document.activeElement;
  const { outlineStyle, outlineWidth } = getComputedStyle(element);
  const hasOutline = outlineStyle === "solid" && parseFloat(outlineWidth) >= 2;
  const { top, bottom, left, right } = element.getBoundingClientRect();
  const isInWindow = bottom > 0 && top < innerHeight && right > 0 && left < innerWidth;
  return {
    isFound: element.matches(arguments[0]),
    isVisible: element.matches(":focus-visible") && hasOutline && isInWindow,
    text: element.outerHTML.slice(0, 80),
  };
`;

/** The colors of texts, and of the borders of controls, each with the color behind it. */
const COLORS = `
  const behind = (element) => {
    for (; element; element = element.parentElement) {
      const { backgroundColor } = getComputedStyle(element);
      if (backgroundColor !== "rgba(0, 0, 0, 0)") return backgroundColor;
    }
  };
  const colors = {};
  const statuses = ["2", "4", "5"].map((digit) => "h4[data-status^='" + digit + "']");
  const reference = ["p", "p + p", "small", "em", "a", ...statuses, "pre"];
  const form = ["form p", "form a", "form small", "button", "button[type]", "input", "textarea"];
  for (const selector of [...reference, ...form]) {
    const element = document.querySelector(selector);
    if (element) colors[selector] = [getComputedStyle(element).color, behind(element)];
  }
  for (const selector of ["input", "textarea", "button[type]"]) {
    const element = document.querySelector(selector);
    const { borderTopColor } = getComputedStyle(element);
    colors["border of " + selector] = [borderTopColor, behind(element.parentElement)];
    colors["border in " + selector] = [borderTopColor, behind(element)];
  }
  return colors;
`;

/** The contrast of two luminances (WCAG 2.2, "contrast ratio"). */
function contrastOf(one: number, other: number): number {
  return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
}

/** The relative luminance of an `rgb(…)` color (WCAG 2.2). */
function luminance(color: string | undefined): number {
  const channels = (color?.match(/[\d.]+/g) ?? []).slice(0, 3).map(Number);
  const [red = NaN, green = NaN, blue = NaN] = channels.map((channel) => {
    const value = channel / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
