import {
  entriesOf,
  examplesOf,
  type JsonObject,
  type OpenApiDocument,
  type Operation,
  type Parameter,
  parametersOf,
  resolve,
} from "./document.ts";
import { type Html, html, jsonHtml } from "./html.ts";
import { listedValues, mainType, mainVariant, sampleOf } from "./sample.ts";

/** The form for the key that the header field `header` carries. */
export function keyForm(header: unknown): Html {
  return html`<form hidden>
<label>${header} <input id="key" name="entry" type="password" autocomplete="off"></label>
<button>Use key</button> <button name="forget" type="button">Forget</button>
<output name="state">No key is set. A key stays in this page's memory only.</output>
</form>`;
}

/**
 * The form that sends a request of the operation. `header` carries the key; undefined if no key is
 * needed.
 */
export function operationForm(
  document: OpenApiDocument,
  operation: Operation,
  header: unknown,
): Html {
  const { method, path, requestBody } = operation;
  const [type, media] = entriesOf(resolve(document, requestBody)["content"])[0] ?? [];
  const parameters = parametersOf(document, operation).filter(({ place }) => isFilledIn(place));
  const data = html`data-method="${method}" data-path="${path}" data-type="${type}"`;
  return html`<form ${data} data-header="${header}" hidden>
<h3>Try it</h3>
${parameters.map((parameter) => parameterField(document, parameter))}
${media && bodyField(document, media)}
<button aria-label="Send ${method} ${path}">Send</button>
${header !== undefined && html`<small><a href="#key">No key is set</a></small>`}
<div aria-live="polite"><p>No response yet.</div>
<h4>cURL</h4><pre tabindex="0" data-name="cURL for ${method} ${path}"></pre>
<small>${header === undefined ? "Needs no key." : "Reads your key from API_KEY."}</small>
</form>`;
}

function isFilledIn(place: string): boolean {
  return place === "path" || place === "query";
}

function bodyField(document: OpenApiDocument, media: JsonObject): Html {
  const [example] = examplesOf(media);
  const value = example === undefined ? sampleOf(document, media["schema"]) : example["value"];
  // HTML drops the line break after the start tag, and no other one.
  return html`<label>Body <textarea name="body" rows="3" spellcheck="false">
${jsonHtml(value)}</textarea></label>`;
}

/** The field of a parameter: a check box, a choice, or a field for text or a number. */
function parameterField(document: OpenApiDocument, parameter: Parameter): Html {
  const field = fieldOf(document, parameter);
  const mark = field.isRequired && html` <em>required</em>`;
  const label = html`${field.name}${mark}`;
  if (field.type === "boolean") {
    return html`<label>${checkBox(field)} ${label}</label>\n`;
  }
  if (field.values.length > 0) {
    return html`<label>${label} ${choice(field)}</label>\n`;
  }
  if (field.type === "array") {
    return html`<label>${label}, one per line ${textArea(field)}</label>\n`;
  }
  return html`<label>${label} ${inputField(field)}</label>\n`;
}

/** A parameter, with what follows from its schema. */
interface Field extends Parameter {
  /** The type of its value that is not null. */
  readonly type: unknown;
  /** The values to choose from, as text. Empty if its schema does not list them. */
  readonly values: readonly string[];
  /** The value that counts if none is sent; undefined if there is none. */
  readonly byDefault: unknown;
  /** What the page's script needs to know of it. */
  readonly attributes: Html;
}

function fieldOf(document: OpenApiDocument, parameter: Parameter): Field {
  const { name, place, isRequired } = parameter;
  const schema = mainVariant(document, parameter.schema);
  const type = mainType(schema);
  const choices = type === "array" ? mainVariant(document, schema["items"]) : schema;
  const required = flag("data-required", isRequired);
  return {
    ...parameter,
    type,
    values: listedValues(choices).map(textOf),
    byDefault: schema["default"],
    attributes: html`data-name="${name}" data-in="${place}"${required}`,
  };
}

/** Its value is sent if it is required, or if it has been changed. */
function checkBox({ attributes, example, byDefault }: Field): Html {
  const checked = flag("checked", (example ?? byDefault) === true);
  return html`<input type="checkbox" ${attributes}${checked}>`;
}

/** One of the values, or none; or several, if the parameter is a list. */
function choice({ attributes, type, values, isRequired, example, byDefault }: Field): Html {
  const chosen = [example].flat().map(textOf);
  const options = values.map((value) => {
    return html`<option${flag("selected", chosen.includes(value))}>${value}</option>`;
  });
  const isList = type === "array";
  if (!isList && !isRequired) {
    const note = byDefault === undefined ? "" : `${textOf(byDefault)} (default)`;
    options.unshift(html`<option value="">${note}</option>`);
  }
  return html`<select ${attributes}${flag("multiple", isList)}>${options}</select>`;
}

/** For a list: each line is a value. */
function textArea({ attributes, example = [] }: Field): Html {
  const lines = [example].flat().map(textOf).join("\n");
  return html`<textarea ${attributes} rows="2">\n${lines}</textarea>`;
}

function inputField({ attributes, type, place, example, byDefault }: Field): Html {
  const isNumber = type === "integer" || type === "number";
  const kind = isNumber ? html`type="number" step="any"` : html`spellcheck="false"`;
  const required = place === "path" && html` ${SEGMENT}`;
  const value = textOf(example);
  const hint = textOf(byDefault);
  return html`<input ${kind} ${attributes}${required} value="${value}" placeholder="${hint}">`;
}

/** Without a segment, or with one that a browser resolves, the request would be another one. */
const SEGMENT = html`required pattern="(?!\\.\\.?$).+"`;

/** An attribute that has no value. */
function flag(name: string, isSet: boolean): string {
  return isSet ? ` ${name}` : "";
}

/** A value as it stands in a path or a query. */
function textOf(value: unknown): string {
  if (value === undefined) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}
