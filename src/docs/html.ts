/** HTML that is safe to send: only the tag `html` makes it, and that escapes everything else. */
class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type { Html };

/** What may stand in a template: text, which is escaped; HTML and lists of it; nothing, for undefined and false. */
export type Value = string | boolean | undefined | Html | readonly Html[];

/** The tag of an HTML template. Text is escaped, so that it may stand between tags and between double quotes. */
export function html(template: TemplateStringsArray, ...values: readonly Value[]): Html {
  return new Html(String.raw({ raw: template }, ...values.map(toText)));
}

/** Text that stands between tags, where quotes need no escape. */
export function text(value: string): Html {
  return new Html(value.replace(/[&<>]/g, escape));
}

/** `items` with `separator` between them. */
export function join(items: readonly Html[], separator: string): Html {
  return html`${items.map((item, index) => html`${index === 0 ? "" : separator}${item}`)}`;
}

function toText(value: Value): string {
  if (value instanceof Html) return value.text;
  if (Array.isArray(value)) return value.map(toText).join("");
  return String(value || "").replace(/[&<>"]/g, escape);
}

function escape(character: string): string {
  return `&#${character.charCodeAt(0)};`;
}
