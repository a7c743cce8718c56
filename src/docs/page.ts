import { STATUS_CODES } from "node:http";

import type { OpenApiDocument, Operation, Part } from "./document.ts";
import {
  membersOf,
  operationsOf,
  partOf,
  propertyTable,
  resolve,
  row,
  typeOf,
} from "./document.ts";
import { type Html, html, join, json } from "./html.ts";

/**
 * The page for `document`, readable as it is; its script shows the hidden forms and makes them work.
 * Every address in it is relative to its own. End tags are left out where HTML lets them be.
 * Throws an Error that shows a `$ref` which leads nowhere.
 */
export function renderPage(document: OpenApiDocument): string {
  const { title, version } = partOf(document["info"]);
  const operations = operationsOf(document);
  return html`<!DOCTYPE html>
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
`.toString();
}

function introduction(document: OpenApiDocument, operations: readonly Operation[]): Html {
  const { title, version, description } = partOf(document["info"]);
  const header = keyHeader(document);
  return html`<section><div>
<h1>${title} <small>${version}</small></h1>
<p>${description}
<nav aria-label="Contents">
${operations.map(({ method, path }) => html`<a href="#${method}${path}"><b>${method}</b> <code>${path}</code></a> `)}
<a href="#schemas">Schemas</a> <a href="openapi.json">openapi.json</a></nav>
<h2>Authentication</h2>
${schemesOf(document).map(
  ([id, { type, in: place, name, description }]) =>
    html`<p>${description}\n<p>${id}: ${type} in ${place} <code>${name}</code>\n`,
)}</div>
${
  header !== undefined &&
  html`<form hidden>
<label>${header} <input type="password" autocomplete="off"></label>
<button>Authorize</button> <button type="button">Forget</button>
<p role="status">Not authorized. A key stays in this page's memory only.
</form>`
}
</section>`;
}

const schemesOf = ({ components }: OpenApiDocument): [string, Part][] =>
  membersOf(partOf(components)["securitySchemes"]);

const keyHeader = (document: OpenApiDocument): unknown =>
  schemesOf(document).find(([, scheme]) => scheme["in"] === "header")?.[1]["name"];

function operationSection(document: OpenApiDocument, operation: Operation): Html {
  const { method, path, summary, description, security, requestBody, responses } = operation;
  const schemes = membersOf(security).flatMap(([, requirement]) => Object.keys(requirement));
  const body = resolve(document, requestBody);
  return html`<section id="${method}${path}"><div>
<h2><b>${method}</b> <code>${path}</code></h2>
<p>${summary && html`<strong>${summary}.</strong> `}${description}
<p>Security: ${schemes.join(", ") || "none"}</div>
${tryIt(operation, body, schemes.length > 0 && keyHeader(document))}<div>
${
  requestBody !== undefined &&
  html`<h3>Request body${body["required"] === true && html` <em>required</em>`}</h3>
${message(body)}${membersOf(body["content"]).map(([, { schema }]) => propertyTable(resolve(document, schema)))}
`
}<h3>Responses</h3>
${membersOf(responses).map(
  ([status, response]) => html`<div>
<h4 data-status="${status}">${status} ${STATUS_CODES[status]}</h4>
${message(resolve(document, response))}</div>
`,
)}</div></section>
`;
}

function tryIt({ method, path }: Operation, { content }: Part, header: unknown): Html {
  const [type, media] = membersOf(content)[0] ?? [];
  const example = json(media && examplesOf(media)[0]?.["value"]);
  return html`<form data-method="${method}" data-path="${path}" data-type="${type}" data-header="${header}" hidden>
<h3>Try it</h3>
${media && html`<label>Body <textarea rows="3" spellcheck="false">\n${example}</textarea></label>`}
<button aria-label="Send ${method} ${path}">Send</button>
<div aria-live="polite"><p>No answer yet.</div>
<h4>cURL</h4><pre tabindex="0"></pre>
<button type="button" aria-label="Copy cURL for ${method} ${path}">Copy</button>
<small role="status">${header ? "Reads your key from API_KEY." : "Needs no key."}</small>
</form>`;
}

function message({ description, headers, content }: Part): Html {
  const media = membersOf(content);
  const types = media.map(([type, { schema }]) => html`${type} ${typeOf(schema)}`);
  const fields = membersOf(headers).map(([name]) => html`header ${name}`);
  const examples = media.flatMap(([, each]) => examplesOf(each));
  return html`<p>${description}
<p>${join([...types, ...fields], ", ")}
${examples.map(({ summary, value }) => html`${summary && html`<p>${summary}\n`}<pre>${json(value)}</pre>\n`)}`;
}

const examplesOf = ({ example, examples }: Part): Part[] =>
  example === undefined ? membersOf(examples).map(([, named]) => named) : [{ value: example }];

function componentsSection({ components }: OpenApiDocument): Html {
  const { schemas, headers } = partOf(components);
  return html`<section id="schemas"><h2>Schemas</h2>
${membersOf(schemas).map(
  ([name, schema]) => html`<div id="${name}"><h3>${name}</h3>
<p>${schema["description"]}
${propertyTable(schema) ?? html`<p>${typeOf(schema)}`}</div>
`,
)}<div><h3>Headers</h3><table>
${membersOf(headers).map(([name, { required, schema, description }]) => row(name, required, schema, description))}
</table></div></section>`;
}
