/** HTML that is safe to send: only this module makes it, and it escapes everything else. */
class Html extends String {}

/** Only the type is exported: other modules get HTML from the functions below. */
export type { Html };

/**
 * The tag of an HTML template. A text is escaped, so that it can stand between tags and between
 * double quotes. HTML is inserted as it is, a list item by item, and anything else as nothing.
 *
 * @example
 *     html`<p>${description}${isOld && html` <em>old</em>`}</p>`
 */
export function html(template: TemplateStringsArray, ...values: readonly unknown[]): Html {
  return new Html(String.raw({ raw: template }, ...values.map(toText)));
}

/** `items` with `separator` between them. Both are treated as values in a template. */
export function join(items: readonly unknown[], separator: unknown): Html {
  return new Html(items.map(toText).join(toText(separator)));
}

/**
 * A value as JSON, to stand between tags. A list or an object whose members are plain values is on
 * one line if it is short or has only one member.
 */
export function jsonHtml(value: unknown): Html {
  return new Html(printJson(value, "\n").replace(/[&<>]/g, toReference));
}

function toText(value: unknown): string {
  if (value instanceof Html) return value.toString();
  if (Array.isArray(value)) return value.map(toText).join("");
  if (typeof value === "string") return value.replace(/[&<>"]/g, toReference);
  return "";
}

function toReference(character: string): string {
  return `&#${character.charCodeAt(0)};`;
}

/** `lineBreak` is a line feed and the indentation of the line that the value stands on. */
function printJson(value: unknown, lineBreak: string): string {
  if (!isNested(value)) return JSON.stringify(value) ?? "";
  const inner = `${lineBreak}  `;
  const parts = Object.entries(value).map(([name, member]) => {
    const text = printJson(member, inner);
    return Array.isArray(value) ? text : `${JSON.stringify(name)}: ${text}`;
  });
  const line = parts.join(", ");
  const isShort = parts.length < 2 || line.length <= MAX_LINE_LENGTH;
  const isOneLine = isShort && !Object.values(value).some(isNested);
  const content = isOneLine ? line : `${inner}${parts.join(`,${inner}`)}${lineBreak}`;
  return Array.isArray(value) ? `[${content}]` : `{${content}}`;
}

/** The most characters that the members of a list or an object may have on one line. */
const MAX_LINE_LENGTH = 60;

function isNested(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
