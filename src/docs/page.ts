import { STATUS_CODES } from "node:http";

import {
  asObject,
  entriesOf,
  type JsonObject,
  type OpenApiDocument,
  type Operation,
  operationsOf,
  resolve,
  valuesOf,
} from "./document.ts";
import { type Html, html, join, jsonHtml } from "./html.ts";
import { describeType, propertyTable, tableRow } from "./schema.ts";

/**
 * The docs page for `document`. It is a complete reference without its script, which shows the
 * hidden forms and makes them work. Its addresses are relative, so it works below any prefix. End
 * tags are left out where HTML allows it.
 *
 * Throws an Error that shows a `$ref` which leads nowhere.
 */
export function renderPage(document: OpenApiDocument): string {
  const { title, version } = asObject(document["info"]);
  const operations = operationsOf(document);
  const page = html`<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${title} ${version}</title>
<link rel="icon" href="docs/icon.svg"><link rel="stylesheet" href="docs/docs.css">
<script type="module" src="docs/docs.js"></script>
<main>
${introduction(document, operations)}
${operations.map((operation) => operationSection(document, operation))}
${componentsSection(document)}
</main>
`;
  return page.toString();
}

function introduction(document: OpenApiDocument, operations: readonly Operation[]): Html {
  const { title, version, description } = asObject(document["info"]);
  return html`<section><div>
<h1>${title} <small>${version}</small></h1>
<p>${description}
${contents(operations)}
${authentication(document)}</div>
${keyForm(keyHeader(document))}
</section>`;
}

function contents(operations: readonly Operation[]): Html {
  const links = operations.map(({ method, path }) => {
    const address = `#${method}${path}`;
    return html`<a href="${address}"><b>${method}</b> <code>${path}</code></a> `;
  });
  return html`<nav aria-label="Contents">
${links}
<a href="#schemas">Schemas</a> <a href="openapi.json">openapi.json</a></nav>`;
}

function authentication({ components }: OpenApiDocument): Html {
  const schemes = entriesOf(asObject(components)["securitySchemes"]);
  return html`<h2>Authentication</h2>
${schemes.map(([id, { type, in: place, name, description }]) => {
  return html`<p>${description}
<p>${id}: ${type} in ${place} <code>${name}</code>
`;
})}`;
}

/** The name of the header field that carries the key; undefined if there is no such scheme. */
function keyHeader(document: OpenApiDocument): unknown {
  const schemes = valuesOf(asObject(document["components"])["securitySchemes"]);
  return schemes.find((scheme) => scheme["in"] === "header")?.["name"];
}

function keyForm(header: unknown): Html | undefined {
  if (header === undefined) return undefined;
  return html`<form hidden>
<label>${header} <input data-part="key" type="password" autocomplete="off"></label>
<button>Authorize</button> <button data-part="forget" type="button">Forget</button>
<p data-part="state" role="status">Not authorized. A key stays in this page's memory only.
</form>`;
}

function operationSection(document: OpenApiDocument, operation: Operation): Html {
  const { method, path, summary, description, security } = operation;
  const schemes = valuesOf(security).flatMap(Object.keys);
  const header = schemes.length > 0 ? keyHeader(document) : undefined;
  return html`<section id="${method}${path}"><div>
<h2><b>${method}</b> <code>${path}</code></h2>
<p>${summary && html`<strong>${summary}.</strong> `}${description}
<p>Security: ${schemes.join(", ") || "none"}</div>
${tryIt(document, operation, header)}<div>
${requestBody(document, operation)}<h3>Responses</h3>
${responses(document, operation)}</div></section>
`;
}

/** The form that sends a request. `header` carries the key; undefined if no key is needed. */
function tryIt(document: OpenApiDocument, operation: Operation, header: unknown): Html {
  const { method, path, requestBody } = operation;
  const [type, media] = entriesOf(resolve(document, requestBody)["content"])[0] ?? [];
  const title = `${method} ${path}`;
  const data = html`data-method="${method}" data-path="${path}" data-type="${type}"`;
  return html`<form ${data} data-header="${header}" hidden>
<h3>Try it</h3>
${media && bodyField(media)}
<button aria-label="Send ${title}">Send</button>
<div data-part="response" aria-live="polite"><p>No response yet.</div>
<h4>cURL</h4><pre data-part="command" tabindex="0"></pre>
<button data-part="copy" type="button" aria-label="Copy cURL for ${title}">Copy</button>
<small data-part="state" role="status">${keyNote(header)}</small>
</form>`;
}

function bodyField(media: JsonObject): Html {
  const example = jsonHtml(examplesOf(media)[0]?.["value"]);
  // HTML drops the line break after the start tag, and no other one.
  return html`<label>Body <textarea data-part="body" rows="3" spellcheck="false">
${example}</textarea></label>`;
}

function keyNote(header: unknown): string {
  return header === undefined ? "Needs no key." : "Reads your key from API_KEY.";
}

function requestBody(document: OpenApiDocument, operation: Operation): Html | undefined {
  if (operation["requestBody"] === undefined) return undefined;
  const body = resolve(document, operation["requestBody"]);
  const tables = valuesOf(body["content"]).map(({ schema }) => {
    return propertyTable(resolve(document, schema));
  });
  return html`<h3>Request body${body["required"] === true && html` <em>required</em>`}</h3>
${message(body)}${tables}
`;
}

function responses(document: OpenApiDocument, operation: Operation): Html[] {
  return entriesOf(operation["responses"]).map(([status, response]) => {
    const phrase = STATUS_CODES[status];
    return html`<div>
<h4 data-status="${status}">${status} ${phrase}</h4>
${message(resolve(document, response))}</div>
`;
  });
}

/** What a request body or a response holds: its description, types, header fields and examples. */
function message({ description, headers, content }: JsonObject): Html {
  const media = entriesOf(content);
  const types = media.map(([type, { schema }]) => html`${type} ${describeType(schema)}`);
  const fields = entriesOf(headers).map(([name]) => html`header ${name}`);
  return html`<p>${description}
<p>${join([...types, ...fields], ", ")}
${valuesOf(content).flatMap(examplesOf).map(exampleBlock)}`;
}

function exampleBlock({ summary, value }: JsonObject): Html {
  const caption =
    summary === undefined
      ? undefined
      : html`<p>${summary}
`;
  return html`${caption}<pre>${jsonHtml(value)}</pre>
`;
}

/** The examples of a media type as OpenAPI's Example Objects; the only one has no summary. */
function examplesOf({ example, examples }: JsonObject): JsonObject[] {
  if (example !== undefined) return [{ value: example }];
  return valuesOf(examples);
}

function componentsSection({ components }: OpenApiDocument): Html {
  const { schemas, headers } = asObject(components);
  return html`<section id="schemas"><h2>Schemas</h2>
${entriesOf(schemas).map(schemaBlock)}<div><h3>Headers</h3><table>
${entriesOf(headers).map(headerRow)}
</table></div></section>`;
}

function schemaBlock([name, schema]: [string, JsonObject]): Html {
  return html`<div id="${name}"><h3>${name}</h3>
<p>${schema["description"]}
${propertyTable(schema) ?? html`<p>${describeType(schema)}`}</div>
`;
}

function headerRow([name, { required, schema, description }]: [string, JsonObject]): Html {
  return tableRow(name, required === true, schema, description);
}
