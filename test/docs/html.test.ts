import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { html, join, jsonHtml } from "../../src/docs/html.ts";

describe("an HTML template", () => {
  test("escapes text for its place between tags or between double quotes", () => {
    const text = `<a b="c">&'`;
    assert.equal(`${html`<p>${text}</p>`}`, "<p>&#60;a b=&#34;c&#34;&#62;&#38;'</p>");
  });

  test("inserts HTML as it is, also from a list", () => {
    assert.equal(`${html`a${html`<b>`}${[html`<i>`, "<", [html`<u>`]]}`}`, "a<b><i>&#60;<u>");
  });

  test("inserts nothing for a value that is neither text nor HTML nor a list", () => {
    const values = [undefined, null, true, false, 0, 7, {}, new String("<b>"), () => "<b>"];
    assert.equal(`${html`a${values}b`}`, "ab");
  });

  test("takes the line breaks and backslashes of its own text as JavaScript does", () => {
    assert.equal(`${html`a\n\\b`}`, "a\n\\b");
  });
});

describe("join", () => {
  test("puts the separator between items only", () => {
    assert.equal(`${join([], ", ")}`, "");
    assert.equal(`${join(["a"], ", ")}`, "a");
    assert.equal(`${join(["a", html`<b>`, "c"], ", ")}`, "a, <b>, c");
  });

  test("escapes items and separator that are text", () => {
    assert.equal(`${join(["<", ">"], "&")}`, "&#60;&#38;&#62;");
  });
});

describe("JSON as HTML", () => {
  test("has the same value as JSON.stringify() gives it", () => {
    const text = "[\n  1,\n  2\n]";
    for (const value of [
      ["a", 1, null, true],
      { list: [1, [2, 3]], text, "a\nb": { c: {} } },
      { a: "x".repeat(99), b: 1 },
      [[], {}, [{}]],
      {},
      "text",
      7,
      null,
    ]) {
      assert.deepEqual(JSON.parse(`${jsonHtml(value)}`), value);
    }
  });

  test("is nothing for a value that JSON does not have", () => {
    assert.equal(`${jsonHtml(undefined)}`, "");
  });

  test("is one line for a list or an object of a few short plain values", () => {
    assert.equal(`${jsonHtml(["a", 1])}`, '["a", 1]');
    assert.equal(`${jsonHtml({ a: null, b: true })}`, '{"a": null, "b": true}');
    assert.equal(`${jsonHtml([])}`, "[]");
  });

  test("is one line for one plain value, however long", () => {
    const long = "x".repeat(99);
    assert.equal(`${jsonHtml({ a: long })}`, `{"a": "${long}"}`);
  });

  test("is one line if its members have at most 60 characters there", () => {
    const lineOf = (length: number): string => `${jsonHtml(["x".repeat(length - 5), 1])}`;
    assert.equal(lineOf(60), `["${"x".repeat(55)}", 1]`);
    assert.equal(lineOf(61), `[\n  "${"x".repeat(56)}",\n  1\n]`);
  });

  test("has a line for each member otherwise", () => {
    const list = [1, [2, 3]];
    assert.equal(`${jsonHtml({ list })}`, '{\n  "list": [\n    1,\n    [2, 3]\n  ]\n}');
    const long = "x".repeat(60);
    assert.equal(`${jsonHtml([long, 1])}`, `[\n  "${long}",\n  1\n]`);
  });

  test("escapes what could be a tag or a character reference", () => {
    assert.equal(`${jsonHtml(["</pre>&amp;"])}`, '["&#60;/pre&#62;&#38;amp;"]');
  });
});
