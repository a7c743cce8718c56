import type { Model } from "./base.ts";
import type { Members } from "./object.ts";
import { parsePath } from "./paths.ts";
import { type Location, MISSING, type Problems } from "./problems.ts";

/** Parameters of a route, by where their texts are. */
export interface ParameterSets {
  /** In the order of the path. */
  readonly path: readonly Parameter[];
  /** In the order of their declaration. */
  readonly query: readonly Parameter[];
}

/** A parameter: its name and what it must be. */
export type Parameter = readonly [name: string, model: Model<unknown>];

/** Sorts parameters: a name that stands in braces in the path is in the path, else in the query. */
export function sortParameters(path: string, parameters: Members): ParameterSets {
  const names = parsePath(path)?.names ?? [];
  const models = Object.entries(parameters);
  return {
    path: names.flatMap((name) => models.filter(([other]) => other === name)),
    query: models.filter(([name]) => !names.includes(name)),
  };
}

/**
 * Reads the parameters of a request into `values`. `texts` are those of the path, in its order;
 * `query` is empty or starts with "?". Problems come in FastAPI's order: path, then query.
 */
export function readParameters(
  sets: ParameterSets,
  texts: readonly string[],
  query: string,
  values: Record<string, unknown>,
  problems: Problems,
): void {
  let index = 0;
  for (const [name, { check }] of sets.path) {
    values[name] = check(texts[index], ["path", name], problems);
    index += 1;
  }
  if (sets.query.length === 0) return;
  const found = parseQuery(query, sets.query);
  for (const [name, model] of sets.query) {
    const value = readValue(model, found.get(name) ?? [], ["query", name], problems);
    if (value !== undefined) values[name] = value;
  }
}

function readValue(
  { check, absent, texts: wanted }: Model<unknown>,
  texts: readonly string[],
  location: Location,
  problems: Problems,
): unknown {
  const last = texts.at(-1);
  if (last !== undefined) return check(wanted === "all" ? texts : last, location, problems);
  if (absent === undefined) problems.add(MISSING, null, location);
  return absent?.value;
}

/** The texts of the declared parameters, by name, in the order in which they were sent. */
function parseQuery(query: string, declared: readonly Parameter[]): Map<string, string[]> {
  const found = new Map<string, string[]>(declared.map(([name]) => [name, []]));
  for (const part of query.slice(1).split("&")) {
    const equals = part.indexOf("=");
    const end = equals === -1 ? part.length : equals;
    found.get(decode(part.slice(0, end)))?.push(decode(part.slice(end + 1)));
  }
  return found;
}

/**
 * Decodes as FastAPI does (application/x-www-form-urlencoded, but that bytes beyond ASCII stay as
 * they are): "+" is a blank, bytes that are not UTF-8 become U+FFFD, and other "%" stay.
 */
function decode(text: string): string {
  const spaced = text.includes("+") ? text.replaceAll("+", " ") : text;
  return spaced.includes("%") ? spaced.replace(/(?:%[0-9a-f]{2})+/gi, decodeBytes) : spaced;
}

function decodeBytes(escapes: string): string {
  return Buffer.from(escapes.replaceAll("%", ""), "hex").toString();
}
