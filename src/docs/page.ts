import {
  asObject,
  entriesOf,
  examplesOf,
  type JsonObject,
  type OpenApiDocument,
  type Operation,
  operationsOf,
  parametersOf,
  reasonPhrase,
  resolve,
  valuesOf,
} from "./document.ts";
import { keyForm, operationForm } from "./form.ts";
import { type Html, html, join, jsonHtml } from "./html.ts";
import { componentId, describeType, propertyTable, table, tableRow } from "./schema.ts";

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
  const common = commonHeaders(document, operations);
  const shared = sharedResponses(document, operations, common);
  const page = html`<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${title} ${version}</title>
<link rel="icon" href="docs/icon.svg"><link rel="stylesheet" href="docs/docs.css">
<script type="module" src="docs/docs.js"></script>
${contents(operations, shared !== undefined)}
<main>
${introduction(document)}
${operations.map((operation) => operationSection(document, operation, common))}
${shared}
${componentsSection(document, common)}
</main>
`;
  return page.toString();
}

function contents(operations: readonly Operation[], hasShared: boolean): Html {
  const links = operations.map(({ method, path }) => {
    const address = `#${method}${path}`;
    return html`<a href="${address}"><b>${method}</b> <code>${path}</code></a>\n`;
  });
  const shared = hasShared && html`<a href="#responses">Responses</a>\n`;
  return html`<nav aria-label="Contents">
${links}${shared}<a href="#schemas">Schemas</a>
<a href="openapi.json">openapi.json</a></nav>`;
}

function introduction(document: OpenApiDocument): Html {
  const { title, version, description } = asObject(document["info"]);
  const headers = keyHeaders(document);
  return html`<section><div>
<h1>${title} <small>${version}</small></h1>
<p>${description}
${authentication(document)}</div>
${headers.length > 0 && keyForm(headers.join(" or "))}
</section>`;
}

function authentication({ components }: OpenApiDocument): Html {
  const schemes = entriesOf(asObject(components)["securitySchemes"]);
  const paragraphs = schemes.map(([id, { type, in: place, name, description }]) => {
    return html`<p>${description}
<p>${id}: ${type} in ${place} <code>${name}</code>
`;
  });
  return html`<h2>Authentication</h2>
${paragraphs}`;
}

/** The header fields that carry a key, by the schemes with these names, or by all. */
function keyHeaders(document: OpenApiDocument, names?: readonly string[]): unknown[] {
  const schemes = entriesOf(asObject(document["components"])["securitySchemes"]);
  return schemes
    .filter(([id, scheme]) => scheme["in"] === "header" && (names?.includes(id) ?? true))
    .map(([, { name }]) => name);
}

function operationSection(
  document: OpenApiDocument,
  operation: Operation,
  common: readonly string[],
): Html {
  const { method, path, summary, description, security } = operation;
  const schemes = valuesOf(security).flatMap(Object.keys);
  const [header] = keyHeaders(document, schemes);
  const title = summary === undefined ? undefined : html`<strong>${summary}.</strong> `;
  return html`<section id="${method}${path}"><div>
<h2><b>${method}</b> <code>${path}</code></h2>
<p>${title}${description}
<p>Security: ${schemes.join(", ") || "none"}</div>
${operationForm(document, operation, header)}<div>
${parameterTable(document, operation)}${requestBody(document, operation)}<h3>Responses</h3>
${responses(document, operation, common)}</div></section>
`;
}

function parameterTable(document: OpenApiDocument, operation: Operation): Html | undefined {
  const rows = parametersOf(document, operation).map((parameter) => {
    const { name, place, isRequired, schema, description } = parameter;
    return tableRow(name, isRequired ? `${place}, required` : place, schema, description);
  });
  return rows.length === 0 ? undefined : html`<h3>Parameters</h3>\n${table(rows)}\n`;
}

function requestBody(document: OpenApiDocument, operation: Operation): Html | undefined {
  if (operation["requestBody"] === undefined) return undefined;
  const body = resolve(document, operation["requestBody"]);
  const mark = body["required"] === true && html` <em>required</em>`;
  const tables = valuesOf(body["content"]).map(({ schema }) => {
    return propertyTable(resolve(document, schema));
  });
  return html`<h3>Request body${mark}</h3>
${message(body, [])}${tables}
`;
}

