/** HTML that is safe to send: only this file makes it, and it escapes everything else. */
class Html extends String {}

/** The type alone: nobody else can make an instance. */
export type { Html };

/**
 * The tag of an HTML template. Text is escaped, so that it may stand between tags and between double quotes;
 * HTML stands as it is, a list as its items, and anything else as nothing.
 */
export const html = (template: TemplateStringsArray, ...values: readonly unknown[]): Html =>
  new Html(String.raw({ raw: template }, ...values.map(toText)));

/** `items` with `separator` between them. */
export const join = (items: readonly unknown[], separator: string): Html =>
  html`${items.flatMap((item) => [separator, item]).slice(1)}`;

/** A value as JSON, to stand between tags. A list or object of plain values that is short, or has one, is one line. */
export function json(value: unknown): Html {
  const lines = JSON.stringify(value, null, 2) ?? "";
  // No string of JSON holds a line break, so that only the blanks between values change.
  const flat = /[[{]\n(?:[^[\]{}]{0,60}|[^[\]{}\n]*)\n *[\]}]/g;
  const oneLine = (part: string): string => part.replace(/,\n */g, ", ").replace(/\n */g, "");
  return new Html(lines.replace(flat, oneLine).replace(/[&<>]/g, escape));
}

function toText(value: unknown): string {
  if (value instanceof Html) return value.toString();
  if (Array.isArray(value)) return value.map(toText).join("");
  return typeof value === "string" ? value.replace(/[&<>"]/g, escape) : "";
}

const escape = (character: string): string => `&#${character.charCodeAt(0)};`;
