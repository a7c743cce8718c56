import type { Schema } from "./schema.ts";

type Named<T> = Readonly<Record<string, T>>;

/** The part of an OpenAPI 3.1 document that the page shows. */
export interface OpenApiDocument {
  readonly info: { readonly title: string; readonly version: string; readonly description?: string };
  readonly paths: Named<object>;
  readonly components?: {
    readonly schemas?: Named<Schema>;
    readonly headers?: Named<Header | Reference>;
    readonly securitySchemes?: Named<SecurityScheme>;
  };
}

/** One method of one path. */
export interface Operation {
  readonly method: string;
  readonly path: string;
  readonly summary?: string;
  readonly description?: string;
  readonly security?: readonly Named<readonly string[]>[];
  readonly requestBody?: Message | Reference;
  readonly responses?: Named<Message | Reference>;
}

/** The body of a request, or a response. */
export interface Message {
  readonly description?: string;
  readonly required?: boolean;
  readonly headers?: Named<Header | Reference>;
  readonly content?: Named<Media>;
}

/** A body of one media type. */
export interface Media {
  readonly schema?: Schema;
  readonly example?: unknown;
  readonly examples?: Named<{ readonly summary?: string; readonly value?: unknown }>;
}

/** A field of a response's header. */
export type Header = { readonly required?: boolean; readonly description?: string; readonly schema?: Schema };

/** How a caller says who it is. */
export interface SecurityScheme {
  readonly type: string;
  readonly in?: string;
  readonly name?: string;
  readonly description?: string;
}

/** Stands for another part of the document. */
export type Reference = { readonly $ref: string };

const METHODS = new Set(["get", "put", "post", "delete", "options", "head", "patch", "trace"]);

/** Every operation of the document, in its order. */
export function operationsOf(document: OpenApiDocument): Operation[] {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item)
      .filter(([method]) => METHODS.has(method))
      .map(([method, operation]) => ({ ...operation, method: method.toUpperCase(), path })),
  );
}

/** `value`, or what its `$ref` stands for. Throws an Error that shows a `$ref` which leads nowhere or in a circle. */
export function resolve<T extends object>(document: OpenApiDocument, value: T | Reference): T {
  let target: unknown = value;
  for (let hops = 0; typeof target === "object" && target !== null && hops < 9; hops++) {
    if (!("$ref" in target)) return target as T;
    // RFC 6901: in a pointer's parts "~1" stands for "/", and "~0" for "~".
    const [start, ...parts] = String(target.$ref).split("/");
    const names = parts.map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
    const step = (parent: unknown, name: string): unknown => new Map(Object.entries(parent ?? {})).get(name);
    target = start === "#" ? names.reduce(step, document) : undefined;
  }
  throw new Error(`The OpenAPI document has no ${JSON.stringify(value)}`);
}