/** The operation's own responses, then links to those that it shares with others. */
function responses(
  document: OpenApiDocument,
  operation: Operation,
  common: readonly string[],
): Html {
  const blocks: Html[] = [];
  const links: Html[] = [];
  for (const [status, response] of entriesOf(operation["responses"])) {
    const id = sharedId(status, response);
    if (id === undefined) blocks.push(responseBlock(document, status, response, common));
    else links.push(html`<a href="#${id}">${status}</a>`);
  }
  const also = links.length > 0 && html`<p>Also ${join(links, ", ")}`;
  return html`${blocks}${also}`;
}

/** The responses that operations share, each once, by status; undefined if there are none. */
function sharedResponses(
  document: OpenApiDocument,
  operations: readonly Operation[],
  common: readonly string[],
): Html | undefined {
  const blocks = new Map<string, Html>();
  const entries = operations.flatMap((operation) => entriesOf(operation["responses"]));
  entries.sort(([one], [other]) => one.localeCompare(other));
  for (const [status, response] of entries) {
    const id = sharedId(status, response);
    if (id !== undefined) {
      blocks.set(id, responseBlock(document, status, response, common, id));
    }
  }
  if (blocks.size === 0) return undefined;
  return html`<section id="responses"><div>
<h2>Shared responses</h2>
<p>They mean the same for every operation that names them.</div>
<div>${[...blocks.values()]}</div></section>`;
}

/**
 * Where a response is described for all operations: if it is a component, and its status is not one
 * that every caller has to handle.
 */
function sharedId(status: string, { $ref }: JsonObject): string | undefined {
  const isHandled = /^(?:2..|401|404|422|500)$/.test(status);
  return $ref === undefined || isHandled ? undefined : componentId(String($ref));
}

/** The header fields that every response has. They are named in the table of headers alone. */
function commonHeaders(document: OpenApiDocument, operations: readonly Operation[]): string[] {
  const all = operations.flatMap((operation) => valuesOf(operation["responses"]));
  const names = all.map((each) => Object.keys(asObject(resolve(document, each)["headers"])));
  return (names[0] ?? []).filter((name) => names.every((each) => each.includes(name)));
}

/** `id` is what links lead to, if any do. */
function responseBlock(
  document: OpenApiDocument,
  status: string,
  response: JsonObject,
  common: readonly string[],
  id?: string,
): Html {
  const heading = id === undefined ? "h4" : "h3";
  return html`<div${id !== undefined && html` id="${id}"`}>
<${heading} data-status="${status}">${status} ${reasonPhrase(status)}</${heading}>
${message(resolve(document, response), common)}</div>
`;
}

/**
 * A request body or a response: its description, types, header fields that are not common to all,
 * and examples.
 */
function message({ description, headers, content }: JsonObject, common: readonly string[]): Html {
  const types = entriesOf(content).map(([type, { schema }]) => {
    return html`${type} ${describeType(schema)}`;
  });
  const names = Object.keys(asObject(headers)).filter((name) => !common.includes(name));
  const fields = names.map((name) => html`header ${name}`);
  return html`<p>${description}
<p>${join([...types, ...fields], ", ")}
${valuesOf(content).flatMap(examplesOf).map(exampleBlock)}`;
}

function exampleBlock({ summary, value }: JsonObject): Html {
  const caption = summary === undefined ? undefined : html`<p>${summary}\n`;
  return html`${caption}<pre>${jsonHtml(value)}</pre>\n`;
}

function componentsSection({ components }: OpenApiDocument, common: readonly string[]): Html {
  const { schemas, headers } = asObject(components);
  const rows = entriesOf(headers).map(([name, { required, schema, description }]) => {
    const note = required === true ? "required" : "";
    return tableRow(name, common.includes(name) ? "always" : note, schema, description);
  });
  const fields =
    rows.length > 0 &&
    html`<div><h3>Headers</h3>
${table(rows)}</div>`;
  return html`<section id="schemas"><h2>Schemas</h2>
${entriesOf(schemas).map(schemaBlock)}${fields}</section>`;
}

function schemaBlock([name, schema]: [string, JsonObject]): Html {
  return html`<div id="schemas/${name}"><h3>${name}</h3>
<p>${schema["description"]}
${propertyTable(schema) ?? html`<p>${describeType(schema)}`}</div>
`;
}
