import { STATUS_CODES } from "node:http";

import { type Media, type Message, operationsOf, resolve } from "./document.ts";
import type { OpenApiDocument, Operation, SecurityScheme } from "./document.ts";
import { type Html, html, join, text } from "./html.ts";
import { pretty, propertyTable, row, typeOf } from "./schema.ts";

export type { OpenApiDocument };

/**
 * The page for `document`, readable as it is; its script shows the hidden forms and makes them work.
 * Every address in it is relative to its own. Throws an Error that shows a `$ref` which leads nowhere.
 */
export function renderPage(document: OpenApiDocument): string {
  const { title, version } = document.info;
  const operations = operationsOf(document);
  return html`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${title} ${version}</title>
<link rel="icon" href="docs/icon.svg">
<link rel="stylesheet" href="docs/docs.css">
<script type="module" src="docs/docs.js"></script>
</head>
<body>
<main>
${introduction(document, operations)}
${operations.map((operation) => operationSection(document, operation))}
${componentsSection(document)}
</main>
</body>
</html>
`.text;
}

function introduction({ info, components = {} }: OpenApiDocument, operations: readonly Operation[]): Html {
  const schemes = Object.entries(components.securitySchemes ?? {});
  const header = headerOf(schemes.map(([, scheme]) => scheme));
  return html`<section>
<div>
<h1>${info.title} <small>${info.version}</small></h1>
<p>${info.description}</p>
<nav aria-label="Contents">
${operations.map((operation) => html`<a href="#${anchor(operation)}">${title(operation)}</a>
`)}<a href="#schemas">Schemas</a>
<a href="openapi.json">openapi.json</a>
</nav>
<h2>Authentication</h2>
${schemes.map(([id, { type, in: place, name, description }]) => html`<p>${description}</p>
<p>${id}: ${type} in ${place} <code>${name}</code></p>
`)}</div>
${header && html`<form hidden>
<label>${header} <input type="password" autocomplete="off"></label>
<button>Authorize</button>
<button type="button">Forget</button>
<p role="status">Not authorized. A key stays in this page's memory only.</p>
</form>`}
</section>`;
}

function headerOf(schemes: readonly (SecurityScheme | undefined)[]): string | undefined {
  return schemes.find((scheme) => scheme?.type === "apiKey" && scheme.in === "header")?.name;
}

function anchor({ method, path }: Operation): string {
  return method + path;
}

function title({ method, path }: Operation): Html {
  return html`<b>${method}</b> <code>${path}</code>`;
}

function operationSection(document: OpenApiDocument, operation: Operation): Html {
  const { summary, description, security = [], requestBody, responses = {} } = operation;
  const body = requestBody && resolve(document, requestBody);
  const schemes = security.flatMap(Object.keys);
  return html`<section id="${anchor(operation)}">
<div>
<h2>${title(operation)}</h2>
<p><strong>${summary}.</strong> ${description}</p>
<p>Security: ${schemes.join(", ") || "none"}</p>
</div>
${tryIt(operation, body, headerOf(schemes.map((id) => document.components?.securitySchemes?.[id])))}
<div>
${body && request(document, body)}<h3>Responses</h3>
${Object.entries(responses).map(([status, item]) => response(status, resolve(document, item)))}</div>
</section>
`;
}

function tryIt({ method, path }: Operation, body: Message | undefined, header: string | undefined): Html {
  const [type, media] = Object.entries(body?.content ?? {})[0] ?? [];
  return html`<form data-method="${method}" data-path="${path}" data-type="${type}" data-header="${header}" hidden>
<h3>Try it</h3>
${media && html`<label>Body <textarea rows="3" spellcheck="false">
${text(pretty(examplesOf(media)[0]?.value))}</textarea></label>
`}<button aria-label="Send ${method} ${path}">Send</button>
<div aria-live="polite"><p>No answer yet.</p></div>
<h4>cURL</h4>
<pre tabindex="0"></pre>
<button type="button" aria-label="Copy cURL for ${method} ${path}">Copy</button>
<small role="status">${header ? "Reads your key from API_KEY." : "Needs no key."}</small>
</form>`;
}

function request(document: OpenApiDocument, { description, required, content = {} }: Message): Html {
  return html`<h3>Request body${required && html` <em>required</em>`}</h3>
<p>${description}</p>
${Object.entries(content).map(([type, media]) => html`<p>${type} ${typeOf(media.schema)}</p>
${media.schema && propertyTable(resolve(document, media.schema))}
${examples(media)}`)}`;
}

function response(status: string, { description, headers = {}, content = {} }: Message): Html {
  const bodies = Object.entries(content).map(([type, { schema }]) => html`${type} ${typeOf(schema)}`);
  const fields = Object.keys(headers).map((name) => html`header ${name}`);
  return html`<div>
<h4 data-status="${status}">${status} ${STATUS_CODES[status]}</h4>
<p>${description}</p>
<p>${join([...bodies, ...fields], ", ")}</p>
${Object.values(content).map(examples)}</div>
`;
}

function examples(media: Media): Html {
  return html`${examplesOf(media).map(({ summary, value }) => html`${summary && html`<p>${summary}</p>
`}<pre>${text(pretty(value))}</pre>
`)}`;
}

function examplesOf({ example, examples = {} }: Media): { readonly summary?: string; readonly value?: unknown }[] {
  return example === undefined ? Object.values(examples) : [{ value: example }];
}

function componentsSection(document: OpenApiDocument): Html {
  const { schemas = {}, headers = {} } = document.components ?? {};
  const fields = Object.entries(headers).map(([name, item]) => {
    const { required, schema, description } = resolve(document, item);
    return row(name, required, typeOf(schema), description);
  });
  return html`<section id="schemas">
<h2>Schemas</h2>
${Object.entries(schemas).map(([name, schema]) => html`<div id="${name}">
<h3>${name}</h3>
<p>${schema.description}</p>
${propertyTable(schema) ?? html`<p>${typeOf(schema)}</p>`}
</div>
`)}<div>
<h3>Headers</h3>
<table>
${fields}</table>
</div>
</section>`;
}
